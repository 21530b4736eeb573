"""The problem of one round: what is given, what a decision costs, what a solver returns.

The cost J of a round is that of `rangym.envs.learning.round_cost`. With ``learning="gap"`` the terms Xi of (25) are
replaced by the optimality gap after the round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.convergence import ConvergenceTerms, LearningConstants, convergence_terms, next_gap
from rangym.envs.learning.round_cost import CostWeights, cost_parts
from rangym.envs.physics.federated_round import (
    BS_ENERGY,
    ENERGIES,
    FederatedNetwork,
    FederatedRound,
    RoundConditions,
    RoundDecision,
    federated_round,
)

LEARNING = ("objective", "gap")
"""What the learning weight prices: the bound (25) of a round, or the optimality gap after it."""


@dataclass(frozen=True, eq=False)
class RoundProblem:
    """One round of federated learning with a floating aggregator, in the units of `federated_round`.

    Attributes
    ----------
    network, conditions : what stays the same and what chance brought; N UEs, B base stations, S data centres.
    clock_low_hz, clock_high_hz : (N,) range of each UE's clock.
    gradient_noise : (N + S,) v_i of each data processing unit, UEs first.
    learning_constants, drift_per_s, gap : of (25); ``gap`` is F_0 - F*, or the gap before this round.
    least_minibatch, most_iterations : ranges [m_min, 1] and 1 .. gamma_max.
    least_speed : the slowest speed of a data centre's machines, as a share of the fastest.
    learning_weight, delay_weight, energy_weight, energy_weights : pi_1, pi_2, pi_3 and pi_31 .. pi_36.
    bs_energy : accounting of (31), one of `BS_ENERGY`.
    learning : one of `LEARNING`; ``contraction`` is the nu of the gap's recursion.
    """

    network: FederatedNetwork
    conditions: RoundConditions
    clock_low_hz: NDArray
    clock_high_hz: NDArray
    gradient_noise: NDArray
    learning_constants: LearningConstants
    drift_per_s: float
    gap: float = 2.0
    least_minibatch: float = 0.05
    most_iterations: int = 6
    least_speed: float = 0.05
    learning_weight: float = 20.0
    delay_weight: float = 1.0
    energy_weight: float = 0.05
    energy_weights: tuple[float, float, float, float, float, float] = (1.0,) * 6
    bs_energy: str = "per_ue"
    learning: str = "objective"
    contraction: float = 1.0

    def __post_init__(self) -> None:
        _one_of("bs_energy", self.bs_energy, BS_ENERGY)
        _one_of("learning", self.learning, LEARNING)
        ues, stations, centres = self.shape
        for name, shape in {
            "data_points": (ues,), "uplink_bps": (ues, stations), "downlink_bps": (stations, ues),
            "backhaul_bps": (stations, centres), "dc_to_bs_bps": (centres, stations),
            "dc_to_dc_bps": (centres, centres),
        }.items():  # fmt: skip
            values = np.asarray(self.conditions[name])  # type: ignore[literal-required]
            if values.shape != shape or not (np.isfinite(values) & (values > 0.0)).all():
                raise WrongValue(f"{name}: finite numbers above 0 of shape {shape} wanted, got shape {values.shape}")
        if self.gradient_noise.shape != (ues + centres,):
            raise WrongValue(f"gradient_noise: shape {(ues + centres,)} wanted, got {self.gradient_noise.shape}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of UEs, base stations and data centres."""
        ues, stations = np.shape(self.conditions["uplink_bps"])
        return ues, stations, np.shape(self.conditions["backhaul_bps"])[1]

    @property
    def weights(self) -> CostWeights:
        """The weights of J."""
        return CostWeights(self.learning_weight, self.delay_weight, self.energy_weight, self.energy_weights)

    @property
    def energy_prices(self) -> dict[str, float]:
        """Cost of a joule of each of the six energies."""
        return {name: self.energy_weight * w for name, w in zip(ENERGIES, self.energy_weights, strict=True)}

    def evaluate(
        self, decision: RoundDecision | Mapping[str, NDArray]
    ) -> tuple[NDArray, FederatedRound, ConvergenceTerms]:
        """J of a decision, or of every entry of its leading axes, and what it consists of."""
        made = federated_round(self.network, self.conditions, decision, self.bs_energy)
        constants = self.learning_constants
        iterations = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]], axis=-1)
        minibatch = np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]], axis=-1)
        drift, gap = np.float64(self.drift_per_s), np.float64(self.gap)
        terms = convergence_terms(
            made.points, iterations, minibatch, self.gradient_noise, made.delay_s, drift, gap, constants
        )
        learned = terms.xi
        if self.learning == "gap":
            learned = next_gap(gap, terms, made.delay_s, drift, self.contraction, constants.step_size)
        total = cast(NDArray, sum(cost_parts(self.weights, {"learning": learned}, made).values()))
        return total, made, terms

    def cost(self, decision: RoundDecision | Mapping[str, NDArray]) -> NDArray:
        """J of a decision, or of every entry of its leading axes."""
        return self.evaluate(decision)[0]

    def violation(self, decision: RoundDecision | Mapping[str, NDArray]) -> float:
        """By how much a decision leaves its ranges, as a share of the range; 0 or less where it keeps all of them."""
        clock = (decision["clock_hz"] - self.clock_low_hz) / self.clock_high_hz
        share = decision["points_per_s"] / self.network.machine_points_per_s
        iterations = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]], axis=-1)
        minibatch = np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]], axis=-1)
        excesses = (
            -decision["offload_share"], decision["offload_share"].sum(axis=-1) - 1.0,
            -decision["forward_share"], abs(decision["forward_share"].sum(axis=-1) - 1.0),
            -clock, decision["clock_hz"] / self.clock_high_hz - 1.0,
            self.least_speed - share, share - 1.0,
            1.0 - iterations, iterations / self.most_iterations - 1.0, abs(iterations - np.round(iterations)),
            self.least_minibatch - minibatch, minibatch - 1.0,
        )  # fmt: skip
        return max(float(np.max(excess)) for excess in excesses)


