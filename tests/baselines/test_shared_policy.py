"""The shared policy of CellAssociation: features by hand, reward by brute force, one view for learning and playing."""

import math

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from rangym.baselines.agent import Network, TrainedAgent
from rangym.baselines.cell_association.per_ue import (
    FEATURES,
    PerUserView,
    SharedPpo,
    UserFeatures,
    ranked,
    user_rewards,
)
from rangym.evaluation.causality import first_leak
from rangym.policies import Knowledge, Task

ENV = "rangym/CellAssociation-v0"


def _db(linear):
    return 10 * np.log10(np.asarray(linear, float))


def _random_agent(cells, seed=0, gamma=20.0):
    rng, sizes = np.random.default_rng(seed), (cells * len(FEATURES), 16, cells)
    layers = [
        (rng.normal(0, 0.5, (a, b)).astype(np.float32), rng.normal(0, 0.5, b).astype(np.float32))
        for a, b in zip(sizes, sizes[1:], strict=False)
    ]
    recipe = {"name": "ppo_shared", "scenario": "tiny"}
    return TrainedAgent(Network(layers), {"recipe": recipe, "constants": {"handover_weight": gamma}})


# Two UEs, cells of 10, 20 and 5 MHz. Linear SINR 1, 3, 7, 31 gives 1, 2, 3, 5 bit/s/Hz.
DELAY = np.array([[[0.02, 0.03, 0.05], [0.025, 0.025, 0.1]]])
FIRST = {
    "sinr_db": _db([[[3, 1, 1], [7, 3, 1]]]),
    "serving": np.zeros((1, 2, 3)),
    "load": np.zeros((1, 3)),
    "bandwidth_mhz": np.array([[10.0, 20.0, 5.0]]),
    "handover_delay": DELAY,
}
SECOND = {
    **FIRST,
    "sinr_db": _db([[[1, 3, 1], [7, 1, 31]]]),
    "serving": np.array([[[1, 0, 0], [1, 0, 0]]]),
    "load": np.array([[2, 0, 0]]),
}


def test_features_by_hand():
    features = UserFeatures(handover_weight=20.0)
    features(FIRST)
    table, order = features(SECOND)
    assert table.shape == (1, 2, 27) and table.dtype == np.float32
    # UE 0: rates 10, 40, 5 Mbit/s; margins 1 - 2 log 2 = .398, 1.602, .699. UE 1: 30, 20, 25; .875, 1.301, 1.398.
    np.testing.assert_array_equal(order, [[[0, 1, 2], [0, 2, 1]]])
    ue0, ue1 = table[0].reshape(2, 3, 9)
    change = 10 * math.log10(3)  # of UE 0: down at cell 0, up at cell 1
    variability = 0.1 * (2 * change / 3) / 4 - 0.5
    average = [0.7 * math.log10(20) + 0.3 * 1, 0.7 * math.log10(20) + 0.3 * math.log10(40), math.log10(5)]
    expected0 = [
        [0, -change / 6, 0, 0, -0.5, 1, 0, 1.0, variability],
        [change / 20, change / 6, 2, 2 * (average[1] - average[0]), math.log10(40) - 1.5, 0, 0, -0.5, variability],
        [0, 0, 0.60206, 2 * (average[2] - average[0]), math.log10(5) - 1.5, 0, 0.4, -0.5, variability],
    ]
    np.testing.assert_allclose(ue0, expected0, atol=1e-5)
    up = 10 * math.log10(31)
    best = ue1[1]  # cell 2, the better margin, comes before cell 1
    average = [math.log10(30), 0.7 * math.log10(5) + 0.3 * math.log10(25)]
    margin = math.log10(25) - (math.log10(30) - 2 * math.log10(2))
    expected = [up / 20, up / 6, 2 * margin, 2 * max(average[1] - average[0], -1), math.log10(25) - 1.5, 0]
    np.testing.assert_allclose(best[:6], expected, atol=1e-5)
    np.testing.assert_allclose(best[6:8], [20 * 0.125 - 1, -0.5], atol=1e-6)


