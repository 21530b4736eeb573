"""One round of federated learning over UEs, base stations (BS) and data centres (DC): every delay and every energy.

UEs offload data through BSs to DCs, UEs and DCs train, the vectors meet at one DC, the aggregator, and the new model
goes back. Source: arXiv 2203.13950, equations (14)-(40) and (76); the rates (12), (13) are those of
`channel.shannon_rate_mbps`. N UEs, B BSs, S DCs; every array of the conditions and of the decision may have further
leading axes (lanes, candidates), and conditions broadcast to the decision's.

| paper | name | shape | unit |
|---|---|---|---|
| Dbar_n | conditions.data_points | (N,) | data points |
| R_nb, R_bn | conditions.uplink_bps, downlink_bps | (N, B), (B, N) | bit/s |
| R_bs, R_sb, R_ss' | conditions.backhaul_bps, dc_to_bs_bps, dc_to_dc_bps | (B, S), (S, B), (S, S) | bit/s |
| beta_D, beta_M | network.point_bits, model_bits | () | bit a data point, bit a model or gradient |
| c_n, alpha_n | network.cycles_per_point, capacitance | (N,) | cycles, J s^2 a cycle (a cycle takes alpha f^2 / 2) |
| P_nb, P_b | network.ue_power_w, broadcast_power_w | (N, B), (B,) | W |
| P_bs, P_sb, P_ss' | network.backhaul_power_w, dc_to_bs_power_w, dc_to_dc_power_w | (B, S), (S, B), (S, S) | W |
| M_s, C_s, Pbar_s | network.machines, machine_points_per_s, machine_power_w | (S,) | -, points/s and W a machine |
| varrho | network.dynamic_share | () | share of the peak power that follows the speed |
| I_s, I_nb, I_bn | decision.aggregator, ue_to_bs, bs_to_ue | (), (N,), (N,) | index of a DC, of a BS for each UE |
| rho_nb, rho_bs | decision.offload_share, forward_share | (N, B), (B, S) | share |
| f_n, z_s | decision.clock_hz, points_per_s | (N,), (S,) | Hz, points/s a machine |
| gamma_i | decision.ue_iterations, dc_iterations | (N,), (S,) | SGD steps |
| m_i | decision.ue_minibatch, dc_minibatch | (N,), (S,) | share of the data in a mini-batch |
| D_n, D_s | round.ue_points, dc_points | (N,), (S,) | data points |
| D_b, D_bs | round.bs_points, forwarded_points | (B,), (B, S) | data points |
| delta^D_nb, delta^D_bs, delta^D_s | round.offload_s, forward_s, collection_s | (N, B), (B, S), (S,) | s |
| delta^P_n, delta^P_s | round.ue_compute_s, dc_compute_s | (N,), (S,) | s |
| delta^A_n, delta^A_s | round.ue_upload_s, dc_upload_s | (N,), (S,) | s |
| delta^M_bn | round.last_hop_s, over the BS that UE n listens to | (N,) | s |
| delta^R_b, delta^B_b, delta^R_s | round.bs_reception_s, broadcast_s, dc_reception_s | (B,), (B,), (S,) | s |
| delta^A, delta^R, tau | round.aggregation_s, reception_s, delay_s | () | s |
| sum E^D_nb, sum E^D_bs | round.ue_data_j, bs_data_j | () | J |
| sum E^P_n, sum E^P_s, E^A, E^R | round.ue_compute_j, dc_compute_j, aggregation_j, reception_j | () | J |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

BS_ENERGY = ("per_ue", "once")
"""Who pays on the link from a BS to the aggregator: each attached UE, as (31) is printed, or each BS once."""
ENERGIES = ("ue_data", "bs_data", "ue_compute", "dc_compute", "aggregation", "reception")
"""The six energies in the order of their weights pi_31 .. pi_36; each is the field ``<name>_j`` of a round."""


@dataclass(frozen=True, eq=False)
class FederatedNetwork:
    """What stays the same from round to round; the table above has shapes and units."""

    point_bits: float
    model_bits: float
    cycles_per_point: NDArray
    capacitance: NDArray
    ue_power_w: NDArray
    broadcast_power_w: NDArray
    backhaul_power_w: NDArray
    dc_to_bs_power_w: NDArray
    dc_to_dc_power_w: NDArray
    machines: NDArray
    machine_points_per_s: NDArray
    machine_power_w: NDArray
    dynamic_share: float


class RoundConditions(TypedDict):
    """What chance brings in a round; the table above has shapes and units. The diagonal of dc_to_dc_bps is ignored."""

    data_points: NDArray
    uplink_bps: NDArray
    downlink_bps: NDArray
    backhaul_bps: NDArray
    dc_to_bs_bps: NDArray
    dc_to_dc_bps: NDArray


class RoundDecision(TypedDict):
    """What is decided for a round; the table above has shapes and units.

    Rows of ``offload_share`` sum to at most 1 (the UE keeps the rest), rows of ``forward_share`` to 1.
    """

    aggregator: NDArray
    ue_to_bs: NDArray
    bs_to_ue: NDArray
    offload_share: NDArray
    forward_share: NDArray
    clock_hz: NDArray
    points_per_s: NDArray
    ue_iterations: NDArray
    dc_iterations: NDArray
    ue_minibatch: NDArray
    dc_minibatch: NDArray


@dataclass(frozen=True, eq=False)
class FederatedRound:
    """Sizes, delays and energies of a round; the table above has shapes and units."""

    ue_points: NDArray
    bs_points: NDArray
    forwarded_points: NDArray
    dc_points: NDArray
    offload_s: NDArray
    forward_s: NDArray
    collection_s: NDArray
    ue_compute_s: NDArray
    dc_compute_s: NDArray
    ue_upload_s: NDArray
    dc_upload_s: NDArray
    bs_reception_s: NDArray
    last_hop_s: NDArray
    broadcast_s: NDArray
    dc_reception_s: NDArray
    aggregation_s: NDArray
    reception_s: NDArray
    ue_data_j: NDArray
    bs_data_j: NDArray
    ue_compute_j: NDArray
    dc_compute_j: NDArray
    aggregation_j: NDArray
    reception_j: NDArray

    @property
    def delay_s(self) -> NDArray:
        """tau = delta^A + delta^R."""
        return self.aggregation_s + self.reception_s

    @property
    def points(self) -> NDArray:
        """D_i of all data processing units, UEs first, (..., N + S)."""
        return np.concatenate([self.ue_points, self.dc_points], axis=-1)

    def energies_j(self) -> dict[str, NDArray]:
        """The six energies by the names of `ENERGIES`."""
        return {name: getattr(self, f"{name}_j") for name in ENERGIES}


def federated_round(
    network: FederatedNetwork,
    conditions: RoundConditions | Mapping[str, NDArray],
    decision: RoundDecision | Mapping[str, NDArray],
    bs_energy: str,
) -> FederatedRound:
    """Equations (16)-(40) for one decision, or for every entry of the decision's leading axes.

    Mappings may have further fields; ``bs_energy`` is one of `BS_ENERGY`. Nothing is checked: rates, clocks and speeds
    are above 0.
    """
    net, d = network, decision
    leading = np.shape(d["aggregator"])
    points = _broadcast(conditions["data_points"], leading, 1)
    uplink = _broadcast(conditions["uplink_bps"], leading, 2)
    downlink = _broadcast(conditions["downlink_bps"], leading, 2)
    backhaul = _broadcast(conditions["backhaul_bps"], leading, 2)
    dc_to_bs = _broadcast(conditions["dc_to_bs_bps"], leading, 2)
    dc_to_dc = _broadcast(conditions["dc_to_dc_bps"], leading, 2)
    bs_count, dc_count = backhaul.shape[-2:]

    offloaded = d["offload_share"] * points[..., None]  # (..., N, B)
    ue_points = (1.0 - d["offload_share"].sum(axis=-1)) * points
    ue_points = np.maximum(ue_points, 0.0)  # a row that sums to 1 may round to a little less than nothing
    bs_points = offloaded.sum(axis=-2)
    forwarded = d["forward_share"] * bs_points[..., None]  # (..., B, S)
    dc_points = forwarded.sum(axis=-2)

    offload_s = net.point_bits * offloaded / uplink  # (19)
    forward_s = net.point_bits * forwarded / backhaul  # (21)
    collection_s = forward_s.max(axis=-2) + offload_s.max(axis=(-2, -1))[..., None]  # (22): every BS waits for all UEs

    processed = d["ue_iterations"] * d["ue_minibatch"] * ue_points
    cycles = net.cycles_per_point * processed
    ue_compute_s = cycles / d["clock_hz"]  # (26)
    ue_compute_j = cycles * d["clock_hz"] ** 2 * net.capacitance / 2.0  # (27)
    dc_compute_s = d["dc_iterations"] * d["dc_minibatch"] * dc_points / (net.machines * d["points_per_s"])  # (28)
    power_w = dc_power_w(net, d["points_per_s"])  # (29)

    # Up: every UE to its BS, every BS to the aggregator, every other DC to the aggregator, (30)-(35).
    hop_s = net.model_bits / take(uplink, d["ue_to_bs"])
    hop_j = hop_s * net.ue_power_w[np.arange(net.ue_power_w.shape[0]), d["ue_to_bs"]]
    to_dc_s = net.model_bits / take(backhaul, d["aggregator"][..., None])  # (..., B)
    to_dc_j = to_dc_s * net.backhaul_power_w.T[d["aggregator"]]
    ue_upload_s = hop_s + np.take_along_axis(to_dc_s, d["ue_to_bs"], axis=-1)
    is_aggregator = np.arange(dc_count) == d["aggregator"][..., None]  # (..., S)
    dc_upload_s = np.where(is_aggregator, 0.0, net.model_bits / take(dc_to_dc, d["aggregator"][..., None]))
    dc_upload_j = dc_upload_s * net.dc_to_dc_power_w.T[d["aggregator"]]
    if bs_energy == "per_ue":
        relayed_j = np.take_along_axis(to_dc_j, d["ue_to_bs"], axis=-1).sum(axis=-1)
    else:
        serves = (d["ue_to_bs"][..., None, :] == np.arange(bs_count)[:, None]).any(axis=-1)
        relayed_j = np.where(serves, to_dc_j, 0.0).sum(axis=-1)
    slowest_ue = (ue_upload_s + ue_compute_s).max(axis=-1)
    slowest_dc = (collection_s + dc_compute_s + dc_upload_s).max(axis=-1)

    # Down: the aggregator to every BS and DC, every BS to its slowest listener, (36)-(40).
    bs_reception_s = net.model_bits / take_row(dc_to_bs, d["aggregator"])
    listens = d["bs_to_ue"][..., None, :] == np.arange(bs_count)[:, None]  # (..., B, N)
    last_hop_s = net.model_bits / np.take_along_axis(downlink, d["bs_to_ue"][..., None, :], axis=-2)  # (..., 1, N)
    broadcast_s = np.where(listens, last_hop_s, 0.0).max(axis=-1)
    dc_reception_s = np.where(is_aggregator, 0.0, net.model_bits / take_row(dc_to_dc, d["aggregator"]))
    reception_j = (
        (bs_reception_s * net.dc_to_bs_power_w[d["aggregator"]]).sum(axis=-1)
        + (broadcast_s * net.broadcast_power_w).sum(axis=-1)
        + (dc_reception_s * net.dc_to_dc_power_w[d["aggregator"]]).sum(axis=-1)
    )

    return FederatedRound(
        ue_points=ue_points,
        bs_points=bs_points,
        forwarded_points=forwarded,
        dc_points=dc_points,
        offload_s=offload_s,
        forward_s=forward_s,
        collection_s=collection_s,
        ue_compute_s=ue_compute_s,
        dc_compute_s=dc_compute_s,
        ue_upload_s=ue_upload_s,
        dc_upload_s=dc_upload_s,
        bs_reception_s=bs_reception_s,
        last_hop_s=last_hop_s[..., 0, :],
        broadcast_s=broadcast_s,
        dc_reception_s=dc_reception_s,
        aggregation_s=np.maximum(slowest_ue, slowest_dc),
        reception_s=np.maximum((bs_reception_s + broadcast_s).max(axis=-1), dc_reception_s.max(axis=-1)),
        ue_data_j=(offload_s * net.ue_power_w).sum(axis=(-2, -1)),
        bs_data_j=(forward_s * net.backhaul_power_w).sum(axis=(-2, -1)),
        ue_compute_j=ue_compute_j.sum(axis=-1),
        dc_compute_j=(dc_compute_s * power_w).sum(axis=-1),
        aggregation_j=hop_j.sum(axis=-1) + relayed_j + dc_upload_j.sum(axis=-1),
        reception_j=reception_j,
    )


def dc_power_w(network: FederatedNetwork, points_per_s: NDArray) -> NDArray:
    """Power of all machines of each DC at z points/s a machine, (29): Pbar M (varrho (z / C)^2 + 1 - varrho)."""
    share = network.dynamic_share
    load = points_per_s / network.machine_points_per_s
    return network.machine_power_w * network.machines * (share * load**2 + 1.0 - share)


def energy_optimal_speed(dynamic_share: float) -> float:
    """The speed z / C in (0, 1] at which a data point costs a DC the least energy, sqrt((1 - varrho) / varrho).

    >>> round(energy_optimal_speed(0.6), 4)
    0.8165
    """
    return 1.0 if dynamic_share <= 0.5 else float(np.sqrt((1.0 - dynamic_share) / dynamic_share))


def end_to_end_rate_bps(uplink_bps: NDArray, backhaul_bps: NDArray) -> NDArray:
    """Rate of UE n to DC s over the best BS, max_b 1 / (1 / R_nb + 1 / R_bs), (76), ``(..., N, S)``.

    >>> end_to_end_rate_bps(np.array([[1e6, 2e6]]), np.array([[1e6], [2e6]]))
    array([[1000000.]])
    """
    two_hops = 1.0 / uplink_bps[..., :, :, None] + 1.0 / backhaul_bps[..., None, :, :]  # (..., N, B, S)
    return (1.0 / two_hops).max(axis=-2)


def take(values: NDArray, column: NDArray) -> NDArray:
    """``values[..., i, column[..., i]]``: one entry of each row; a column for all rows has a last axis of 1."""
    wide = np.broadcast_to(column, values.shape[:-1])
    return np.take_along_axis(values, wide[..., None], axis=-1)[..., 0]


def take_row(values: NDArray, row: NDArray) -> NDArray:
    """``values[..., row[...], :]``: one row of each matrix."""
    return np.take_along_axis(values, row[..., None, None], axis=-2)[..., 0, :]


def _broadcast(values: NDArray, leading: tuple[int, ...], axes: int) -> NDArray:
    return np.broadcast_to(values, leading + np.shape(values)[-axes:])
