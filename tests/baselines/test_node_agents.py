"""NodePlacement's agents: features by hand, the paired reward, one view to learn and to play, the pooled network."""

import math

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from stable_baselines3 import PPO, SAC

from rangym import policies
from rangym.baselines.agent import Network, TrainedAgent, load_agents, save_agents
from rangym.baselines.learner import actor
from rangym.baselines.node_placement.features import NODE_FEATURES, OTHER_FEATURES, NodeFeatures
from rangym.baselines.node_placement.per_node import (
    DirectPpo,
    FlatNodesPpo,
    FlatNodesSac,
    NodeLook,
    PerNodeView,
    TrackingPpo,
    tracking_rewards,
)
from rangym.baselines.node_placement.tracking import LaneTracker
from rangym.baselines.policy import policy_class
from rangym.baselines.pooled_network import PooledActorCritic
from rangym.baselines.recipes import RECIPES
from rangym.baselines.vec_adapter import Sb3VecEnv
from rangym.envs.core import Trace
from rangym.evaluation.causality import first_leak
from rangym.policies import Knowledge, Task
from rangym.policies.node_placement.motion import UserMotion

ENV = "rangym/NodePlacement-v0"
NODE_RECIPES = [name for name, recipe in RECIPES.items() if recipe.env_id == ENV]


def _native(lanes, **kwargs):
    return gym.make_vec(ENV, lanes, autoreset_mode="SameStep", **kwargs).unwrapped


def _random_agent(name="ppo_tracking", others=2, seed=0):
    rng, features = np.random.default_rng(seed), NODE_FEATURES + OTHER_FEATURES * others
    layers = [
        (rng.normal(0, 0.3, (a, b)).astype(np.float32), rng.normal(0, 0.3, b).astype(np.float32))
        for a, b in ((features, 8), (16, 8), (8, 2))
    ]
    return TrainedAgent(Network(layers, pooled=True), {"recipe": {"name": name, "scenario": "tiny"}, "constants": {}})


# Two nodes, four users on a line: 0 and 1 are node 0's, 2 and 3 node 1's. v_max 2 m, side 100 m.
NODES = np.array([[[20.0, 50.0], [60.0, 50.0]]])
BEFORE = np.array([[[16.0, 50.0], [24.0, 44.0], [60.0, 60.0], [35.0, 50.0]]])
USERS = np.array([[[20.0, 50.0], [24.0, 44.0], [60.0, 60.0], [41.0, 50.0]]])


def _seen(users, nodes, load, time):
    fields = {"user_position_m": users, "node_position_m": nodes, "load": load, "time": time}
    return {f: np.asarray(v, np.float32) for f, v in fields.items()}


def _table():
    system = gym.make(ENV, num_ues=4, num_nodes=2, num_hotspots=1).unwrapped.system
    features = NodeFeatures(system, others=2)
    base = np.array([[[0.5, -0.25], [0.0, 1.0]]])
    features(_seen(BEFORE, NODES - [1.0, 0.5], [[3, 1]], [[0.25]]), base)
    return system, features(_seen(USERS, NODES, [[3, 1]], [[0.5]]), base)[0]


