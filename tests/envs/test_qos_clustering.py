"""QosClustering: slots and labels, reward, adapting heads, observation, scenarios."""

import doctest

import gymnasium as gym
import numpy as np
import pytest

from rangym.envs.core import SystemEnv
from rangym.envs.learning.gaussians import hellinger_kernel
from rangym.envs.qos_clustering import system as system_module
from rangym.envs.qos_clustering.params import SCENARIOS, QosClusteringParams

ID = "rangym/QosClustering-v0"


def make(**kwargs) -> SystemEnv:
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def walk(env, seed=0, slots=None):
    """(observation before, action, reward, info) of each slot under random actions."""
    observation, _ = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(slots or env.system.horizon):
        action = rng.integers(env.system.params.num_slots, size=env.system.params.num_cells)
        following, reward, *_, info = env.step(action)
        yield observation, action, reward, info
        observation = following


def last_loss(observation):
    return observation["last_loss"] + observation["mean_loss"][:, None]


# --- Slots and labels ---


def test_every_slot_has_its_label_and_the_pair_known_then():
    env = make(observe="statistics")
    env.reset(seed=0)
    slots, h = env.trace.slots, 4
    assert len(slots["load"]) == 22
    assert np.array_equal(slots["known_loss"][h:], slots["loss"][:-h])
    assert np.array_equal(slots["statistics_before"][h:], slots["statistics"][:-h])
    assert np.array_equal(slots["target"][:-h], slots["statistics"][h:])
    assert np.array_equal(slots["load_before"][h:], slots["load"][:-h])
    assert all(v.dtype == np.float32 for v in slots.values())


def test_a_day_of_any_length_has_all_labels():
    for horizon in (1, 2, 100):
        env = make(horizon=horizon)
        env.reset(seed=0)
        assert len(env.trace.slots["loss"]) == horizon + 2
        assert (env.trace.slots["loss"] > 0).all()


def test_the_loss_table_is_the_mean_squared_error_of_the_rows_under_each_head():
    env = make(observe="statistics")
    env.reset(seed=1)
    slots, heads = env.trace.slots, env.system.heads.astype(np.float64)
    for s, i in ((0, 0), (7, 3), (21, 2)):
        rows, target = slots["known_features"][s, i].astype(np.float64), slots["statistics"][s, i].astype(np.float64)
        for c in range(3):
            errors = [np.mean((row @ heads[c] - target) ** 2) for row in rows]
            assert slots["known_loss"][s, i, c] == pytest.approx(np.mean(errors), rel=2e-5)


def test_slot_zero_is_the_global_head_whatever_the_library():
    ifca, plain = make(eta=0.0), make(library="global")
    ifca.reset(seed=0), plain.reset(seed=0)
    assert np.array_equal(ifca.trace.slots["loss"][:, :, 0], plain.trace.slots["loss"][:, :, 0])
    assert (plain.trace.slots["loss"] == plain.trace.slots["loss"][:, :, :1]).all()
    wide = make(library="global", num_heads=11)
    wide.reset(seed=0)
    assert wide.trace.slots["loss"].shape == (22, 4, 12)
    assert np.array_equal(wide.trace.slots["statistics"], ifca.trace.slots["statistics"])


def test_the_kernel_is_that_of_the_observed_statistics():
    env = make()
    observation, _ = env.reset(seed=0)
    kernel = env.system.kernel(observation["statistics"])
    assert kernel == pytest.approx(env.trace.slots["kernel"][1], abs=2e-5)
    mean, covariance = env.system.predictor.gaussian(env.trace.slots["statistics"][5].astype(np.float64))
    assert env.trace.slots["kernel"][5] == pytest.approx(hellinger_kernel(mean, covariance), abs=2e-5)


# --- Reward ---


