"""NodePlacement: where users are, how far nodes move, what the reward is, and what is refused."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from scipy.cluster.vq import kmeans2
from scipy.stats import kstest

import rangym  # noqa: F401
from rangym.envs.core import Trace
from rangym.envs.node_placement import NodePlacement, NodePlacementParams
from rangym.envs.node_placement.placement_kernels import follow, settle
from rangym.envs.node_placement.scenario import drifting_hotspots, static_users

ID = "rangym/NodePlacement-v0"


def make(scenario="tiny", **overrides):
    env = gym.make(ID, scenario=scenario, **overrides).unwrapped
    env.reset(seed=0)
    return env


# ---- laws


@pytest.mark.parametrize("law", ["uniform", "thomas", "hotspot", "ring", "highway", "grid"])
def test_static_users_stay_inside_and_scale_with_the_side(law):
    small = static_users(law, 500, 100.0, np.random.default_rng(0))
    large = static_users(law, 500, 1000.0, np.random.default_rng(0))
    assert small.min() >= 0 and small.max() <= 100
    np.testing.assert_allclose(large, 10 * small)


def test_shape_of_each_static_law():
    rng = np.random.default_rng(1)
    n = 20_000
    uniform = static_users("uniform", n, 1.0, rng)
    assert kstest(uniform[:, 0], "uniform").pvalue > 1e-3 and kstest(uniform[:, 1], "uniform").pvalue > 1e-3
    radius = np.linalg.norm(static_users("ring", n, 1.0, rng) - 0.5, axis=1)
    assert kstest((radius - 0.30) / 0.12, "uniform").pvalue > 1e-3
    road = static_users("highway", n, 1.0, rng)
    assert kstest(road[:, 0], "uniform").pvalue > 1e-3
    assert np.abs(np.abs(road[:, 1] - 0.5).mean() - 0.02) < 1e-3 and np.abs(road[:, 1] - 0.5).max() < 0.05
    grid = static_users("grid", n, 1.0, rng)
    centre = np.array([[(i % 9) // 3, (i % 9) % 3] for i in range(n)]) / 3 + 1 / 6
    assert np.abs((grid - centre).std() - 0.04) < 1e-3
    spot = static_users("hotspot", n, 1.0, rng)
    around = spot[n // 2 :] - np.median(spot[n // 2 :], axis=0)
    assert np.abs(around.std() - 0.07) < 3e-3
    assert kstest(spot[: n // 2, 0], "uniform").pvalue > 1e-3
    clusters = static_users("thomas", n, 1.0, rng)  # 9 parents: nearest-parent spread is that of the law
    parents = np.random.default_rng(7).uniform(0.1, 0.9, (9, 2))
    again = static_users("thomas", n, 1.0, np.random.default_rng(7))
    distance = np.linalg.norm(again[:, None] - parents, axis=2).min(axis=1)
    assert distance.mean() < 0.06 * 1.2533 * 1.05 and clusters.std() > 0.1


def sample(params, rng):
    return NodePlacement(params).sample(rng)


def drifting(params, rng, slots):
    position = np.full((slots, 1, params.num_ues, 2), np.nan)
    drifting_hotspots(params, [rng], position)
    return position[:, 0]


def drift(**changes):
    base = dict(num_ues=400, num_nodes=2, horizon=200, num_hotspots=3, jitter_m=0.0, respawn_probability=0.0)
    return NodePlacementParams(**{**base, **changes})


def test_followers_keep_their_place_in_a_hotspot_that_moves_straight_and_turns_at_the_walls():
    params = drift(background_share=0.0, hotspot_sd_m=0.0, num_hotspots=1)
    users = drifting(params, np.random.default_rng(0), 202)
    assert np.ptp(users, axis=1).max() < 1e-9  # no spread: all at the hotspot itself
    path = users[:, 0]
    assert path.min() >= 10 - 1e-9 and path.max() <= 90 + 1e-9
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    assert step.max() <= 3.0 + 1e-9 and np.median(step) == pytest.approx(3.0)  # shorter only in the slot of a turn


def test_background_users_stand_still_but_for_their_jitter():
    still = drifting(drift(background_share=1.0), np.random.default_rng(0), 50)
    assert np.abs(np.diff(still, axis=0)).max() == 0
    jitter = drifting(drift(background_share=1.0, jitter_m=0.3), np.random.default_rng(0), 50)
    inside = (jitter > 5).all(axis=(0, 2)) & (jitter < 95).all(axis=(0, 2))
    assert np.diff(jitter[:, inside], axis=0).std() == pytest.approx(0.3, rel=0.03)


def test_share_of_background_and_rate_of_respawns():
    params = drift(background_share=0.25, respawn_probability=0.03, num_ues=1000)
    users = drifting(params, np.random.default_rng(0), 202)
    step = np.linalg.norm(np.diff(users, axis=0), axis=2)
    jumps = step > 3.0 + 1e-9  # a new user; some land too near to be seen
    assert 0.024 < jumps.mean() < 0.031
    assert (step == 0).mean() == pytest.approx(0.25, abs=0.03)


def test_nodes_start_settled_under_a_speed_limit_and_uniform_without():
    limited = sample(NodePlacementParams(num_ues=50, num_nodes=3), np.random.default_rng(0))
    users, nodes = limited.slots["user_position_m"][0], limited.constants["initial_node_position_m"]
    label = ((users[:, None] - nodes) ** 2).sum(axis=2).argmin(axis=1)
    spread = np.mean([np.linalg.norm(users[label == k].mean(axis=0) - nodes[k]) for k in set(label.tolist())])
    assert spread < 2.0  # ten iterations: settled but for a little
    free = [sample(NodePlacementParams(law="grid", v_max_m=None), np.random.default_rng(s)) for s in range(200)]
    start = np.concatenate([t.constants["initial_node_position_m"] for t in free])
    assert kstest(start[:, 0] / 100, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("seed", range(20))
def test_nodes_settle_where_scipys_k_means_puts_them(seed):
    rng = np.random.default_rng(seed)
    users, start = 100 * rng.random((rng.integers(1, 40), 2)), 100 * rng.random((rng.integers(1, 8), 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of an empty cluster, which keeps its node
        for iterations in (1, 10):
            expected, _ = kmeans2(users, start, iter=iterations, minit="matrix")
            found = np.stack([start[::-1], start])
            settle(np.stack([users[::-1], users]), iterations, found)
            np.testing.assert_array_equal(found[1], expected)


def followed(hotspot, spawns, kind, place, offset, step):
    """Without a loop: a user's position less its hotspot's path and its own walk is constant over its life."""
    slots = np.arange(len(spawns))[:, None]
    slot, walk, background = np.nonzero(spawns)[0], np.cumsum(0.3 * step, axis=0), hotspot.shape[1] - 1
    at_spawn = np.where((kind == background)[:, None], 100.0 * place, hotspot[slot, kind] + 5.0 * offset)
    base = at_spawn - hotspot[slot, kind] - walk[spawns]
    number = (np.cumsum(spawns) - 1).reshape(spawns.shape)
    life = np.take_along_axis(number, np.maximum.accumulate(np.where(spawns, slots, 0), axis=0), axis=0)
    return np.clip(base[life] + walk + hotspot[slots, kind[life]], 0.0, 100.0)


@pytest.mark.parametrize("hotspots", [0, 3])
def test_users_follow_their_hotspots_as_the_formula_says(hotspots):
    rng = np.random.default_rng(hotspots)
    hotspot, spawns = 100 * rng.random((40, hotspots + 1, 2)), rng.random((40, 7)) < 0.2
    spawns[0] = True
    kind, place = rng.integers(hotspots + 1, size=spawns.sum()), 1.2 * rng.random((spawns.sum(), 2)) - 0.1
    drawn = hotspot, spawns, kind, place, rng.standard_normal((spawns.sum(), 2)), rng.standard_normal((40, 7, 2))
    position = np.empty((40, 3, 7, 2))
    follow(*drawn, 100.0, 5.0, 0.3, position[:, 1])
    np.testing.assert_array_equal(position[:, 1], followed(*drawn))


# ---- decisions and reward


def test_moves_are_shortened_to_the_limit_and_stay_in_the_area():
    env = make(v_max_m=2.0)
    before = env.unwrapped._episode.state["node_position_m"][0]
    action = np.array([[1.0, 1.0], [0.5, 0.0], [-0.3, 0.4]])
    *_, info = env.step(action)
    moved = env.unwrapped._episode.state["node_position_m"][0] - before
    np.testing.assert_allclose(moved, [[np.sqrt(2), np.sqrt(2)], [1.0, 0.0], [-0.6, 0.8]], rtol=1e-6)
    assert info["metrics"]["shortened"] == 1
    assert info["metrics"]["moved_m"] == pytest.approx((2.0 + 1.0 + 1.0) / 3, rel=1e-6)
    env = make(v_max_m=60.0)
    for _ in range(5):
        obs, *_ = env.step(np.full((3, 2), 1.0))
    np.testing.assert_array_equal(obs["node_position_m"], np.full((3, 2), 100.0))


def test_without_a_limit_an_action_is_a_position():
    env = make("static_uniform", num_ues=5, num_nodes=2)
    obs, *_ = env.step(np.array([[-1.0, 1.0], [0.0, 0.5]]))
    np.testing.assert_allclose(obs["node_position_m"], [[0.0, 100.0], [50.0, 75.0]])


def test_action_towards_is_the_inverse_of_decode():
    rng = np.random.default_rng(0)
    for limit in (None, 2.0):
        env = make(v_max_m=limit)
        system, state = env.system, env.unwrapped._episode.state
        nodes = state["node_position_m"]
        near = np.clip(nodes + rng.uniform(-1.0, 1.0, nodes.shape), 0, 100)
        reached = system.decode(system.action_towards(near, nodes), state, {})["node_position_m"]
        np.testing.assert_allclose(reached, near, atol=1e-4)
    far = system.decode(system.action_towards(nodes + 50.0, nodes), state, {})
    np.testing.assert_allclose(np.linalg.norm(far["node_position_m"] - nodes, axis=-1), 2.0, rtol=1e-6)
    assert far["shortened"].sum() == 0


@pytest.mark.parametrize("reward", ["proportional_fair", "mean_rate", "min_sinr", "jain"])
def test_reward_is_what_the_metrics_say(reward):
    env = make(reward=reward, movement_weight=0.25)
    _, value, _, _, info = env.step(np.full((3, 2), 0.5))
    m = info["metrics"]
    expected = {
        "proportional_fair": np.log(m["geo_mean_rate_mbps"]),
        "mean_rate": m["mean_rate_mbps"],
        "min_sinr": m["min_sinr_db"],
        "jain": m["load_jain"],
    }[reward]
    assert info["terms"]["utility"] == pytest.approx(expected)
    assert info["terms"]["movement"] == pytest.approx(-0.25 * m["moved_m"])
    assert value == pytest.approx(expected - 0.25 * m["moved_m"])


@pytest.mark.parametrize("scenario", ["small", "drift"])
def test_moves_distances_and_densities_equal_their_formulas_in_numpy(scenario):
    env = gym.make_vec(ID, 7, scenario=scenario).unwrapped
    env.action_space.seed(0)
    env.reset(seed=0)
    for _ in range(5):
        action, before = env.action_space.sample(), env._episode.state["node_position_m"]
        obs, *_, info = env.step(action)
        p, asked, nodes = env.system.params, action.astype(float), env._episode.state["node_position_m"]
        length = np.linalg.norm(asked, axis=2, keepdims=True)
        expected = np.clip(before + p.v_max_m * asked / np.maximum(length, 1), 0, p.side_m)
        np.testing.assert_allclose(nodes, expected, rtol=4 * np.finfo(float).eps)
        np.testing.assert_array_equal(info["metrics"]["shortened"], (length > 1 + 1e-6).sum(axis=(1, 2)))
        moved = np.linalg.norm(nodes - before, axis=2).mean(axis=1)
        np.testing.assert_allclose(info["metrics"]["moved_m"], moved, rtol=4 * np.finfo(float).eps)
        for users, density in zip(env._episode.public["user_position_m"], obs["user_density"], strict=True):
            counted, _, _ = np.histogram2d(*users.T, bins=16, range=[[0, p.side_m]] * 2)
            np.testing.assert_array_equal(density, (counted / len(users)).astype(np.float32))


def test_metrics_by_hand():
    """Two nodes 50 m apart, one user under each: no load to share, SINR by the other's interference."""
    users = np.broadcast_to(np.array([[25.0, 50.0], [75.0, 50.0]]), (3, 2, 2))
    trace = Trace({"initial_node_position_m": np.array([[0.0, 0.0], [100.0, 100.0]])}, {"user_position_m": users})
    env = make("static_uniform", num_ues=2, num_nodes=2)
    env.reset(options={"trace": trace})
    _, reward, terminated, _, info = env.step(np.array([[-0.5, 0.0], [0.5, 0.0]]))
    snr, other = 10**7.5 / 9**2, 10**7.5 / (2500 + 9) ** 2
    assert info["metrics"]["min_sinr_db"] == pytest.approx(10 * np.log10(snr / (1 + other)))
    assert info["metrics"]["p5_rate_mbps"] == info["metrics"]["mean_rate_mbps"] == pytest.approx(20 * 7.4)
    assert info["metrics"]["load_jain"] == 1.0
    assert reward == pytest.approx(np.log(148.0)) and terminated


