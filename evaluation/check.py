"""What a problem or a policy of anybody's must keep, checked one by one: ``rangym check my_module:Mine``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, SystemModel, SystemVectorEnv, lane
from rangym.envs.errors import WrongType
from rangym.envs.infos import of_lane
from rangym.envs.registration import resolve
from rangym.evaluation.causality import first_leak
from rangym.evaluation.episode import Episode, make_env
from rangym.policies import registry
from rangym.policies.base import Knowledge, Policy, Task

LANES = 3


@dataclass(frozen=True)
class Finding:
    """One thing checked: what it is, and what was wrong (empty: nothing)."""

    what: str
    wrong: str


class _Broken(Exception):
    """A promise that is not kept, in words."""


def check(target: str, env_id: str | None = None, scenario: str | None = None) -> list[Finding]:
    """Check ``target``: a system ``"module:Class"``, or a policy (its word) on the environment ``env_id``.

    ``scenario`` is the smallest one, ``tiny``, where the system has it, unless it is said.
    """
    found = resolve(target) if ":" in target and "=" not in target else None
    if isinstance(found, type) and issubclass(found, SystemModel):
        name = scenario or _smallest(found.scenarios)
        return list(_run(_system_checks(target, name)))
    if env_id is None:
        raise WrongType(f"check: a SystemModel's class, or a policy and its environment, wanted, got {target!r} alone")
    policy = registry.make(target, scenario=scenario)
    env = make_env(env_id, scenario or _smallest(make_env(env_id, "tiny").system.scenarios), policy.overrides)
    registry.check_fits(policy, env.system)
    return list(_run(_policy_checks(target, scenario, env)))


Check = tuple[str, Callable[[], None]]


def _run(checks: Iterator[Check]) -> Iterator[Finding]:
    """Every check runs whatever the others found; what a user's code raises is what was wrong."""
    for what, work in checks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                work()
        except Exception as error:
            text = str(error) if isinstance(error, _Broken) else f"{type(error).__name__}: {error}"
            yield Finding(what, " ".join(text.split()))
        else:
            yield Finding(what, "")


def _smallest(scenarios: Mapping[str, object]) -> str:
    return "tiny" if "tiny" in scenarios else next(iter(scenarios))


# A system -------------------------------------------------------------------------------------------------------------


def _system_checks(system: str, scenario: str) -> Iterator[Check]:
    def env() -> SystemEnv:
        return SystemEnv(system, scenario)

    yield "Gymnasium's check_env", lambda: check_env(env(), skip_render_check=True)
    yield "a lane of the vector environment equals the single one", lambda: lanes_equal_singles(system, scenario)
    yield "a replayed trace gives the same episode", lambda: replay_equals(env())
    yield "observations show only what is public", lambda: _causal(env(), None)


def lanes_equal_singles(system: str, scenario: str, seed: int = 7, **overrides: Any) -> None:
    """Raise unless lane b of a vector environment equals the single environment with seed + b, bit for bit, over two
    episodes: observations, rewards, ends, terms and metrics."""
    vector = SystemVectorEnv(system, LANES, scenario, autoreset_mode=AutoresetMode.SAME_STEP, **overrides)
    singles = [SystemEnv(system, scenario, **overrides) for _ in range(LANES)]
    observations, _ = vector.reset(seed=seed)
    for b, single in enumerate(singles):
        _same(lane(observations, b), single.reset(seed=seed + b)[0], f"first observation of lane {b}")
    vector.action_space.seed(0)
    for step in range(2 * vector.system.horizon):
        actions = vector.action_space.sample()
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        for b, single in enumerate(singles):
            where = f"step {step}, lane {b}"
            alone, reward, ended, cut, info = single.step(actions[b])
            if (rewards[b], terminated[b], truncated[b]) != (reward, ended, cut):
                raise _Broken(f"{where}: reward and ends {reward, ended, cut} alone, {rewards[b]} among {LANES} lanes")
            among = of_lane(infos["final_info"] if ended or cut else infos, b)
            for kind in ("terms", "metrics"):
                _same(cast("Mapping[str, NDArray]", among[kind]), info[kind], f"{where}, {kind}")
            if ended or cut:
                _same(infos["final_obs"][b], alone, f"{where}, last observation")
                alone, _ = single.reset()
            _same(lane(observations, b), alone, f"{where}, observation")


