"""Received power, SINR and shared rates against loops over users and nodes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.physics.power_law import PowerLaw, jain_index, shared_rates, summary
from rangym.envs.physics.units import db_to_linear


def slow_rates(users, nodes, law, bandwidth, cap, soft):
    """Section 2 of the model, pair by pair."""
    power = [
        [10 ** (law.snr_1m_db / 10) * (math.dist(x, m) ** 2 + law.floor_m2) ** (-law.exponent / 2) for m in nodes]
        for x in users
    ]
    ratio = [[p[k] / (1 + sum(v for j, v in enumerate(p) if j != k)) for k in range(len(nodes))] for p in power]
    efficiency = [[math.log2(1 + v) if cap is None else min(cap, math.log2(1 + v)) for v in row] for row in ratio]
    serving = [row.index(max(row)) for row in power]
    if soft:
        weight = [[v / sum(p) for v in p] for p in power]
        load = [sum(w[k] for w in weight) for k in range(len(nodes))]
        rate = [
            sum(w[k] * bandwidth / load[k] * e[k] for k in range(len(nodes)))
            for w, e in zip(weight, efficiency, strict=True)
        ]
    else:
        load = [serving.count(k) for k in range(len(nodes))]
        rate = [bandwidth / load[k] * e[k] for k, e in zip(serving, efficiency, strict=True)]
    return rate, load, serving, [row[k] for row, k in zip(ratio, serving, strict=True)]


@given(
    st.integers(0, 2**32 - 1), st.sampled_from([4.0, 3.0, 2.5]), st.booleans(), st.sampled_from([None, 7.4]), st.data()
)
@settings(max_examples=40, deadline=None)
def test_rates_equal_loops(seed, exponent, soft, cap, data):
    rng = np.random.default_rng(seed)
    users, nodes = (
        100 * rng.random((data.draw(st.integers(1, 12)), 2)),
        100 * rng.random((data.draw(st.integers(1, 4)), 2)),
    )
    law = PowerLaw(75.0, exponent, 9.0)
    found = shared_rates(law.snr(users, nodes), 20.0, cap, soft)
    rate, load, serving, ratio = slow_rates(users.tolist(), nodes.tolist(), law, 20.0, cap, soft)
    np.testing.assert_allclose(found.rate_mbps, rate, rtol=1e-12)
    np.testing.assert_allclose(found.load, load, rtol=1e-12)
    np.testing.assert_array_equal(found.serving, serving)
    np.testing.assert_allclose(found.sinr, ratio, rtol=1e-12)


def test_two_users_of_one_node_by_hand():
    """75 dB at 1 m, floor 9 m^2: at 4 m s = 25, SNR = 10^7.5 / 625 = 50596, above the cap; each gets half of W cap."""
    law = PowerLaw(75.0, 4.0, 9.0)
    users, node = np.array([[0.0, 4.0], [4.0, 0.0]]), np.zeros((1, 2))
    np.testing.assert_allclose(law.snr(users, node), 10**7.5 / 625)
    np.testing.assert_allclose(shared_rates(law.snr(users, node), 20.0, 7.4).rate_mbps, 74.0)


def test_interference_does_not_cancel_next_to_a_node():
    """A node at arm's length is 1e20 times as strong as the others: their sum must survive."""
    snr = np.array([[1e24], [3e3], [1e3]])
    np.testing.assert_allclose(shared_rates(snr, 20.0, None).sinr[0], 1e24 / (1 + 4e3), rtol=1e-12)
    np.testing.assert_allclose(shared_rates(snr, 20.0, None, soft=True).rate_mbps[0], 20 * np.log2(1e24 / 4001))


ULP = np.finfo(float).eps


def numpy_rates(snr, bandwidth, cap):
    """The formulas over whole arrays (hard association)."""
    serving = snr.argmax(axis=-2)
    at = serving[..., None, :] == np.arange(snr.shape[-2])[:, None]
    ratio = snr.max(axis=-2) / (1.0 + np.where(at, 0.0, snr).sum(axis=-2))
    efficiency = np.minimum(np.log1p(ratio) / np.log(2.0), np.inf if cap is None else cap)
    return bandwidth * efficiency / np.take_along_axis(at.sum(axis=-1), serving, axis=-1), ratio, serving


