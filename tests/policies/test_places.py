"""Policies of the law `urban`: the guard against weak cells, the learned map, and the forecast on it."""

import itertools
import math

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401 (registers the environments)
from rangym.baselines.cell_association import learn_map as command
from rangym.envs.errors import WrongCall
from rangym.policies import Task, make
from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.cell_association.learned_map import SHIPPED, LearnedMap, learn_map, learned_map

ENV = "rangym/CellAssociation-v0"
SYSTEM = "rangym.envs.cell_association.system:CellAssociation"


def urban(**overrides):
    return gym.make(ENV, scenario="urban", **overrides).unwrapped


def one_ue(sinr_db, serving):
    """What one UE shows that has cells of 10 MHz and delays of .05 slots."""
    return {
        "sinr_db": np.array([sinr_db], np.float32),
        "serving": np.array([serving], np.float32),
        "load": np.array(serving, np.float32),
        "bandwidth_mhz": np.full(len(serving), 10.0, np.float32),
        "handover_delay": np.full((1, len(serving)), 0.05, np.float32),
    }


def log_rate(sinr_db, cap=math.inf):
    return math.log10(10 * min(math.log2(1 + 10 ** (sinr_db / 10)), cap))


@pytest.mark.parametrize("weight, cell", [(0.0, 0), (0.1, 0), (0.3, 1)])
def test_the_guard_leaves_a_weak_cell_when_its_penalty_exceeds_the_price(weight, cell):
    """A move costs lam (.05 + .05) = .4 and gains .2 in log10 of the rate: the penalty has to give the rest."""
    policy = make("sticky_guarded", lam=4.0, alpha=1.0, threshold_db=-6.0, weight=weight)
    policy.reset(Task.of(gym.make(ENV, scenario="tiny", num_ues=1)), np.random.default_rng(0))
    better = next(x for x in np.arange(-7, 0, 0.001) if log_rate(x) - log_rate(-7.0) > 0.2)
    assert better > -6.0  # the other cell is not weak
    assert policy.act(one_ue([-7.0, better, -10.0], [1.0, 0.0, 0.0])).tolist() == [cell]


def test_without_weight_the_guard_is_sticky_filtered():
    env = urban(horizon=30)
    guarded, filtered = make("sticky_guarded", weight=0.0), make("sticky_filtered")
    for policy in (guarded, filtered):
        policy.reset(Task.of(env), np.random.default_rng(0))
    observation, _ = env.reset(seed=3)
    for _ in range(30):
        action = guarded.act(observation)
        np.testing.assert_array_equal(action, filtered.act(observation))
        observation, *_ = env.step(action)


