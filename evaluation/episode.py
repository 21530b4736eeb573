"""One episode of one policy: the loop that evaluation, films, training curves and checks share, and its row."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, Trace, build
from rangym.envs.registration import problem
from rangym.evaluation.progress import progress
from rangym.policies.base import Policy, Task


def make_env(
    env_id: str, scenario: str, overrides: Mapping[str, object] | None = None, render_mode: str | None = None
) -> SystemEnv:
    """The single environment, without wrappers and without autoreset; a user's id may name the module before a colon.

    Not ``gym.make``, whose wrappers cost time and whose errors bury ours.
    """
    # A finished system, since no parameter is named as an argument of the shell: `scenario` is refused as an override.
    env = SystemEnv(build(problem(env_id).system, scenario, overrides or {}), render_mode=render_mode)
    env.scenario = scenario
    return env


@dataclass(frozen=True)
class Step:
    """One slot: what the policy saw and did, what came of it, and the CPU seconds of its decision."""

    observation: Mapping[str, NDArray]
    action: NDArray
    reward: float
    terms: Mapping[str, NDArray]
    metrics: Mapping[str, NDArray]
    decide_s: float


class Episode:
    """The slots of one episode, played as they are iterated over.

    ``trace`` is replayed; where it is None, the environment draws one with ``seed`` (None: its generator goes on).
    ``reset_s`` is the CPU time that the policy's reset took, which is where an oracle plans.
    """

    def __init__(
        self,
        env: SystemEnv,
        policy: Policy,
        rng: np.random.Generator,
        trace: Trace | None = None,
        seed: int | None = None,
    ):
        self._env, self._policy = env, policy
        self._observation, _ = env.reset(seed=seed, options=None if trace is None else {"trace": trace})
        task = Task.of(env, policy.knowledge)
        start = time.process_time()
        policy.reset(task, rng)
        self.reset_s = time.process_time() - start

    def __iter__(self) -> Iterator[Step]:
        ended = False
        while not ended:
            start, before = time.process_time(), self._observation
            action = np.asarray(self._policy.act(before))
            decide_s = time.process_time() - start
            self._observation, reward, terminated, truncated, info = self._env.step(action)
            ended = terminated or truncated
            yield Step(before, action, reward, info["terms"], info["metrics"], decide_s)


def played(env: SystemEnv, policy: Policy, trace: Trace, seed: int | str) -> dict[str, object]:
    """The row of ``policy`` on ``trace``: means over the slots, and the CPU time that its decisions took."""
    episode = Episode(env, policy, episode_rng(policy, seed), trace)
    # Not the steps: each holds its observation, 24 MB in a city.
    bar = progress(episode, env.system.horizon, f"{policy.name}, seed {seed}")
    kept = [(step.reward, step.terms, step.metrics, step.decide_s) for step in bar]
    rewards, terms, metrics, decide_s = zip(*kept, strict=True)
    reward = float(np.mean(rewards))
    if not np.isfinite(reward):
        raise ValueError(f"the mean reward is {reward}")
    effort = {name: amount / len(kept) for name, amount in policy.effort().items()}
    return {
        "knowledge": policy.knowledge.value,
        "horizon": len(kept),
        "reward": reward,
        "terms": term_means(terms),
        "metrics": {**episode_metrics(metrics, env.system.ratio_metrics), **effort},
        "cpu_ms_per_slot": 1e3 * (episode.reset_s + sum(decide_s)) / len(kept),
        "reset_ms": 1e3 * episode.reset_s,
    }


def episode_rng(policy: Policy, seed: int | str) -> np.random.Generator:
    """The policy's own chance in the episode of ``seed`` (or of the recorded trace with this hash).

    It depends on the trace and on the policy's class only: neither the trace's nor the other policies' draws matter,
    and variants of one policy are compared under common random numbers.
    """
    stream = policy.stream or f"{type(policy).__module__}:{type(policy).__qualname__}"
    # Hashed, so that the generator does not show the trace's seed to a policy that would draw the trace again.
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {stream}".encode()).digest()[:16]))


def episode_metrics(
    slots: Sequence[Mapping[str, NDArray]], ratios: Mapping[str, tuple[str, str]]
) -> dict[str, float | None]:
    """Mean over the slots of every scalar metric, and each ratio as sum over sum (None where it divides by zero)."""
    scalars = [name for name, value in slots[0].items() if np.ndim(value) == 0]
    sums = {name: float(sum(float(slot[name]) for slot in slots)) for name in scalars}
    means: dict[str, float | None] = {name: total / len(slots) for name, total in sums.items()}
    shares = {name: sums[above] / sums[below] if sums[below] else None for name, (above, below) in ratios.items()}
    return means | shares


def term_means(slots: Sequence[Mapping[str, NDArray]]) -> dict[str, float]:
    """Mean over the slots of every reward term."""
    return {name: float(np.mean([float(slot[name]) for slot in slots])) for name in slots[0]}