@pytest.mark.parametrize("exponent, cap", [(4.0, 7.4), (4.0, None), (2.7, None)])
def test_kernels_meet_numpy_within_four_units_in_the_last_place(exponent, cap):
    """Numbers near 1 and not: a unit is at most eps times the number. Soft rates are sums, tested above."""
    rng = np.random.default_rng(0)
    users, nodes = 100 * rng.random((50, 30, 2)), 100 * rng.random((50, 4, 2))
    law = PowerLaw(75.0, exponent, 9.0)
    squared = ((nodes[:, :, None] - users[:, None]) ** 2).sum(axis=-1) + 9.0
    snr = law.snr(users, nodes)
    np.testing.assert_allclose(snr, db_to_linear(75.0) / squared ** (exponent / 2), rtol=4 * ULP)
    found, (rate, ratio, serving) = shared_rates(snr, 20.0, cap), numpy_rates(snr, 20.0, cap)
    np.testing.assert_allclose(found.rate_mbps, rate, rtol=4 * ULP)
    np.testing.assert_allclose(found.sinr, ratio, rtol=4 * ULP)
    np.testing.assert_array_equal(found.serving, serving)


@pytest.mark.parametrize("users", [1, 2, 20, 21, 30, 41, 100])
@pytest.mark.parametrize("soft", [False, True])
def test_summary_is_that_of_the_rates(users, soft):
    rng = np.random.default_rng(users)
    users, nodes = 100 * rng.random((6, users, 2)), 100 * rng.random((6, 3, 2))
    law = PowerLaw(75.0, 4.0, 9.0)
    each = shared_rates(law.snr(users, nodes), 20.0, 7.4, soft)
    for share in (0.0, 0.05, 0.5, 1.0):
        found = summary(law, users, nodes, 20.0, 7.4, soft, share)
        np.testing.assert_array_equal(found.load, each.load)
        np.testing.assert_allclose(found.mean_rate_mbps, each.rate_mbps.mean(axis=1), rtol=1e-14)
        np.testing.assert_allclose(found.mean_log_rate, np.log(each.rate_mbps).mean(axis=1), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(found.low_rate_mbps, np.quantile(each.rate_mbps, share, axis=1), rtol=1e-14)
        np.testing.assert_array_equal(found.min_sinr, each.sinr.min(axis=1))


def test_leading_axes_broadcast_and_a_placement_alone_has_its_bits_among_many():
    rng = np.random.default_rng(0)
    users, nodes = 100 * rng.random((5, 9, 2)), 100 * rng.random((4, 5, 3, 2))
    law = PowerLaw(75.0, 4.0, 9.0)
    snr, many = law.snr(users, nodes), summary(law, users, nodes, 20.0, 7.4, False, 0.05)
    rates = shared_rates(snr, 20.0, 7.4)
    assert snr.shape == (4, 5, 3, 9) and many.load.shape == (4, 5, 3) and many.min_sinr.shape == (4, 5)
    for c, h in np.ndindex(4, 5):
        np.testing.assert_array_equal(snr[c, h], law.snr(users[h], nodes[c, h]))
        alone = summary(law, users[h], nodes[c, h], 20.0, 7.4, False, 0.05)
        assert alone.mean_log_rate == many.mean_log_rate[c, h] and alone.low_rate_mbps == many.low_rate_mbps[c, h]
        np.testing.assert_array_equal(rates.rate_mbps[c, h], shared_rates(snr[c, h], 20.0, 7.4).rate_mbps)
    np.testing.assert_array_equal(law.snr(users.astype(np.float32), nodes[0, 0]).shape, (5, 3, 9))


def test_equal_power_goes_to_the_lowest_index():
    found = shared_rates(np.ones((3, 2)), 20.0, None)
    np.testing.assert_array_equal(found.serving, [0, 0])
    np.testing.assert_array_equal(found.load, [2, 0, 0])


def test_soft_association_at_the_path_loss_exponent_is_the_share_of_received_power():
    """Weights s^(-q/2) / sum s^(-q/2) at q = gamma are P / sum P: the identity of the paper."""
    rng = np.random.default_rng(0)
    users, nodes = 100 * rng.random((20, 2)), 100 * rng.random((3, 2))
    s = ((users[:, None] - nodes) ** 2).sum(axis=2) + 9.0
    w = s**-2.0 / (s**-2.0).sum(axis=1, keepdims=True)
    load = shared_rates(PowerLaw(75.0, 4.0, 9.0).snr(users, nodes), 20.0, 7.4, soft=True).load
    np.testing.assert_allclose(load, w.sum(axis=0))


@pytest.mark.parametrize("values, index", [([3.0, 3.0, 3.0], 1.0), ([5.0, 0.0], 0.5), ([1.0, 2.0, 3.0], 36 / 42)])
def test_jain_index(values, index):
    assert jain_index(np.array(values)) == pytest.approx(index)