def test_a_map_is_the_mean_of_what_was_seen_in_each_square():
    overrides = {"horizon": 12, "num_ues": 7, "side_m": 800.0}
    found = learn_map(SYSTEM, "urban", range(20_000, 20_003), overrides, square_m=100.0)
    seen = {}
    for seed in range(20_000, 20_003):
        env = urban(**overrides)
        observation, _ = env.reset(seed=seed)
        for _ in range(12):
            for place, sinr_db in zip(observation["position_m"], observation["sinr_db"], strict=True):
                seen.setdefault((int(place[1] // 100), int(place[0] // 100)), []).append(sinr_db.astype(float))
            observation, *_ = env.step(np.zeros(7, np.int64))
    assert found.sinr_db.shape == (6, 8, 8) and 10 < len(seen) < 64
    for row, column in itertools.product(range(8), range(8)):
        nearest = min(math.hypot(row - r, column - c) for r, c in seen)
        means = [np.mean(seen[s], axis=0) for s in seen if math.hypot(row - s[0], column - s[1]) == nearest]
        assert any(np.allclose(found.sinr_db[:, row, column], mean, atol=1e-4) for mean in means)


def test_lanes_and_batches_of_lanes_do_not_change_a_map(monkeypatch):
    overrides = {"horizon": 5}
    whole = learn_map(SYSTEM, "urban", range(5), overrides)
    monkeypatch.setattr("rangym.policies.cell_association.learned_map.LANES", 2)
    np.testing.assert_allclose(learn_map(SYSTEM, "urban", range(5), overrides).sinr_db, whole.sinr_db, atol=1e-5)


def test_the_way_ahead_is_straight_and_reflected():
    grid = np.arange(16, dtype=np.float32).reshape(1, 4, 4)  # squares of 10 m, numbered row by row
    ahead = LearnedMap(grid, 40.0).ahead(np.array([[25.0, 5.0]]), np.array([[10.0, 0.0]]), 4)
    assert ahead[:, 0, 0].tolist() == [3, 3, 2, 1]  # x = 35, 45 -> 35, 55 -> 25, 65 -> 15
    corners = np.array([[0.0, 0.0], [40.0, 40.0], [39.9, 0.0], [0.0, 39.9]])
    assert LearnedMap(grid, 40.0).at(corners).ravel().tolist() == [0, 15, 3, 12]


def test_map_forecast_solves_the_forecast_by_hand():
    env, options = urban(horizon=12), {"lam": 3.0, "horizon": 3, "threshold_db": -5.0, "weight": 0.7}
    policy, chart = make("map_forecast", **options), LearnedMap.load(SHIPPED).sinr_db
    policy.reset(Task.of(env), np.random.default_rng(0))
    observation, _ = env.reset(seed=5)
    last = observation["position_m"].astype(float)
    for _ in range(12):
        here, value = observation["position_m"].astype(float), np.zeros((10, 6))
        for i, j, k in itertools.product(range(10), range(6), (1, 2, 3)):
            spot = here[i] + k * (here[i] - last[i])
            x, y = (800 - abs(s % 1600 - 800) for s in spot)
            sinr_db = float(chart[j, min(int(y // 10), 79), min(int(x // 10), 79)])
            rate = log_rate(sinr_db, 7.4) + math.log10(float(observation["bandwidth_mhz"][j]) / 10)
            value[i, j] += (rate - 0.7 * (sinr_db < -5.0)) / 3
        serving = observation["serving"] > 0
        if serving.any():
            delay = observation["handover_delay"].astype(float)
            value -= 3.0 * np.where(serving, 0.0, delay[serving][:, None] + delay)
        action = policy.act(observation)
        load = np.bincount(action, minlength=6)
        reached = value[np.arange(10), action].sum() - sum(y * math.log10(y) for y in load if y)
        assert reached == pytest.approx(optimal_assignment(value).value, abs=1e-6)
        last = here
        observation, *_ = env.step(action)


def test_the_shipped_map_is_the_mean_of_the_place_that_it_names():
    """Against the environment's own map: the mean of a square's SINR, which its visitors sampled."""
    from rangym.envs.cell_association.place import fixed_place

    chart, env = LearnedMap.load(SHIPPED), urban()
    assert chart.about["overrides"] == {"map_seed": 0} and chart.about["seeds"] == [20_000, 21_000]
    fine = fixed_place(env.system.params).sinr_db[:, :400, :400].reshape(6, 80, 5, 80, 5).mean(axis=(2, 4))
    assert np.abs(fine - chart.sinr_db).mean() < 1.5 and np.corrcoef(fine.ravel(), chart.sinr_db.ravel())[0, 1] > 0.97
    other = fixed_place(urban(map_seed=1).system.params).sinr_db[:, :400:5, :400:5]
    assert np.abs(other - chart.sinr_db).mean() > 4.0


def test_knowing_the_place_pays_where_the_map_is_right():
    rewards = {}
    for name, seed in itertools.product(("map_forecast:tuned", "sticky_filtered:tuned"), range(10_020, 10_026)):
        env = urban()
        policy = make(name, scenario="urban")
        policy.reset(Task.of(env), np.random.default_rng(seed))
        observation, _ = env.reset(seed=seed)
        for _ in range(200):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards[name] = rewards.get(name, 0.0) + reward / 1200
    assert rewards["map_forecast:tuned"] > rewards["sticky_filtered:tuned"] + 0.03


def test_the_command_writes_a_map_that_the_policy_takes(tmp_path, capsys):
    out = tmp_path / "map.npz"
    command.main(["--out", str(out), "--episodes", "2", "--square-m", "40", "--map-seed", "3"])
    assert f"map_forecast:map={out}" in capsys.readouterr().out
    assert LearnedMap.load(out).sinr_db.shape == (6, 20, 20)
    policy = make(f"map_forecast:map={out}")
    policy.reset(Task.of(urban(map_seed=3)), np.random.default_rng(0))
    assert policy.data_files() == (out,)
    for wrong, says in (("--episodes=0", "--episodes"), ("--map-seed=-1", "map_seed"), ("--square-m=0", "square_m")):
        with pytest.raises(SystemExit):
            command.main(["--out", str(out), wrong])
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("city", ["munich", "florence"])
def test_the_map_of_a_city_forecasts_what_ues_receive_there(city):
    env = gym.make(ENV, scenario=city, horizon=40).unwrapped
    env.reset(seed=7)
    trace = env.trace
    found = learned_map(city, Task.of(env)).at(trace.slots["user_position_m"].astype(float))
    np.testing.assert_array_equal(found, trace.slots["sinr_db"])


def test_a_citys_map_is_of_that_city_only(tmp_path):
    env = gym.make(ENV, scenario="munich", horizon=5)
    for word in ("map_forecast:map=munich", "ppo_place:agent=0,map=munich"):
        policy = make(word)
        assert [file.name for file in policy.data_files()][-1] == "munich.npz"
        policy.reset(Task.of(env), np.random.default_rng(0))
        assert policy.act(env.reset(seed=0)[0]).shape == (40,)
    with pytest.raises(WrongCall, match="of 18 cells in 600 m wanted, got .*urban_map.npz of 6 cells in 800 m"):
        make("map_forecast").reset(Task.of(env), np.random.default_rng(0))


def test_wrong_maps_are_refused(tmp_path):
    wrong = tmp_path / "wrong.npz"
    wrong.write_bytes(SHIPPED.read_bytes()[:500])
    with pytest.raises(WrongCall, match="wrong.npz: not a learned map"):
        LearnedMap.load(wrong)
    LearnedMap(np.full((6, 2, 2), np.nan, np.float32), 800.0).save(wrong)
    with pytest.raises(WrongCall, match="sinr_db: finite numbers"):
        LearnedMap.load(wrong)
    LearnedMap(np.zeros((5, 2, 2), np.float32), 800.0).save(wrong)
    with pytest.raises(
        WrongCall, match="a learned map of 6 cells in 800 m wanted, got .*wrong.npz of 5 cells in 800 m"
    ):
        make(f"map_forecast:map={wrong}").reset(Task.of(urban()), np.random.default_rng(0))
    with pytest.raises(WrongCall, match="position_m"):
        make("map_forecast").reset(Task.of(gym.make(ENV, scenario="tiny")), np.random.default_rng(0))
    with pytest.raises(WrongCall, match="position_m"):
        learn_map(SYSTEM, "tiny", [0], {})
