"""QosClustering's shared policy: features by hand, reward by brute force, one view for learning and playing."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from rangym import policies
from rangym.baselines.agent import Network, TrainedAgent
from rangym.baselines.learner import mean_reward
from rangym.baselines.qos_clustering.per_cell import CellFeatures, CellsPpo, PerCellView, cell_rewards, num_features
from rangym.baselines.recipes import RECIPES
from rangym.envs.core import Trace
from rangym.evaluation.causality import first_leak
from rangym.evaluation.episode import make_env
from rangym.policies import Knowledge, Task
from rangym.policies.registry import entry

ENV = "rangym/QosClustering-v0"
CELL_RECIPES = [name for name, recipe in RECIPES.items() if recipe.env_id == ENV]


def _native(lanes, **kwargs):
    return gym.make_vec(ENV, lanes, autoreset_mode="SameStep", **kwargs).unwrapped


def _random_agent(slots=3, seed=0):
    rng, sizes = np.random.default_rng(seed), (num_features(slots), 16, slots)
    layers = [
        (rng.normal(0, 0.5, (a, b)).astype(np.float32), rng.normal(0, 0.5, b).astype(np.float32))
        for a, b in zip(sizes, sizes[1:], strict=False)
    ]
    return TrainedAgent(Network(layers), {"recipe": {"name": "ppo_cells", "scenario": "tiny"}, "constants": {}})


def _seen(t):
    """What two cells with two slots show in slot t = 1, 2, ...; the numbers say where they come from."""
    statistics = np.full((1, 2, 9), 0.1 * t)
    statistics[0, 1, 0] = -8.0
    return {
        "statistics": statistics,
        "statistics_before": statistics + 1.0,
        "load": np.array([[0.5 + 0.01 * t, 0.2]]),
        "load_before": np.array([[0.3 + 0.01 * t, 0.1]]),
        "slot": np.array([[[1, 0], [1, 0]]]) if t < 3 else np.array([[[0, 1], [1, 0]]]),
        "last_loss": np.array([[[0.2 * t, -0.2 * t], [-4.0, 4.0]]]),
        "average_loss": np.array([[[0.1, -0.1], [0.0, 0.0]]]),
        "mean_loss": np.array([[0.7, 0.7]]),
    }


def test_features_by_hand():
    features = CellFeatures()
    tables = [features(_seen(t))[0] for t in range(1, 11)]
    assert tables[0].shape == (2, num_features(2)) == (2, 47) and tables[0].dtype == np.float32
    one, two = tables[0].astype(float)
    # the last loss, four averages that start at .1, the slot, the shares
    np.testing.assert_allclose(one[:14], [0.2, -0.2, *[0.1, -0.1] * 4, 1, 0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(two[:14], [-3, 3, *[0, 0] * 4, 1, 0, 1, 0], atol=1e-6)
    # half the statistics of t, of t - 1 (not seen: those of t) and of t - h; 2 x - .7 of loads, the earliest seen
    np.testing.assert_allclose(one[14:41], [0.05] * 18 + [0.55] * 9, atol=1e-6)
    np.testing.assert_allclose(two[[14, 23, 32]], [-2.5, -2.5, -2.5], atol=1e-6)
    np.testing.assert_allclose(one[41:], [0.32] * 3 + [-0.08] * 3, atol=1e-6)

    one = tables[1][0].astype(float)
    averages = [m * 0.1 + (1 - m) * 0.4 for m in (0.5, 0.8, 0.9, 0.97)]
    np.testing.assert_allclose(one[0:10:2], [0.4, *averages], atol=1e-6)
    np.testing.assert_allclose(one[14:41], [0.1] * 9 + [0.05] * 9 + [0.6] * 9, atol=1e-6)
    np.testing.assert_allclose(one[41:], [0.34, 0.32, 0.32, -0.06, -0.08, -0.08], atol=1e-6)

    one, two = tables[9].astype(float)  # t = 10: loads of 10, 9, 8; load_before of 10, 6, 2
    np.testing.assert_allclose(one[10:14], [0, 1, 0.5, 0.5])
    np.testing.assert_allclose(two[10:14], [1, 0, 0.5, 0.5])
    np.testing.assert_allclose(one[41:], [0.5, 0.48, 0.46, 0.1, 0.02, -0.06], atol=1e-6)

    features.reset()
    np.testing.assert_array_equal(features(_seen(1))[0], tables[0])


def test_the_average_of_memory_nine_tenths_is_the_environments():
    env, features = gym.make(ENV, scenario="tiny"), CellFeatures()
    observation, _ = env.reset(seed=5)
    for _ in range(20):
        table = features({f: v[None] for f, v in observation.items()})[0]
        np.testing.assert_allclose(table[:, 9:12], observation["average_loss"].clip(-3, 3), atol=1e-5)
        observation, *_ = env.step(env.action_space.sample())


def test_the_numbering_of_cells_does_not_matter():
    env, order = gym.make(ENV, scenario="tiny"), [2, 0, 3, 1]
    one, other = CellFeatures(), CellFeatures()
    observation, _ = env.reset(seed=1)
    for _ in range(12):
        batch = {f: v[None] for f, v in observation.items()}
        permuted = {f: v if f == "time" else v[:, order] for f, v in batch.items()}
        np.testing.assert_allclose(one(batch)[:, order], other(permuted), atol=1e-6)
        observation, *_ = env.step(env.action_space.sample())


def _value(loss, kernel, before, decision, cells, params):
    """N times the reward if only ``cells`` existed, straight from the definition."""
    value = -sum(loss[i, decision[i]] for i in cells)
    value -= params.lam * sum(kernel[i, j] for i in cells for j in cells if decision[i] != decision[j])
    value -= params.beta * len({decision[i] for i in cells})
    return value - params.kappa * sum(decision[i] != before[i] for i in cells)


def test_training_reward_by_brute_force():
    """What all cells get less what the others would get alone, over two episodes, so across their end."""
    native = _native(2, scenario="tiny", num_cells=5, lam=0.05)
    view, rng, params = PerCellView(native), np.random.default_rng(1), native.system.params
    view.reset(seed=4)
    for _ in range(2):
        traces, before = native.traces, np.zeros((2, 5), dtype=int)
        for t in range(1, params.horizon + 1):
            decision = rng.integers(0, 3, (2, 5))
            _, reward, *_ = view.step(decision.ravel())
            for b, trace in enumerate(traces):
                loss, kernel = (trace.slots[f][t].astype(float) for f in ("loss", "kernel"))
                given = (loss, kernel, before[b], decision[b])
                everybody = _value(*given, range(5), params)
                for i in range(5):
                    wanted = everybody - _value(*given, [k for k in range(5) if k != i], params) + loss[i].mean()
                    assert reward[5 * b + i] == pytest.approx(wanted, abs=1e-6)
            before = decision


def test_a_change_of_one_choice_changes_the_reward_by_that_of_all():
    env, rng = gym.make(ENV, scenario="tiny", num_cells=6).unwrapped, np.random.default_rng(0)
    env.reset(seed=2)
    system, trace = env.system, Trace.stack([env.trace])
    state = system.initial(trace.slot(0))
    state, _ = system.transition(state, rng.integers(0, 3, (1, 6)), trace.slot(1))
    slot = trace.slot(2)

    def outcome(decision):
        _, result = system.transition(state, decision, slot)
        loss, kernel = (slot[f].astype(np.float64) for f in ("loss", "kernel"))
        own = cell_rewards(system.params, loss, kernel, state["slot_of_cell"], decision)
        return 6 * sum(result.terms.values())[0], own[0]

    for _ in range(30):
        decision, i = rng.integers(0, 3, (1, 6)), rng.integers(6)
        changed = decision.copy()
        changed[0, i] = (changed[0, i] + 1) % 3
        (total, own), (total2, own2) = outcome(decision), outcome(changed)
        assert own2[i] - own[i] == pytest.approx(total2 - total, abs=1e-9)


def test_what_learns_sees_and_does_what_plays():
    """Greedy learners in the vector view decide as the policy does in single environments, across an episode's end."""
    lanes, horizon, agent = 3, 7, _random_agent()
    kwargs = {"scenario": "tiny", "horizon": horizon}
    native, singles = _native(lanes, **kwargs), [gym.make(ENV, **kwargs) for _ in range(lanes)]
    players = [CellsPpo(agent) for _ in range(lanes)]
    view = PerCellView(native)
    features, _ = view.reset(seed=11)
    seen = [env.reset(seed=11 + b)[0] for b, env in enumerate(singles)]
    for t in range(2 * horizon):
        if t % horizon == 0:
            if t:
                seen = [env.reset()[0] for env in singles]
            for player, env in zip(players, singles, strict=True):
                player.reset(Task.of(env), np.random.default_rng(0))
        features, _, _, truncated, infos = view.step(agent.network(features).argmax(axis=1))
        for b, (player, env) in enumerate(zip(players, singles, strict=True)):
            seen[b], *_ = env.step(player.act(seen[b]))
        if (t + 1) % horizon == 0:
            assert truncated.all() and len(infos["final_obs"]) == lanes * 4
            final = np.stack(infos["final_obs"]).reshape(lanes, 4, -1)
            for b, player in enumerate(players):
                mine = player._features({f: v[None] for f, v in seen[b].items()})[0]
                np.testing.assert_array_equal(final[b], mine)
        else:
            slots = native._episode.state["slot_of_cell"]
            np.testing.assert_array_equal(slots, [x["slot"].argmax(axis=1) for x in seen])
            assert len(np.unique(slots)) > 1  # else there is nothing to compare