@dataclass(frozen=True, eq=False)
class FederatedSolution:
    """What a solver of a `RoundProblem` returns.

    Attributes
    ----------
    decision : the best decision found.
    value : its J, by the formulas and not by the solver.
    bound : no decision costs less; minus infinity where the solver proves nothing.
    violations : largest violation of a range, see `RoundProblem.violation`.
    iterations : steps taken, in the unit of the solver (conic programmes, steps of approximation, evaluations).
    converged : whether the solver reached its own end, and not a limit.
    history : the best value after each step.
    """

    decision: RoundDecision
    value: float
    bound: float
    violations: float
    iterations: int
    converged: bool
    history: NDArray

    @property
    def gap(self) -> float:
        """Distance to the bound as a share of the value."""
        return (self.value - self.bound) / abs(self.value)


def small_round(theta_mode: str = "fixed") -> RoundProblem:
    """A round of two UEs, one base station and two data centres, to try the solvers on.

    >>> problem = small_round()
    >>> problem.shape
    (2, 1, 2)
    """
    network = FederatedNetwork(
        point_bits=24584.0,
        model_bits=8e6,
        cycles_per_point=np.array([6e6, 9e6]),
        capacitance=np.array([1e-27, 2e-27]),
        ue_power_w=np.full((2, 1), 0.2),
        broadcast_power_w=np.array([6.0]),
        backhaul_power_w=np.array([[6.0, 8.0]]),
        dc_to_bs_power_w=np.array([[6.0], [8.0]]),
        dc_to_dc_power_w=np.array([[0.0, 15.0], [12.0, 0.0]]),
        machines=np.array([2.0, 3.0]),
        machine_points_per_s=np.array([8e3, 7e3]),
        machine_power_w=np.array([200.0, 180.0]),
        dynamic_share=0.6,
    )
    conditions: RoundConditions = {
        "data_points": np.array([2000.0, 1500.0]),
        "uplink_bps": np.array([[1.2e7], [9e6]]),
        "downlink_bps": np.array([[8e7, 6e7]]),
        "backhaul_bps": np.array([[2e9, 4e7]]),
        "dc_to_bs_bps": np.array([[2e9], [4e7]]),
        "dc_to_dc_bps": np.array([[1e9, 4e7], [3e7, 1e9]]),
    }
    return RoundProblem(
        network=network,
        conditions=conditions,
        clock_low_hz=np.full(2, 2e8),
        clock_high_hz=np.array([2e9, 1.8e9]),
        gradient_noise=np.full(4, 5e3),
        learning_constants=LearningConstants(theta_mode=theta_mode),
        drift_per_s=1e-3,
    )


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise WrongValue(f"{name}: one of {list(allowed)} wanted, got {value!r}")
