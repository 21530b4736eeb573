"""Iteration counts of a round: convex programmes around a decision, and a search over the counts.

With given counts two parts of J are not convex. (25)(e) charges gamma D / x; at the present data q it is majorised by
gamma (D^2 / (2 q x) + q / (2 x)). The server's scale vartheta = sum_i (D_i / D) ||a_i||_1 is replaced by its present
value and the derivative of J in it. The decision of the programme is then valued by the formulas, and the next
programme is made around it; it is a descent to a stationary point, with other local optima elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.federated_round import RoundDecision
from rangym.policies.algorithms.federated.association import AssociationSearch, Learning
from rangym.policies.algorithms.federated.coefficients import Coefficients, prices
from rangym.policies.algorithms.federated.round_problem import RoundProblem


@dataclass(frozen=True, eq=False)
class Point:
    """A decision with its J, the data of each data processing unit, the counts, and J's derivative in vartheta."""

    decision: RoundDecision
    value: float
    points: NDArray
    iterations: NDArray
    scale: float
    slope: float


def point_of(problem: RoundProblem, decision: RoundDecision) -> Point:
    """Value a decision and take the derivative of J in vartheta there, 0 where vartheta is constant."""
    value, made, terms = problem.evaluate(decision)
    scale = float(terms.server_scale)
    slope = 0.0
    if problem.learning_constants.theta_mode == "eff":
        slope = prices(problem, scale).slope(float(made.delay_s), terms)
    iterations = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]])
    return Point(decision, float(value), made.points, iterations, scale, slope)


def plain_counts(coefficients: Coefficients, iterations: NDArray, scale: float) -> Learning:
    """Counts at a given vartheta without (25)(e), which is 0 where all of them are 1."""
    return _counts(coefficients, iterations, scale, 0.0, np.zeros_like(iterations), np.ones_like(iterations))


def counts_around(
    coefficients: Coefficients, iterations: NDArray, points: NDArray, scale: float, slope: float
) -> Learning:
    """Counts with (25)(e) majorised at the data ``points`` and J's dependence on vartheta linear."""
    fifth = coefficients.noise(iterations, scale)[1]
    return _counts(coefficients, iterations, scale, slope, fifth, np.maximum(points, 1.0) / coefficients.unit)


def _counts(
    coefficients: Coefficients, iterations: NDArray, scale: float, slope: float, fifth: NDArray, present: NDArray
) -> Learning:
    price = prices(coefficients.problem, scale)
    third, fifth = price.noise * coefficients.noise(iterations, scale)[0], price.noise * fifth
    constant = price.constant + price.noise * coefficients.spread(iterations) - float(fifth.sum()) - slope * scale
    per_point = slope * coefficients.step_sum(iterations) * coefficients.unit / coefficients.total
    numbers = {
        "most_samples": iterations,
        "least_samples": coefficients.problem.least_minibatch * iterations,
        "noise_of_points": np.sqrt(iterations * (third + fifth / (2.0 * present))),
        "noise_of_count": np.sqrt(iterations * fifth * present / 2.0),
    }
    return Learning(iterations, price.delay, constant, numbers, {"D": per_point - third, "q": 1.0})


