"""Find cheating mechanically: change what is not yet public and see whether anything before it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import System, SystemEnv, Trace
from rangym.policies.base import Policy, Task


def first_leak(env: SystemEnv, policy: Policy | None = None, seeds: tuple[int, int] = (0, 1)) -> int | None:
    """The first slot t at which something depends on what was not public at the decision of slot t; None if causal.

    For every t, all trace values that are not public at t are replaced by those of another trace. Without a policy, the
    observations of slots 1..t under fixed random actions must stay the same; with one, its decisions of slots 1..t. The
    trace is put in place of what ``sample`` returns, not replayed: so a policy that guesses the seed and draws the
    episode again is caught too (and one that honestly plans with ``sample`` has to be exempted by name).
    """
    system, reveal = env.system, dict(env.system.reveal)
    one, other = (system.sample(np.random.default_rng(seed)) for seed in seeds)
    walk = _observations if policy is None else _decisions(policy)
    with _sampling(system, one):
        base = walk(env)
    for t in range(1, system.horizon + 1):
        with _sampling(system, one.splice(other, t, reveal)):
            changed = walk(env)
        if any(not np.array_equal(a, b) for a, b in zip(base[:t], changed[:t], strict=True)):
            return t
    return None


@contextmanager
def _sampling(system: System, trace: Trace) -> Iterator[None]:
    """Let ``system`` (and its copies) draw ``trace``, whatever the generator."""
    patches: dict[str, object] = {
        "sample": lambda rng: trace,
        "sample_lanes": lambda rngs: Trace.stack([trace] * len(rngs)),
    }
    system.__dict__.update(patches)
    try:
        yield
    finally:
        for name in patches:
            del system.__dict__[name]


def _observations(env: SystemEnv) -> list[NDArray]:
    """The observation before each decision, as one vector a slot, under fixed random actions."""
    env.action_space.seed(0)
    observation, _ = env.reset()
    seen = []
    for _ in range(env.system.horizon):
        seen.append(np.concatenate([np.ravel(v) for v in observation.values()]))
        observation, *_ = env.step(env.action_space.sample())
    return seen


def _decisions(policy: Policy) -> Callable[[SystemEnv], list[NDArray]]:
    def walk(env: SystemEnv) -> list[NDArray]:
        observation, _ = env.reset()
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
        actions = []
        for _ in range(env.system.horizon):
            actions.append(np.array(policy.act(observation)))
            observation, *_ = env.step(actions[-1])
        return actions

    return walk