def replay_equals(env: SystemEnv) -> None:
    """Raise unless the episode of a replayed trace is the one it was recorded from."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(env.system.horizon)]

    def played(**how: Any) -> list[tuple[Mapping[str, NDArray], float]]:
        observation, reward = env.reset(**how)[0], 0.0
        seen: list[tuple[Mapping[str, NDArray], float]] = [(observation, reward)]
        for action in actions:
            observation, reward, *_ = env.step(action)
            seen.append((observation, float(reward)))
        return seen

    first = played(seed=3)
    again = played(options={"trace": env.trace})
    for t, ((obs, reward), (obs_again, reward_again)) in enumerate(zip(first, again, strict=True)):
        _same(obs, obs_again, f"observation after slot {t}")
        if reward != reward_again:
            raise _Broken(f"slot {t}: reward {reward} at first, {reward_again} from the replayed trace")


def _same(a: Mapping[str, NDArray], b: Mapping[str, NDArray], where: str) -> None:
    if a.keys() != b.keys():
        raise _Broken(f"{where}: fields {sorted(a)} and {sorted(b)}")
    for name in a:
        if not np.array_equal(a[name], b[name], equal_nan=True):
            raise _Broken(f"{where}: {name!r} differs, {np.ravel(a[name])[:3]}... and {np.ravel(b[name])[:3]}...")


# A policy -------------------------------------------------------------------------------------------------------------


def _policy_checks(word: str, scenario: str | None, env: SystemEnv) -> Iterator[Check]:
    def made() -> Policy:
        return registry.make(word, scenario=scenario)

    def actions(policy: Policy, seed: int) -> list[NDArray]:
        return [step.action for step in Episode(env, policy, np.random.default_rng(seed), seed=seed)]

    def native() -> None:
        for t, action in enumerate(actions(made(), 3), 1):
            if not env.action_space.contains(action.astype(env.action_space.dtype)):
                raise _Broken(f"slot {t}: an action of {env.action_space} wanted, got {action!r}")

    def repeats() -> None:
        first, used = actions(made(), 3), made()
        actions(used, 8)
        for policy, what in ((made(), "a second policy"), (used, "a policy that has played before")):
            if any(not np.array_equal(a, b) for a, b in zip(first, actions(policy, 3), strict=True)):
                raise _Broken(f"{what} decides otherwise with the same seed: all its chance must come from rng")

    yield "its actions are in the action space", native
    yield "its decisions repeat with the seed, and reset forgets the last episode", repeats
    if made().knowledge is not Knowledge.ORACLE:
        yield "its decisions depend only on what is public", lambda: _causal(env, made())
        yield "predict() in many lanes decides as act() does", lambda: _batched(made(), env)


def _batched(policy: Policy, env: SystemEnv) -> None:
    task = Task.of(env, policy.knowledge)
    observations = [env.reset(seed=seed)[0] for seed in range(2)]
    batch = {f: np.stack([o[f] for o in observations]) for f in observations[0]}
    together, _ = policy.bind(task, 5).predict(batch)
    for b, (observation, rng) in enumerate(zip(observations, np.random.default_rng(5).spawn(2), strict=True)):
        policy.reset(task, rng)
        if not np.array_equal(together[b], alone := policy.act(observation)):
            raise _Broken(f"lane {b}: {together[b]} in a batch, {alone} alone")


def _causal(env: SystemEnv, policy: Policy | None) -> None:
    leak = first_leak(env, policy)
    if leak is not None:
        raise _Broken(f"slot {leak}: what happens there depends on values that are not public yet (see `reveal`)")
