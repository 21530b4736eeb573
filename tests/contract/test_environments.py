"""What every environment promises: Gymnasium's contract, equal lanes, replay, reward = sum of terms."""

import json
import pickle
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from rangym.envs.core import Trace, build
from rangym.envs.infos import of_lane
from rangym.envs.registration import OURS, problem


def test_gymnasium_checker_is_silent(case):
    env_id, kwargs = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id, render_mode="rgb_array", **kwargs).unwrapped)


def test_stable_baselines3_checker_passes(case, env):
    env_id, kwargs = case
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="Your observation .* has an unconventional shape")
        warnings.filterwarnings("ignore", message=".*(known_gram|image).*")
        if env_id == "rangym/CeflOrchestration-v0" and kwargs.get("action") == "native":
            # Shares in float64, not an agent's coding: the decision must keep a solver's precision.
            warnings.filterwarnings("ignore", message="We recommend you to use a symmetric and normalized Box action")
            warnings.filterwarnings("ignore", message="Your action space has dtype float64")
        sb3_check_env(env)


def test_spec_survives_pickle_and_json(case):
    env_id, kwargs = case
    spec = gym.make(env_id, **kwargs).spec
    for copy in (pickle.loads(pickle.dumps(spec)), EnvSpec.from_json(spec.to_json())):
        a, b = gym.make(copy), gym.make(env_id, **kwargs)
        assert_same(a.reset(seed=3)[0], b.reset(seed=3)[0])
        assert a.unwrapped.system.params == b.unwrapped.system.params


def test_environment_survives_pickle_mid_episode(env):
    env.reset(seed=0)
    env.action_space.seed(0)
    env.step(env.action_space.sample())
    action, twin = env.action_space.sample(), pickle.loads(pickle.dumps(env))
    assert_same(env.step(action), twin.step(action))


