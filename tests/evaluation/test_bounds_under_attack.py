"""Certified bounds against a search that knows the episode: in every mode it must find nothing above them."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box

import rangym  # noqa: F401
from rangym.envs.cefl_orchestration.params import CODINGS as CEFL_CODINGS
from rangym.envs.model import Trace
from rangym.envs.physics.federated_round import BS_ENERGY
from rangym.envs.physics.pair_upload import ACCESS
from rangym.evaluation.cards import bound

LANES, KEPT, SWEEPS = 192, 24, 3
TRACES = 3

CELL = "rangym/CellAssociation-v0"
NODE = "rangym/NodePlacement-v0"
NOMA = "rangym/NomaAllocation-v0"
CEFL = "rangym/CeflOrchestration-v0"
QOS = "rangym/QosClustering-v0"


def modes():
    """Every environment in every mode that has a certified bound."""
    for law, cost, variation in itertools.product(("mobility", "static", "volatile"), ("sum", "norm"), (0.0, 0.5)):
        yield CELL, "tiny", {"law": law, "handover_cost": cost, "delay_variation": variation, "num_ues": 3}
    for reward, association in itertools.product(("proportional_fair", "mean_rate", "jain"), ("hard", "soft")):
        yield NODE, "tiny", {"reward": reward, "association": association, "num_ues": 4}
    yield NODE, "tiny", {"reward": "mean_rate", "v_max_m": None, "movement_weight": 0.1, "num_ues": 4}
    for access in ACCESS:
        for power, action in (("kkt", "native"), ("kkt", "keys"), ("fixed", "native"), ("fixed", "scores"),
                              ("agent", "keys"), ("agent", "scores")):  # fmt: skip
            yield NOMA, "tiny", {"access": access, "power": power, "action": action}
    yield NOMA, "tiny", {"num_ues": 2, "num_subchannels": 1, "power": "fixed", "action": "native"}
    yield NOMA, "tiny", {"num_ues": 2, "num_subchannels": 1, "power": "agent", "action": "keys"}
    for theta, coding, accounting in itertools.product(("eff", "fixed"), CEFL_CODINGS, BS_ENERGY):
        yield CEFL, "tiny", {"theta_mode": theta, "action": coding, "bs_energy": accounting, "horizon": 2}
    yield CEFL, "tiny", {"theta_mode": "fixed", "switching_weight": 0.1, "horizon": 2}
    for drift in ("wander", "none"):
        yield QOS, "tiny", {"drift": drift, "horizon": 4, "num_cells": 3}
    yield QOS, "tiny", {"kappa": 0.0, "lam": 0.0, "beta": 0.5, "horizon": 4, "num_cells": 3}


def gather(tree, index):
    """The lanes of ``index`` in a (nested) dictionary of arrays, or in one array."""
    return {k: gather(v, index) for k, v in tree.items()} if isinstance(tree, dict) else tree[index]


def candidates(space, rng, near=None):
    """``LANES`` actions of (LANES, ...): random and extreme ones, and steps away from ``near``."""
    if isinstance(space, Box):
        lane = (LANES, *[1] * len(space.shape))
        actions = rng.uniform(space.low, space.high, (LANES, *space.shape))
        corners = np.where(rng.random(actions.shape) < 0.5, space.low, space.high)
        actions = np.where(rng.random(lane) < 0.2, corners, actions)
        if near is not None:
            step = 10.0 ** rng.uniform(-3, 0, lane) * (space.high - space.low) / 2.0
            moved = near + step * rng.normal(size=actions.shape) * (rng.random(actions.shape) < 0.4)
            actions = np.where(rng.random(lane) < 0.8, moved, actions)
        return np.clip(actions, space.low, space.high).astype(space.dtype)
    choices = space.nvec
    actions = rng.integers(0, choices, (LANES, len(choices)))
    if near is not None:
        changed = rng.random(actions.shape) < 0.4
        actions = np.where(changed, actions, near)
    return actions.astype(space.dtype)


def best_found(system, trace, rng):
    """Mean reward of the best actions found: the most promising of many lanes go on, then steps around the best."""
    stacked = Trace.stack([trace] * LANES)
    best, plan = -np.inf, None
    for _ in range(SWEEPS):
        state = system.initial(stacked.slot(0))
        total, history = np.zeros(LANES), []
        for t in range(1, system.horizon + 1):
            near = None if plan is None else plan[t - 1]
            action = candidates(system.action_space, rng, near)
            if near is not None:
                action[0] = near  # the incumbent's lane
            decision = system.decode(action, state, stacked.public(t, system.reveal))
            state, outcome = system.transition(state, decision, stacked.slot(t))
            total = total + sum(outcome.terms.values())
            history.append(action)
            if t < system.horizon:
                chosen = np.argsort(-total)[:KEPT]
                chosen = np.concatenate([[0], np.resize(chosen, LANES - 1)])
                state, total = gather(state, chosen), total[chosen]
                history = [h[chosen] for h in history]
        winner = int(total.argmax())
        if total[winner] > best:
            best, plan = float(total[winner]), [h[winner] for h in history]
    return best / system.horizon


@pytest.mark.parametrize(
    "env_id, scenario, overrides", list(modes()), ids=lambda value: str(value).replace("rangym/", "")
)
def test_no_search_exceeds_a_certified_bound(env_id, scenario, overrides):
    system = gym.make(env_id, scenario=scenario, **overrides).unwrapped.system
    for seed in range(TRACES):
        trace = system.sample(np.random.default_rng(seed))
        limit = bound(system, trace)
        assert limit.kind == "certified", limit.what
        found = best_found(system, trace, np.random.default_rng(100 + seed))
        assert found <= limit.value + 1e-9 * max(abs(limit.value), 1.0)
        if limit.lower is not None:
            assert limit.lower <= limit.value + 1e-9


@pytest.mark.parametrize("power", ["kkt", "fixed", "agent"])
@pytest.mark.parametrize("access", ACCESS)
def test_no_pair_of_users_beats_the_bound_of_its_round(access, power):
    """Two users, one sub-channel, a deadline that caps bind on: every assignment, and a grid of powers."""
    action = "keys" if power == "agent" else "native"
    pair = {"num_ues": 2, "num_subchannels": 1, "access": access, "power": power, "action": action, "horizon": 1}
    system = gym.make(NOMA, scenario="tight", **pair).unwrapped.system
    traces = [system.sample(np.random.default_rng(seed)) for seed in range(400)]
    limit = np.array([bound(system, trace).value for trace in traces])
    stacked = Trace.stack(traces)
    state, public = system.initial(stacked.slot(0)), stacked.public(1, system.reveal)
    if power == "agent":
        levels = np.concatenate([np.linspace(0.4, 1.0, 13), [-1.0]])
        actions = [(0.0, 1.0, a, b) for a, b in itertools.product(levels, levels)]
    else:
        actions = list(itertools.product((0, 1), repeat=2))
    for action in actions:
        everywhere = np.tile(np.array(action, dtype=system.action_space.dtype), (len(traces), 1))
        _, outcome = system.transition(state, system.decode(everywhere, state, public), stacked.slot(1))
        assert (sum(outcome.terms.values()) <= limit + 1e-12).all()
