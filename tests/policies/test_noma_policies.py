"""NomaAllocation's policies: they solve the round that the environment plays, and the certified bound holds."""

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import policies
from rangym.evaluation.cards import bound
from rangym.evaluation.protocol import Benchmark
from rangym.evaluation.runner import evaluate
from rangym.policies import Task
from rangym.policies.algorithms.pairing.exact import subset_dp
from rangym.policies.noma_allocation.matching import round_costs
from rangym.policies.registry import entry

ID = "rangym/NomaAllocation-v0"
NAMES = [name for name in policies.names(ID) if entry(name).role in ("reference", "heuristic")]


def episode(name, seed=0, **kwargs):
    """The environment after an episode, and the mean reward."""
    env = gym.make(ID, **{"scenario": "small", **kwargs, **entry(name).overrides}).unwrapped
    policy = policies.make(name)
    observation, _ = env.reset(seed=seed)
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
    rewards, done = [], False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(policy.act(observation))
        rewards.append(reward)
        done = terminated or truncated
    return env, float(np.mean(rewards))


def test_exact_plays_the_optimum_of_every_round():
    env, reward = episode("exact", seed=4)
    p, total = env.system.params, 0.0
    for t in range(1, p.horizon + 1):
        slot = env.trace.slot(t)
        total += subset_dp(round_costs(p, slot["gain"], slot["training_time_s"])).cost
    assert reward == pytest.approx(-total / (p.horizon * p.num_ues * p.rho_j), rel=1e-5)  # observations are float32


@pytest.mark.parametrize("form", [{"num_ues": 5}, {"num_ues": 9}, {"num_clusters": 3, "schedule": "round_robin"}])
@pytest.mark.parametrize("name", NAMES)
def test_policies_play_odd_and_scheduled_crowds(name, form):
    _, reward = episode(name, **form)
    assert -1.5 < reward < 0


def test_order_of_the_policies_and_no_reward_above_the_certified_bound():
    results = evaluate(NAMES, Benchmark(ID, "small", range(12)))
    assert results.problems == () and results.comparison().bound_kind == "certified"
    mean = {name: results.rewards(name).mean() for name in NAMES}
    order = ["exact", "mba_kkt", "max_gain", "oma_matching", "2es_kkt", "random_kkt", "mba_fixed", "random_fixed"]
    assert sorted(order, key=lambda name: -mean[name])[:3] == order[:3]
    assert mean["ils_kkt"] == pytest.approx(mean["exact"], abs=2e-3)
    assert mean["random_fixed"] < mean["random_kkt"] < mean["2es_kkt"] < mean["mba_kkt"]
    assert mean["mba_fixed"] < mean["mba_kkt"] and mean["oma_matching"] < mean["mba_kkt"]


@pytest.mark.parametrize("form", [{}, {"num_ues": 7}, {"access": "oma_equal"}, {"access": "fdma"}, {"power": "fixed"}])
def test_the_bound_is_above_every_policy_and_tight_where_it_can_be_reached(form):
    env, best = episode("exact", seed=2, **form)
    found = bound(env.system, env.trace)
    assert found.kind == "certified"
    for name in NAMES:
        assert episode(name, seed=2, **form)[1] <= found.value + 1e-9
    if "access" not in form and "power" not in form:
        assert found.value == pytest.approx(best, rel=1e-5) and found.lower == pytest.approx(best, rel=1e-5)


def test_the_bound_takes_a_hundred_subchannels():
    env = gym.make(ID, scenario="urban", num_ues=120, num_subchannels=60, horizon=1).unwrapped
    env.reset(seed=0)
    found = bound(env.system, env.trace)
    assert found.lower <= found.value < 0 and found.value - found.lower < 0.01 * -found.lower


def test_exact_refuses_more_users_than_the_dynamic_programme_takes():
    with pytest.raises(ValueError, match="at most 20 users and places wanted, got 22; use ils_kkt"):
        episode("exact", num_ues=22, num_subchannels=11)


@pytest.mark.parametrize(
    "spec, message", [("mba_kkt:rule=best", "rule: one of"), ("ils_kkt:kicks=-1", "kicks: an integer of at least 0")]
)
def test_bad_options_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        policies.make(spec)
