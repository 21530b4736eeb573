"""Received power, SINR and shared rates against loops over users and nodes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.physics.power_law import PowerLaw, jain_index, shared_rates, sinr


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
    np.testing.assert_allclose(sinr(snr)[0, 0], 1e24 / (1 + 4e3), rtol=1e-12)


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