def test_five_percent_rate_is_numpys_quantile():
    env = make("static_uniform")
    action = env.action_space.sample()
    *_, info = env.step(action)
    nodes = 50.0 * (action.astype(float) + 1.0)
    rate = env.system.rates(env.trace.slots["user_position_m"][1], nodes).rate_mbps
    assert info["metrics"]["p5_rate_mbps"] == pytest.approx(np.quantile(rate, 0.05))
    assert info["metrics"]["geo_mean_rate_mbps"] == pytest.approx(rate.prod() ** (1 / len(rate)))


def test_the_observed_users_are_those_scored_and_density_counts_them():
    env = make("drift")
    obs, _ = env.reset(seed=3)
    np.testing.assert_array_equal(obs["user_position_m"], env.trace.slots["user_position_m"][1].astype(np.float32))
    counted, _, _ = np.histogram2d(*obs["user_position_m"].T.astype(float), bins=16, range=[[0, 100], [0, 100]])
    np.testing.assert_allclose(obs["user_density"], counted / 100, atol=1e-7)
    *_, info = env.step(np.zeros((9, 2)))
    found = env.system.utility(env.trace.slots["user_position_m"][1], env.trace.constants["initial_node_position_m"])
    assert info["terms"]["utility"] == pytest.approx(float(found))