def test_features_by_hand():
    system, table = _table()
    assert table.shape == (2, NODE_FEATURES + 2 * OTHER_FEATURES) and table.dtype == np.float32
    one, two = table.astype(float)
    # position, displacement / v_max, base, N_l K/N - 1, the last load, time
    np.testing.assert_allclose(one[:9], [-0.6, 0.0, 0.5, 0.25, 0.5, -0.25, 0.0, 0.5, 0.0], atol=1e-6)
    np.testing.assert_allclose(two[:9], [0.2, 0.0, 0.5, 0.25, 0.0, 1.0, 0.0, -0.5, 0.0], atol=1e-6)
    # users of node 0: offsets (0, 0), (4, -6) m, velocities (4, 0), (0, 0) m; of node 1: (0, 10), (-19, 0); 0, (6, 0)
    np.testing.assert_allclose(one[9:14], [0.2, -0.3, 0.2, 0.3, -0.06], atol=1e-5)
    np.testing.assert_allclose(two[9:14], [-0.95, 0.5, 0.95, 0.5, 0.475], atol=1e-5)
    np.testing.assert_allclose(one[14:19], [1.0, 0.0, 1.0, 1.0, 1.0], atol=1e-5)
    np.testing.assert_allclose(two[14:19], [1.5, 0.0, 1.0, 1.5, 1.0], atol=1e-5)
    # radio: mean ln rate - 2, mean and least SINR / 10 dB, from the definition
    power = lambda d2: 10**7.5 / (d2 + 9.0) ** 2  # noqa: E731
    sinr = [power(0) / (1 + power(1600)), power(52) / (1 + power(36**2 + 36))]
    rate = [20 / 2 * min(7.4, math.log2(1 + s)) for s in sinr]
    db = [math.log10(s) for s in sinr]
    np.testing.assert_allclose(one[19:22], [np.mean(np.log(rate)) - 2, np.mean(db), min(db)], rtol=1e-4)
    # 3, 6, 10 slots later user 0 is at x = 32, 44, 60 and user 3 at 59, 77, 100 (clipped at 101): only user 0 changes
    # its node, at 44 m (24 and 16 m away) and 60 m.
    np.testing.assert_allclose(one[22:31], [0, 0.8, -0.3, -0.5, 0.4, -0.6, -0.5, 0.4, -0.6], atol=1e-5)
    np.testing.assert_allclose(two[22:31], [0, -0.05, 0.5, 0.5, 0.1 / 3, 1 / 3, 0.5, 4 / 3, 1 / 3], atol=1e-5)
    np.testing.assert_allclose(one[31:36], 0)
    np.testing.assert_allclose(two[31:36], [0.5, -2.0, 0.0, 2.0, 0.0], atol=1e-6)  # user 0, 40 m away, velocity 2 v_max
    # pull of the other's users: node 0's are at (40, 10) and (21, 0) m
    far, angle = math.hypot(40, 10), math.atan2(10, 40)
    for k, scale in enumerate((10, 25)):
        w = np.exp([-far / scale, -21 / scale]) / 2
        expected = [
            w[0] * math.cos(angle) + w[1],
            w[0] * math.sin(angle),
            w[0] * math.cos(2 * angle) + w[1],
            w[0] * math.sin(2 * angle),
        ]
        np.testing.assert_allclose(one[36 + 4 * k : 40 + 4 * k], expected, atol=1e-6)
    # the other node, 40 m to the right, with the same displacement and load; the second is missing
    np.testing.assert_allclose(one[44:], [1 / 3, 0, 0, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(two[44:46], [-1 / 3, 0], atol=1e-6)


def test_velocities_are_averages_and_newcomers_stand():
    motion = UserMotion(side_m=60.0)
    path = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [30.0, 0.0], [29.0, 1.0]])
    found = [motion(x[None, None]) for x in path]
    velocity = np.array([v[0, 0] for v, _ in found])
    np.testing.assert_allclose(velocity, [[0, 0], [1, 0], [1.4, 0], [0, 0], [-1, 1]])
    assert [bool(known[0, 0]) for _, known in found] == [False, True, True, False, True]


def test_the_numbering_of_nodes_and_users_does_not_matter():
    rng, env = np.random.default_rng(0), gym.make(ENV, scenario="tiny")
    nodes, users = rng.permutation(3), rng.permutation(12)
    one, other = (NodeFeatures(env.unwrapped.system, others=2) for _ in range(2))
    observation, _ = env.reset(seed=1)
    for _ in range(5):
        batch = {f: v[None] for f, v in observation.items()}
        permuted = {
            **batch,
            "node_position_m": batch["node_position_m"][:, nodes],
            "load": batch["load"][:, nodes],
            "user_position_m": batch["user_position_m"][:, users],
        }
        base = rng.uniform(-1, 1, (1, 3, 2))
        np.testing.assert_allclose(one(batch, base)[:, nodes], other(permuted, base[:, nodes]), atol=1e-6)
        observation, *_ = env.step(env.action_space.sample())