def test_lane_equals_single_environment_bit_for_bit(case):
    env_id, kwargs = case
    lanes, steps, seed = 3, 1000, 7
    vector = gym.make_vec(env_id, num_envs=lanes, autoreset_mode="SameStep", **kwargs)
    singles = [gym.make(env_id, **kwargs).unwrapped for _ in range(lanes)]
    observations, _ = vector.reset(seed=seed)
    for b, single in enumerate(singles):
        assert_same({f: v[b] for f, v in observations.items()}, single.reset(seed=seed + b)[0])
    vector.action_space.seed(0)
    episodes = 0
    for _ in range(steps):
        actions = vector.action_space.sample()
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        for b, single in enumerate(singles):
            obs, reward, term, trunc, info = single.step(actions[b])
            assert (rewards[b], terminated[b], truncated[b]) == (reward, term, trunc)
            assert_same(of_lane(infos["final_info"] if term or trunc else infos, b), info)
            if term or trunc:
                assert_same(infos["final_obs"][b], obs)
                obs, _ = single.reset()
                episodes += 1
            assert_same({f: v[b] for f, v in observations.items()}, obs)
    assert episodes >= lanes * (steps // (vector.unwrapped.system.horizon + 1))


@pytest.mark.parametrize("flat", [False, True], ids=["named", "flat"])
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("env_id", OURS)
def test_each_autoreset_mode_is_that_of_gymnasiums_vector_environment(env_id, mode, flat):
    """An episode and a half, infos and the step that NEXT_STEP ignores included; then a reset before the end."""
    assert_equal_to_sync(env_id, mode, {"scenario": "tiny", "flat": flat})


def test_infos_have_the_layout_of_gymnasiums_vector_environment(case):
    assert_equal_to_sync(case[0], AutoresetMode.SAME_STEP, case[1])


def assert_equal_to_sync(env_id, mode, kwargs):
    ours = gym.make_vec(env_id, num_envs=2, autoreset_mode=mode.value, **kwargs)
    theirs = SyncVectorEnv([lambda: gym.make(env_id, **kwargs)] * 2, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is mode
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    assert_same(ours.reset(seed=3), theirs.reset(seed=3))
    ours.action_space.seed(0)
    horizon, ends = ours.unwrapped.system.horizon, 0
    for _ in range(horizon + horizon // 2 + 1):
        actions = ours.action_space.sample()
        mine = ours.step(actions)
        assert_same(mine, theirs.step(actions))
        ends += mine[3].all()
        if mine[3].all() and mode is AutoresetMode.DISABLED:
            with pytest.raises(RuntimeError, match=r"over: call reset\(\)"):
                ours.step(actions)
            whole = {"reset_mask": np.ones(2, dtype=bool)}
            assert_same(ours.reset(options=whole), theirs.reset(options={**whole}))
    assert ends == 1
    assert_same(ours.reset(), theirs.reset())
    assert_same(ours.step(actions), theirs.step(actions))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("env_id", OURS)
def test_what_a_step_returns_is_the_callers_own(env_id, mode):
    """Whoever writes into it changes neither the episode nor its picture."""
    lanes = [gym.make_vec(env_id, 2, scenario="tiny", autoreset_mode=mode).unwrapped for _ in "ab"]
    singles = [gym.make(env_id, scenario="tiny").unwrapped for _ in "ab"]
    for touched, left in (lanes, singles):
        assert_same(touched.reset(seed=0), left.reset(seed=0))
        for _ in range(left.system.horizon):
            action = left.action_space.sample()
            mine = touched.step(action)
            assert_same(mine, left.step(action))
            assert overwritten(mine) >= 4
        pictures = [vars(env._episode.frame(0)) for env in (touched, left)]
        for picture in pictures:
            del picture["trace"]
        assert_same(*pictures)


def test_replay_repeats_the_episode_and_leaves_the_generator_alone(env):
    def episode(**reset):
        first, _ = env.reset(**reset)
        env.action_space.seed(1)
        steps = [env.step(env.action_space.sample()) for _ in range(env.system.horizon)]
        return first, steps

    drawn = episode(seed=5)
    trace = env.trace
    before = env.np_random.bit_generator.state
    assert_same(drawn, episode(options={"trace": trace}))
    assert env.np_random.bit_generator.state == before
    assert_same(episode(seed=5), drawn)


def test_saved_trace_replays(env, tmp_path):
    env.reset(seed=2)
    env.trace.save(tmp_path / "trace.npz")
    loaded = Trace.load(tmp_path / "trace.npz")
    assert_same(dict(loaded.slots), dict(env.trace.slots))
    assert_same(dict(loaded.constants), dict(env.trace.constants))
    env.reset(options={"trace": loaded})


def test_vector_replay_takes_one_trace_for_all_or_one_a_lane(case):
    env_id, kwargs = case
    vector = gym.make_vec(env_id, num_envs=2, **kwargs).unwrapped
    vector.reset(seed=4)
    a, b = vector.traces
    observations, _ = vector.reset(options={"trace": [b, a]})
    single = gym.make(env_id, **kwargs)
    assert_same({f: v[0] for f, v in observations.items()}, single.reset(options={"trace": b})[0])
    observations, _ = vector.reset(options={"trace": b})
    assert_same({f: v[0] for f, v in observations.items()}, {f: v[1] for f, v in observations.items()})


def test_trace_does_not_depend_on_actions_and_seeds_matter(env):
    traces = []
    for seed, sampler in ((0, 1), (0, 2), (1, 1)):
        env.reset(seed=seed)
        env.action_space.seed(sampler)
        for _ in range(env.system.horizon):
            env.step(env.action_space.sample())
        traces.append(env.trace)
    assert_same(dict(traces[0].slots), dict(traces[1].slots))
    assert any(not np.array_equal(v, traces[2].slots[f]) for f, v in traces[0].slots.items())


@pytest.mark.parametrize("env_id", OURS)
def test_same_seed_gives_the_same_trace_in_another_process(env_id):
    code = (
        "import gymnasium as gym, hashlib, json\n"
        f"env = gym.make('rangym:{env_id}', scenario='tiny').unwrapped\n"
        "env.reset(seed=11)\n"
        "both = {**env.trace.constants, **env.trace.slots}\n"
        "print(json.dumps({f: hashlib.sha256(v.tobytes()).hexdigest() for f, v in sorted(both.items())}))"
    )
    hashes = [
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout) for _ in "ab"
    ]
    assert hashes[0] == hashes[1]


def test_reward_is_the_sum_of_its_terms_and_observations_stay_in_their_space(env):
    env.reset(seed=0)
    env.action_space.seed(0)
    for t in range(1, env.system.horizon + 1):
        obs, reward, _, _, info = env.step(env.action_space.sample())
        assert reward == pytest.approx(sum(info["terms"].values()), rel=1e-12)
        assert all(np.isfinite(v).all() for v in info["metrics"].values())
        assert env.observation_space.contains(obs)
        assert all(v.dtype == np.float32 for v in obs.values())
        assert obs["time"] == pytest.approx(t / env.system.horizon)


def test_callers_arrays_and_past_observations_are_never_touched(env):
    first, _ = env.reset(seed=0)
    kept = {f: v.copy() for f, v in first.items()}
    action = env.action_space.sample()
    given = action.copy()
    second, *_ = env.step(action)
    action[...] = given[::-1] if given.ndim else given
    again, *_ = env.step(given)
    assert_same(first, kept)
    copies = {f: v.copy() for f, v in second.items()}
    second["time"][...] = 99
    env.step(given)
    assert all(np.array_equal(copies[f], second[f]) for f in copies if f != "time")


def test_episode_ends_at_the_horizon_only(env):
    env.reset(seed=0)
    for t in range(1, env.system.horizon + 1):
        *_, terminated, truncated, _ = env.step(env.action_space.sample())
        assert not terminated and truncated == (t == env.system.horizon)
    with pytest.raises(RuntimeError, match=r"over: call reset\(\)"):
        env.step(env.action_space.sample())


def test_one_slot_episodes_terminate(case):
    env_id, kwargs = case
    env = gym.make(env_id, **{**kwargs, "horizon": 1})
    env.reset(seed=0)
    *_, terminated, truncated, _ = env.step(env.action_space.sample())
    assert terminated and not truncated


@pytest.mark.parametrize("env_id", OURS)
def test_every_scenario_builds_and_an_alias_is_the_same(env_id):
    scenarios = build(problem(env_id).system, "tiny", {}).scenarios
    assert {"tiny", "small", "paper"} <= scenarios.keys()
    for name in scenarios:
        needs_file = getattr(scenarios[name], "law", None) == "measured" or getattr(scenarios[name], "imported", False)
        if not needs_file:
            assert build(problem(env_id).system, name, {}).params == scenarios[name]


def overwritten(tree):
    """Write ones into every array, masks included, and count them."""
    if isinstance(tree, np.ndarray) and tree.dtype == object:
        return sum(map(overwritten, tree))
    if isinstance(tree, np.ndarray):
        tree[...] = 1
        return 1
    return sum(map(overwritten, tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple) else ()))


def assert_same(a, b):
    """Equal in every bit, through dictionaries, sequences and arrays."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape and b.dtype == object
        assert_same(list(a), list(b))
    else:
        np.testing.assert_array_equal(a, b, strict=isinstance(a, np.ndarray))
