"""CeflOrchestration: its network, and what its chance looks like."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rangym.envs.cefl_orchestration.network import draw_network, subnets
from rangym.envs.cefl_orchestration.params import SCENARIOS
from rangym.envs.physics.federated_round import end_to_end_rate_bps

cefl = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))
make, model = cefl.make, cefl.model


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