def test_before_the_first_decision_the_best_margin_is_the_reference_and_moving_is_free():
    table, order = UserFeatures(20.0)(FIRST)
    ue1 = table[0, 1].reshape(3, 9)  # rates 30, 40, 5
    np.testing.assert_array_equal(order[0, 1], [1, 0, 2])
    columns = dict(zip(FEATURES, ue1.T, strict=True))
    np.testing.assert_allclose(columns["margin"], [0, 2 * math.log10(30 / 40), 2 * math.log10(5 / 40)], atol=1e-6)
    assert not columns["serving"].any() and not columns["sinr_change"].any()
    np.testing.assert_allclose(columns["handover"], -1)
    np.testing.assert_allclose(columns["variability"], -0.5)


def test_relabelling_cells_changes_only_the_order():
    swap = [2, 0, 1]
    swapped = [{f: v if v.ndim == 1 else v[..., swap] for f, v in o.items()} for o in (FIRST, SECOND)]
    one, other = UserFeatures(20.0), UserFeatures(20.0)
    for a, b in zip((FIRST, SECOND), swapped, strict=True):
        (table, order), (table2, order2) = one(a), other(b)
        np.testing.assert_allclose(table, table2, atol=1e-6)
        np.testing.assert_array_equal(order, np.array(swap)[order2])


def _value(logc, delay, cells, old, gamma, ues):
    """f of one slot for the UEs in ``ues``, straight from the definition."""
    loads = {}
    for i in ues:
        loads[cells[i]] = loads.get(cells[i], 0) + 1
    value = sum(logc[i][cells[i]] for i in ues) - sum(y * math.log10(y) for y in loads.values())
    return value - gamma * sum(delay[i][old[i]] + delay[i][cells[i]] for i in ues if old[i] not in (-1, cells[i]))


def test_training_reward_by_brute_force():
    """Each UE's reward is f with it minus f without it, minus its best log rate: from the float64 trace."""
    env = gym.make_vec(ENV, 2, scenario="tiny", num_ues=5, handover_weight=3.0, autoreset_mode="SameStep")
    view, rng, horizon = PerUserView(env.unwrapped), np.random.default_rng(1), 20
    view.reset(seed=4)
    traces, old = env.unwrapped.traces, np.full((2, 5), -1)
    for t in range(1, horizon + 1):
        ranks = rng.integers(0, 3, 10)
        order = view._order
        _, reward, *_ = view.step(ranks)
        cells = np.take_along_axis(order, ranks.reshape(2, 5, 1), axis=2)[..., 0]
        for b, trace in enumerate(traces):
            slot = trace.slot(t)
            logc = np.log10(slot["bandwidth_mhz"] * np.log2(1 + 10 ** (slot["sinr_db"].astype(float) / 10)))
            for i in range(5):
                given = (logc, slot["handover_delay"], cells[b], old[b], 3.0)
                everybody = _value(*given, range(5))
                wanted = everybody - _value(*given, [k for k in range(5) if k != i]) - logc[i].max()
                assert reward[5 * b + i] == pytest.approx(wanted, abs=1e-5)
        old = cells


def test_a_change_of_one_choice_changes_the_reward_by_the_change_of_f():
    env = gym.make(ENV, scenario="tiny", num_ues=5, handover_weight=3.0).unwrapped
    env.reset(seed=2)
    system, trace, rng = env.system, env.trace, np.random.default_rng(0)
    stacked = type(trace).stack([trace])
    state = system.initial(stacked.slot(0))
    state, _ = system.transition(state, rng.integers(0, 3, (1, 5)), stacked.slot(1))
    before = system.observation(state, stacked.public(2, system.reveal))

    def outcome(decision):
        after, result = system.transition(state, decision, stacked.slot(2))
        seen = system.observation(after, stacked.public(3, system.reveal))
        return result.metrics["f"][0], user_rewards(before, seen, 3.0)[0]

    for _ in range(20):
        decision, i = rng.integers(0, 3, (1, 5)), rng.integers(5)
        changed = decision.copy()
        changed[0, i] = (changed[0, i] + 1) % 3
        (f, rewards), (f2, rewards2) = outcome(decision), outcome(changed)
        assert rewards2[i] - rewards[i] == pytest.approx(f2 - f, abs=1e-5)


