"""NomaAllocation: its chance, codings, projection, powers and clusters; one user at a time; bad input."""

import doctest
import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.core import SystemEnv, Trace
from rangym.envs.noma_allocation import sequential
from rangym.envs.noma_allocation.params import SCENARIOS
from rangym.envs.noma_allocation.place_kernels import two_largest
from rangym.envs.noma_allocation.scenario import noise_w
from rangym.envs.noma_allocation.sequential import Sequential
from rangym.policies.algorithms.pairing.pair_costs import matching_cost
from rangym.policies.noma_allocation.matching import round_costs

ID = "rangym/NomaAllocation-v0"


def make(**kwargs) -> SystemEnv:
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def walk(env, actions, seed=0):
    """Observations, rewards and infos of one episode."""
    steps = [env.reset(seed=seed)]
    for action in actions:
        observation, reward, *_, info = env.step(action)
        steps.append((observation, reward, info))
    return steps


def assert_same_walk(a, b):
    for (obs_a, *rest_a), (obs_b, *rest_b) in zip(a, b, strict=True):
        for field in obs_a:
            np.testing.assert_array_equal(obs_a[field], obs_b[field])
        if len(rest_a) == 2:
            assert rest_a[0] == rest_b[0]
            for kind in ("terms", "metrics"):
                for name, value in rest_a[1][kind].items():
                    np.testing.assert_array_equal(value, rest_b[1][kind][name])


