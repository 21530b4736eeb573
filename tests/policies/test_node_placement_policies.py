"""NodePlacement's policies: matching, speed limit, counted evaluations, searches that find what can be known."""

import itertools

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import policies
from rangym.evaluation.episode import make_env, played
from rangym.policies import Task
from rangym.policies.algorithms.placement.search import (
    cma_es,
    improve_one_by_one,
    one_swap,
    ring_offsets,
    site_grid,
)
from rangym.policies.node_placement import POLICIES
from rangym.policies.node_placement.layouts import even_rows
from rangym.policies.node_placement.tracking import matched

ID = "rangym/NodePlacement-v0"
OURS = list(POLICIES)


def episode(name, env, seed=0, slots=None):
    """(rewards, node positions) of one episode."""
    observation, _ = env.reset(seed=seed)
    policy = policies.make(name)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    rewards, places = [], [observation["node_position_m"]]
    for _ in range(slots or env.system.horizon):
        observation, reward, *_, info = env.step(policy.act(observation))
        rewards.append(reward)
        places.append(observation["node_position_m"])
        assert info["metrics"]["shortened"] == 0
    return np.array(rewards), np.array(places), policy


@pytest.mark.parametrize("name", OURS)
def test_every_policy_keeps_the_same_speed_limit_and_works_in_one_slot(name):
    env = gym.make(ID, scenario="tiny").unwrapped
    _, places, _ = episode(name, env)
    assert np.linalg.norm(np.diff(places, axis=0), axis=2).max() <= 2.0 + 1e-4
    rewards, *_ = episode(name, gym.make(ID, scenario="static_grid", num_ues=30, num_nodes=4).unwrapped)
    assert len(rewards) == 1


def test_targets_are_matched_by_least_total_distance():
    rng = np.random.default_rng(0)
    for _ in range(20):
        nodes, targets = rng.random((5, 2)), rng.random((5, 2))
        found = np.linalg.norm(matched(targets, nodes) - nodes, axis=1).sum()
        best = min(
            np.linalg.norm(targets[list(order)] - nodes, axis=1).sum() for order in itertools.permutations(range(5))
        )
        assert found == pytest.approx(best)


@pytest.mark.parametrize("count, rows", [(1, [1]), (3, [2, 1]), (4, [2, 2]), (9, [3, 3, 3]), (11, [4, 4, 3])])
def test_even_rows(count, rows):
    places = even_rows(count)
    assert len({tuple(p) for p in places.tolist()}) == count
    assert [int((places[:, 1] == y).sum()) for y in sorted(set(places[:, 1].tolist()))] == rows
    assert places.min() > 0 and places.max() < 1


def test_evaluations_are_counted_for_searches_only():
    counted = {}
    for name in ("k_means", "wkhm", "greedy_step", "swap", "cma", "mpc"):
        env = make_env(ID, "tiny", {})
        env.reset(seed=0)
        counted[name] = played(env, policies.make(name), env.trace, 0)["metrics"]["utility_evaluations"]
    assert counted["k_means"] == counted["wkhm"] == 0
    assert 3 * 400 <= counted["swap"] and 50 <= counted["greedy_step"] < 3000
    assert 200 < counted["cma"] <= 500 and counted["mpc"] > 100


def test_counts_are_the_calls_of_the_utility():
    env = gym.make(ID, scenario="tiny").unwrapped
    calls = []
    honest = type(env.system).utility
    env.system.utility = lambda users, nodes: (
        calls.append(np.prod(np.broadcast_shapes(users.shape[:-2], nodes.shape[:-2]), dtype=int)),
        honest(env.system, users, nodes),
    )[1]
    for name in ("greedy_step", "mpc", "cma", "swap"):
        calls.clear()
        *_, policy = episode(name, env)
        assert policy.effort()["utility_evaluations"] == sum(calls)