def test_a_node_without_users_has_finite_features():
    system = gym.make(ENV, num_ues=2, num_nodes=2, num_hotspots=1).unwrapped.system
    users = np.array([[[10.0, 10.0], [10.0, 10.0]]])
    seen = _seen(users, np.array([[[10.0, 10.0], [90.0, 90.0]]]), [[2, 0]], [[0.0]])
    table = NodeFeatures(system, others=1)(seen, np.zeros((1, 2, 2)))
    assert np.isfinite(table).all()
    np.testing.assert_array_equal(table[0, 1, 9:22], 0)


@pytest.mark.parametrize("scenario", ["small", "drift"])
def test_tracking_many_lanes_equals_the_policy_k_means(scenario):
    lanes = 5
    env = _native(lanes, scenario=scenario, horizon=20)
    observation, _ = env.reset(seed=3)
    tracker, ones = LaneTracker(env.system), [policies.make("k_means") for _ in range(lanes)]
    for policy in ones:
        policy.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
    for _ in range(19):
        action = tracker(observation["user_position_m"], observation["node_position_m"])
        for b, policy in enumerate(ones):
            np.testing.assert_array_equal(action[b], policy.act({f: v[b] for f, v in observation.items()}))
        noise = np.random.default_rng(1).uniform(-0.3, 0.3, action.shape).astype(np.float32)
        observation, *_ = env.step(np.clip(action + noise, -1, 1))


def test_tracking_rewards_are_those_of_the_policy_k_means():
    native = _native(3, scenario="tiny")
    native.reset(seed=4)
    found = tracking_rewards(native.system, Trace.stack(native.traces))
    assert found.shape == (5, 3)
    env = gym.make(ENV, scenario="tiny")
    for b in range(3):
        observation, _ = env.reset(seed=4 + b)
        policy = policies.make("k_means")
        policy.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
        for t in range(5):
            observation, reward, *_ = env.step(policy.act(observation))
            assert found[t, b] == pytest.approx(reward, abs=1e-12)


def test_no_correction_is_k_means_and_earns_nothing():
    """Over three episodes, so also across their ends."""
    view = PerNodeView(_native(4, scenario="tiny"))
    view.reset(seed=7)
    for _ in range(15):
        _, reward, *_ = view.step(np.zeros((4, 3, 2)))
        np.testing.assert_allclose(reward, 0, atol=1e-12)


def test_the_reward_is_the_environments_less_k_means():
    native, twin = (_native(2, scenario="tiny", movement_weight=0.1) for _ in range(2))
    view, rng = PerNodeView(native, residual=False), np.random.default_rng(0)
    view.reset(seed=3), twin.reset(seed=3)
    tracking = tracking_rewards(twin.system, Trace.stack(twin.traces))
    for t in range(5):
        actions = rng.uniform(-0.7, 0.7, (2, 3, 2)).astype(np.float32)  # inside the disc: steps as they are
        _, reward, *_ = view.step(actions)
        _, wanted, *_ = twin.step(actions)
        np.testing.assert_allclose(reward, wanted - tracking[t], atol=1e-12)


@pytest.mark.parametrize("residual", [True, False])
def test_steps_add_up_and_stay_in_the_disc(residual):
    env = gym.make(ENV, scenario="tiny")
    observation, _ = env.reset(seed=2)
    look = NodeLook(env.unwrapped.system, 2, residual)
    look({f: v[None] for f, v in observation.items()})
    base = np.zeros((3, 2))
    if residual:
        tracker = policies.make("k_means")
        tracker.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
        base = tracker.act(observation).astype(float)
    for action in np.random.default_rng(1).normal(0, 1, (20, 3, 2)):
        native = look.native(action[None])[0]
        assert env.action_space.contains(native)
        for k in range(3):
            step = base[k] + [min(max(a, -1), 1) for a in action[k]]
            np.testing.assert_allclose(native[k], step / max(1, math.hypot(*step)), atol=1e-6)