def random_assignment(rng, users, channels):
    return np.minimum(rng.permutation(max(users, 2 * channels))[:users] // 2, channels)


@pytest.mark.parametrize("users, channels", [(4, 2), (3, 2), (6, 2)])
def test_a_decision_is_the_same_under_every_coding(users, channels):
    """Trace, observation, reward and metrics; also where users are too few or too many for the places."""
    rng = np.random.default_rng(users)
    plans = [random_assignment(rng, users, channels) for _ in range(3)]
    scores, keys = [], []
    for plan in plans:
        scores.append(np.where(plan[:, None] == np.arange(channels), 1.0, -1.0).astype(np.float32).ravel())
        # Keys fill places in order: with free places, a decision is a ranking only if the last ones are free.
        keys.append(1 - 2 * np.argsort(np.argsort(plan, kind="stable")).astype(np.float32) / users)
    sizes = {"num_ues": users, "num_subchannels": channels}
    native = walk(make(action="native", **sizes), plans)
    assert_same_walk(native, walk(make(action="scores", **sizes), scores))
    if users >= 2 * channels:
        assert_same_walk(native, walk(make(action="keys", **sizes), keys))
    if users <= 2 * channels:  # with more users, who gets no turn is the wrapper's choice
        assert_same_walk(native, walk_sequentially(plans, sizes))


def walk_sequentially(plans, sizes):
    """The episode through the wrapper, one entry a round."""
    env = Sequential(gym.make(ID, scenario="tiny", action="native", **sizes))
    observation, _ = env.reset(seed=0)
    steps = [({f: v for f, v in observation.items() if f not in ("turn", "assigned")},)]
    for plan in plans:
        info = {}
        while not info:
            user = int(observation["turn"].argmax())
            observation, reward, *_, info = env.step(plan[user])
            assert info or reward == 0.0
        steps.append(({f: v for f, v in observation.items() if f not in ("turn", "assigned")}, reward, info))
    return steps


@given(st.integers(0, 2**32 - 1), st.sampled_from(["scores", "keys"]), st.sampled_from([(4, 2), (3, 2), (5, 2)]))
@settings(max_examples=60, deadline=None)
def test_every_vector_decodes_to_a_full_valid_assignment(seed, action, size):
    users, channels = size
    system = make(action=action, num_ues=users, num_subchannels=channels).system
    rng = np.random.default_rng(seed)
    vector = rng.uniform(-1, 1, (1, *system.action_space.shape)).round(rng.integers(0, 3))  # ties included
    slot = {"scheduled": np.ones((1, users), bool), "gain": rng.uniform(1, 9, (1, users, channels))}
    found = system.decode(vector, {}, slot)["subchannel"][0]
    load = np.bincount(found, minlength=channels + 1)
    assert load[:channels].max() <= 2 and load[:channels].sum() == min(users, 2 * channels)


def test_scores_take_the_greatest_total():
    system = make(action="scores").system
    scores = np.array([[[0.9, 0.8], [0.9, 0.1], [0.9, 0.2], [-1.0, -0.9]]])
    slot = {"scheduled": np.ones((1, 4), bool), "gain": np.ones((1, 4, 2))}
    assert system.decode(scores.reshape(1, -1), {}, slot)["subchannel"].tolist() == [[1, 0, 0, 1]]


def test_keys_rank_the_scheduled_users_only():
    system = make(action="keys", num_ues=5, num_clusters=2, schedule="round_robin").system
    slot = {"scheduled": np.array([[True, False, True, True, True]]), "gain": np.ones((1, 5, 2))}
    keys = np.array([[-0.5, 1.0, 0.9, 0.1, 0.1]])  # order 2, 3, 4, 0
    assert system.decode(keys, {}, slot)["subchannel"].tolist() == [[1, 2, 0, 0, 1]]


def test_the_two_largest_gains_stay_and_the_others_are_counted():
    env = make(action="native")
    env.reset(seed=0)
    gain = env.trace.slots["gain"][1][:, 0]
    *_, info = env.step(np.zeros(4, dtype=int))
    assert info["metrics"]["displaced"] == 2
    kept = np.argsort(-gain)[:2]
    assert set(np.flatnonzero(info["metrics"]["served"])) <= set(kept)
    assert info["metrics"]["dropped"] == 4 - info["metrics"]["num_served"]


def test_two_largest_by_hand():
    gain = np.array([[[1.0, 5.0], [3.0, 1.0], [2.0, 1.0], [9.0, 4.0]]])
    users = two_largest(np.array([[0, 0, 0, 2]]), gain)
    assert users.tolist() == [[[1, 2], [-1, -1]]]
    assert two_largest(np.array([[1, 2, 2, 0]]), gain).tolist() == [[[3, -1], [0, -1]]]


@pytest.mark.parametrize("access", ["noma", "oma_opt", "oma_equal", "fdma"])
@pytest.mark.parametrize("power", ["kkt", "fixed"])
def test_reward_is_the_cost_that_the_algorithms_minimise(access, power):
    env = make(scenario="tight", action="native", access=access, power=power, num_ues=21)
    params, rng = env.system.params, np.random.default_rng(0)
    env.reset(seed=1)
    for t in range(1, 6):
        plan = random_assignment(rng, 21, 10)
        slot = env.trace.slot(t)
        want = matching_cost(round_costs(params, slot["gain"], slot["training_time_s"]), plan)
        _, reward, *_, info = env.step(plan)
        assert reward == pytest.approx(-want / (params.rho_j * 21), rel=1e-10)
        metrics = info["metrics"]
        assert metrics["energy_tx_j"] + params.rho_j * metrics["dropped"] == pytest.approx(want, rel=1e-10)
        assert metrics["num_served"] == metrics["served"].sum() == 21 - metrics["dropped"]


def test_reported_powers_deliver_the_model_within_the_cap():
    env = make(scenario="tight", action="native")
    params, c = env.system.params, env.system.params.bits_per_hz
    env.reset(seed=0)
    seen = 0
    rng = np.random.default_rng(3)
    for t in range(1, 11):
        plan = random_assignment(rng, 20, 10)
        slot = env.trace.slot(t)
        *_, info = env.step(plan)
        m = info["metrics"]
        assert m["power_w"].max() <= params.max_power_w * (1 + 1e-12)
        for k in range(10):
            pair = np.flatnonzero((plan == k) & m["served"])
            window = params.deadline_s - slot["training_time_s"][pair]
            if len(pair) == 1:
                alone = m["power_w"][pair[0], 0]
                assert window[0] * math.log2(1 + alone * slot["gain"][pair[0], k]) == pytest.approx(c)
            elif len(pair) == 2:
                early, late = pair[np.argsort(-window)]
                lone, joint = window.max() - window.min(), window.min()
                (p11, p12), (none, p2) = m["power_w"][early], m["power_w"][late]
                q1, q2 = p12 * slot["gain"][early, k], p2 * slot["gain"][late, k]
                assert none == 0 and m["decoded_first"][[early, late]].sum() == 1
                first = m["decoded_first"][early]
                r1 = math.log2(1 + q1 / (1 + q2)) if first else math.log2(1 + q1)
                r2 = math.log2(1 + q2) if first else math.log2(1 + q2 / (1 + q1))
                sent = lone * math.log2(1 + p11 * slot["gain"][early, k]) + joint * r1
                assert sent == pytest.approx(c) and joint * r2 == pytest.approx(c)
                seen += 1
    assert seen > 5


def test_agent_power_spans_forty_decibels_below_the_cap():
    env = make(action="keys", power="agent")
    env.reset(seed=0)
    keys = np.zeros(4, np.float32)
    *_, info = env.step(np.concatenate([keys, np.array([-1, 0, 0.5, 1], np.float32)]))
    cap = env.system.params.max_power_w
    np.testing.assert_allclose(info["metrics"]["power_w"].max(axis=1), cap * 10 ** np.array([-4, -2, -1, 0.0]))
    fixed = make(action="keys", power="fixed")
    fixed.reset(seed=0)
    _, reward, *_ = fixed.step(keys)
    env.reset(seed=0)
    assert env.step(np.concatenate([keys, np.ones(4, np.float32)]))[1] == reward


def test_agent_power_means_the_same_under_both_codings():
    rng = np.random.default_rng(1)
    scores, keys = [], []
    for _ in range(3):
        plan, power = random_assignment(rng, 4, 2), rng.uniform(0, 1, 4)
        one_hot = np.where(plan[:, None] == np.arange(2), 1.0, -1.0).ravel()
        rank = 1 - np.argsort(np.argsort(plan, kind="stable")) / 2
        scores.append(np.concatenate([one_hot, power]).astype(np.float32))
        keys.append(np.concatenate([rank, power]).astype(np.float32))
    assert_same_walk(walk(make(action="scores", power="agent"), scores), walk(make(action="keys", power="agent"), keys))


def test_clusters_take_turns():
    env = make(action="native", num_ues=20, num_subchannels=2, num_clusters=3, schedule="round_robin", horizon=6)
    observation, _ = env.reset(seed=0)
    cluster = env.trace.constants["cluster"]
    for t in range(1, 7):
        np.testing.assert_array_equal(observation["scheduled"], cluster == t % 3)
        observation, reward, *_, info = env.step(np.zeros(20, int))
        dropped = (cluster == t % 3).sum() - info["metrics"]["num_served"]
        assert info["metrics"]["dropped"] == dropped
        assert info["terms"]["drops"] == pytest.approx(-dropped / (cluster == t % 3).sum())
        assert not info["metrics"]["served"][cluster != t % 3].any()
    proportional = make(num_ues=30, num_clusters=3, schedule="proportional", horizon=3000)
    proportional.reset(seed=1)
    trace = proportional.trace
    for z in range(3):
        share = (trace.constants["cluster"] == z).mean()
        turns = trace.slots["scheduled"][:, trace.constants["cluster"] == z].all(axis=1).mean()
        assert turns == pytest.approx(share, abs=0.04)


def test_rounds_since_served_count():
    env = make(action="native", scenario="urban", horizon=4)  # everybody can be served
    env.reset(seed=0)
    nobody = np.full(20, 10)
    one = nobody.copy()
    one[env.trace.slots["gain"][2].max(axis=1).argmax()] = env.trace.slots["gain"][2].max(axis=0).argmax()
    seen = [env.step(action)[0]["rounds_since_served"] for action in (nobody, one, nobody)]
    user = int(np.flatnonzero(one < 10)[0])
    assert [s[user] for s in seen] == [1, 0, 1]
    assert all((np.delete(s, user) == t).all() for t, s in enumerate(seen, 1))


@pytest.mark.parametrize("scenario, edge", [("paper", 9.93e4), ("urban", 20.83)])
def test_gain_at_the_edge_is_the_specifications(scenario, edge):
    p = SCENARIOS[scenario]
    wavelength = 299_792_458 / 2e9
    mean = (wavelength / (4 * math.pi)) ** 2 * 600.0**-p.path_loss_exponent / noise_w(p)
    assert mean == pytest.approx(edge, rel=1e-3)


def test_chance_follows_the_laws():
    env = make(scenario="paper", num_ues=4000, num_subchannels=2, horizon=2, action="native")
    env.reset(seed=0)
    constants, slots = env.trace.constants, env.trace.slots
    p, d = env.system.params, constants["distance_m"]
    assert 10 <= d.min() and d.max() <= 600
    assert (d <= 300).mean() == pytest.approx((300**2 - 10**2) / (600**2 - 10**2), abs=0.025)
    wavelength = 299_792_458 / 2e9
    fading = slots["gain"] * noise_w(p) / ((wavelength / (4 * math.pi)) ** 2 * d**-2.0)[:, None]
    assert fading.mean() == pytest.approx(1.0, abs=0.02) and fading.std() == pytest.approx(1.0, abs=0.04)
    assert abs(np.corrcoef(fading[1, :, 0], fading[1, :, 1])[0, 1]) < 0.05
    assert abs(np.corrcoef(fading[1, :, 0], fading[2, :, 0])[0, 1]) < 0.05
    samples = slots["data_samples"][0]
    assert samples.min() == 300 and samples.max() == 1000 and (slots["data_samples"] == samples).all()
    clock = 1e7 * samples / slots["training_time_s"][0]
    assert 1.8e9 <= clock.min() and clock.max() <= 2.2e9
    flat = make(fading="flat").system.sample(np.random.default_rng(0)).slots["gain"]
    assert (flat == flat[..., :1]).all()


def test_computing_energy_by_hand():
    """600 samples at 2 GHz: 3 s and 2.4 J a user."""
    env = make(scenario="paper", action="native", samples=(600, 600), clock_ghz=(2.0, 2.0))
    env.reset(seed=0)
    np.testing.assert_allclose(env.trace.slots["training_time_s"], 3.0)
    *_, info = env.step(np.full(20, 10))
    assert info["metrics"]["energy_com_j"] == pytest.approx(48.0)


def test_masks_allow_only_none_to_users_that_are_not_scheduled():
    env = make(action="native", num_clusters=2, schedule="round_robin")
    env.reset(seed=0)
    masks = env.action_masks().reshape(4, 3)
    scheduled = env.trace.slots["scheduled"][1]
    assert masks[:, -1].all() and (masks[:, :2] == scheduled[:, None]).all()
    scored = make()
    scored.reset(seed=0)
    assert hasattr(env, "action_masks") and not hasattr(scored, "action_masks")
    with pytest.raises(AttributeError, match="defines no action masks"):
        scored.action_masks()


def test_sequential_passes_the_checker_and_its_example():
    check_env(Sequential(make(action="native")), skip_render_check=True)
    assert doctest.testmod(sequential).failed == 0


def test_sequential_orders_users_by_best_gain_and_masks_full_subchannels():
    env = Sequential(gym.make(ID, scenario="tiny", action="native", num_ues=6))
    observation, _ = env.reset(seed=0)
    order = np.argsort(-observation["snr_db"].max(axis=1), kind="stable")
    turns, steps = [], 0
    for channel in (0, 0, 1):
        turns.append(observation["turn"].argmax())
        observation, reward, *_ = env.step(channel)
    assert env.action_masks().tolist() == [False, True]
    assert observation["assigned"][order[:3]].tolist() == [[1, 0], [1, 0], [0, 1]]
    observation, reward, *_, info = env.step(0)  # a full one all the same: one of three is displaced
    assert info["metrics"]["displaced"] == 1
    assert turns == order[:3].tolist() and reward < 0 and info["metrics"]["dropped"] >= 2
    while steps < 100:
        steps += 1
        *_, truncated, _ = env.step(env.action_masks().argmax())
        if truncated:
            break
    assert steps == 8  # two more rounds of four places


def test_sequential_refuses_other_environments():
    with pytest.raises(ValueError, match="action='native' wanted, got 'scores'"):
        Sequential(make())
    with pytest.raises(TypeError, match="a NomaAllocation environment wanted"):
        Sequential(gym.make("CartPole-v1"))


def test_maskable_ppo_learns_on_sequential():
    from sb3_contrib import MaskablePPO

    env = Sequential(make(action="native"))
    model = MaskablePPO("MultiInputPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0)
    model.learn(64)


def _trace(**changes):
    env = make()
    env.reset(seed=0)
    slots = {**env.trace.slots, **{f: change(env.trace.slots[f]) for f, change in changes.items()}}
    return Trace(env.trace.constants, slots)


BAD = {
    "no user": (lambda: make(num_ues=0), "num_ues: an integer of at least 1 wanted, got 0"),
    "no sub-channel": (lambda: make(num_subchannels=0), "num_subchannels: .* got 0"),
    "deadline shorter than training": (
        lambda: make(deadline_s=0.2),
        "deadline_s: more than 0.2273 s, the shortest training time, wanted, got 0.2",
    ),
    "unknown coding": (lambda: make(action="score"), r"action: one of \['native', 'scores', 'keys'\] wanted"),
    "unknown access": (lambda: make(access="cdma"), "access: one of .* got 'cdma'"),
    "unknown fading": (lambda: make(fading="rice"), "fading: one of .* got 'rice'"),
    "agent power without vector": (lambda: make(action="native", power="agent"), "'agent' with action 'scores'"),
    "negative bandwidth": (lambda: make(bandwidth_mhz=-1.0), "bandwidth_mhz: a number above 0 wanted, got -1.0"),
    "half a sample": (
        lambda: make(samples=(50.5, 100)),
        "samples: a tuple of 2 values, ascending, each an integer of at least 1 wanted",
    ),
    "clocks swapped": (
        lambda: make(clock_ghz=(2.2, 1.8)),
        "clock_ghz: a tuple of 2 values, ascending, each a number above 0 wanted",
    ),
    "radius below the least distance": (lambda: make(radius_m=5.0), "radius_m: at least min_distance_m = 10.0"),
    "free drops": (lambda: make(drop_cost_j=0.0), "drop_cost_j: None or a number above 0 wanted, got 0.0"),
    "zero gain": (
        lambda: make().reset(options={"trace": _trace(gain=lambda g: 0 * g)}),
        "trace: 'gain' within .* wanted, got",
    ),
    "NaN gain": (
        lambda: make().reset(options={"trace": _trace(gain=lambda g: g * np.nan)}),
        "'gain' holds NaN or infinity",
    ),
    "negative training": (
        lambda: make().reset(options={"trace": _trace(training_time_s=lambda t: -t)}),
        "'training_time_s' within",
    ),
}


@pytest.mark.parametrize("call, message", BAD.values(), ids=BAD)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_training_beyond_the_deadline_is_a_drop_not_an_error():
    env = make(action="native")
    env.reset(options={"trace": _trace(training_time_s=lambda t: t + 1.0)})
    _, reward, *_, info = env.step(np.array([0, 0, 1, 1]))
    assert reward == -1.0 and info["metrics"]["energy_tx_j"] == 0.0


def test_pictures_show_the_round():
    for access in ("noma", "oma_opt"):
        env = make(scenario="small", render_mode="rgb_array", access=access)
        env.reset(seed=0)
        env.action_space.seed(0)
        blank = env.render()
        env.step(env.action_space.sample())
        assert (env.render() != blank).mean() > 0.01
