"""Certified lower bound on a round's J with FedNova's server scale, ``theta_mode="eff"`` and no proximal term.

There vartheta = sum_i (D_i / D) gamma_i lies in [1, gamma_max]. In a slice lo <= vartheta <= hi with g_i = gamma_i D_i,
Xa and Xb are least at hi, Xd at the least largest count, and Xe is at least 0. Xc is at least
16 eta L lo sum_i v_i h_i / D^2 with h_i >= 0 and, as 1/gamma <= 1 - (gamma - 1)/gamma_max between 1 and gamma_max,

    h_i >= D_i^2 / x_i - D_i + (g_i - D_i) / gamma_max .

All of that is convex, and the least bound over slices and aggregators holds for every decision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.federated.association import AssociationSearch, Learning
from rangym.policies.algorithms.federated.coefficients import Coefficients, prices
from rangym.policies.algorithms.federated.conic_program import SolverError
from rangym.policies.algorithms.federated.round_problem import RoundProblem

WIDENINGS = (0.0, 1e-5, 1e-4, 1e-3)


def sliced_bound(problem: RoundProblem, slices: int = 10, aggregators: list[int] | None = None) -> float:
    """The least bound over ``slices`` equal slices of [1, gamma_max] and the aggregators.

    Minus infinity where the theorem's assumptions do not hold: a proximal term, or the gap in place of (25).

    >>> from rangym.policies.algorithms.federated.cefl_reference import eff_reference
    >>> from rangym.policies.algorithms.federated.round_problem import small_round
    >>> problem = small_round("eff")
    >>> bool(0 < sliced_bound(problem, slices=2) <= eff_reference(problem).value)
    True
    """
    constants = problem.learning_constants
    if constants.theta_mode != "eff":
        raise WrongValue(f"theta_mode: 'eff' wanted, got {constants.theta_mode!r}")
    if slices < 1:
        raise WrongValue(f"slices: at least 1 wanted, got {slices}")
    if constants.proximal > 0.0 or problem.learning != "objective":
        return -np.inf
    coefficients = Coefficients(problem)
    chosen = aggregators or list(range(coefficients.centres))
    ends = np.linspace(1.0, problem.most_iterations, slices + 1)
    return min(_slice_bound(coefficients, low, high, chosen) for low, high in zip(ends[:-1], ends[1:], strict=True))


def _slice_bound(coefficients: Coefficients, low: float, high: float, aggregators: list[int]) -> float:
    """The least bound of a slice over the aggregators.

    Where the solver does not end, a slightly wider slice is tried: it holds all decisions of this one, so its bound
    holds for them too.
    """
    for widening in WIDENINGS[:-1]:
        try:
            return _least(coefficients, low - widening, high + widening, aggregators)
        except SolverError:
            continue
    return _least(coefficients, low - WIDENINGS[-1], high + WIDENINGS[-1], aggregators)


def _least(coefficients: Coefficients, low: float, high: float, aggregators: list[int]) -> float:
    search = AssociationSearch(coefficients, slice_terms(coefficients, low, high), aggregators)
    return min(search.relaxed_bound(aggregator) for aggregator in aggregators)


def slice_terms(coefficients: Coefficients, low: float, high: float) -> Learning:
    """The learning terms of the slice low <= vartheta <= high."""
    problem, most = coefficients.problem, float(coefficients.problem.most_iterations)
    price = prices(problem, high)
    dpus = coefficients.ues + coefficients.centres
    ones = np.ones(dpus)
    single_points = dpus / coefficients.total  # share of the data that units of one point or less can hold
    least_count = max(1.0, (low - single_points * most) / (1.0 - single_points)) if single_points < 1.0 else 1.0
    numbers: dict[str, NDArray | float] = {
        "most_iterations": most,
        "least_minibatch": problem.least_minibatch,
        "ends": np.array([high, -low]) * coefficients.total / coefficients.unit,
        "noise": 1.0,
        "noise_points": 1.0 + 1.0 / most,
        "noise_full": 1.0 / most,
        "noise_of_points": ones,
        "noise_of_count": 0.0,
    }
    third = price.noise * coefficients.noise(ones, low)[0]  # at one iteration the factor is 16 eta L vartheta v_i
    constant = price.constant + price.noise * coefficients.spread(np.array([least_count]))
    return Learning(ones, price.delay, constant, numbers, {"h": third}, sliced=True)
