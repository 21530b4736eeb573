"""CeflOrchestration: the objective, its rewards, and the pictures of a round."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rangym.envs.cefl_orchestration.path import critical_path

cefl = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))
drawn, make, sized, sizes = cefl.drawn, cefl.make, cefl.sized, cefl.sizes


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