def test_a_user_on_the_border_is_counted():
    env = make("static_uniform", num_ues=3, num_nodes=1)
    users = np.broadcast_to(np.array([[0.0, 0.0], [100.0, 100.0], [100.0, 0.0]]), (3, 3, 2))
    obs, _ = env.reset(options={"trace": Trace(dict(env.trace.constants), {"user_position_m": users})})
    assert obs["user_density"][0, 0] == obs["user_density"][15, 15] == obs["user_density"][15, 0] == np.float32(1 / 3)


# ---- what is refused


def _replay(**fields):
    env = make()
    parts = {"initial_node_position_m": env.trace.constants["initial_node_position_m"], **env.trace.slots}
    parts = {f: fields.get(f, lambda v: v)(v.copy()) for f, v in parts.items()}
    constants = {"initial_node_position_m": parts.pop("initial_node_position_m")}
    return env.reset(options={"trace": Trace(constants, parts)})


def _with(index, value):
    def change(array):
        array[index] = value
        return array

    return change


WRONG = {
    "unknown law": (lambda: make(law="urban"), r"law: one of \['uniform', .* got 'urban'"),
    "unknown reward": (lambda: make(reward="sum"), "reward: one of .* got 'sum'"),
    "unknown scenario": (lambda: make("static_unifrom"), "did you mean 'static_uniform'"),
    "misspelt parameter": (lambda: make(num_node=3), "did you mean 'num_nodes'"),
    "no node": (lambda: make(num_nodes=0), "num_nodes: an integer of at least 1 wanted, got 0"),
    "more nodes than users": (lambda: make(num_nodes=13), "num_nodes: at most num_ues = 12 wanted, got 13"),
    "no user": (lambda: make(num_ues=0), "num_ues: an integer of at least 1 wanted, got 0"),
    "no speed": (lambda: make(v_max_m=0.0), "v_max_m: None or a number above 0 wanted, got 0.0"),
    "exponent of 2": (lambda: make(path_loss_exponent=2.0), "path_loss_exponent: a number above 2 wanted, got 2.0"),
    "no height": (lambda: make(height_difference_m=0.0), "height_difference_m: a number above 0 wanted, got 0.0"),
    "share above 1": (
        lambda: make(background_share=1.5),
        "background_share: a number of at least 0 and of at most 1 wanted, got 1.5",
    ),
    "NaN weight": (lambda: make(movement_weight=float("nan")), "movement_weight: .* got nan"),
    "mean rate without a cap": (
        lambda: make(reward="mean_rate", max_spectral_efficiency=None),
        "max_spectral_efficiency: a cap for reward='mean_rate' wanted, got None",
    ),
    "action out of range": (lambda: make().step(np.full((3, 2), 1.5)), r"action\[0, 0\] = 1.5 is outside Box"),
    "NaN action": (lambda: make().step(np.full((3, 2), np.nan)), r"action\[0, 0\] = nan is outside Box"),
    "users missing mid-episode": (
        lambda: _replay(user_position_m=lambda v: v[:, :0]),
        r"'user_position_m' has shape \(12, 2\) in a lane, got \(0, 2\)",
    ),
    "NaN user": (lambda: _replay(user_position_m=_with((3, 0, 0), np.nan)), "'user_position_m' holds NaN"),
    "user outside": (
        lambda: _replay(user_position_m=_with((3, 0, 0), 101.0)),
        r"'user_position_m' within \[0, 100.0\] m",
    ),
    "node outside": (
        lambda: _replay(initial_node_position_m=_with((0, 1), -1.0)),
        r"'initial_node_position_m' within \[0, 100.0\] m wanted, got \[-1.0",
    ),
}


@pytest.mark.parametrize("call, message", WRONG.values(), ids=WRONG)
def test_wrong_call_says_what_was_wanted(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


@pytest.mark.parametrize("scenario", ["tiny", "static_thomas"])
def test_picture(scenario):
    env = gym.make(ID, scenario=scenario, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    first = env.render()
    env.step(env.action_space.sample())
    second = env.render()
    assert first.shape == second.shape and first.dtype == np.uint8
    assert (first != second).mean() > 1e-3
