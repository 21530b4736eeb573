"""CellAssociation's agent that knows the place: features by hand, and failures in the training reward."""

import gymnasium as gym
import numpy as np

from rangym.baselines.cell_association.per_place import MAP_FEATURES, PlaceFeatures, PlacePpo
from rangym.baselines.cell_association.per_ue import FEATURES, PerUserView, UserFeatures
from rangym.policies import Knowledge, Task, make
from rangym.policies.cell_association.learned_map import SHIPPED, LearnedMap

ENV = "rangym/CellAssociation-v0"


def native(lanes, **kwargs):
    return gym.make_vec(ENV, lanes, scenario="urban", autoreset_mode="SameStep", **kwargs).unwrapped


def test_the_features_of_the_map_by_hand():
    env, chart = native(2, horizon=20), LearnedMap.load(SHIPPED).sinr_db
    features, plain = PlaceFeatures(20.0), UserFeatures(20.0)
    observation, _ = env.reset(seed=11)
    last = observation["position_m"].astype(float)
    rng = np.random.default_rng(0)
    for _ in range(6):
        table, order = features(observation)
        known, same = plain(observation)
        np.testing.assert_array_equal(order, same)
        table = table.reshape(2, 10, 6, 13)
        np.testing.assert_array_equal(table[..., :9], known.reshape(2, 10, 6, 9))
        here = observation["position_m"].astype(float)
        for b, i in ((0, 3), (1, 7)):
            level = np.empty((12, 6))
            for k in range(12):
                x, y = (800 - abs(s % 1600 - 800) for s in here[b, i] + (k + 1) * (here[b, i] - last[b, i]))
                level[k] = chart[:, min(int(y // 10), 79), min(int(x // 10), 79)]
            efficiency = np.minimum(np.log2(1 + 10 ** (level / 10)), 7.4)
            rate = np.log10(observation["bandwidth_mhz"][b].astype(float) * efficiency)
            cells = order[b, i]  # the first serves, or would before the first decision
            for column, slots in enumerate((2, 6, 12)):
                mean = rate[:slots].mean(axis=0)
                wanted = 2 * np.clip(mean - mean[cells[0]], -1, 1)
                np.testing.assert_allclose(table[b, i, :, 9 + column], wanted[cells], atol=1e-5)
            np.testing.assert_allclose(table[b, i, :, 12], level[:2].min(axis=0)[cells] / 20, atol=1e-5)
        last = here
        observation, *_ = env.step(rng.integers(6, size=(2, 10)))
    assert FEATURES + MAP_FEATURES == PlaceFeatures.names


def test_the_training_reward_charges_each_failure_to_the_ue_whose_link_failed():
    """With and without failures, on one trace: what is missing in the sum over UEs is the environment's own term."""
    views = [PerUserView(native(3, horizon=60, **kwargs)) for kwargs in ({}, {"failure_slots": None})]
    infos = []
    with_failures = views[0].lanes
    step = with_failures.step

    def recorded(actions):
        result = step(actions)
        infos.append(result[4].get("final_info", result[4]))
        return result

    with_failures.step = recorded
    for view in views:
        view.reset(seed=5)
    rng, charged = np.random.default_rng(2), 0.0
    for _ in range(60):
        actions = np.where(rng.random(30) < 0.8, 0, rng.integers(0, 6, 30))  # mostly stay
        rewards = [view.step(actions)[1].reshape(3, 10) for view in views]
        missing = rewards[1] - rewards[0]
        assert {round(x, 9) for x in missing.ravel().tolist()} <= {0.0, 10.0}  # half a slot at a weight of 20
        np.testing.assert_allclose(missing.sum(axis=1), -10 * infos[-1]["terms"]["failure"], atol=1e-9)
        charged += missing.sum()
    assert charged > 100.0


def test_it_is_for_the_place_whose_map_is_shipped_and_for_any_number_of_ues():
    policy = make("ppo_place:agent=0")
    assert SHIPPED in policy.data_files() and PlacePpo.shipped() in policy.data_files()
    env = gym.make(ENV, scenario="urban", num_ues=23, horizon=8).unwrapped
    policy.reset(Task.of(env), np.random.default_rng(0))
    observation, _ = env.reset(seed=0)
    for _ in range(8):
        observation, *_ = env.step(policy.act(observation))


def test_another_map_changes_what_it_does_and_is_part_of_its_identity(tmp_path):
    chart = LearnedMap.load(SHIPPED)
    path = tmp_path / "turned.npz"
    LearnedMap(chart.sinr_db[:, ::-1], chart.side_m).save(path)
    env, decided = gym.make(ENV, scenario="urban", horizon=20).unwrapped, []
    for word in ("ppo_place:agent=0", f"ppo_place:agent=0,map={path}"):
        policy = make(word)
        policy.reset(Task.of(env), np.random.default_rng(0))
        observation, _ = env.reset(seed=1)
        decided.append(policy.act(observation))
    assert not np.array_equal(*decided) and policy.data_files()[-1] == path


def test_every_agent_beats_the_best_rule_on_its_place():
    def mean_reward(word, seeds=range(10_100, 10_105)):
        total = 0.0
        for seed in seeds:
            env, policy = gym.make(ENV, scenario="urban").unwrapped, make(word, scenario="urban")
            policy.reset(Task.of(env, Knowledge.OBSERVATION), np.random.default_rng(seed))
            observation, _ = env.reset(seed=seed)
            for _ in range(200):
                observation, reward, *_ = env.step(policy.act(observation))
                total += reward / 200 / len(seeds)
        return total

    best = max(mean_reward(f"{name}:tuned") for name in ("sticky_filtered", "sticky_guarded"))
    assert min(mean_reward(f"ppo_place:agent={k}") for k in range(10)) > best
