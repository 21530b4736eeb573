"""NomaAllocation's agents: features by hand, rewards within a group, one view to learn and to play."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from rangym import policies
from rangym.baselines.agent import Network, TrainedAgent, load_agents
from rangym.baselines.noma_allocation.pairs import GROUP, NUM_FEATURES, PairsPpo, PairView, pair_features, to_scores
from rangym.baselines.policy import policy_class
from rangym.envs.core import Trace
from rangym.envs.physics.pair_upload import pair_upload
from rangym.policies import Task

ENV = "rangym/NomaAllocation-v0"
NAMES = ("ppo_pairs", "ppo_pairs_tight")


def _lanes(lanes, **kwargs):
    return gym.make_vec(ENV, lanes, autoreset_mode="SameStep", **kwargs).unwrapped


def _random_agent(seed=0, constants=1.375):
    rng = np.random.default_rng(seed)
    layers = [
        (rng.normal(0, 0.3, (a, b)).astype(np.float32), rng.normal(0, 0.3, b).astype(np.float32))
        for a, b in ((NUM_FEATURES, 8), (8, 1))
    ]
    config = {"recipe": {"name": "ppo_pairs", "scenario": "tiny"}, "constants": {"bits_per_hz_deadline": constants}}
    return TrainedAgent(Network(layers), config)


def _seen(snr_db, training_time, scheduled=None):
    snr_db, training_time = np.array([snr_db], float), np.array([training_time], float)
    on = np.ones(training_time.shape) if scheduled is None else np.array([scheduled], float)
    return {"snr_db": snr_db, "training_time": training_time, "scheduled": on}


def test_features_by_hand():
    # D / (B T_max) = .5: half the deadline needs 2^1 - 1 = 0 dB of SNR, a quarter 2^2 - 1 = 3 (4.771 dB).
    snr_db = [[10.0, 0.0], [4.0, -6.0]]
    one, other = pair_features(_seen(snr_db, [0.5, 0.75]), 0.5)[0]
    need = 10 * np.log10(3)
    head = np.array([[10.0, 0.0], [4 - need, -6 - need]]) / 10  # the second user's are below 0
    alone = np.array([[0.05, 0.5], [1.0, 1.0]])
    np.testing.assert_allclose(one[:, 0], head[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(other[:, 0], head[1], rtol=1e-5)
    np.testing.assert_allclose([one[:, 1], other[:, 1]], alone, rtol=1e-5)
    np.testing.assert_allclose([one[:, 2], other[:, 2]], [[0.5, 0.5], [0.25, 0.25]])
    np.testing.assert_allclose([one[:, 3], other[:, 3]], [[1, 1], [0, 0]])
    np.testing.assert_allclose([one[:, 4], other[:, 4]], [[1, -1], [1, -1]], rtol=1e-5)
    np.testing.assert_allclose(one[:, 5], head[0] - head[1], rtol=1e-5)
    np.testing.assert_allclose(one[:, 6:8], [[-0.45, -0.95], [0.45, -0.5]], rtol=1e-5)
    np.testing.assert_allclose(other[:, 6:8], [[0, 0.95], [0, 0.5]], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one[0, 8:12], [0.5, head[:, 0].mean(), 0.275, 0.525], rtol=1e-5)
    np.testing.assert_allclose(other[1, 8:12], [head[1].mean(), head[:, 1].mean(), 1.0, 0.75], rtol=1e-5)
    # Each is the other's only rival. User 1 cannot be served by its quarter, so both cost user 0 alone and a drop.
    np.testing.assert_allclose(one[0, 12:16], [head[1, 0], 0.25, 1.0, 0.05], rtol=1e-5)
    np.testing.assert_allclose(one[1, 12:16], [head[1, 1], 0.25, -1.0, 0.5], rtol=1e-5)
    np.testing.assert_allclose(other[0, 12:16], [1.0, 0.5, 1.0, 1.0], rtol=1e-5)
    assert not one[:, 16:24].any() and not other[:, 16:24].any()
    np.testing.assert_allclose(one[0, 24:], [-0.45, -0.95] * 2, rtol=1e-5)
    np.testing.assert_allclose(one[1, 24:], [0.45, -0.5] * 2, rtol=1e-5)


def test_the_marginal_cost_is_that_of_the_pair():
    """In joules of the environment, for every pair and its first rival; nobody alone costs less than at 30 dB."""
    env = gym.make(ENV, scenario="small").unwrapped
    p = env.system.params
    for seed in range(10_000, 10_005):
        observation, _ = env.reset(seed=seed)
        table = pair_features({f: v[None] for f, v in observation.items()}, p.bits_per_hz / p.deadline_s)[0]
        gain, window = env.trace.slots["gain"][1], p.deadline_s - env.trace.slots["training_time_s"][1]
        lead = table[:, :, 4]
        for i in range(p.num_ues):
            for k in range(p.num_subchannels):
                j = max((j for j in range(p.num_ues) if j != i), key=lambda j: lead[j, k])
                np.testing.assert_allclose(table[i, k, 14], lead[j, k])
                costs = []
                for present in ([True, True], [False, True]):
                    done = pair_upload(gain[[i, j], k], window[[i, j]], present, p.bits_per_hz, p.max_power_w, p.rho_j)
                    costs.append((done.energy_j.sum() + p.rho_j * (sum(present) - done.served.sum())) / p.rho_j)
                rival = max(costs[1], 1e-3 * window[j] / p.deadline_s)
                np.testing.assert_allclose(table[i, k, 15], costs[0] - rival, rtol=1e-3, atol=1e-5)


def test_the_numbering_of_users_and_subchannels_does_not_matter():
    rng = np.random.default_rng(1)
    snr_db, training = rng.normal(5, 8, (7, 4)), rng.uniform(0.3, 0.95, 7)
    scheduled = np.array([1, 1, 0, 1, 1, 1, 0])
    users, channels = rng.permutation(7), rng.permutation(4)
    table = pair_features(_seen(snr_db, training, scheduled), 1.0)
    turned = pair_features(_seen(snr_db[users][:, channels], training[users], scheduled[users]), 1.0)
    on = scheduled[users] > 0  # the others share their features, and ties go by number
    np.testing.assert_allclose(turned[:, on], table[:, users][:, :, channels][:, on], rtol=1e-5, atol=1e-6)


def test_users_that_do_not_compete_do_not_matter():
    rng = np.random.default_rng(2)
    snr_db, training = rng.normal(5, 8, (6, 3)), rng.uniform(0.3, 0.9, 6)
    scheduled = np.array([1, 1, 1, 1, 0, 0])
    table = pair_features(_seen(snr_db, training, scheduled), 1.0)[0]
    changed = snr_db + 30 * (scheduled == 0)[:, None]
    np.testing.assert_array_equal(pair_features(_seen(changed, training, scheduled), 1.0)[0, :4], table[:4])


@pytest.mark.parametrize("users, channels", [(1, 1), (1, 3), (3, 1), (2, 2), (9, 2)])
def test_any_size_has_finite_features(users, channels):
    env = gym.make(ENV, scenario="tiny", num_ues=users, num_subchannels=channels)
    observation, _ = env.reset(seed=0)
    assert np.isfinite(pair_features({f: v[None] for f, v in observation.items()}, 1.375)).all()
    policy = PairsPpo(_random_agent())
    policy.reset(Task.of(env), np.random.default_rng(0))
    assert env.action_space.contains(policy.act(observation))


def test_rewards_are_the_environments_less_the_mean_of_the_others():
    base = _lanes(3, scenario="tiny")
    view, pairs = PairView(base), 4 * 2
    features, _ = view.reset(seed=10_050)
    assert features.shape == (3 * GROUP * pairs, NUM_FEATURES) == view.observation_space.shape
    single, rng = gym.make(ENV, scenario="tiny"), np.random.default_rng(0)
    traces, decided = base.traces, []
    for t in range(1, 4):
        actions = rng.normal(0, 5, view.action_space.shape).astype(np.float32)
        decided.append(to_scores(actions).reshape(3, GROUP, pairs))
        found, rewards = np.zeros((3, GROUP)), view.step(actions)[1].reshape(3, GROUP, pairs)
        for b in range(3):
            for g in range(GROUP):
                single.reset(options={"trace": traces[b]})
                for scores in decided:
                    _, found[b, g], *_ = single.step(scores[b, g])
        others = (found.sum(axis=1, keepdims=True) - found) / (GROUP - 1)
        np.testing.assert_allclose(rewards, np.broadcast_to((found - others)[..., None], rewards.shape), atol=1e-12)
        assert np.ptp(found, axis=1).max() > 0, t
    assert not np.array_equal(Trace.stack(base.traces).slots["gain"], Trace.stack(traces).slots["gain"])  # next episode


def test_the_next_episodes_rewards_follow_its_own_trace():
    base = _lanes(2, scenario="tiny")
    view = PairView(base)
    view.reset(seed=3)
    actions = np.random.default_rng(0).normal(0, 5, view.action_space.shape).astype(np.float32)
    for _ in range(3):
        *_, terminated, truncated, _ = view.step(actions)
        assert not terminated.any() and not truncated.any()
    traces = base.traces
    rewards = view.step(actions)[1].reshape(2, GROUP, -1)[:, :, 0]
    found, single = np.zeros((2, GROUP)), gym.make(ENV, scenario="tiny")
    for b in range(2):
        for g in range(GROUP):
            single.reset(options={"trace": traces[b]})
            found[b, g] = single.step(to_scores(actions).reshape(2, GROUP, -1)[b, g])[1]
    np.testing.assert_allclose(rewards, (found - found.mean(axis=1, keepdims=True)) * GROUP / (GROUP - 1), atol=1e-12)


def test_the_policy_plays_what_the_view_teaches():
    base = _lanes(1, scenario="tiny")
    view, agent = PairView(base), _random_agent()
    policy = PairsPpo(agent)
    policy.reset(Task.of(base), np.random.default_rng(0))
    features, _ = view.reset(seed=0)
    observation, _ = gym.make(ENV, scenario="tiny").reset(seed=0)
    taught = to_scores(agent.network(features)).reshape(GROUP, -1)
    np.testing.assert_allclose(np.broadcast_to(policy.act(observation), taught.shape), taught, atol=1e-6)
    assert np.ptp(taught[0]) > 0.01


@pytest.mark.parametrize("form", [{"action": "native"}, {"action": "keys"}, {"power": "agent"}])
def test_other_codings_are_refused(form):
    with pytest.raises(ValueError, match="'scores' without powers wanted"):
        PairView(_lanes(1, scenario="tiny", **form))
    with pytest.raises(ValueError, match="a score for each of 8 pairs wanted"):
        PairsPpo(_random_agent()).reset(Task.of(gym.make(ENV, scenario="tiny", **form)), np.random.default_rng(0))


def _mean_reward(name, scenario, seeds):
    env, rewards = gym.make(ENV, scenario=scenario, **policies.registry.entry(name).overrides), []
    for seed in seeds:
        policy, (observation, _) = policies.make(name), env.reset(seed=seed)
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(seed))
        for _ in range(env.unwrapped.system.horizon):
            observation, reward, *_ = env.step(policy.act(observation))
            rewards.append(reward)
    return np.mean(rewards)


def test_the_agents_beat_the_greatest_gains_where_they_were_trained():
    seeds = range(10_100, 10_120)
    for name, scenario in zip(NAMES, ("small", "tight"), strict=True):
        assert _mean_reward("max_gain", scenario, seeds) + 0.01 < _mean_reward(name, scenario, seeds)


@pytest.mark.parametrize("name", NAMES)
def test_curves_and_commands_are_kept(name):
    for k, agent in enumerate(load_agents(policy_class(name).shipped())):
        config = agent.config
        assert config["commands"][0].startswith(f"rangym train {name} --seed {k} ")
        assert config["curve"][-1]["reward"] > config["curve"][0]["reward"]


def test_using_the_agents_loads_no_rl_framework():
    code = (
        "import sys\n"
        "import gymnasium as gym, numpy as np\n"
        "from rangym.policies import Task, make\n"
        f"env = gym.make({ENV!r}, scenario='tight')\n"
        "observation, _ = env.reset(seed=0)\n"
        f"for name in {NAMES!r}:\n"
        "    policy = make(name); policy.reset(Task.of(env), np.random.default_rng(0))\n"
        "    assert env.action_space.contains(policy.act(observation)), name\n"
        "assert not {'torch', 'stable_baselines3', 'sb3_contrib', 'tensorboard'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