@pytest.mark.parametrize("form", [{}, {"eta": 0.003}, {"kappa": 0.0, "lam": 0.01, "beta": 0.3}], ids=str)
def test_reward_is_recomputed_from_the_metrics_and_the_metrics_from_the_trace(form):
    env = make(**form)
    p, before = env.system.params, np.zeros(4, int)
    for t, (_, action, reward, info) in enumerate(walk(env, seed=3), start=1):
        metrics = info["metrics"]
        cost = p.lam * metrics["cut"] + p.beta * metrics["clusters"] + p.kappa * metrics["migrations"]
        assert reward == pytest.approx(-metrics["loss"] - cost / 4, rel=1e-12)
        assert metrics["loss"] == pytest.approx(metrics["cell_loss"].mean())
        kernel = env.trace.slots["kernel"][t]
        cut = sum(float(kernel[i, j]) for i in range(4) for j in range(4) if action[i] != action[j])
        assert metrics["cut"] == pytest.approx(cut)
        assert metrics["clusters"] == len(set(action.tolist()))
        assert metrics["migrations"] == sum(a != b for a, b in zip(action, before, strict=True))
        sent = metrics["migrations"] + (4 + metrics["clusters"] if p.adapts else 0)
        assert metrics["bytes"] == 4 * 297 * sent
        if not p.adapts:
            table = env.trace.slots["loss"][t]
            assert metrics["cell_loss"] == pytest.approx([table[i, c] for i, c in enumerate(action)])
            assert metrics["global_loss"] == pytest.approx(table[:, 0].mean())
        group = env.trace.slots["true_group"][t].argmax(axis=1)
        right = env.system.predictor.library(2).head_of_group[group] + 1
        assert metrics["right_head"] == pytest.approx(np.mean(action == right))
        before = action


def test_without_a_library_there_is_no_right_head():
    env = make(library="global", eta=0.003)
    *_, info = next(walk(env))
    assert "right_head" not in info["metrics"]


# --- Observation ---


def test_observation_says_what_is_known_at_the_decision():
    env = make(observe="statistics")
    average = None
    for t, (seen, _, _, _) in enumerate(walk(env, seed=2), start=1):
        slots = env.trace.slots
        known = slots["known_loss"][t].astype(np.float64)
        first = slots["known_loss"][0].astype(np.float64)
        average = 0.9 * (first if average is None else average) + 0.1 * known
        assert last_loss(seen) == pytest.approx(known, abs=1e-5)
        assert seen["last_loss"].mean(axis=1) == pytest.approx(np.zeros(4), abs=1e-6)
        assert seen["average_loss"] == pytest.approx(average - average.mean(axis=1, keepdims=True), abs=1e-5)
        for field in ("load", "load_before", "statistics", "statistics_before"):
            assert seen[field] == pytest.approx(np.clip(slots[field][t], -10, 10))
        phi = slots["known_features"][t].astype(np.float64)
        gram = np.array([sum(np.outer(r, r) for r in cell) / 16 for cell in phi])
        assert seen["known_gram"] == pytest.approx(gram, rel=1e-4, abs=1e-4)
        assert seen["known_feature_mean"] == pytest.approx(phi.mean(axis=1), rel=1e-4, abs=1e-5)


def test_the_slot_in_use_is_observed():
    env = make()
    used = np.zeros(4, int)
    for seen, action, _, _ in walk(env):
        assert np.array_equal(seen["slot"], np.eye(3)[used])
        used = action


# --- Adapting heads ---


def test_adapting_heads_follow_the_formula():
    """S_c <- (1 - w) S_c + w mean G, R_c likewise, theta_c = (S_c + m_r M)^-1 (R_c + m_r M theta_c(0)), row by row."""
    env = make(eta=0.05)
    system = env.system
    predictor, start = system.predictor, system.heads.astype(np.float64)
    prior = predictor.mean_gram.astype(np.float64) + 0.01 * np.eye(33)
    gram, cross, heads = [prior.copy() for _ in range(3)], [prior @ h for h in start], list(start)
    for t, (seen, action, _, info) in enumerate(walk(env, seed=5, slots=6), start=1):
        slots = env.trace.slots
        known, label = slots["known_features"][t].astype(np.float64), slots["statistics"][t].astype(np.float64)
        expected = [[np.mean((known[i] @ h - label[i]) ** 2) for h in heads] for i in range(4)]
        assert last_loss(seen) == pytest.approx(np.array(expected), rel=1e-4)
        for c in range(3):
            cells = np.flatnonzero(action == c)
            if len(cells) == 0:
                continue
            w = 1 - 0.95 ** len(cells)
            mean_g = np.mean([known[i].T @ known[i] / 16 for i in cells], axis=0)
            mean_b = np.mean([known[i].T @ np.tile(label[i], (16, 1)) / 16 for i in cells], axis=0)
            gram[c] = (1 - w) * gram[c] + w * mean_g
            cross[c] = (1 - w) * cross[c] + w * mean_b
            heads[c] = np.linalg.inv(gram[c] + 0.3 * prior) @ (cross[c] + 0.3 * prior @ start[c])
        phi, target = slots["features"][t].astype(np.float64), slots["target"][t].astype(np.float64)
        cell_loss = [np.mean((phi[i] @ heads[c] - target[i]) ** 2) for i, c in enumerate(action)]
        assert info["metrics"]["cell_loss"] == pytest.approx(cell_loss, rel=1e-6)


