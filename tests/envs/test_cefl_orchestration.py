"""CeflOrchestration: codings, rewards, what its chance looks like, and what it refuses."""

import math

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rangym  # noqa: F401
from rangym.envs.cefl_orchestration.codings import blocks, decode, encode
from rangym.envs.cefl_orchestration.network import draw_network, subnets
from rangym.envs.cefl_orchestration.params import CODINGS, SCENARIOS
from rangym.envs.cefl_orchestration.path import critical_path
from rangym.envs.core import Trace, build
from rangym.envs.physics.federated_round import end_to_end_rate_bps

ID = "rangym/CeflOrchestration-v0"
SYSTEM = "rangym.envs.cefl_orchestration.system:CeflOrchestration"
PAPER_SIZE = {"num_ues": 20, "num_bss": 10, "num_dcs": 5}
sizes = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))


def make(**kwargs):
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def model(scenario="tiny", **overrides):
    return build(SYSTEM, scenario, overrides)


def sized(size, **overrides):
    return model(num_ues=size[0], num_bss=size[1], num_dcs=size[2], **overrides)


def drawn(system, seed, lanes=1):
    """Conditions of slot 1 in ``lanes`` lanes, and random actions of the system's coding."""
    rngs = [np.random.default_rng([seed, b]) for b in range(lanes)]
    slot = system.sample_lanes(rngs).slot(1)
    space, rng = system.action_space, np.random.default_rng(seed)
    action = rng.uniform(space.low, space.high, (lanes, *space.shape)).astype(space.dtype)
    return slot, action


# Sizes, codings, decisions


@pytest.mark.parametrize("scenario, numbers", [("small", 75), ("paper", 553)])
def test_size_of_an_observation(scenario, numbers):
    env = make(scenario=scenario)
    assert sum(v.size for v in env.reset(seed=0)[0].values()) == numbers


@pytest.mark.parametrize(
    "scenario, expected",
    [
        ("tiny", {"native": 30}),
        ("small", {"native": 93, "compact": 45, "macro": 13, "full": 63}),
        ("paper", {"native": 730, "compact": 150, "macro": 17, "full": 350}),
    ],
)
def test_size_of_an_action(scenario, expected):
    for action, size in expected.items():
        assert make(scenario=scenario, action=action).action_space.shape == (size,)


@pytest.mark.parametrize("coding", CODINGS)
def test_many_lanes_equal_single_environments_bit_for_bit(coding):
    """1,024 lanes at the paper's size: contractions that change their order with the lanes would show here."""
    kwargs = {"scenario": "congested", "action": coding, "horizon": 2, "switching_weight": 0.5}
    lanes = 1024
    vector = gym.make_vec(ID, num_envs=lanes, autoreset_mode="SameStep", **kwargs)
    observations, _ = vector.reset(seed=50)
    vector.action_space.seed(0)
    actions = [vector.action_space.sample() for _ in range(2)]
    steps = [vector.step(a) for a in actions]
    for b in range(0, lanes, 31):
        single = gym.make(ID, **kwargs).unwrapped
        first, _ = single.reset(seed=50 + b)
        for field, values in first.items():
            np.testing.assert_array_equal(values, observations[field][b])
        for action, (_, rewards, _, _, infos) in zip(actions, steps, strict=True):
            _, reward, _, _, info = single.step(action[b])
            assert reward == rewards[b]
            for kind in ("terms", "metrics"):
                for name, value in info[kind].items():
                    np.testing.assert_array_equal(infos[kind][name][b], value, err_msg=name)


def outcome(system, decision, slot):
    state = system.initial(slot)
    _, result = system.transition(state, decision, slot)
    return {**result.terms, **result.metrics}


def assert_close(a, b, rel=1e-12):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=rel, atol=1e-300, err_msg=name)


