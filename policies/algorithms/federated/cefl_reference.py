"""The convex reference of a round of federated learning with a floating aggregator (arXiv 2203.13950).

With a constant server scale vartheta one iteration each is optimal (`fixed_reference`), and the programme with relaxed
association bounds every decision. With FedNova's scale (``theta_mode="eff"``) counts matter: `eff_reference`
tries a common one, then those of single data processing units; its bound comes from `sliced_bound`.
"""

from __future__ import annotations

import numpy as np

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.federated.association import AssociationSearch
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.count_search import CountSearch, plain_counts
from rangym.policies.algorithms.federated.round_problem import FederatedSolution, RoundProblem
from rangym.policies.algorithms.federated.sliced_bound import sliced_bound


def fixed_reference(
    problem: RoundProblem, node_limit: int = 0, tolerance: float = 1e-6, aggregators: list[int] | None = None
) -> FederatedSolution:
    """The best decision for ``theta_mode="fixed"`` and a certified bound on all of them.

    The association is relaxed, rounded and solved again; with a ``node_limit`` branch and bound goes on until the gap
    is at most ``tolerance``. ``aggregators`` restricts the choice, and then the bound too. With ``learning="gap"`` the
    recursion's limits are left out, so there is no bound.

    >>> from rangym.policies.algorithms.federated.round_problem import small_round
    >>> found = fixed_reference(small_round())
    >>> bool(found.bound <= found.value <= 1.001 * found.bound)
    True
    """
    if problem.learning_constants.theta_mode != "fixed":
        raise WrongValue(f"theta_mode: 'fixed' wanted, got {problem.learning_constants.theta_mode!r}")
    coefficients = Coefficients(problem)
    ones = np.ones(coefficients.ues + coefficients.centres)
    counts = plain_counts(coefficients, ones, problem.learning_constants.server_scale)
    search = AssociationSearch(coefficients, counts, aggregators or list(range(coefficients.centres)))
    found = search.run(node_limit, tolerance)
    value = float(problem.cost(found.decision))
    bound = min(found.bound, value) if problem.learning == "objective" else -np.inf
    closed = value - bound <= max(tolerance, 1e-6) * abs(value)
    history = np.array(found.history)
    return FederatedSolution(
        found.decision, value, bound, problem.violation(found.decision), found.solves, closed, history
    )


def convex_reference(
    problem: RoundProblem, aggregators: list[int] | None = None, nodes: int = 0, sweeps: int = 1
) -> FederatedSolution:
    """The reference of the problem's ``theta_mode``: with ``nodes`` to split for "fixed", ``sweeps`` for "eff"."""
    if problem.learning_constants.theta_mode == "fixed":
        return fixed_reference(problem, nodes, aggregators=aggregators)
    return eff_reference(problem, sweeps, aggregators=aggregators)


def eff_reference(
    problem: RoundProblem, sweeps: int = 1, slices: int = 0, aggregators: list[int] | None = None
) -> FederatedSolution:
    """A good decision for ``theta_mode="eff"``: common counts, counts by tier, then single ones in ``sweeps``.

    With ``slices`` the certified bound of `sliced_bound` comes with it, else the bound is minus infinity.
    """
    if problem.learning_constants.theta_mode != "eff":
        raise WrongValue(f"theta_mode: 'eff' wanted, got {problem.learning_constants.theta_mode!r}")
    search = CountSearch(problem, aggregators)
    point, converged = search.improve(search.tiers(search.best_common()), search.singles(), sweeps)
    bound = sliced_bound(problem, slices, aggregators) if slices else -np.inf
    history = np.array(search.history)
    return FederatedSolution(
        point.decision,
        point.value,
        bound,
        problem.violation(point.decision),
        search.solves,
        converged,
        history,
    )