def test_greedy_step_is_never_worse_than_staying():
    env = gym.make(ID, scenario="tiny", law="thomas").unwrapped
    rewards, places, _ = episode("greedy_step", env)
    start = float(env.system.utility(env.trace.slots["user_position_m"][1], places[0].astype(float)))
    assert (np.diff([start, *rewards]) >= -1e-6).all()  # users stand still; observations are float32


def test_planning_ahead_beats_tracking_and_knowing_the_future_beats_predicting_it():
    names = ("k_means", "mpc", "mpc_oracle")
    env = gym.make(ID, scenario="small").unwrapped
    mean = {name: np.mean([episode(name, env, seed)[0].mean() for seed in range(3)]) for name in names}
    assert mean["k_means"] + 0.02 < mean["mpc"] < mean["mpc_oracle"]


def test_velocity_of_a_straight_walk_is_found_and_a_new_user_stands_still():
    env = gym.make(ID, scenario="small").unwrapped
    policy = policies.make("mpc:alpha=0.5")
    env.reset(seed=0)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    walk = np.array([[20.0, 20.0], [50.0, 50.0]])
    for _ in range(3):
        ahead = policy.future(walk, 4)
        walk = walk + [[2.0, 0.0], [0.0, -1.0]]
    np.testing.assert_allclose(ahead[3] - ahead[0], [[6.0, 0.0], [0.0, -3.0]], atol=1e-12)
    walk[1] = [90.0, 90.0]
    ahead = policy.future(walk, 4)
    np.testing.assert_allclose(ahead[3] - ahead[0], [[6.0, 0.0], [0.0, 0.0]], atol=1e-12)


def test_one_swap_ends_where_no_swap_helps():
    rng = np.random.default_rng(0)
    users, sites = rng.random((20, 2)), site_grid(0.0, 1.0, 5)

    def utility(nodes):
        return -np.linalg.norm(users[:, None] - nodes[:, None], axis=3).min(axis=2).sum(axis=1)

    found = one_swap(utility, rng.random((3, 2)), sites)
    assert found.converged and found.value == pytest.approx(float(utility(found.position[None])[0]))
    for node, site in itertools.product(range(3), sites):
        other = found.position.copy()
        other[node] = site
        assert utility(other[None])[0] <= found.value + 1e-12
    assert (np.diff(found.history) >= 0).all()


def test_cma_es_finds_a_peak_within_its_budget_and_repeats_with_the_generator():
    peak = np.array([[0.2, 0.9], [0.7, 0.4]])

    def utility(nodes):
        return -((nodes - peak) ** 2).sum(axis=(1, 2))

    runs = [
        cma_es(utility, np.full((2, 2), 0.5), 0.0, 1.0, np.random.default_rng(3), spread=0.2, evaluations=1500)
        for _ in range(2)
    ]
    np.testing.assert_allclose(runs[0].position, peak, atol=1e-3)
    np.testing.assert_array_equal(runs[0].position, runs[1].position)
    assert runs[0].evaluations <= 1500


def test_local_search_counts_and_respects_its_round_limit():
    found = improve_one_by_one(
        lambda nodes: nodes.sum(axis=(1, 2)),
        np.zeros((2, 2)),
        lambda position, node: position[node] + ring_offsets([1.0]),
        max_rounds=3,
    )
    assert found.iterations == 3 and not found.converged and found.evaluations == 1 + 3 * 2 * 8


@pytest.mark.parametrize(
    "spec, message",
    [
        ("wkhm:p=-1", "p: a number above 0 wanted, got -1"),
        ("wkhm:form=literal", "form: one of"),
        ("harmonic:alpha=-1", "alpha: a number of at least 0"),
        ("khm:p=0", "p: a number above 0 wanted, got 0"),
        ("swap:sites_per_axis=0", "sites_per_axis: an integer of at least 1 wanted, got 0"),
        ("cma:evaluations=0", "evaluations: an integer of at least 1"),
        ("mpc:slots=0", "slots: an integer of at least 1 wanted, got 0"),
        ("mpc:alpha=2", "alpha: a number above 0 and of at most 1 wanted, got 2"),
    ],
)
def test_bad_options_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        policies.make(spec)