@given(sizes, st.sampled_from(["compact", "macro", "full"]), st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_native_writes_every_decision_of_the_other_codings(size, coding, seed):
    system, native = sized(size, action=coding), sized(size, action="native")
    slot, action = drawn(system, seed, 3)
    state = system.initial(slot)
    decision = system.decode(action, state, slot)
    written = encode(system.params, system.network, decision)
    assert native.action_space.contains(written[0])
    again = native.decode(written, state, slot)
    assert (again["projected"] == 0).all()
    assert_close(outcome(native, again, slot), outcome(system, decision, slot))


def test_four_codings_with_the_same_decision_have_the_same_outcome():
    """Where rates do not tell BSs apart, zero scores mean equal shares under each coding, and u = .75 offloads the
    same three quarters over three BSs as four equal scores."""
    base = model("small").sample(np.random.default_rng(3))
    slots = dict(base.slots)
    for field in ("uplink_bps", "backhaul_bps"):
        slots[field] = np.full_like(slots[field], slots[field].mean())
    trace = Trace({}, slots)
    common = {"clock": 0.25, "ue_iterations": -0.5, "ue_minibatch": 0.125, "speed": 0.5, "dc_iterations": 1.0}
    common |= {"dc_minibatch": -0.75, "aggregator": np.array([-1.0, 0.5, 0.25]), "offload": 0.5, "forward": 0.0}
    found = []
    for coding in ("compact", "macro", "full"):
        env = make(scenario="small", action=coding)
        values = common | ({"offload": 0.0} if coding == "full" else {})
        parts = [np.broadcast_to(values[name], shape).ravel() for name, shape in blocks(env.system.params).items()]
        env.reset(options={"trace": trace})
        _, reward, _, _, info = env.step(np.concatenate(parts).astype(np.float32))
        assert info["metrics"]["offloaded_share"] == pytest.approx(0.75, rel=1e-12)
        found.append({"reward": reward, **info["terms"], **info["metrics"]})
    native = make(scenario="small", action="native")
    native.reset(options={"trace": trace})
    _, reward, _, _, info = native.step(encode(env.system.params, env.system.network, env.decision))
    found.append({"reward": reward, **info["terms"], **info["metrics"]})
    for other in found[1:]:
        assert_close(found[0], other)


@given(sizes, st.sampled_from(CODINGS), st.integers(0, 2**32 - 1))
def test_every_vector_is_a_feasible_decision(size, coding, seed):
    system = sized(size, action=coding)
    p, net = system.params, system.network
    slot, action = drawn(system, seed, 2)
    space, rng = system.action_space, np.random.default_rng(seed)
    corners = np.where(rng.random(action.shape) < 0.5, space.low, space.high).astype(space.dtype)
    for given_action in (action, corners, np.zeros_like(action)):
        d = system.decode(given_action, system.initial(slot), slot)
        assert ((d["aggregator"] >= 0) & (d["aggregator"] < p.num_dcs)).all()
        for field in ("ue_to_bs", "bs_to_ue"):
            assert ((d[field] >= 0) & (d[field] < p.num_bss)).all() and d[field].shape == (2, p.num_ues)
        assert (d["offload_share"] >= 0).all() and (d["offload_share"].sum(axis=2) <= 1 + 1e-12).all()
        assert (d["forward_share"] >= 0).all()
        np.testing.assert_allclose(d["forward_share"].sum(axis=2), 1, rtol=1e-12)
        assert (d["clock_hz"] >= 1e9 * p.min_clock_ghz * (1 - 1e-12)).all()
        assert (d["clock_hz"] <= net.max_clock_hz * (1 + 1e-12)).all()
        assert (d["points_per_s"] > 0).all()
        assert (d["points_per_s"] <= net.federated.machine_points_per_s * (1 + 1e-12)).all()
        for kind in ("ue", "dc"):
            assert np.isin(d[f"{kind}_iterations"], np.arange(1, p.max_iterations + 1)).all()
            share = d[f"{kind}_minibatch"]
            assert ((share >= p.min_minibatch * (1 - 1e-12)) & (share <= 1)).all()
        result = outcome(system, d, slot)
        assert all(np.isfinite(v).all() for v in result.values())
        assert (result["projected"] == 0).all() or coding == "native"


def test_native_rules_by_hand():
    """Two UEs, two BSs, two DCs: ties, rows of shares above and off one, a row of zeros, and clipping."""
    system = model(action="native")
    p, net = system.params, system.network
    action = np.concatenate(
        [
            [0.5, 0.5],  # a tie: DC 0
            [1.0, 0.5, 0.25, 0.25],  # UE 0 gives away 150 %: projected
            [0.0, 0.0, 0.5, 0.75],  # a row of zeros and a row off one: both projected
            [1e-3, 0.5],  # below f_min
            [0.0, 0.42],  # below one; .42 x 6 = 2.52
            [0.0, 0.5],  # below m_min
            [0.0, 1.0],  # z at least .05 C
            [0.25, 1.0],  # 1.5 rounds to the even 2
            [0.05, 0.04],
            [0.0, 0.0, 0.2, 0.3],  # a tie, then BS 1
            [0.1, 0.9, 0.2, 0.8],  # (B, N): UE 0 hears BS 1, UE 1 BS 0
        ]
    )[None]
    d = system.decode(action, {}, {})
    assert d["aggregator"] == [0]
    np.testing.assert_allclose(d["offload_share"][0], [[2 / 3, 1 / 3], [0.25, 0.25]], rtol=1e-15)
    np.testing.assert_allclose(d["forward_share"][0], [[0.5, 0.5], [0.4, 0.6]], rtol=1e-15)
    np.testing.assert_allclose(d["clock_hz"][0], [0.2e9, 0.5 * net.max_clock_hz[1]], rtol=1e-15)
    np.testing.assert_array_equal(d["ue_iterations"][0], [1, 3])
    np.testing.assert_allclose(d["ue_minibatch"][0], [0.05, 0.5])
    np.testing.assert_allclose(d["points_per_s"][0], [0.05, 1.0] * net.federated.machine_points_per_s)
    np.testing.assert_array_equal(d["dc_iterations"][0], [2, 6])
    np.testing.assert_allclose(d["dc_minibatch"][0], [0.05, p.min_minibatch])
    np.testing.assert_array_equal(d["ue_to_bs"][0], [0, 1])
    np.testing.assert_array_equal(d["bs_to_ue"][0], [1, 0])
    assert d["projected"] == [3]


def test_compact_rules_by_hand():
    system = model("small", action="compact")
    p, net = system.params, system.network
    slot, action = drawn(system, 5)
    action[0, :3] = [0.2, -0.1, 0.7]
    d = decode(p, net, action, slot)
    a = action[0].astype(float)
    assert d["aggregator"] == [2]
    uplink, backhaul = slot["uplink_bps"][0], slot["backhaul_bps"][0]
    for n in range(6):
        good = [r if r >= uplink[n].max() / 2 else 0.0 for r in uplink[n]]
        share = (a[3 + n] + 1) / 2
        np.testing.assert_allclose(d["offload_share"][0, n], [share * r / sum(good) for r in good], rtol=1e-12)
        paths = [1 / uplink[n, b] + 1 / backhaul[b, 2] for b in range(3)]
        assert d["ue_to_bs"][0, n] == int(np.argmin(paths))
        assert d["bs_to_ue"][0, n] == int(np.argmax(slot["downlink_bps"][0, :, n]))
        u = (a[18 + n] + 1) / 2
        assert d["clock_hz"][0, n] == pytest.approx(2e8 ** (1 - u) * net.max_clock_hz[n] ** u, rel=1e-12)
        assert d["ue_iterations"][0, n] == round(1 + 5 * (a[24 + n] + 1) / 2)
        assert d["ue_minibatch"][0, n] == pytest.approx(0.05 ** ((1 - a[30 + n]) / 2), rel=1e-12)
    for b in range(3):
        weights = [math.exp(5 * x) for x in a[9 + 3 * b : 12 + 3 * b]]
        np.testing.assert_allclose(d["forward_share"][0, b], np.array(weights) / sum(weights), rtol=1e-12)
    speed = 0.3 + 0.35 * (a[36:39] + 1)
    np.testing.assert_allclose(d["points_per_s"][0], speed * net.federated.machine_points_per_s, rtol=1e-12)


def test_macro_forwards_by_score_and_rate():
    system = model("small", action="macro")
    slot, action = drawn(system, 6)
    d = decode(system.params, system.network, action, slot)
    backhaul = slot["backhaul_bps"][0]
    weight = np.exp(5 * action[0, 4:7].astype(float)) * backhaul
    np.testing.assert_allclose(d["forward_share"][0], weight / weight.sum(axis=1, keepdims=True), rtol=1e-12)
    assert np.unique(d["ue_iterations"]).size == np.unique(d["dc_minibatch"]).size == 1


def test_the_last_decision_is_readable_and_not_writable():
    env = make(action="compact")
    with pytest.raises(RuntimeError, match="no decision before the first step"):
        _ = env.decision
    env.reset(seed=0)
    with pytest.raises(RuntimeError, match="no decision before the first step"):
        _ = env.decision
    action = env.action_space.sample()
    env.step(action)
    assert env.decision["offload_share"].shape == (2, 2)
    with pytest.raises(ValueError, match="read-only"):
        env.decision["offload_share"][0, 0] = 1.0
    env.reset(seed=1)
    with pytest.raises(RuntimeError):
        _ = env.decision


# Properties of the objective


@given(sizes, st.integers(0, 2**32 - 1), st.sampled_from(["per_ue", "once"]), st.sampled_from(["eff", "fixed"]))
def test_properties_of_the_cost(size, seed, bs_energy, theta_mode):
    system = sized(size, action="full", bs_energy=bs_energy, theta_mode=theta_mode)
    slot, action = drawn(system, seed, 4)
    d = system.decode(action, system.initial(slot), slot)
    cost = system.cost(d, slot, 2.0)
    done = cost.round
    np.testing.assert_allclose(done.points.sum(axis=1), slot["data_points"].sum(axis=1), rtol=1e-12)
    aggregated, received = (s[:, None] * (1 + 1e-12) for s in (done.aggregation_s, done.reception_s))  # other sums
    assert (aggregated >= done.ue_upload_s + done.ue_compute_s).all()
    assert (aggregated >= done.collection_s + done.dc_compute_s + done.dc_upload_s).all()
    assert (received >= done.bs_reception_s + done.broadcast_s).all()
    for b in range(4):
        row = {k: v[b : b + 1] for k, v in d.items()}
        alone = system.cost(row, {k: v[b : b + 1] for k, v in slot.items()}, 2.0)
        assert alone.total[0] == cost.total[b]


@given(sizes, st.integers(0, 2**32 - 1), st.sampled_from(["objective", "gap"]))
def test_the_objective_never_rises_with_a_rate(size, seed, reward):
    system = sized(size, action="full", reward=reward)
    slot, action = drawn(system, seed)
    d = system.decode(action, system.initial(slot), slot)
    before = system.cost(d, slot, 2.0).total[0]
    rng = np.random.default_rng(seed)
    for field in ("uplink_bps", "downlink_bps", "backhaul_bps", "dc_to_bs_bps", "dc_to_dc_bps"):
        faster = slot[field].copy()
        faster[tuple(rng.integers(faster.shape))] *= 3.0
        assert system.cost(d, {**slot, field: faster}, 2.0).total[0] <= before * (1 + 1e-14)


@given(sizes, st.integers(0, 2**32 - 1))
def test_permuted_ues_permute_the_outputs(size, seed):
    system = sized(size, action="full")
    slot, action = drawn(system, seed)
    order = np.random.default_rng(seed).permutation(size[0])
    d = system.decode(action, system.initial(slot), slot)
    by_ue = ("ue_to_bs", "bs_to_ue", "offload_share", "clock_hz", "ue_iterations", "ue_minibatch")
    permuted = {**d, **{f: d[f][:, order] for f in by_ue}}
    conditions = {**slot, "data_points": slot["data_points"][:, order], "uplink_bps": slot["uplink_bps"][:, order]}
    conditions["downlink_bps"] = slot["downlink_bps"][:, :, order]
    other = sized(size, action="full")
    net = other.network.federated
    for field in ("cycles_per_point", "capacitance", "ue_power_w"):
        object.__setattr__(net, field, getattr(net, field)[order])
    noise = other.network.gradient_noise
    object.__setattr__(other.network, "gradient_noise", np.concatenate([noise[: -size[2]][order], noise[-size[2] :]]))
    a, b = system.cost(d, slot, 2.0), other.cost(permuted, conditions, 2.0)
    np.testing.assert_allclose(b.total, a.total, rtol=1e-12)
    for field in ("ue_points", "ue_compute_s", "ue_upload_s"):
        np.testing.assert_allclose(getattr(b.round, field), getattr(a.round, field)[:, order], rtol=1e-12)


@given(sizes, st.integers(0, 2**32 - 1))
def test_no_data_at_a_dc_or_at_a_ue_is_finite(size, seed):
    system = sized(size, action="native")
    slot, action = drawn(system, seed)
    d = system.decode(action, system.initial(slot), slot)
    idle = {**d, "offload_share": np.zeros_like(d["offload_share"])}
    all_away = {**d, "offload_share": np.full_like(d["offload_share"], 1 / size[1])}
    for decision, part in ((idle, "dc_points"), (all_away, "ue_points")):
        cost = system.cost(decision, slot, 2.0)
        np.testing.assert_allclose(getattr(cost.round, part), 0, atol=1e-9)
        assert np.isfinite(cost.total).all()
    exact = {**d, "forward_share": np.eye(size[2])[np.zeros((1, size[1]), int)]}
    cost = system.cost(exact, slot, 2.0)
    assert (cost.round.dc_points[:, 1:] == 0).all() and np.isfinite(cost.total).all()


def test_the_reward_is_the_weighted_objective():
    weights = {"learning_weight": 3.0, "delay_weight": 2.0, "energy_weight": 0.5, "energy_weights": (1, 2, 3, 4, 5, 6)}
    env = make(**weights, switching_weight=0.25)
    env.reset(seed=1)
    action = np.zeros(env.action_space.shape, np.float32)
    action[1] = 0.5  # DC 1 aggregates, DC 0 was the last
    _, reward, _, _, info = env.step(action)
    m, terms = info["metrics"], info["terms"]
    names = ("ue_data", "bs_data", "ue_compute", "dc_compute", "aggregation", "reception")
    energy = sum(w * m[f"energy_{name}_j"] for w, name in zip((1, 2, 3, 4, 5, 6), names, strict=True))
    xi = m["xa"] + m["xb"] + m["xc"] + m["xd"] + m["xe"]
    assert m["energy"] == pytest.approx(energy, rel=1e-12)
    assert m["xi"] == pytest.approx(xi, rel=1e-12)
    assert m["J"] == pytest.approx(3 * xi + 2 * m["delay"] + 0.5 * energy, rel=1e-12)
    assert m["delay"] == m["delay_aggregation"] + m["delay_reception"]
    assert reward == pytest.approx(-m["J"] / 100 - 0.25, rel=1e-12)
    assert terms["switching"] == -0.25 and m["switched"] == 1
    np.testing.assert_array_equal(m["aggregator"], [False, True])
    assert list(terms) == [
        *(f"learning_{x}" for x in "abcde"),
        "delay",
        *(f"energy_{name}" for name in names),
        "switching",
    ]
    _, _, _, _, info = env.step(action)
    assert info["metrics"]["switched"] == 0 and info["terms"]["switching"] == 0


def test_under_gap_the_gap_moves_and_is_what_is_paid_for():
    env = make(scenario="small_gap", contraction=0.7)
    obs, _ = env.reset(seed=2)
    assert obs["gap"] == [3.0]
    gap = 3.0
    env.action_space.seed(2)
    for t in range(1, 6):
        slot = env.trace.slot(t)
        obs, reward, _, _, info = env.step(env.action_space.sample())
        m = info["metrics"]
        step = 0.05 * m["vartheta"]
        noise = m["xc"] + m["xd"] + m["xe"]
        assert m["xa"] == pytest.approx(4 * gap / (step * 50), rel=1e-12)
        gap = gap * max(0, 1 - 0.7 * step / 2) + m["delay"] * slot["drift_per_s"] + step / 4 * noise
        gap = min(max(gap, 1e-3), 10.0)
        assert info["terms"]["learning"] == pytest.approx(-20 * gap / 100, rel=1e-12)
        assert obs["gap"][0] == pytest.approx(gap, rel=1e-6)
        assert m["J"] == pytest.approx(-100 * reward, rel=1e-12)
        assert m["J"] == pytest.approx(20 * gap + m["delay"] + 0.05 * m["energy"], rel=1e-12)


def test_under_objective_the_gap_stays():
    env = make(initial_gap=1.5)
    obs, _ = env.reset(seed=0)
    for _ in range(3):
        assert obs["gap"] == [1.5]
        obs, *_ = env.step(env.action_space.sample())


# Network and chance


def test_subnets_at_any_size():
    assert subnets(20, 5).tolist() == [i // 4 for i in range(20)]
    assert subnets(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert subnets(2, 3).tolist() == [0, 1]
    assert subnets(4, 1).tolist() == [0] * 4


def test_the_network_depends_on_its_seed_alone():
    p = SCENARIOS["paper"]
    a, b = draw_network(p), draw_network(p)
    np.testing.assert_array_equal(a.mean_snr_db, b.mean_snr_db)
    c = model("paper", network_seed=1).network
    assert not np.array_equal(a.mean_snr_db, c.mean_snr_db)
    inside = a.ue_subnet[:, None] == a.bs_subnet
    assert a.mean_snr_db[inside].min() >= 12 and a.mean_snr_db[~inside].max() <= 4
    assert a.inside.sum(axis=0).tolist() == [2] * 5 and a.own_bs.sum(axis=1).tolist() == [2] * 20
    np.testing.assert_array_equal(a.federated.dc_to_bs_power_w, a.federated.backhaul_power_w.T)
    assert a.gradient_noise[20:] == pytest.approx(a.gradient_noise[:20].mean())
    assert set(a.federated.machines) <= {2, 3, 4}


def test_a_subnetwork_without_a_bs_borrows_the_best():
    network = model("small", num_bss=2).network
    assert network.bs_subnet.tolist() == [0, 1]
    lost = network.ue_subnet == 2
    assert lost.any() and not network.inside[:, 2].any()
    np.testing.assert_array_equal(network.own_bs[lost].argmax(axis=1), network.mean_snr_db[lost].argmax(axis=1))
    assert (network.own_bs.sum(axis=1) == 1).all()


def test_what_a_round_draws():
    system = model("paper", horizon=400)
    p, net = system.params, system.network
    trace = system.sample_lanes([np.random.default_rng(i) for i in range(20)])
    near = net.ue_subnet[:, None] == net.bs_subnet
    slots = trace.slots
    share = slots["backhaul_bps"] / net.backhaul_bps
    assert 0.5 <= share[..., net.inside].min() < 0.51 and 0.99 < share[..., net.inside].max() <= 1
    assert 0.003 <= share[..., ~net.inside].min() < 0.0031 and 0.0299 < share[..., ~net.inside].max() <= 0.03
    snr_db = 10 * np.log10(2 ** (slots["uplink_bps"] / 2e6) - 1)
    np.testing.assert_allclose(snr_db.mean(axis=(0, 1)), net.mean_snr_db, atol=0.12)  # 8,040 draws of 2 dB
    np.testing.assert_allclose(snr_db[..., near].std(axis=(0, 1)), 2.0, rtol=0.05)
    down_db = 10 * np.log10(2 ** (slots["downlink_bps"] / 10e6) - 1)
    np.testing.assert_allclose(np.swapaxes(down_db, 2, 3), snr_db + 6, atol=1e-6)
    between = slots["dc_to_dc_bps"][..., ~np.eye(5, dtype=bool)] / 1e6
    assert 10 <= between.min() < 10.1 and 74.9 < between.max() <= 75
    assert (slots["dc_to_dc_bps"][..., np.eye(5, dtype=bool)] == 1e9).all()
    log_drift = np.log(slots["drift_per_s"] / p.drift_per_s)
    assert log_drift.mean() == pytest.approx(0, abs=0.02) and log_drift.std() == pytest.approx(0.5, rel=0.03)
    points = slots["data_points"]
    assert (points == np.round(points)).all() and points.min() >= 50
    assert points.mean() == pytest.approx(2000, rel=0.03)  # the multiplier has mean 1
    level = np.log(points[..., 0] / 2000)
    assert level.std() == pytest.approx(0.5, rel=0.1)
    assert np.corrcoef(level[:-1].ravel(), level[1:].ravel())[0, 1] == pytest.approx(0.8, abs=0.03)
    assert level[0].std() == pytest.approx(0.5, rel=0.5)  # stationary from the first round
    one_net = points[..., 0] / points[..., 1]
    assert one_net.std() < 0.02  # UEs of one sub-network differ by sqrt(200) of 2,000 points only
    assert slots["minibatch_key"].dtype == np.int64 and np.unique(slots["minibatch_key"]).size == 402 * 20


def test_heavy_links_are_log_uniform():
    system = model("congested", horizon=400)
    trace = system.sample(np.random.default_rng(0))
    rate = np.log(trace.slots["dc_to_dc_bps"][:, ~np.eye(5, dtype=bool)] / 1e6)
    assert rate.mean() == pytest.approx((np.log(5) + np.log(200)) / 2, abs=0.05)
    across = ~system.network.inside
    share = np.log((trace.slots["backhaul_bps"] / system.network.backhaul_bps)[:, across])
    assert share.mean() == pytest.approx((np.log(0.002) + np.log(0.05)) / 2, abs=0.05)


def test_literal_sizes_have_no_skew():
    points = model("paper", skew=0.0, horizon=300).sample(np.random.default_rng(0)).slots["data_points"]
    assert points.std() == pytest.approx(200**0.5, rel=0.03)
    shares = points.reshape(-1, 5, 4).sum(axis=2) / points.sum(axis=1, keepdims=True)
    assert shares.max() < 0.21


def test_a_capacity_below_the_links_scales_the_column():
    tight, loose = (model("paper", dc_capacity_gbps=c) for c in ((2.0, 3.0), (40.0, 50.0)))
    a, b = (s.sample(np.random.default_rng(4)).slots["backhaul_bps"] for s in (tight, loose))
    total = b.sum(axis=1, keepdims=True)
    capacity = tight.network.dc_capacity_bps
    assert (total > capacity).any()
    np.testing.assert_allclose(a, b * np.minimum(1, capacity / total), rtol=1e-12)
    env = make(scenario="paper", dc_capacity_gbps=(2.0, 3.0))
    env.reset(options={"trace": tight.sample(np.random.default_rng(4))})


def test_the_best_aggregator_by_rate_is_mostly_ones_own():
    """R^E2E of (76): inside a sub-network links are faster by far."""
    system = model("paper")
    slot = system.sample(np.random.default_rng(0)).slot(1)
    best = end_to_end_rate_bps(slot["uplink_bps"], slot["backhaul_bps"]).argmax(axis=1)
    assert (best == system.network.ue_subnet).mean() > 0.9


# What is refused


CONFIGURATION = {
    "no UE": ({"num_ues": 0}, "num_ues: an integer of at least 1 wanted, got 0"),
    "no BS": ({"num_bss": 0}, "num_bss: an integer of at least 1 wanted, got 0"),
    "no DC": ({"num_dcs": 0}, "num_dcs: an integer of at least 1 wanted, got 0"),
    "half a DC": ({"num_dcs": 2.5}, "num_dcs: an integer .* got 2.5"),
    "negative weight": ({"delay_weight": -1}, "delay_weight: a number of at least 0 wanted, got -1"),
    "no weight at all": (
        {"learning_weight": 0, "delay_weight": 0, "energy_weight": 0.0},
        "learning_weight, delay_weight, energy_weight: at least one above 0 wanted",
    ),
    "negative energy weight": ({"energy_weights": (1, 1, 1, -1, 1, 1)}, "energy_weights: a tuple of 6 values"),
    "five energy weights": ({"energy_weights": (1,) * 5}, "energy_weights: a tuple of 6 values"),
    "no energy weight": ({"energy_weights": [0] * 6}, "energy_weights: at least one above 0 wanted"),
    "no iteration": ({"max_iterations": 0}, "max_iterations: an integer of at least 1 wanted, got 0"),
    "half an iteration": ({"max_iterations": 2.5}, "max_iterations: an integer .* got 2.5"),
    "seven iterations": ({"max_iterations": 7}, "max_iterations: at most 6, .* step_size 0.05, wanted, got 7"),
    "iterations at .1": ({"step_size": 0.1}, "max_iterations: at most 3, .* step_size 0.1, wanted, got 6"),
    "iterations at .5": ({"step_size": 0.5}, "max_iterations: at most 1, .* step_size 0.5, wanted, got 6"),
    "empty mini-batch": ({"min_minibatch": 0}, "min_minibatch: a number above 0 and of at most 1 wanted, got 0"),
    "mini-batch above all": ({"min_minibatch": 1.5}, "min_minibatch: .* got 1.5"),
    "proximal step of one": ({"proximal": 20.0}, "proximal: below 1 / step_size = 20 wanted, got 20.0"),
    "clock range": ({"min_clock_ghz": 1.6}, "min_clock_ghz: at most max_clock_ghz = 1.5 wanted, got 1.6"),
    "contraction zero": ({"reward": "gap", "contraction": 0}, "contraction: a number above 0 wanted, got 0"),
    "contraction above L": ({"reward": "gap", "contraction": 1.2}, "contraction: at most smoothness = 1 wanted"),
    "contraction without gap": ({"contraction": 0.5}, "contraction: used with reward 'gap' only"),
    "scale of eff": ({"server_scale": 2.0}, "server_scale: used with theta_mode 'fixed' only"),
    "NaN rate": ({"uplink_mhz": float("nan")}, "uplink_mhz: a number above 0 wanted, got nan"),
    "negative rate": ({"dc_to_dc_mbps": (-1.0, 2.0)}, "dc_to_dc_mbps: a tuple of 2 values, ascending, .* above 0"),
    "availability above one": ({"availability_inside": (0.5, 1.5)}, "availability_inside: .* of at most 1 wanted"),
    "gap out of its range": ({"initial_gap": 11}, "initial_gap: .* got 11"),
    "unknown reward": ({"reward": "objectiv"}, "reward: one of .* got 'objectiv'; did you mean 'objective'"),
    "unknown theta mode": ({"theta_mode": "efff"}, "theta_mode: one of .* did you mean 'eff'"),
    "unknown accounting": ({"bs_energy": "per_eu"}, "bs_energy: one of .* did you mean 'per_ue'"),
    "unknown coding": ({"action": "nativ"}, "action: one of .* did you mean 'native'"),
    "unknown parameter": ({"num_ue": 3}, "unexpected keyword argument 'num_ue'; did you mean 'num_ues'"),
    "unknown scenario": ({"scenario": "smal_gap"}, "scenario: one of .* did you mean 'small_gap'"),
}


@pytest.mark.parametrize("name", CONFIGURATION)
def test_refused_configurations(name):
    overrides, message = CONFIGURATION[name]
    with pytest.raises((ValueError, TypeError), match=message):
        make(**overrides)


def test_a_smoothness_below_the_contraction_is_refused_under_the_reward_gap_alone():
    """Under `objective` the contraction is not used, and setting it is refused."""
    envs = {smoothness: make(smoothness=smoothness) for smoothness in (0.2, 1.0)}
    for env in envs.values():
        env.reset(seed=0)
    xc = {s: env.step(np.zeros(env.action_space.shape))[4]["metrics"]["xc"] for s, env in envs.items()}
    assert xc[0.2] == pytest.approx(0.2 * xc[1.0], rel=1e-12)
    with pytest.raises(ValueError, match=r"contraction: at most smoothness = 0.2 wanted, got 1.0"):
        make(reward="gap", smoothness=0.2)


def changed(field, place, value):
    """A trace of `tiny` with one value (or a whole row) of a field replaced."""
    trace = model().sample(np.random.default_rng(0))
    slots = {f: np.array(v) for f, v in trace.slots.items()}
    slots[field][place] = value
    return Trace({}, slots)


TRACES = {
    "zero size": (("data_points", (2, 1), 0), r"trace: 'data_points' above 0 wanted, got 0.0 at \(2, 1\)"),
    "zero rate": (("downlink_bps", (1, 0, 1), 0), r"trace: 'downlink_bps' above 0 wanted, got 0.0 at \(1, 0, 1\)"),
    "negative rate": (("dc_to_dc_bps", (1, 0, 1), -1), "trace: 'dc_to_dc_bps' above 0 wanted, got -1.0"),
    "NaN rate": (("uplink_bps", (1, 0, 1), np.nan), "trace: field 'uplink_bps' holds NaN or infinity"),
    "negative drift": (("drift_per_s", 3, -1e-3), r"trace: 'drift_per_s' of at least 0 wanted, got -0.001 at \(3,\)"),
    "negative key": (("minibatch_key", 2, -1), r"'minibatch_key' with integers of at least 0 wanted, got -1 at \(2,\)"),
    "lost BS": (("uplink_bps", (2, slice(None), 1), 0), "got BS 1 without any link to a UE in slot 2"),
    "BS without a DC": (("backhaul_bps", (0, 1), 0), "got BS 1 without any link to a DC in slot 0"),
    "more than the DC takes": (
        ("backhaul_bps", (1, 0, 1), 1e11),
        "'backhaul_bps' with a sum within each DC's capacity",
    ),
}


@pytest.mark.parametrize("name", TRACES)
def test_refused_traces(name):
    change, message = TRACES[name]
    with pytest.raises(ValueError, match=message):
        make().reset(options={"trace": changed(*change)})


def test_keys_that_are_no_integers_are_refused():
    trace = model().sample(np.random.default_rng(0))
    keys = trace.slots["minibatch_key"].astype(np.float64)
    with pytest.raises(ValueError, match="'minibatch_key' with integers of at least 0 wanted, got .* at "):
        make().reset(options={"trace": Trace({}, {**trace.slots, "minibatch_key": keys})})


def test_a_trace_of_another_network_is_refused():
    trace = model(num_ues=3).sample(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"field 'data_points' has shape \(2,\) in a lane, got \(3,\)"):
        make().reset(options={"trace": trace})


def test_actions_outside_the_box_are_refused():
    env = make(action="native")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action\[3\] = 1.5 is outside Box"):
        env.step(np.where(np.arange(30) == 3, 1.5, 0.5))
    with pytest.raises(ValueError, match=r"shape \(30,\).* got shape \(29,\)"):
        env.step(np.zeros(29))


@pytest.mark.parametrize("size", [(7, 4, 3), (1, 1, 1), (3, 1, 4), (2, 5, 3), (5, 2, 1)])
@pytest.mark.parametrize("coding", CODINGS)
def test_any_size_runs(size, coding):
    env = make(num_ues=size[0], num_bss=size[1], num_dcs=size[2], action=coding)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(env.system.horizon):
        _, reward, _, _, info = env.step(env.action_space.sample())
        assert np.isfinite(reward) and info["metrics"]["J"] > 0


# Pictures


@given(sizes, st.integers(0, 2**32 - 1))
def test_the_critical_path_takes_as_long_as_the_round(size, seed):
    system = sized(size, action="full")
    slot, action = drawn(system, seed)
    d = {k: v[0] for k, v in system.decode(action, system.initial(slot), slot).items()}
    c = {k: v[0] for k, v in slot.items()}
    done = system.cost(d, c, 2.0).round
    path = critical_path(d, done)
    bits, a = system.network.federated.model_bits, int(d["aggregator"])
    assert path.inward[-1] == path.outward[0] == ("dc", a)
    (_, n), (_, b), *rest = path.inward
    if [tier for tier, _ in rest[:-1]] == []:  # a UE's vector: it trains, then sends over its BS
        seconds = done.ue_compute_s[n] + bits / c["uplink_bps"][n, b] + bits / c["backhaul_bps"][b, a]
    if [tier for tier, _ in rest[:-1]] or not np.isclose(seconds, done.aggregation_s):  # a DC's: data, training, vector
        relay = next((i for tier, i in rest if tier == "bs"), b)
        s = next(i for tier, i in rest if tier == "dc")
        seconds = done.offload_s[n, b] + done.forward_s[relay, s] + done.dc_compute_s[s]
        seconds += 0.0 if s == a else bits / c["dc_to_dc_bps"][s, a]
    assert seconds == pytest.approx(done.aggregation_s, rel=1e-12)
    _, (tier, i), *last = path.outward
    if tier == "dc":
        back = bits / c["dc_to_dc_bps"][a, i] if i != a else 0.0
    else:
        back = bits / c["dc_to_bs_bps"][a, i] + sum(bits / c["downlink_bps"][i, n] for _, n in last)
    assert back == pytest.approx(done.reception_s, rel=1e-12)


@pytest.mark.parametrize("scenario", ["small", "small_gap", "paper"])
def test_pictures_change_from_round_to_round(scenario):
    env = make(scenario=scenario, render_mode="rgb_array")
    env.reset(seed=0)
    pictures = [env.render()]
    for _ in range(2):
        env.step(env.action_space.sample())
        pictures.append(env.render())
    assert all(p.ndim == 3 and p.dtype == np.uint8 and np.unique(p).size > 20 for p in pictures)
    assert not np.array_equal(pictures[1], pictures[2])