@pytest.mark.parametrize("cls", [TrackingPpo, DirectPpo])
def test_what_learns_sees_and_does_what_plays(cls):
    lanes, horizon, agent = 3, 5, _random_agent(cls.recipe)
    native, singles = _native(lanes, scenario="tiny"), [gym.make(ENV, scenario="tiny") for _ in range(lanes)]
    players = [cls(agent) for _ in range(lanes)]
    view = cls.view(native)
    features, _ = view.reset(seed=11)
    seen = [env.reset(seed=11 + b)[0] for b, env in enumerate(singles)]
    for t in range(2 * horizon):
        if t % horizon == 0:
            if t:
                seen = [env.reset()[0] for env in singles]
            for player, env in zip(players, singles, strict=True):
                player.reset(Task.of(env, player.knowledge), np.random.default_rng(0))
        features, _, _, truncated, infos = view.step(agent.network(features))
        for b, (player, env) in enumerate(zip(players, singles, strict=True)):
            seen[b], *_ = env.step(player.act(seen[b]))
        if (t + 1) % horizon == 0:
            assert truncated.all()
            for b, player in enumerate(players):
                mine = player._look({f: v[None] for f, v in seen[b].items()})[0]
                np.testing.assert_allclose(infos["final_obs"][b], mine, atol=1e-6)
        else:
            nodes = native._episode.state["node_position_m"]
            np.testing.assert_allclose(nodes, [x["node_position_m"] for x in seen], atol=1e-4)


@pytest.mark.parametrize("cls", [TrackingPpo, DirectPpo])
def test_decisions_are_causal(cls):
    env = gym.make(ENV, scenario="tiny").unwrapped
    assert first_leak(env, cls(_random_agent(cls.recipe))) is None


@pytest.mark.parametrize("nodes", [2, 3, 7])
def test_any_number_of_nodes_is_served_and_no_limit_is_refused(nodes):
    env = gym.make(ENV, scenario="tiny", num_nodes=nodes)
    policy = TrackingPpo(_random_agent())  # looks at two others
    observation, _ = env.reset(seed=0)
    policy.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
    assert env.action_space.contains(policy.act(observation))
    free = gym.make(ENV, scenario="tiny", v_max_m=None)
    with pytest.raises(ValueError, match="v_max_m: a speed limit wanted"):
        policy.reset(Task.of(free, Knowledge.MODEL), np.random.default_rng(0))


def _model(name):
    recipe = RECIPES[name]
    env = Sb3VecEnv(policy_class(name).view(_native(2, scenario="tiny")))
    network = policy_class(name).network
    policy = PooledActorCritic if ":" in network else network
    algorithm = {"PPO": PPO, "SAC": SAC}[recipe.algorithm]
    model = algorithm(policy, env, policy_kwargs={"net_arch": list(recipe.hidden)}, seed=0, device="cpu")
    with torch.no_grad():
        for parameter in model.policy.parameters():  # SB3 starts the last layer near zero
            parameter += 0.2 * torch.randn(parameter.shape)
    return model


@pytest.mark.parametrize("name", NODE_RECIPES)
def test_the_exported_network_acts_as_sb3_does(name, tmp_path):
    model = _model(name)
    config = {"recipe": {"name": name, "scenario": "tiny"}, "constants": {}}
    (agent,) = load_agents(save_agents(tmp_path / "agent.npz", [TrainedAgent(actor(model), config)]))
    x = np.random.default_rng(0).normal(size=(20, *model.observation_space.shape)).astype(np.float32)
    wanted, _ = model.predict(x, deterministic=True)
    squash = np.tanh if isinstance(model, SAC) else lambda y: np.clip(y, -1, 1)
    np.testing.assert_allclose(squash(agent.network(x)).reshape(wanted.shape), wanted, rtol=1e-4, atol=1e-5)
    assert np.ptp(wanted) > 0.1


