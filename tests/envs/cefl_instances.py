"""Environments, systems and decisions of CeflOrchestration that several tests draw."""

import gymnasium as gym
import numpy as np
from hypothesis import strategies as st

import rangym  # noqa: F401
from rangym.envs.core import build

ID = "rangym/CeflOrchestration-v0"
SYSTEM = "rangym.envs.cefl_orchestration.system:CeflOrchestration"
sizes = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))


def make(**kwargs):
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def model(scenario="tiny", **overrides):
    return build(SYSTEM, scenario, overrides)


def sized(size, **overrides):
    return model(num_ues=size[0], num_bss=size[1], num_dcs=size[2], **overrides)


def drawn(system, seed, lanes=1):
    """Conditions of slot 1 in ``lanes`` lanes, and random actions of the system's coding."""
    rngs = [np.random.default_rng([seed, b]) for b in range(lanes)]
    slot = system.sample_lanes(rngs).slot(1)
    space, rng = system.action_space, np.random.default_rng(seed)
    action = rng.uniform(space.low, space.high, (lanes, *space.shape)).astype(space.dtype)
    return slot, action