def test_decisions_are_causal():
    assert CellsPpo.knowledge is Knowledge.OBSERVATION
    assert first_leak(gym.make(ENV, scenario="tiny").unwrapped, CellsPpo(_random_agent())) is None


@pytest.mark.parametrize(
    "form", [{"num_cells": 6, "sampling_s": 4.0}, {"eta": 0.003}, {"observe": "statistics"}, {"horizon": 1}]
)
def test_it_acts_in_every_form_of_the_same_number_of_heads(form):
    env = gym.make(ENV, scenario="tiny", **form)
    policy = CellsPpo(_random_agent())
    observation, _ = env.reset(seed=0)
    policy.reset(Task.of(env), np.random.default_rng(0))
    assert env.action_space.contains(policy.act(observation))


def test_another_number_of_heads_is_refused():
    env = gym.make(ENV, scenario="tiny", num_heads=4)
    with pytest.raises(ValueError, match="54 inputs and 3 outputs.*has 68 and 5"):
        CellsPpo(_random_agent()).reset(Task.of(env), np.random.default_rng(0))


def test_heads_that_adapt_are_refused_in_training():
    with pytest.raises(ValueError, match="eta: 0 wanted to train"):
        PerCellView(_native(2, scenario="tiny", eta=0.003))


@pytest.mark.parametrize("name", CELL_RECIPES)
def test_training_sees_pool_days_only_and_its_curve_fresh_ones(name):
    recipe = RECIPES[name]
    assert recipe.overrides.keys() == {"day_pool"} and not entry(name).overrides
    pooled = make_env(ENV, "tiny", recipe.overrides)
    days = {pooled.reset(seed=seed) and pooled.trace.slots["load"].tobytes() for seed in range(300)}
    assert len(days) <= recipe.overrides["day_pool"]
    fresh = make_env(ENV, "tiny")
    for seed in range(5):
        fresh.reset(seed=seed)
        assert fresh.trace.slots["load"].tobytes() not in days


def test_the_curve_is_measured_on_fresh_days():
    policy, recipe = CellsPpo(_random_agent()), replace(RECIPES["ppo_cells"], scenario="tiny")
    found = [mean_reward(policy, replace(recipe, overrides=o), [0, 1]) for o in ({}, {"day_pool": 1})]
    rewards, env = [], gym.make(ENV, scenario="tiny")
    for seed in (0, 1):
        observation, _ = env.reset(seed=seed)
        policy.reset(Task.of(env), np.random.default_rng(seed))
        for _ in range(20):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards.append(reward)
    np.testing.assert_allclose(found, np.mean(rewards))


def _mean_reward(name, scenario="small", seeds=range(10_100, 10_104)):
    env, rewards = gym.make(ENV, scenario=scenario), []
    for seed in seeds:
        policy, (observation, _) = policies.make(name), env.reset(seed=seed)
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
        for _ in range(88):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards.append(reward)
    return np.mean(rewards)


def test_the_shared_policy_beats_the_rules_and_the_flat_one():
    shared = _mean_reward("ppo_cells")
    assert shared > _mean_reward("sticky_smoothed")
    assert shared > _mean_reward("ppo_cells_flat") + 0.05
