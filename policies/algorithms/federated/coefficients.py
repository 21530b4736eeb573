"""The numbers of a round's convex programme, scaled, and the way back from its solution to a decision.

Data are measured in the mean size of a UE's data, times in the mean time in which a UE's fastest clock works through
so much, and everything that is paid in units of J: in seconds the solver would not end where data are many. The
learning term is linear once the server's scale vartheta is a number; `Prices` holds what it is then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.convergence import ConvergenceTerms, norm1, norm2_squared
from rangym.envs.physics.federated_round import RoundDecision, energy_optimal_speed
from rangym.policies.algorithms.federated.downlink import Downlink, optimal_downlink
from rangym.policies.algorithms.federated.round_problem import RoundProblem


@dataclass(frozen=True)
class Prices:
    """J at one vartheta: constant + delay * tau + noise * (Xc + Xd + Xe) + energies; Xc holds vartheta as a factor.

    The other three are their derivatives in vartheta.
    """

    scale: float
    constant: float
    delay: float
    noise: float
    constant_slope: float
    delay_slope: float
    noise_slope: float

    def slope(self, delay_s: float, terms: ConvergenceTerms) -> float:
        """Derivative of J in vartheta where the delay and the terms are these."""
        third = float(terms.xc)
        sampled = self.noise_slope * (third + float(terms.xd) + float(terms.xe)) + self.noise * third / self.scale
        return self.constant_slope + self.delay_slope * delay_s + sampled


def prices(problem: RoundProblem, scale: float) -> Prices:
    """The prices at vartheta = ``scale``."""
    constants = problem.learning_constants
    weight, step = problem.learning_weight, constants.step_size
    if problem.learning == "gap":
        kept = problem.gap * max(0.0, 1.0 - problem.contraction * step * scale / 2.0)
        slope = -weight * problem.gap * problem.contraction * step / 2.0 if kept > 0.0 else 0.0
        delay = problem.delay_weight + weight * problem.drift_per_s
        return Prices(scale, weight * kept, delay, weight * step * scale / 4.0, slope, 0.0, weight * step / 4.0)
    start = 4.0 * weight * problem.gap / (scale * step * constants.horizon)
    drift = 4.0 * weight * problem.drift_per_s / (scale * step)
    return Prices(scale, start, problem.delay_weight + drift, weight, -start / scale, -drift / scale, 0.0)


class Coefficients:
    """Numbers of one problem that no aggregator, count or vartheta changes, and those of each aggregator."""

    def __init__(self, problem: RoundProblem):
        self.problem = problem
        network, given = problem.network, problem.conditions
        self.ues, self.stations, self.centres = problem.shape
        self.points = np.asarray(given["data_points"], dtype=np.float64)
        self.total = float(self.points.sum())
        self.unit = self.total / self.ues
        self.hop_s = network.model_bits / given["uplink_bps"]  # (N, B), as are the others of a model's transfer
        self.relay_s = network.model_bits / given["backhaul_bps"]
        self.down_s = network.model_bits / given["downlink_bps"]
        self.to_bs_s = network.model_bits / given["dc_to_bs_bps"]
        self.between_s = np.where(np.eye(self.centres, dtype=bool), 0.0, network.model_bits / given["dc_to_dc_bps"])
        energy = problem.energy_prices
        unit_bits = network.point_bits * self.unit
        uplink_s, backhaul_s = unit_bits / given["uplink_bps"], unit_bits / given["backhaul_bps"]
        machine_points = network.machines * network.machine_points_per_s
        share = network.dynamic_share
        peak_power = network.machine_power_w * network.machines
        cycles = network.cycles_per_point * self.unit
        least_s = cycles / problem.clock_high_hz
        self.unit_s = unit_s = float(least_s.mean())
        self.numbers: dict[str, NDArray | float] = {
            "points": self.points / self.unit,
            "uplink_time": uplink_s / unit_s,
            "backhaul_time": backhaul_s / unit_s,
            "least_time": np.concatenate([least_s, self.unit / machine_points]) / unit_s,
            "most_time": cycles / problem.clock_low_hz / unit_s,
            "ue_energy": np.sqrt(energy["ue_compute"] * network.capacitance * cycles**3 / 2.0) / unit_s,
            "centre_energy": np.sqrt(energy["dc_compute"] * share * peak_power / unit_s) * self.unit / machine_points,
        }
        self.prices: dict[str, NDArray | float] = {
            "y": energy["ue_data"] * network.ue_power_w * uplink_s,
            "w": energy["bs_data"] * network.backhaul_power_w * backhaul_s,
            "T": np.concatenate([np.zeros(self.ues), energy["dc_compute"] * (1.0 - share) * peak_power * unit_s]),
            "e": 1.0,
        }

    @cached_property
    def hop_price(self) -> NDArray:
        """Cost of the energy of one vector from each UE to each base station (N, B)."""
        return self.problem.energy_prices["aggregation"] * self.problem.network.ue_power_w * self.hop_s

    @cached_property
    def relay_price(self) -> NDArray:
        """Cost of the energy of one vector from each base station to each data centre (B, S)."""
        return self.problem.energy_prices["aggregation"] * self.problem.network.backhaul_power_w * self.relay_s

    def path_s(self, aggregator: int) -> NDArray:
        """Time of one vector from each UE over each base station to the aggregator (N, B), (30)."""
        return self.hop_s + self.relay_s[:, aggregator]

    def centre_upload_price(self, aggregator: int) -> float:
        """Cost of the energy of the data centres' vectors on their way to the aggregator, (32)."""
        power = self.problem.network.dc_to_dc_power_w[:, aggregator]
        return self.problem.energy_prices["aggregation"] * float((power * self.between_s[:, aggregator]).sum())

    def reception(self, aggregator: int, delay_price: float) -> Downlink:
        """The cheapest way to hand the model out, (36)-(40), its value with all energies of reception."""
        price, network = self.problem.energy_prices["reception"], self.problem.network
        arrival, between = self.to_bs_s[aggregator], self.between_s[aggregator]
        found = optimal_downlink(
            self.down_s, arrival, float(between.max()), delay_price, price * network.broadcast_power_w
        )
        fixed = (network.dc_to_bs_power_w[aggregator] * arrival).sum()
        fixed += (network.dc_to_dc_power_w[aggregator] * between).sum()
        return Downlink(found.base_station, found.value + price * float(fixed), found.nodes)

    def noise(self, iterations: NDArray, scale: float) -> tuple[NDArray, NDArray]:
        """Factors of Xc and Xe at given counts, in units of data: (N + S,) each.

        Xc = sum_i c_i (gamma_i D_i^2 / x_i - D_i) and, for D_i > 1, Xe = sum_i e_i (gamma_i D_i / x_i - 1)(1 - 1/D_i).
        """
        constants, total = self.problem.learning_constants, self.total
        one = norm1(iterations, constants.step_size, constants.proximal)
        two = norm2_squared(iterations, constants.step_size, constants.proximal)
        step = constants.step_size * constants.smoothness
        spread = self.problem.gradient_noise
        third = 16.0 * step * scale * spread * two / one**2 * self.unit / total**2
        fifth = 12.0 * step**2 * spread * iterations * (two - 1.0) / one / total
        return third, fifth

    def step_sum(self, iterations: NDArray) -> NDArray:
        """||a_i||_1 of each data processing unit."""
        constants = self.problem.learning_constants
        return norm1(iterations, constants.step_size, constants.proximal)

    def spread(self, iterations: NDArray) -> float:
        """Xd where every data processing unit with more than one point has one of these counts."""
        constants = self.problem.learning_constants
        one = norm1(iterations, constants.step_size, constants.proximal)
        step = constants.step_size * constants.smoothness
        return float(12.0 * step**2 * constants.dissimilarity_offset * (iterations**2 * (one - 1.0) / one).max())

    def decision(
        self,
        solution: Mapping[str, NDArray],
        iterations: NDArray,
        aggregator: int,
        ue_to_bs: NDArray,
        bs_to_ue: NDArray,
    ) -> RoundDecision:
        """The decision behind a solution of the programme, clipped to its ranges."""
        problem, network, n = self.problem, self.problem.network, self.ues
        flow = np.clip(solution["y"] * self.unit, 0.0, None)
        flow[flow < 1e-7 * self.unit] = 0.0
        offload = flow / self.points[:, None]
        offload /= np.maximum(offload.sum(axis=1, keepdims=True), 1.0)
        forward = np.clip(solution["w"], 1e-15, None)
        forward = forward / forward.sum(axis=1, keepdims=True)
        samples, time = np.maximum(solution["x"], 0.0) * self.unit, np.maximum(solution["T"] * self.unit_s, 1e-12)
        received = ((offload * self.points[:, None]).sum(axis=0)[:, None] * forward).sum(axis=0)
        kept = np.maximum(self.points * (1.0 - offload.sum(axis=1)), 0.0)
        full = iterations * np.concatenate([kept, received])
        minibatch = np.clip(samples / np.maximum(full, 1e-12), problem.least_minibatch, 1.0)
        clock = network.cycles_per_point * samples[:n] / time[:n]
        speed = samples[n:] / (network.machines * time[n:])
        fastest = network.machine_points_per_s
        slowest = max(problem.least_speed, energy_optimal_speed(network.dynamic_share)) * fastest
        return RoundDecision(
            aggregator=np.int64(aggregator),  # type: ignore[typeddict-item]
            ue_to_bs=ue_to_bs,
            bs_to_ue=bs_to_ue,
            offload_share=offload,
            forward_share=forward,
            clock_hz=np.clip(clock, problem.clock_low_hz, problem.clock_high_hz),
            points_per_s=np.clip(speed, slowest, fastest),
            ue_iterations=iterations[:n].astype(np.float64),
            dc_iterations=iterations[n:].astype(np.float64),
            ue_minibatch=minibatch[:n],
            dc_minibatch=minibatch[n:],
        )
