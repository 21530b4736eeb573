"""The convex programme of a CE-FL round as cvxpy writes it: the oracle of the tests.

Data are counted in thousands of points and cycles in 10^9, else the solver stops early.
"""

import cvxpy as cp
import numpy as np


def relaxed_value(given, aggregator, ue_to_bs=None):
    """Optimal J with constant vartheta, one iteration each, and the association relaxed (or given).

    The part of reception (39), (40) is left out.
    """
    net, rounds, learned = given.network, given.conditions, given.learning_constants
    ues, stations, centres = given.shape
    points, bits = np.asarray(rounds["data_points"]) / 1e3, 1e3 * net.point_bits
    total, theta, eta = points.sum(), learned.server_scale, learned.step_size
    weight = dict(zip(("data", "bs", "ue", "dc", "agg"), energy_prices(given), strict=True))
    flow, relay = cp.Variable((ues, stations), nonneg=True), cp.Variable((stations, centres), nonneg=True)
    samples, time = cp.Variable(ues + centres, nonneg=True), cp.Variable(ues + centres, nonneg=True)
    share = cp.Variable((ues, stations), nonneg=True)
    delay = cp.Variable()
    kept, received = points - cp.sum(flow, axis=1), cp.sum(relay, axis=0)
    size = cp.hstack([kept, received])
    up_s = cp.multiply(bits / rounds["uplink_bps"], flow)
    forward_s = cp.multiply(bits / rounds["backhaul_bps"], relay)
    collected_s = cp.max(forward_s, axis=0) + cp.max(up_s)
    to_dc_s = net.model_bits / np.asarray(rounds["dc_to_dc_bps"])
    np.fill_diagonal(to_dc_s, 0.0)
    path_s = net.model_bits / rounds["uplink_bps"] + net.model_bits / np.asarray(rounds["backhaul_bps"])[:, aggregator]
    hop_j = net.ue_power_w * net.model_bits / rounds["uplink_bps"]
    to_aggregator_j = (net.backhaul_power_w * net.model_bits / rounds["backhaul_bps"])[:, aggregator]
    cycles, speed = net.cycles_per_point / 1e6, net.machine_points_per_s / 1e3
    constraints = [
        kept >= 0,
        cp.sum(flow, axis=0) == cp.sum(relay, axis=1),
        cp.sum(share, axis=1) == 1,
        samples <= size,
        samples >= given.least_minibatch * size,
        cp.multiply(cycles, samples[:ues]) <= cp.multiply(given.clock_high_hz / 1e9, time[:ues]),
        cp.multiply(cycles, samples[:ues]) >= cp.multiply(given.clock_low_hz / 1e9, time[:ues]),
        samples[ues:] <= cp.multiply(net.machines * speed, time[ues:]),
        cp.sum(cp.multiply(path_s, share), axis=1) + time[:ues] <= delay,
        collected_s + time[ues:] + to_dc_s[:, aggregator] <= delay,
    ]
    if ue_to_bs is not None:
        constraints.append(share == np.eye(stations)[ue_to_bs])
    ue_j = [
        1e27 * net.capacitance[n] * cycles[n] ** 3 / 2 * cubed_over_square(samples[n], time[n], constraints)
        for n in range(ues)
    ]
    dc_j = [
        net.dynamic_share * net.machine_power_w[s] / (net.machines[s] * speed[s] ** 2)
        * cp.quad_over_lin(samples[ues + s], time[ues + s])
        + (1 - net.dynamic_share) * net.machine_power_w[s] * net.machines[s] * time[ues + s]
        for s in range(centres)
    ]  # fmt: skip
    if given.bs_energy == "per_ue":
        relayed_j = cp.sum(share @ to_aggregator_j)
    else:
        relayed_j = cp.sum(cp.multiply(cp.max(share, axis=0), to_aggregator_j))
    aggregation_j = cp.sum(cp.multiply(hop_j, share)) + relayed_j
    aggregation_j += (net.dc_to_dc_power_w[:, aggregator] * to_dc_s[:, aggregator]).sum()
    noise = sum(
        given.gradient_noise[i] / 1e3 / total**2 * (cp.quad_over_lin(size[i], samples[i]) - size[i])
        for i in range(ues + centres)
    )
    price = given.delay_weight + 4 * given.learning_weight * given.drift_per_s / (theta * eta)
    cost = (
        price * delay
        + given.learning_weight * 16 * eta * learned.smoothness * theta * noise
        + weight["data"] * cp.sum(cp.multiply(net.ue_power_w, up_s))
        + weight["bs"] * cp.sum(cp.multiply(net.backhaul_power_w, forward_s))
        + weight["ue"] * sum(ue_j)
        + weight["dc"] * sum(dc_j)
        + weight["agg"] * aggregation_j
    )
    start = 4 * given.gap * given.learning_weight / (theta * eta * learned.horizon)
    task = cp.Problem(cp.Minimize(cost), constraints)
    task.solve(solver=cp.CLARABEL)
    if task.status != "optimal":
        raise RuntimeError(f"oracle: status optimal wanted, got {task.status}")
    return start + task.value


def cubed_over_square(x, t, constraints):
    """x^3 / t^2 by two cones."""
    u, e = cp.Variable(nonneg=True), cp.Variable(nonneg=True)
    constraints += [cp.quad_over_lin(x, t) <= u, cp.quad_over_lin(u, x) <= e]
    return e


def energy_prices(given):
    return np.multiply(given.energy_weights[:5], given.energy_weight)
