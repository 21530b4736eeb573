"""QosClustering's policies: each rule against its formula, the oracles against replay, nothing beyond the bound."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import rangym  # noqa: F401  (registers the environments)
from rangym import policies
from rangym.envs.learning.gaussians import laplacian
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.problems.qos_clustering.bound import bound
from rangym.policies import Knowledge, Task
from rangym.policies.algorithms.prediction.bcd import assign
from rangym.policies.algorithms.prediction.head_choice import slot_cost
from rangym.policies.qos_clustering import POLICIES
from rangym.policies.qos_clustering.oracles import best_plan
from rangym.policies.qos_clustering.rules import weights_of

ID = "rangym/QosClustering-v0"
ADAPTING = {"global_online": {"eta": 0.003}, "local_online": {"eta": 0.003}}


def make_env(name="random", **kwargs):
    own = POLICIES[name].overrides if name in POLICIES else {}
    return gym.make(ID, scenario="tiny", **{**own, **ADAPTING.get(name, {}), **kwargs}).unwrapped


def episode(env, policy, seed=0):
    """Observations, actions and rewards of one episode."""
    observation, _ = env.reset(seed=seed)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
    seen, actions, rewards = [], [], []
    for _ in range(env.system.horizon):
        seen.append(observation)
        actions.append(np.array(policy.act(observation)))
        observation, reward, *_ = env.step(actions[-1])
        rewards.append(reward)
    return seen, np.array(actions), np.array(rewards)


def test_fixed_heads():
    assert not episode(make_env(), policies.make("global_frozen"))[1].any()
    env = make_env()
    _, actions, _ = episode(env, policies.make("static_library"))
    wanted = 1 + env.system.head_of_group[env.trace.constants["site_group"]]
    assert (actions == wanted).all() and (actions > 0).all()
    _, own, _ = episode(make_env("local_online"), policies.make("local_online"))
    assert (own == np.arange(4)).all()


def test_greedy_rules_take_the_least_loss():
    env = make_env()
    seen, actions, _ = episode(env, policies.make("greedy_last_loss"))
    known = env.trace.slots["known_loss"][1:-1]
    np.testing.assert_array_equal(actions, known.argmin(axis=2))
    _, smoothed, _ = episode(env, policies.make("greedy_smoothed"))
    average = env.trace.slots["known_loss"][0].astype(np.float64)
    for t, row in enumerate(known):
        average = 0.9 * average + 0.1 * row
        np.testing.assert_array_equal(smoothed[t], average.argmin(axis=1))
    _, shorter, _ = episode(env, policies.make("greedy_smoothed", memory=0.0))
    np.testing.assert_array_equal(shorter[1:], actions[1:])  # the first has the environment's own average


def test_sticky_rule_is_no_worse_than_any_single_move_or_than_staying():
    env = make_env(kappa=0.05)
    system, weights = env.system, weights_of(env.system)
    seen, actions, _ = episode(env, policies.make("sticky_smoothed"))
    for observation, action in zip(seen, actions, strict=True):
        losses, now = observation["average_loss"].astype(np.float64), observation["slot"].argmax(axis=1)
        kernel = system.kernel(observation["statistics"])
        chosen = slot_cost(action, losses, kernel, now, weights)
        assert chosen <= slot_cost(now, losses, kernel, now, weights) + 1e-9
        for i in range(4):
            for c in range(3):
                other = np.where(np.arange(4) == i, c, action)
                assert chosen <= slot_cost(other, losses, kernel, now, weights) + 1e-9
    _, fixed, _ = episode(env, policies.make("sticky_smoothed", stickiness=1e6))
    assert not fixed.any()


def test_bayes_filter_by_hand():
    env = make_env(beta=0.0, lam=0.0, kappa=0.0)  # then each cell takes the head of least expected loss
    seen, actions, _ = episode(env, policies.make("bayes_filter", hold=20, power=0.7))
    library = env.system.predictor.library(2)
    belief = np.full((4, 4), 0.25)
    for observation, action in zip(seen, actions, strict=True):
        known = observation["last_loss"].astype(np.float64) + observation["mean_loss"][:, None]
        belief = 0.95 * belief + 0.05 / 4
        for i in range(4):
            for g in range(4):
                law = multivariate_normal(library.concept_mean[g], library.concept_covariance[g] + 1e-3 * np.eye(3))
                belief[i, g] *= law.pdf(np.log(known[i] + 0.02)) ** 0.7
        belief /= belief.sum(axis=1, keepdims=True)
        expected = (0.95**4 * belief + (1 - 0.95**4) / 4) @ library.concept_loss
        np.testing.assert_array_equal(action, expected.argmin(axis=1))


@pytest.mark.parametrize("name", ["k_means_cells", "spectral_cells"])
def test_clusterings_by_similarity_use_library_heads_only(name):
    _, actions, _ = episode(make_env(), policies.make(name))
    assert (actions > 0).all()
    assert all(len(set(row)) == 2 for row in actions)


def test_bcd_assignment_is_the_relaxed_optimum_under_the_average_losses():
    env = make_env()
    seen, actions, _ = episode(env, policies.make("bcd_assignment"))
    for observation, action in list(zip(seen, actions, strict=True))[:5]:
        cut = laplacian(env.system.kernel(observation["statistics"]))
        found = assign(observation["average_loss"], cut, 0.003, 0.1, start=np.full((4, 3), 1 / 3), iterations=20_000)
        clear = np.sort(found.matrix, axis=1)[:, -2:] @ [-1, 1] > 1e-3  # no tie between the two largest
        np.testing.assert_array_equal(action[clear], found.labels[clear])


def test_bcd_periodic_waits_for_its_window_and_keeps_its_clusters():
    env = make_env("bcd_periodic")
    _, actions, _ = episode(env, policies.make("bcd_periodic", every=4, window=6))
    assert not actions[:5].any()  # the sixth slot knows the sixth pair
    for start in range(5, 20, 4):
        assert (actions[start : start + 4] == actions[start]).all()
    assert len(np.unique(actions[5:], axis=0)) > 1


def test_true_groups_have_the_right_head_in_every_slot():
    env = make_env()
    observation, _ = env.reset(seed=0)
    policy = policies.make("true_groups")
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    for _ in range(env.system.horizon):
        observation, *_, info = env.step(policy.act(observation))
        assert info["metrics"]["right_head"] == 1


def test_the_plan_of_the_day_is_worth_what_it_says_and_beats_the_others():
    env = make_env()
    for seed in range(3):
        _, _, rewards = episode(env, policies.make("hindsight_plan"), seed)
        plan = best_plan(env.system, env.trace)
        assert plan.converged and rewards.mean() == pytest.approx(-plan.cost / (20 * 4), rel=1e-6)
        for name in ("true_groups", "sticky_smoothed", "greedy_smoothed", "global_frozen"):
            assert episode(env, policies.make(name), seed)[2].mean() <= rewards.mean() + 1e-9


@pytest.mark.parametrize("beta", [0.1, 3.0])
def test_the_plan_of_the_day_is_worth_the_cheapest_labels_of_each_slot_at_least(beta):
    """With dear heads no single cell gains by moving, from wherever the others are: all would have to move at once."""
    env = make_env(beta=beta)
    every = np.array(list(itertools.product(range(3), repeat=4)))
    used = np.array([len(set(labels)) for labels in every])
    for seed in range(3):
        env.reset(seed=seed)
        loss, kernel = (env.trace.slots[field][1:-1].astype(np.float64) for field in ("loss", "kernel"))
        alone = loss[:, np.arange(4), every].sum(axis=2) + beta * used
        labels = every[alone.argmin(axis=1)]
        before = np.concatenate([np.zeros((1, 4), np.int64), labels[:-1]])
        weights = weights_of(env.system)
        cost = sum(slot_cost(labels[t], loss[t], kernel[t], before[t], weights) for t in range(20))
        assert best_plan(env.system, env.trace).cost <= cost + 1e-9


@pytest.mark.parametrize("form", [{}, {"kappa": 0.0}, {"lam": 0.0}, {"beta": 0.0}, {"library": "global"}])
def test_nothing_exceeds_the_bound(form):
    env = make_env(**form)
    rng = np.random.default_rng(0)
    for seed in range(3):
        env.reset(seed=seed)
        found = bound(env.system, env.trace)
        assert found.kind == "certified" and found.lower <= found.value + 1e-9
        for name in ("random", "hindsight_plan", "sticky_smoothed"):
            assert episode(env, policies.make(name), seed)[2].mean() <= found.value + 1e-9
        # An attack: the slots' own losses, descended from many random labels, with all other costs left out.
        loss = env.trace.slots["loss"][1:-1].astype(np.float64)
        best = np.zeros(20)
        for t in range(20):
            labels = rng.integers(0, 3, (2000, 4))
            used = (labels[:, :, None] == np.arange(3)).any(axis=1).sum(axis=1)
            best[t] = (loss[t][np.arange(4), labels].sum(axis=1) + env.system.params.beta * used).min()
        assert -best.mean() / 4 <= found.value + 1e-9
    if form == {"kappa": 0.0} or form == {"lam": 0.0}:
        assert found.lower > found.value - 0.2


def test_no_bound_and_no_plan_where_heads_adapt():
    env = make_env(eta=0.003)
    env.reset(seed=0)
    assert bound(env.system, env.trace).kind == "none"
    with pytest.raises(ValueError, match="hindsight_plan: frozen heads"):
        policies.make("hindsight_plan").reset(Task.of(env, Knowledge.ORACLE), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        ("bcd_periodic", {"observe": "losses"}, "bcd_periodic: observe='statistics' wanted"),
        ("local_online", {"num_heads": 2}, "local_online: a slot for each of 4 cells"),
        ("local_online", {"eta": 0.0}, "local_online: heads that adapt"),
        ("global_online", {"eta": 0.0}, "global_online: heads that adapt"),
        ("bayes_filter", {"library": "global"}, "bayes_filter: generated days and library='ifca'"),
        ("static_library", {"library": "global"}, "static_library: generated days and library='ifca'"),
        ("true_groups", {"library": "global"}, "true_groups: generated days and library='ifca'"),
    ],
)
def test_refusals(name, form, message):
    env = make_env(name, **form)
    env.reset(seed=0)
    policy = policies.make(name)
    with pytest.raises(ValueError, match=message):
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("greedy_smoothed", {"memory": 1.0}),
        ("sticky_smoothed", {"stickiness": -1.0}),
        ("bayes_filter", {"hold": 0.0}),
        ("bayes_filter", {"power": 0.0}),
        ("bcd_periodic", {"every": 0}),
        ("bcd_periodic", {"window": 0}),
    ],
)
def test_options_out_of_range(name, options):
    with pytest.raises(ValueError, match=f"^{next(iter(options))}: "):
        policies.make(name, **options)


def test_a_policy_whose_form_adds_fields_is_compared_on_the_same_days():
    results = evaluate(["bcd_periodic:window=3", "greedy_smoothed"], Benchmark(ID, "tiny", seeds=(0, 1)))
    assert not results.problems and len(results.episodes) == 4
    loss = {(row["policy"], row["seed"]): row["metrics"]["global_loss"] for row in results.episodes}
    assert loss["bcd_periodic", 0] == loss["greedy_smoothed", 0] != loss["greedy_smoothed", 1]
    assert loss["bcd_periodic", 1] == loss["greedy_smoothed", 1]
    env = make_env()
    env.reset(seed=0)
    recorded = evaluate(["bcd_periodic:window=3", "greedy_smoothed"], Benchmark(ID, "tiny", traces=[env.trace]))
    assert len(recorded.problems) == 1 and "bcd_periodic needs fields" in recorded.problems[0]
