"""Delays and energies of a federated round (arXiv 2203.13950, (12)-(40), (76)) against numbers computed by hand, and
against the equations written as loops."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rangym.envs.physics import federated_round as module
from rangym.envs.physics.federated_round import (
    BS_ENERGY,
    ENERGIES,
    FederatedNetwork,
    dc_power_w,
    end_to_end_rate_bps,
    energy_optimal_speed,
    federated_round,
)


def test_examples_of_the_docstrings():
    assert doctest.testmod(module).failed == 0


def arrays(**values):
    return {name: np.asarray(value) for name, value in values.items()}


ONE_BS_NETWORK = FederatedNetwork(
    point_bits=10.0,
    model_bits=1000.0,
    cycles_per_point=np.array([2.0, 4.0]),
    capacitance=np.array([0.02, 0.01]),
    ue_power_w=np.array([[2.0], [4.0]]),
    broadcast_power_w=np.array([2.0]),
    backhaul_power_w=np.array([[3.0, 5.0]]),
    dc_to_bs_power_w=np.array([[11.0], [6.0]]),
    dc_to_dc_power_w=np.array([[1.0, 7.0], [9.0, 1.0]]),
    machines=np.array([2.0, 3.0]),
    machine_points_per_s=np.array([10.0, 8.0]),
    machine_power_w=np.array([100.0, 200.0]),
    dynamic_share=0.6,
)
ONE_BS_CONDITIONS = arrays(
    data_points=[100.0, 200.0],
    uplink_bps=[[100.0], [200.0]],
    downlink_bps=[[500.0, 250.0]],
    backhaul_bps=[[400.0, 600.0]],
    dc_to_bs_bps=[[1000.0], [2000.0]],
    dc_to_dc_bps=[[1e9, 500.0], [250.0, 1e9]],
)
ONE_BS_DECISION = arrays(
    aggregator=1,
    ue_to_bs=[0, 0],
    bs_to_ue=[0, 0],
    offload_share=[[0.5], [0.25]],
    forward_share=[[0.4, 0.6]],
    clock_hz=[10.0, 20.0],
    points_per_s=[5.0, 4.0],
    ue_iterations=[3, 2],
    dc_iterations=[1, 4],
    ue_minibatch=[0.5, 0.1],
    dc_minibatch=[0.5, 0.25],
)


def test_one_base_station_by_hand():
    """UEs offload 50 of 100 and 50 of 200 points; 40 and 60 of the 100 reach the DCs; DC 1 aggregates."""
    got = federated_round(ONE_BS_NETWORK, ONE_BS_CONDITIONS, ONE_BS_DECISION, "per_ue")
    expected = {
        "ue_points": [50, 150],
        "bs_points": [100],
        "forwarded_points": [[40, 60]],
        "dc_points": [40, 60],
        "offload_s": [[5], [2.5]],  # 10 bit x 50 points / 100 and 200 bit/s
        "forward_s": [[1, 1]],  # 400 bit / 400 bit/s and 600 / 600
        "collection_s": [6, 6],  # 1 + the slowest UE's 5
        "ue_compute_s": [15, 6],  # cycles 2 x 3 x .5 x 50 = 150 at 10 Hz, 4 x 2 x .1 x 150 = 120 at 20 Hz
        "dc_compute_s": [2, 5],  # 20 points at 2 x 5, 60 at 3 x 4 points/s
        "ue_upload_s": [10 + 5 / 3, 5 + 5 / 3],  # 1000 bit at 100, 200, then 600 bit/s
        "dc_upload_s": [2, 0],  # 1000 bit at 500 bit/s; the aggregator has its own
        "bs_reception_s": [0.5],  # 1000 bit at 2000 bit/s
        "broadcast_s": [4],  # the slower of 2 and 4
        "dc_reception_s": [4, 0],  # 1000 bit at 250 bit/s
        "aggregation_s": 15 + 10 + 5 / 3,  # UE 0; DC 0 needs 10, DC 1 11
        "reception_s": 4.5,
        "delay_s": 31 + 1 / 6,
        "ue_data_j": 5 * 2 + 2.5 * 4,
        "bs_data_j": 3 + 5,
        "ue_compute_j": 150 * 100 * 0.02 / 2 + 120 * 400 * 0.01 / 2,  # 150 + 240
        "dc_compute_j": 2 * 110 + 5 * 330,  # 100 x 2 x (.6 / 4 + .4) and 200 x 3 x .55 W
        "aggregation_j": 10 * 2 + 5 * 4 + 2 * (5 / 3) * 5 + 2 * 7,
        "reception_j": 0.5 * 6 + 4 * 2 + 4 * 9,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-12, err_msg=name)
    once = federated_round(ONE_BS_NETWORK, ONE_BS_CONDITIONS, ONE_BS_DECISION, "once")
    assert once.aggregation_j == pytest.approx(expected["aggregation_j"] - (5 / 3) * 5, rel=1e-12)
    assert list(got.energies_j()) == list(ENERGIES)
    np.testing.assert_allclose(got.points, [50, 150, 40, 60], rtol=1e-12)


def test_two_base_stations_by_hand():
    """Both UEs listen to BS 1; UE 0 uploads over BS 1 and UE 1 over BS 0; UE 1 gives all its data away; DC 0 leads."""
    network = FederatedNetwork(
        point_bits=2.0,
        model_bits=120.0,
        cycles_per_point=np.array([10.0, 10.0]),
        capacitance=np.array([0.2, 0.4]),
        ue_power_w=np.array([[1.0, 2.0], [3.0, 4.0]]),
        broadcast_power_w=np.array([5.0, 6.0]),
        backhaul_power_w=np.array([[1.0, 2.0], [3.0, 4.0]]),
        dc_to_bs_power_w=np.array([[7.0, 8.0], [9.0, 10.0]]),
        dc_to_dc_power_w=np.array([[1.0, 2.0], [3.0, 4.0]]),
        machines=np.array([1.0, 2.0]),
        machine_points_per_s=np.array([20.0, 10.0]),
        machine_power_w=np.array([50.0, 40.0]),
        dynamic_share=0.6,
    )
    conditions = arrays(
        data_points=[40.0, 60.0],
        uplink_bps=[[10.0, 20.0], [30.0, 40.0]],
        downlink_bps=[[12.0, 24.0], [60.0, 40.0]],
        backhaul_bps=[[30.0, 60.0], [40.0, 10.0]],
        dc_to_bs_bps=[[60.0, 120.0], [30.0, 40.0]],
        dc_to_dc_bps=[[1e9, 12.0], [24.0, 1e9]],
    )
    decision = arrays(
        aggregator=0,
        ue_to_bs=[1, 0],
        bs_to_ue=[1, 1],
        offload_share=[[0.25, 0.5], [0.5, 0.5]],
        forward_share=[[1.0, 0.0], [0.4, 0.6]],
        clock_hz=[5.0, 5.0],
        points_per_s=[20.0, 5.0],
        ue_iterations=[2, 6],
        dc_iterations=[1, 2],
        ue_minibatch=[0.5, 1.0],
        dc_minibatch=[1.0, 0.5],
    )
    # BS 0 gets 10 + 30, BS 1 20 + 30 points; DC 0 40 + 20, DC 1 30.
    got = federated_round(network, conditions, decision, "per_ue")
    expected = {
        "ue_points": [10, 0],
        "bs_points": [40, 50],
        "dc_points": [60, 30],
        "offload_s": [[2, 2], [2, 1.5]],
        "forward_s": [[80 / 30, 0], [1, 6]],
        "collection_s": [2 + 80 / 30, 2 + 6],
        "ue_compute_s": [20, 0],  # 10 cycles x 2 x .5 x 10 points at 5 Hz
        "dc_compute_s": [3, 3],  # 60 points at 20, 30 at 2 x 5 points/s
        "ue_upload_s": [120 / 20 + 120 / 40, 120 / 30 + 120 / 30],
        "dc_upload_s": [0, 120 / 24],
        "bs_reception_s": [2, 1],
        "broadcast_s": [0, 3],  # nobody listens to BS 0; the slower of 120 bit at 60 and at 40 bit/s
        "dc_reception_s": [0, 10],
        "aggregation_s": 29,  # UE 0: 9 + 20; UE 1: 8; DC 0: 7.67; DC 1: 8 + 3 + 5
        "reception_s": 10,
        "ue_data_j": 2 * 1 + 2 * 2 + 2 * 3 + 1.5 * 4,
        "bs_data_j": 80 / 30 * 1 + 1 * 3 + 6 * 4,
        "ue_compute_j": 100 * 25 * 0.2 / 2,
        "dc_compute_j": 3 * 50 * (0.6 + 0.4) + 3 * 40 * 2 * (0.6 / 4 + 0.4),
        "aggregation_j": 6 * 2 + 4 * 3 + 3 * 3 + 4 * 1 + 5 * 3,
        "reception_j": 2 * 7 + 1 * 8 + 3 * 6 + 10 * 2,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-12, err_msg=name)
    once = federated_round(network, conditions, decision, "once")  # one UE a BS: nothing is counted twice
    assert once.aggregation_j == pytest.approx(got.aggregation_j, rel=1e-15)


def random_network(rng, n, b, s):
    return FederatedNetwork(
        point_bits=24584.0,
        model_bits=8e6,
        cycles_per_point=rng.uniform(5e6, 1.5e7, n),
        capacitance=rng.uniform(1e-27, 2e-27, n),
        ue_power_w=rng.uniform(0.1, 0.3, (n, b)),
        broadcast_power_w=rng.uniform(5, 10, b),
        backhaul_power_w=rng.uniform(5, 10, (b, s)),
        dc_to_bs_power_w=rng.uniform(5, 10, (s, b)),
        dc_to_dc_power_w=rng.uniform(10, 20, (s, s)),
        machines=rng.integers(2, 5, s).astype(float),
        machine_points_per_s=rng.uniform(6e3, 1e4, s),
        machine_power_w=rng.uniform(150, 250, s),
        dynamic_share=0.6,
    )


def random_conditions(rng, n, b, s, lead=()):
    return {
        "data_points": rng.uniform(50, 5000, (*lead, n)),
        "uplink_bps": 10 ** rng.uniform(5, 8, (*lead, n, b)),
        "downlink_bps": 10 ** rng.uniform(6, 9, (*lead, b, n)),
        "backhaul_bps": 10 ** rng.uniform(6, 9, (*lead, b, s)),
        "dc_to_bs_bps": 10 ** rng.uniform(6, 9, (*lead, s, b)),
        "dc_to_dc_bps": 10 ** rng.uniform(6, 8, (*lead, s, s)),
    }


def random_decision(rng, n, b, s, lead=()):
    shares = rng.dirichlet(np.full(b + 1, 0.5), (*lead, n))
    return {
        "aggregator": rng.integers(s, size=lead),
        "ue_to_bs": rng.integers(b, size=(*lead, n)),
        "bs_to_ue": rng.integers(b, size=(*lead, n)),
        "offload_share": shares[..., :b],
        "forward_share": rng.dirichlet(np.full(s, 0.5), (*lead, b)),
        "clock_hz": rng.uniform(2e8, 2e9, (*lead, n)),
        "points_per_s": rng.uniform(500, 6000, (*lead, s)),
        "ue_iterations": rng.integers(1, 7, (*lead, n)),
        "dc_iterations": rng.integers(1, 7, (*lead, s)),
        "ue_minibatch": rng.uniform(0.05, 1, (*lead, n)),
        "dc_minibatch": rng.uniform(0.05, 1, (*lead, s)),
    }


def by_loops(net, cond, d, bs_energy):
    """Delays tau parts and the six energies from the equations in the paper's letters; shares no code."""
    n_, b_ = np.shape(cond["uplink_bps"])
    s_ = len(net.machines)
    rho, fwd, a = d["offload_share"], d["forward_share"], int(d["aggregator"])
    dbar, up, back, inter = cond["data_points"], cond["uplink_bps"], cond["backhaul_bps"], cond["dc_to_dc_bps"]
    at_bs = [sum(rho[n, b] * dbar[n] for n in range(n_)) for b in range(b_)]
    offload = {(n, b): net.point_bits * rho[n, b] * dbar[n] / up[n, b] for n in range(n_) for b in range(b_)}
    forward = {(b, s): net.point_bits * fwd[b, s] * at_bs[b] / back[b, s] for b in range(b_) for s in range(s_)}
    paths, ue_compute, dc_compute, aggregation = [], 0.0, 0.0, 0.0
    for n in range(n_):
        b = int(d["ue_to_bs"][n])
        x = d["ue_iterations"][n] * d["ue_minibatch"][n] * (1 - sum(rho[n])) * dbar[n]
        hop, relay = net.model_bits / up[n, b], net.model_bits / back[b, a]
        paths.append(net.cycles_per_point[n] * x / d["clock_hz"][n] + hop + relay)
        ue_compute += net.cycles_per_point[n] * x * d["clock_hz"][n] ** 2 * net.capacitance[n] / 2
        aggregation += hop * net.ue_power_w[n, b]
        first = all(int(d["ue_to_bs"][other]) != b for other in range(n))
        if bs_energy == "per_ue" or first:
            aggregation += relay * net.backhaul_power_w[b, a]
    for s in range(s_):
        points = sum(fwd[b, s] * at_bs[b] for b in range(b_))
        seconds = d["dc_iterations"][s] * d["dc_minibatch"][s] * points / (net.machines[s] * d["points_per_s"][s])
        speed = d["points_per_s"][s] / net.machine_points_per_s[s]
        watts = net.machine_power_w[s] * net.machines[s]
        dc_compute += seconds * watts * (net.dynamic_share * speed**2 + 1 - net.dynamic_share)
        upload = 0.0 if s == a else net.model_bits / inter[s, a]
        aggregation += upload * net.dc_to_dc_power_w[s, a]
        paths.append(max(forward[b, s] for b in range(b_)) + max(offload.values()) + seconds + upload)
    ends, reception = [], 0.0
    for b in range(b_):
        listeners = [n for n in range(n_) if int(d["bs_to_ue"][n]) == b]
        last = max([net.model_bits / cond["downlink_bps"][b, n] for n in listeners], default=0.0)
        first = net.model_bits / cond["dc_to_bs_bps"][a, b]
        ends.append(first + last)
        reception += first * net.dc_to_bs_power_w[a, b] + last * net.broadcast_power_w[b]
    for s in range(s_):
        if s != a:
            ends.append(net.model_bits / inter[a, s])
            reception += ends[-1] * net.dc_to_dc_power_w[a, s]
    return {
        "aggregation_s": max(paths),
        "reception_s": max(ends),
        "ue_data_j": sum(offload[n, b] * net.ue_power_w[n, b] for n, b in offload),
        "bs_data_j": sum(forward[b, s] * net.backhaul_power_w[b, s] for b, s in forward),
        "ue_compute_j": ue_compute,
        "dc_compute_j": dc_compute,
        "aggregation_j": aggregation,
        "reception_j": reception,
    }