def test_both_head_modes_start_from_the_same_losses():
    frozen, adapting = make(), make(eta=0.003)
    one, other = frozen.reset(seed=4)[0], adapting.reset(seed=4)[0]
    assert one["last_loss"] == pytest.approx(other["last_loss"], abs=1e-4)
    assert one["average_loss"] == pytest.approx(other["average_loss"], abs=1e-4)
    assert "loss" not in adapting.trace.slots and "known_loss" not in adapting.trace.slots


def test_unused_slots_keep_their_heads_and_used_ones_learn():
    env = make(eta=0.05)
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.ones(4, int))
    heads = env._episode.state["heads"][0]
    moved = np.abs(heads - env.system.heads).max(axis=(1, 2))
    assert moved[0] < 1e-4 and moved[2] < 1e-4 and moved[1] > 1e-2


def test_heads_that_adapt_lose_less_than_frozen_ones():
    """One head for all cells on three days of twelve cells: it learns what the frozen one never sees."""
    losses = {}
    for eta in (0.0, 0.005):
        env = make(scenario="small", eta=eta)
        losses[eta] = []
        for seed in range(3):
            env.reset(seed=seed)
            losses[eta] += [env.step(np.zeros(12, int))[-1]["metrics"]["loss"] for _ in range(88)]
    assert np.mean(losses[0.005]) < 0.95 * np.mean(losses[0.0])


# --- Interest ---


def test_clustering_matters_on_wandering_days():
    """Loss: random > global > best head of the last pair > smoothed > the true group's head, on five days."""
    env = make(scenario="small", day_pool=64)
    found = {name: [] for name in ("random", "global", "last", "smoothed", "true")}
    for seed in range(20_000, 20_005):
        for name in found:
            observation, _ = env.reset(seed=seed)
            rng, slots = np.random.default_rng(seed), env.trace.slots
            for t in range(1, 89):
                action = {
                    "random": lambda: rng.integers(5, size=12),  # noqa: B023
                    "global": lambda: np.zeros(12, int),
                    "last": lambda: observation["last_loss"].argmin(axis=1),  # noqa: B023
                    "smoothed": lambda: observation["average_loss"].argmin(axis=1),  # noqa: B023
                    "true": lambda: 1 + env.system.head_of_group[slots["true_group"][t].argmax(axis=1)],  # noqa: B023
                }[name]()
                observation, reward, *_ = env.step(action)
                found[name].append(reward)
    means = [np.mean(found[name]) for name in ("random", "global", "last", "smoothed", "true")]
    assert means == sorted(means)


# --- Scenarios and documentation ---


def test_lists_become_tuples_and_scenarios_are_as_described():
    env = make(drift="events", events=[["recurring", [0, 1], 2, 0.5, 1.0]])
    assert env.system.params.events == (("recurring", (0, 1), 2, 0.5, 1.0),)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    group = env.trace.slots["true_group"].argmax(axis=2)
    # Slot s is period s + 4: the events are on in [.5, 1.5) and [2.5, 3.5) h.
    assert (group[6:10, :2] == 2).all() and (group[2:6, :2] == [0, 1]).all()
    assert SCENARIOS["adaptive"].eta == 0.003 and SCENARIOS["paper"].predictor == "paper"
    assert (SCENARIOS["large"].num_cells, SCENARIOS["large"].num_heads) == (100, 10)
    assert SCENARIOS["small"] == QosClusteringParams()


def test_docstring_examples():
    assert doctest.testmod(system_module).failed == 0
