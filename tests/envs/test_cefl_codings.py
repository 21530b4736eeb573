"""CeflOrchestration: sizes, codings and decisions."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.cefl_orchestration.codings import blocks, decode, encode
from rangym.envs.cefl_orchestration.params import CODINGS
from rangym.envs.core import Trace

cefl = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))
ID, drawn, make, model, sized, sizes = cefl.ID, cefl.drawn, cefl.make, cefl.model, cefl.sized, cefl.sizes


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
    vector = gym.make_vec(ID, num_envs=lanes, **kwargs)
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
