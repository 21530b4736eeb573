"""What a policy reads from an observation of CeflOrchestration, and the problem that the algorithms solve with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
from rangym.envs.cefl_orchestration.system import RATES, CeflOrchestration
from rangym.envs.physics.federated_round import RoundConditions
from rangym.policies.algorithms.federated.round_problem import RoundProblem
from rangym.policies.base import Observation


def conditions(observation: Observation) -> dict[str, NDArray]:
    """Data, rates and drift of the coming round in float64, as exact as float32 logarithms let them be (about 1e-6)."""
    fields = ("data_points", *RATES)
    linear = {f: 10.0 ** observation[f"log10_{f}"].astype(np.float64) for f in fields}
    return {**linear, "drift_per_s": 10.0 ** observation["log10_drift_per_s"].astype(np.float64)[0]}


def round_problem(system: CeflOrchestration, given: Mapping[str, NDArray], gap: float) -> RoundProblem:
    """One round of ``system`` as the algorithms see it; ``given`` are its data, rates and drift in one lane."""
    p, network = system.params, system.network
    wanted = ("data_points", "uplink_bps", "downlink_bps", "backhaul_bps", "dc_to_bs_bps", "dc_to_dc_bps")
    return RoundProblem(
        network=network.federated,
        conditions=cast(RoundConditions, {name: np.asarray(given[name], dtype=np.float64) for name in wanted}),
        clock_low_hz=np.full(p.num_ues, 1e9 * p.min_clock_ghz),
        clock_high_hz=network.max_clock_hz,
        gradient_noise=network.gradient_noise,
        learning_constants=p.learning,
        drift_per_s=float(given["drift_per_s"]),
        gap=gap,
        least_minibatch=p.min_minibatch,
        most_iterations=p.max_iterations,
        learning_weight=p.learning_weight,
        delay_weight=p.delay_weight,
        energy_weight=p.energy_weight,
        energy_weights=cast(tuple[float, float, float, float, float, float], p.energy_weights),
        bs_energy=p.bs_energy,
        learning=p.reward,
        contraction=p.contraction,
    )


def price_on_gap(params: CeflOrchestrationParams, price: float, t: int) -> float:
    """By what the learning weight of round t grows when the gap that it leaves has a price for the rounds after it.

    One and ``price`` times the share of the episode that is left; one where the gap does not move.
    """
    return 1.0 + price * (1.0 - t / params.horizon) if params.reward == "gap" else 1.0