def test_what_learns_sees_and_does_what_plays():
    """Greedy learners in the vector view decide as the policy does in single environments, across an episode's end."""
    lanes, horizon, agent = 3, 6, _random_agent(cells=3)
    kwargs = {"scenario": "tiny", "horizon": horizon, "handover_weight": 20.0}
    native = gym.make_vec(ENV, lanes, autoreset_mode="SameStep", **kwargs).unwrapped
    singles = [gym.make(ENV, **kwargs) for _ in range(lanes)]
    players = [SharedPpo(agent) for _ in range(lanes)]
    view = PerUserView(native)
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
            seen[b], reward, *_ = env.step(player.act(seen[b]))
        if (t + 1) % horizon == 0:
            assert truncated.all() and len(infos["final_obs"]) == lanes * 4
            final = np.stack(infos["final_obs"]).reshape(lanes, 4, -1)
            for b, player in enumerate(players):
                np.testing.assert_array_equal(
                    final[b], player._features({f: v[None] for f, v in seen[b].items()})[0][0]
                )
        else:
            served = native._episode.state["serving"]
            np.testing.assert_array_equal(served, [x["serving"].argmax(axis=1) for x in seen])


def test_decisions_are_causal():
    env = gym.make(ENV, scenario="tiny").unwrapped
    assert SharedPpo.knowledge is Knowledge.OBSERVATION
    assert first_leak(env, SharedPpo(_random_agent(cells=3))) is None


def test_more_users_and_cells_are_served_but_fewer_cells_are_refused():
    many = gym.make(ENV, scenario="tiny", num_ues=9)
    policy = SharedPpo(_random_agent(cells=3))
    observation, _ = many.reset(seed=0)
    policy.reset(Task.of(many), np.random.default_rng(0))
    assert many.action_space.contains(policy.act(observation))

    agent, larger = _random_agent(cells=3), gym.make(ENV, scenario="tiny", num_cells=5)
    policy, features = SharedPpo(agent), UserFeatures(20.0)
    observation, _ = larger.reset(seed=0)
    policy.reset(Task.of(larger), np.random.default_rng(0))
    for _ in range(5):  # the serving cell and the two with the best margins, everything else unseen
        table, order = features({f: v[None] for f, v in observation.items()})
        ranks = agent.network(table[0].reshape(4, 5, 9)[:, :3].reshape(4, 27)).argmax(axis=1)
        action = policy.act(observation)
        np.testing.assert_array_equal(action, [order[0, i, rank] for i, rank in enumerate(ranks)])
        observation, *_ = larger.step(action)

    with pytest.raises(ValueError, match="54 inputs and 6 outputs.*has 27 and 3"):
        SharedPpo(_random_agent(cells=6)).reset(Task.of(many), np.random.default_rng(0))


@pytest.mark.parametrize("count", [1, 3, 6, 7])
def test_ranks_are_those_of_a_stable_sort(count):
    key = np.random.default_rng(count).integers(0, 4, (2, 50, 7)).astype(float)  # many ties
    key[:, ::3, 2] = -np.inf
    before = key.copy()
    np.testing.assert_array_equal(ranked(key, count), np.argsort(key, axis=2, kind="stable")[..., :count])
    np.testing.assert_array_equal(key, before)


def test_norm_costs_cannot_be_shared_among_users():
    env = gym.make_vec(ENV, 2, scenario="tiny", handover_cost="norm", autoreset_mode="SameStep")
    with pytest.raises(ValueError, match="'sum' wanted"):
        PerUserView(env.unwrapped)


def test_sb3_evaluates_the_bound_policy():
    vector = DummyVecEnv([lambda: Monitor(gym.make(ENV, scenario="tiny"))])
    vector.seed(6)
    env = gym.make(ENV, scenario="tiny")
    bound = SharedPpo(_random_agent(cells=3)).bind(Task.of(env))
    mean, _ = evaluate_policy(bound, vector, n_eval_episodes=1)
    by_hand, total = SharedPpo(_random_agent(cells=3)), 0.0
    observation, _ = env.reset(seed=6)
    by_hand.reset(Task.of(env), np.random.default_rng(0))
    for _ in range(20):
        observation, reward, *_ = env.step(by_hand.act(observation))
        total += reward
    assert mean == pytest.approx(total, rel=1e-5)
