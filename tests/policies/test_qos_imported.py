"""The scenario `imported`: windows of the second half, by hand; every policy that makes sense there; its bound."""

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import policies
from rangym.envs.learning.heads import row_losses
from rangym.envs.qos_clustering.predictor import inputs_of
from rangym.envs.qos_clustering.recorded_days import load_days
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.causality import first_leak
from rangym.policies import Task
from rangym.policies.registry import entry

ID = "rangym/QosClustering-v0"
NEED_CONCEPTS = ("static_library", "bayes_filter", "true_groups")
FORMS = {"local_online": {"eta": 0.003}, "global_online": {"eta": 0.003}, "local": {"num_heads": 3}}
OURS = [
    name
    for name in policies.names(ID)
    if entry(name).target.startswith("rangym.policies.") and name not in (*NEED_CONCEPTS, "local_online")
]


def make(days_file, **kwargs):
    return gym.make(ID, **{"scenario": "imported", "days": days_file, "horizon": 12, **kwargs}).unwrapped


def test_sizes_come_from_the_file_and_the_horizon_is_the_largest(days_file):
    params = gym.make(ID, scenario="imported", days=days_file).unwrapped.system.params
    assert (params.num_cells, params.horizon, params.num_heads) == (4, 20, 4)
    assert make(days_file, horizon=1).system.horizon == 1


@pytest.mark.parametrize("half, first, last", [("second", 30, 60), ("first", 0, 30)])
def test_a_window_is_cut_out_of_its_half(days_file, half, first, last):
    env, days = make(days_file, half=half), load_days(days_file)
    system, day, h = env.system, days.day, 4
    code = system.predictor.scaled_code(day.mean, day.covariance).astype(np.float32)
    phi = system.predictor.features(inputs_of(day))
    table = row_losses(phi[:-h], code[h:, :, None], system.heads)  # of the pair (t, t + h)
    starts = set()
    for seed in range(40):
        env.reset(seed=seed)
        slots = env.trace.slots
        start = int(np.flatnonzero((code[:, 0] == slots["statistics_before"][0, 0]).all(axis=1))[0])
        starts.add(start)
        here = slice(start, start + 14)
        np.testing.assert_array_equal(slots["statistics_before"], code[here])
        np.testing.assert_array_equal(slots["statistics"], code[start + h : start + h + 14])
        np.testing.assert_array_equal(slots["target"], code[start + 2 * h : start + 2 * h + 14])
        np.testing.assert_allclose(slots["known_loss"], table[here], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(slots["loss"], table[start + h : start + h + 14], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(slots["load"], day.load[start + h : start + h + 14], rtol=1e-6)
    assert min(starts) == first and max(starts) == last - 22 and len(starts) == 9  # every window of 22 periods
    assert "true_group" not in slots and "site_group" not in env.trace.constants
    assert "right_head" not in env.step(env.action_space.sample())[-1]["metrics"]


def test_a_changed_file_is_read_again(days_file, tmp_path):
    import os
    import shutil

    path = shutil.copy(days_file, tmp_path / "days.npz")
    make(str(path)).reset(seed=0)
    path.write_bytes(path.read_bytes()[:500])
    os.utime(path, ns=(1, 1))
    with pytest.raises(ValueError, match="not a file as"):
        make(str(path))


@pytest.mark.parametrize("name", OURS)
def test_a_policy_runs_on_recorded_days_and_sees_no_future(name, days_file):
    form = {**entry(name).overrides, **FORMS.get(name, {})}
    env, policy = make(days_file, horizon=6, **form), policies.make(name)
    observation, _ = env.reset(seed=1)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    for _ in range(6):
        action = np.asarray(policy.act(observation))
        assert env.action_space.contains(action.astype(np.int64))
        observation, *_ = env.step(action)
    if entry(name).knowledge != "oracle":
        assert first_leak(make(days_file, horizon=6, **form), policies.make(name)) is None


def test_a_head_of_its_own_for_each_recorded_cell(days_file):
    policy = policies.make("local_online")
    env = make(days_file, eta=0.003, library="global", num_heads=3)
    observation, _ = env.reset(seed=0)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    assert policy.act(observation).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", NEED_CONCEPTS)
def test_what_needs_concepts_says_so(name, days_file):
    env, policy = make(days_file), policies.make(name)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=f"^{name}: generated days .* got drift='imported'"):
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))


def test_no_row_beats_the_bound_and_the_plan_is_the_best(days_file):
    benchmark = Benchmark(ID, "imported", range(4), overrides={"days": days_file, "horizon": 12})
    results = evaluate(["random", "greedy_smoothed", "sticky_smoothed", "hindsight_plan"], benchmark)
    assert not results.problems
    rows = results.episodes
    mean = {name: np.mean([r["reward"] for r in rows if r["policy"] == name]) for name in {r["policy"] for r in rows}}
    assert mean["hindsight_plan"] == max(mean.values()) and mean["random"] == min(mean.values())


def test_a_table_of_one_window_over_and_over_says_so(days_file):
    """The longest window is the only one of its half."""
    for horizon, said in ((20, True), (12, False)):
        benchmark = Benchmark(ID, "imported", range(3), overrides={"days": days_file, "horizon": horizon})
        table = str(evaluate(["random", "greedy_smoothed"], benchmark))
        assert ("CAUTION: greedy_smoothed has one and the same reward on all traces" in table) == said


def test_a_picture_shows_recorded_days_without_concepts(days_file):
    env = make(days_file, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    env.step(np.array([0, 1, 2, 1]))
    assert first.shape == env.render().shape and (first != env.render()).any()
