"""The network of CeflOrchestration: what is drawn once from ``network_seed`` and stays for all episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
from rangym.envs.physics.federated_round import FederatedNetwork


@dataclass(frozen=True, eq=False)
class Network:
    """N UEs, B base stations and S data centres in S sub-networks.

    Attributes
    ----------
    federated : powers, processors and sizes that delays and energies need.
    ue_subnet, bs_subnet : (N,), (B,) sub-network of each UE and BS; DC s is in sub-network s.
    mean_snr_db : (N, B) mean uplink SNR.
    backhaul_bps : (B, S) what a link between BS and DC carries at most, in both directions.
    dc_capacity_bps : (S,) what all links into a DC carry together.
    max_clock_hz : (N,) greatest clock of a UE's processor.
    gradient_noise : (N + S,) v_i of all data processing units, UEs first.
    """

    federated: FederatedNetwork
    ue_subnet: NDArray
    bs_subnet: NDArray
    mean_snr_db: NDArray
    backhaul_bps: NDArray
    dc_capacity_bps: NDArray
    max_clock_hz: NDArray
    gradient_noise: NDArray

    @property
    def inside(self) -> NDArray:
        """Whether a BS and a DC are in one sub-network, (B, S)."""
        return self.bs_subnet[:, None] == np.arange(len(self.dc_capacity_bps))

    @property
    def own_bs(self) -> NDArray:
        """Whether a BS is one of a UE's own, (N, B): of its sub-network, or the best in the mean where it has none."""
        own = self.ue_subnet[:, None] == self.bs_subnet
        best = self.mean_snr_db.argmax(axis=1)[:, None] == np.arange(len(self.bs_subnet))
        return np.where(own.any(axis=1, keepdims=True), own, best)


def draw_network(params: CeflOrchestrationParams) -> Network:
    """The network of ``params.network_seed``: equal parameters give equal networks."""
    p, rng = params, np.random.default_rng(params.network_seed)
    ues, bss, dcs = p.num_ues, p.num_bss, p.num_dcs
    ue_subnet, bs_subnet = subnets(ues, dcs), subnets(bss, dcs)
    near = ue_subnet[:, None] == bs_subnet
    snr = np.where(near, rng.uniform(*p.ue_snr_inside_db, (ues, bss)), rng.uniform(*p.ue_snr_across_db, (ues, bss)))
    backhaul_power = rng.uniform(*p.backhaul_power_w, (bss, dcs))
    noise = rng.uniform(*p.gradient_noise, ues)
    federated = FederatedNetwork(
        point_bits=p.point_bits,
        model_bits=p.model_mbit * 1e6,
        cycles_per_point=rng.uniform(*p.cycles_per_point, ues),
        capacitance=rng.uniform(*p.capacitance, ues),
        ue_power_w=np.full((ues, bss), p.ue_power_w),
        broadcast_power_w=rng.uniform(*p.broadcast_power_w, bss),
        backhaul_power_w=backhaul_power,
        dc_to_bs_power_w=backhaul_power.T.copy(),
        dc_to_dc_power_w=rng.uniform(*p.dc_power_w, (dcs, dcs)),
        machines=rng.integers(p.machines[0], p.machines[1] + 1, dcs).astype(np.float64),
        machine_points_per_s=rng.uniform(*p.machine_points_per_s, dcs),
        machine_power_w=rng.uniform(*p.machine_power_w, dcs),
        dynamic_share=p.dynamic_share,
    )
    return Network(
        federated=federated,
        ue_subnet=ue_subnet,
        bs_subnet=bs_subnet,
        mean_snr_db=snr,
        backhaul_bps=1e9 * rng.uniform(*p.backhaul_gbps, (bss, dcs)),
        dc_capacity_bps=1e9 * rng.uniform(*p.dc_capacity_gbps, dcs),
        max_clock_hz=1e9 * rng.uniform(*p.max_clock_ghz, ues),
        gradient_noise=np.concatenate([noise, np.full(dcs, noise.mean())]),
    )


def subnets(count: int, num_dcs: int) -> NDArray:
    """Sub-network floor(i S / count) of each of ``count`` UEs or BSs.

    >>> subnets(4, 3).tolist()
    [0, 0, 1, 2]
    """
    return np.arange(count) * num_dcs // count