sizes = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4))


@given(sizes, st.integers(0, 2**32 - 1), st.sampled_from(BS_ENERGY))
def test_equations_as_loops(size, seed, bs_energy):
    rng = np.random.default_rng(seed)
    network = random_network(rng, *size)
    conditions, decision = random_conditions(rng, *size), random_decision(rng, *size)
    got = federated_round(network, conditions, decision, bs_energy)
    for name, value in by_loops(network, conditions, decision, bs_energy).items():
        assert getattr(got, name) == pytest.approx(value, rel=1e-12), name
    assert got.points.sum() == pytest.approx(conditions["data_points"].sum(), rel=1e-12)


def test_leading_axes_and_shared_conditions():
    rng = np.random.default_rng(0)
    size, lead = (4, 3, 2), (2, 5)
    network, conditions = random_network(rng, *size), random_conditions(rng, *size)
    decision = random_decision(rng, *size, lead)
    many = federated_round(network, conditions, decision, "once")
    for place in np.ndindex(lead):
        one = federated_round(network, conditions, {k: v[place] for k, v in decision.items()}, "once")
        for name in ("delay_s", "collection_s", *(f"{e}_j" for e in ENERGIES)):
            np.testing.assert_array_equal(getattr(many, name)[place], getattr(one, name))


def test_end_to_end_rate_is_that_of_the_best_two_hops():
    rng = np.random.default_rng(1)
    uplink, backhaul = rng.uniform(1, 9, (2, 3, 4)), rng.uniform(1, 9, (2, 4, 5))
    got = end_to_end_rate_bps(uplink, backhaul)
    for lane, n, s in np.ndindex(2, 3, 5):
        best = max(1 / (1 / uplink[lane, n, b] + 1 / backhaul[lane, b, s]) for b in range(4))
        assert got[lane, n, s] == pytest.approx(best, rel=1e-14)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.6, 0.9])
def test_energy_optimal_speed_is_the_minimum_of_energy_a_point(share):
    network = random_network(np.random.default_rng(2), 1, 1, 1)
    network = FederatedNetwork(**{**vars(network), "dynamic_share": share})
    speed = np.linspace(0.05, 1, 20001) * network.machine_points_per_s[0]
    energy = [dc_power_w(network, np.array([z]))[0] / z for z in speed]
    best = speed[np.argmin(energy)] / network.machine_points_per_s[0]
    assert energy_optimal_speed(share) == pytest.approx(best, abs=1e-4)
