"""The convex reference of a round of federated learning with a floating aggregator (arXiv 2203.13950).

With a constant server scale vartheta one iteration each is optimal (`fixed_reference`), and the programme with relaxed
association bounds every decision. With FedNova's scale (``theta_mode="eff"``) counts matter: `search_counts` tries a
common one, then those of single data processing units; its bound comes from `sliced_bound`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.algorithms.federated.association import AssociationSearch, Counts
from rangym.policies.algorithms.federated.coefficients import Coefficients, prices
from rangym.policies.algorithms.federated.round_problem import FederatedSolution, RoundProblem


def fixed_reference(
    problem: RoundProblem, node_limit: int = 0, tolerance: float = 1e-6, aggregators: list[int] | None = None
) -> FederatedSolution:
    """The best decision for ``theta_mode="fixed"`` and a certified bound on all of them.

    The association is relaxed, rounded and solved again; with a ``node_limit`` branch and bound goes on until the gap
    is at most ``tolerance``. ``aggregators`` restricts the choice, and then the bound too.
    """
    if problem.learning_constants.theta_mode != "fixed":
        raise ValueError(f"theta_mode: 'fixed' wanted, got {problem.learning_constants.theta_mode!r}")
    coefficients = Coefficients(problem)
    counts = plain_counts(coefficients, np.ones(coefficients.ues + coefficients.centres))
    search = AssociationSearch(coefficients, counts, aggregators or list(range(coefficients.centres)))
    found = search.run(node_limit, tolerance)
    value = float(problem.cost(found.decision))
    bound = min(found.bound, value)
    closed = value - bound <= max(tolerance, 1e-6) * abs(value)
    history = np.array(found.history)
    return FederatedSolution(
        found.decision, value, bound, problem.violation(found.decision), found.solves, closed, history
    )


def plain_counts(coefficients: Coefficients, iterations: NDArray) -> Counts:
    """The noise of single iterations, Xe = 0, or of any counts where Xe is left out."""
    constants = coefficients.problem.learning_constants
    scale = constants.server_scale
    price = prices(coefficients.problem, scale)
    third, _ = coefficients.noise(iterations, scale)
    third = third * price.noise
    constant = price.constant + price.noise * coefficients.spread(iterations)
    return Counts(iterations, price, third * iterations, np.zeros_like(third), -third, constant)