class CountSearch:
    """Descent over all variables: one common count, then one for each tier, then those of single units."""

    def __init__(self, problem: RoundProblem, aggregators: list[int] | None = None, descents: int = 4):
        self.problem, self.coefficients = problem, Coefficients(problem)
        self.aggregators = aggregators or list(range(self.coefficients.centres))
        self.descents = descents
        self.solves = 0
        self.history: list[float] = []

    def common(self, count: int) -> Point:
        """The best decision found in which all counts are ``count``."""
        c = self.coefficients
        iterations = np.full(c.ues + c.centres, float(count))
        constants = self.problem.learning_constants
        scale = float(c.step_sum(iterations)[0]) if constants.theta_mode == "eff" else constants.server_scale
        point = self._free(plain_counts(c, iterations, scale))
        if count > 1:
            free = self._free(counts_around(c, iterations, point.points, scale, 0.0))
            point = self.descend(iterations, min(point, free, key=_value))
        return self._seen(point)

    def best_common(self) -> Point:
        """The best common count; stops after two in a row that are worse than the best."""
        best, worse = self.common(1), 0
        for count in range(2, self.problem.most_iterations + 1):
            point = self.common(count)
            worse = 0 if point.value < best.value else worse + 1
            best = min(best, point, key=_value)
            if worse == 2:
                break
        return best

    def improve(self, point: Point, units: list[NDArray], sweeps: int) -> tuple[Point, bool]:
        """Change the counts of one unit after the other by one while that pays; whether a last sweep brought nothing.

        A unit is the indices of data processing units that move together.
        """
        for _ in range(sweeps):
            before = point.value
            for unit in units:
                up = self._move(point, unit, 1.0)
                point = up if up.value < point.value else self._move(point, unit, -1.0)
            if point.value > before * (1.0 - 1e-5):
                return point, True
        return point, sweeps == 0

    def tiers(self, point: Point) -> Point:
        """Try every pair of one count for all UEs and one for all data centres, then let the aggregator go again."""
        c, best = self.coefficients, point
        counts = np.arange(1.0, self.problem.most_iterations + 1.0)
        for ue_count in counts:
            for dc_count in counts[counts != ue_count]:
                iterations = np.repeat([ue_count, dc_count], [c.ues, c.centres])
                best = min(best, self._seen(self.descend(iterations, point, best.value)), key=_value)
        if best is point or len(self.aggregators) == 1:
            return best
        free = self._free(counts_around(c, best.iterations, best.points, best.scale, best.slope))
        return min(best, self._seen(self.descend(best.iterations, free)), key=_value)

    def singles(self) -> list[NDArray]:
        """Each data processing unit alone."""
        return list(np.arange(self.coefficients.ues + self.coefficients.centres)[:, None])

    def _move(self, point: Point, unit: NDArray, step: float) -> Point:
        """Change the counts of a unit by ``step`` as often as it pays."""
        while True:
            iterations = point.iterations.copy()
            iterations[unit] = np.clip(iterations[unit] + step, 1.0, self.problem.most_iterations)
            if (iterations == point.iterations).all():
                return point
            moved = self.descend(iterations, point, point.value)
            if moved.value >= point.value * (1.0 - 1e-6):
                return point
            point = self._seen(moved)

    def _free(self, learning: Learning) -> Point:
        """The best decision over all aggregators and associations with these counts."""
        search = AssociationSearch(self.coefficients, learning, self.aggregators)
        decision = search.run(0, 1e-6).decision
        self.solves += search.solves
        return point_of(self.problem, decision)

    def descend(self, iterations: NDArray, point: Point, stop_above: float = np.inf) -> Point:
        """Programmes around the last decision, aggregator and association kept, while J falls.

        The first of them takes vartheta where the new counts move it. A first value above 1.02 ``stop_above`` ends it.
        """
        c, aggregator = self.coefficients, int(point.decision["aggregator"])
        best = None
        for _ in range(self.descents):
            scale, slope = point.scale, point.slope
            if best is None and self.problem.learning_constants.theta_mode == "eff":
                scale = float(point.points @ c.step_sum(iterations)) / c.total
            search = AssociationSearch(c, counts_around(c, iterations, point.points, scale, slope), [aggregator])
            point = point_of(self.problem, search.settled(aggregator, point.decision["ue_to_bs"]).decision)
            self.solves += 1
            if best is not None and point.value >= best.value * (1.0 - 1e-6):
                break
            best = point
            if best.value > 1.02 * stop_above:
                break
        return best if best is not None else point

    def _seen(self, point: Point) -> Point:
        self.history.append(min([point.value, *self.history[-1:]]))
        return point


def _value(point: Point) -> float:
    return point.value
