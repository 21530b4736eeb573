"""Gymnasium's own vector wrappers over the native lanes, on whatever Gymnasium is installed."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import FlattenObservation, NormalizeObservation, RecordEpisodeStatistics

import rangym  # noqa: F401  (registers the environments)

LANES = 3
CASES = [
    ("rangym/CellAssociation-v0", {"scenario": "tiny", "horizon": 6}),
    ("rangym/NodePlacement-v0", {"scenario": "tiny", "horizon": 5}),
]
IDS = ["CellAssociation", "NodePlacement"]
VERSION = tuple(map(int, gym.__version__.split(".")[:2]))


def native(env_id, kwargs, mode=AutoresetMode.NEXT_STEP):
    return gym.make_vec(env_id, num_envs=LANES, autoreset_mode=mode, **kwargs)


def gymnasiums(env_id, kwargs):
    return SyncVectorEnv([lambda: gym.make(env_id, **kwargs)] * LANES)


def walked(env, steps):
    """Everything that ``steps`` random steps return, the reset first; times of day left out."""
    env.action_space.seed(0)
    found = [env.reset(seed=5)[0]]
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        episode = {k: v for k, v in info.get("episode", {}).items() if k != "t"}
        found.append((observation, reward, terminated, truncated, episode))
    return found


def assert_equal(mine, theirs):
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        mine, theirs = list(mine.values()), list(theirs.values())
    if isinstance(mine, list | tuple):
        for a, b in zip(mine, theirs, strict=True):
            assert_equal(a, b)
    else:
        np.testing.assert_array_equal(mine, theirs, strict=True)


@pytest.mark.parametrize("flat", [False, True], ids=["named", "flat"])
@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=IDS)
def test_gymnasiums_vector_wrappers_work_over_the_native_lanes(env_id, kwargs, flat):
    """Two episodes and a half: the same values as over Gymnasium's own vector environment."""
    horizon = kwargs["horizon"]
    found = []
    for make in (native, gymnasiums):
        env = make(env_id, {**kwargs, "flat": flat})
        env = RecordEpisodeStatistics(env if flat else FlattenObservation(env))
        assert isinstance(env.single_observation_space, gym.spaces.Box)
        env = NormalizeObservation(env)
        found.append(walked(env, 2 * (horizon + 1) + horizon // 2))
        statistics = env.env
        assert list(statistics.length_queue) == [horizon] * (2 * LANES)
        rewards = np.array([step[1] for step in found[-1][1:]])
        for k in range(2):
            episode = rewards[k * (horizon + 1) :][:horizon].sum(axis=0)
            np.testing.assert_allclose(list(statistics.return_queue)[k * LANES :][:LANES], episode, rtol=1e-12)
    assert_equal(*found)
    normalised = np.stack([step[0] for step in found[0][1:]])
    assert np.isfinite(normalised).all() and np.abs(normalised).max() < 1e3


@pytest.mark.parametrize(("env_id", "kwargs"), CASES, ids=IDS)
def test_what_gymnasium_does_with_the_other_modes(env_id, kwargs):
    """The facts that the docstring of `SystemVectorEnv` states."""
    wrappers = (FlattenObservation, lambda env: NormalizeObservation(env))
    for wrap, flat in zip(wrappers, (False, True), strict=True):
        env = native(env_id, {**kwargs, "flat": flat}, AutoresetMode.SAME_STEP)
        with pytest.raises((AssertionError, ValueError)):
            wrap(env)
    env = RecordEpisodeStatistics(native(env_id, kwargs, AutoresetMode.SAME_STEP))
    walked(env, 2 * kwargs["horizon"])
    second = 0 if VERSION >= (1, 4) else 1
    assert list(env.length_queue) == [kwargs["horizon"]] * LANES + [kwargs["horizon"] - second] * LANES
    FlattenObservation(native(env_id, kwargs, AutoresetMode.DISABLED)).reset(seed=0)