@pytest.mark.parametrize("cls", [FlatNodesPpo, FlatNodesSac])
def test_flat_policies_decide_as_sb3_does(cls):
    model, env = _model(cls.recipe), gym.make(ENV, scenario="tiny")
    policy = cls(TrainedAgent(actor(model), {"recipe": {"name": cls.recipe, "scenario": "tiny"}, "constants": {}}))
    observation, _ = env.reset(seed=3)
    policy.reset(Task.of(env), np.random.default_rng(0))
    for _ in range(5):
        wanted, _ = model.predict(policy._flatten(observation), deterministic=True)
        action = policy.act(observation)
        np.testing.assert_allclose(action, wanted, atol=1e-5)
        observation, *_ = env.step(action)


def test_the_pooled_network_by_hand():
    layers = [([[1.0], [2.0]], [0.5]), ([[1.0], [-3.0]], [0.0]), ([[2.0, 0.0]], [0.0, 1.0])]
    network = Network([(np.array(w, np.float32), np.array(b, np.float32)) for w, b in layers], pooled=True)
    x = np.array([[0.1, 0.2], [-0.4, 0.3]], np.float32)  # two items of two features
    first = [math.tanh(0.1 + 0.4 + 0.5), math.tanh(-0.4 + 0.6 + 0.5)]
    second = [math.tanh(h - 3 * sum(first) / 2) for h in first]
    np.testing.assert_allclose(network(x), [[2 * h, 1.0] for h in second], rtol=1e-6)


def test_the_pooled_actor_critic_ignores_the_numbering():
    policy = _model("ppo_tracking").policy
    x, order = torch.randn(6, *policy.observation_space.shape), torch.tensor([2, 0, 1])
    actions = torch.randn(6, 3, 2)

    def judged(rows, actions):
        found = policy.get_distribution(rows)  # SB3 hands out one object, so all is read before the next call
        return found.mode().reshape(6, 3, 2), found.log_prob(actions.flatten(1)), policy.predict_values(rows)

    with torch.no_grad():
        mean, log_prob, value = judged(x, actions)
        mean2, log_prob2, value2 = judged(x[:, order], actions[:, order])
        torch.testing.assert_close(mean[:, order], mean2, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(log_prob, log_prob2, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(value, value2, atol=1e-5, rtol=1e-5)
        changed = x.clone()
        changed[:, 0] += 1  # the other nodes see it
        assert not torch.allclose(judged(changed, actions)[0][:, 2], mean[:, 2], atol=1e-3)
    owned = {id(p) for group in policy.optimizer.param_groups for p in group["params"]}
    assert owned == {id(p) for p in policy.parameters()}


def test_the_pooled_actor_critic_wants_items():
    with pytest.raises(ValueError, match="boxes \\(K, F\\) and \\(K, A\\)"):
        PooledActorCritic(Box(-1, 1, (3,)), Box(-1, 1, (3, 2)), lambda _: 1e-3)


def _gain(name, scenario, seeds):
    """Mean reward beyond k_means on the same traces."""
    env, means = gym.make(ENV, scenario=scenario), {}
    for policy_name in (name, "k_means"):
        rewards, policy = [], policies.make(policy_name)
        for seed in seeds:
            observation, _ = env.reset(seed=seed)
            policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
            for _ in range(60):
                observation, reward, *_ = env.step(policy.act(observation))
                rewards.append(reward)
        means[policy_name] = np.mean(rewards)
    return means[name] - means["k_means"]


def test_the_shipped_agents_beat_k_means_on_traces_they_have_not_seen():
    assert _gain("ppo_tracking", "small", range(10_100, 10_110)) > 0
    assert _gain("ppo_tracking_drift", "drift", range(10_100, 10_103)) > 0
