"""Aggregator and association of the models by branch and bound over convex programmes.

A node is an aggregator and, for each UE, the base stations still allowed. Its bound is the programme with relaxed
association; rounding that and solving once more gives a decision. Only paths that are not both slower and dearer than
another one are choices, except where base stations send one sum of vectors: there a dearer path may be paid already.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.federated_round import RoundDecision
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.conic_program import ConicSolution, SolverError, conic_shape

INTEGRAL = 1e-6
"""A share within this of 1 is a decision."""


@dataclass(frozen=True, eq=False)
class Learning:
    """The learning terms as a programme sees them: numbers and prices by name, and what J holds beside it.

    ``iterations`` (N + S,) are the counts that a decision gets; a ``sliced`` programme bounds all counts.
    """

    iterations: NDArray
    delay_price: float
    constant: float
    numbers: dict[str, NDArray | float]
    prices: dict[str, NDArray | float]
    sliced: bool = False


@dataclass(order=True)
class Node:
    """A part of the search space; ``bound`` holds for all decisions in it."""

    bound: float
    number: int
    aggregator: int = field(compare=False)
    choices: NDArray = field(compare=False)
    allowed: NDArray = field(compare=False)
    shares: NDArray = field(compare=False)


@dataclass(frozen=True, eq=False)
class Settled:
    """The best decision of a search: ``value`` is what the programme says of it, ``bound`` holds for all of them."""

    decision: RoundDecision
    solution: ConicSolution
    value: float
    bound: float
    solves: int
    history: list[float]


class AssociationSearch:
    """Branch and bound for given learning terms."""

    def __init__(self, coefficients: Coefficients, learning: Learning, aggregators: list[int]):
        self.coefficients, self.learning, self.aggregators = coefficients, learning, aggregators
        self.once = coefficients.problem.bs_energy == "once"
        self.reception = {a: coefficients.reception(a, learning.delay_price) for a in aggregators}
        self.solves = 0
        self._numbers = coefficients.numbers | learning.numbers
        self._prices: dict[str, NDArray | float] = {
            **coefficients.prices,
            **learning.prices,
            "A": learning.delay_price * coefficients.unit_s,
        }

    def relaxed_bound(self, aggregator: int) -> float:
        """No decision with this aggregator costs less; raises `SolverError` where the solver proves nothing."""
        bound = self._node(aggregator, *self._choices(aggregator)).bound
        if not np.isfinite(bound):
            raise SolverError(f"conic programme of aggregator {aggregator}: status Solved wanted, got AlmostSolved")
        return bound

    def run(self, node_limit: int, tolerance: float) -> Settled:
        """Search until the gap is at most ``tolerance`` or ``node_limit`` nodes were split; 0 only rounds the roots."""
        heap = [self._node(a, *self._choices(a)) for a in self.aggregators]
        heapq.heapify(heap)
        best = self._rounded(heap[0])
        tried, closed, splits, history = {self._station(heap[0])}, np.inf, 0, [best.value]
        while heap and heap[0].bound < best.value - tolerance * abs(best.value):
            node = heapq.heappop(heap)
            if self._station(node) not in tried:
                tried.add(self._station(node))
                best = min(best, self._rounded(node), key=lambda settled: settled.value)
                history.append(best.value)
            children = self._split(node) if splits < node_limit else []
            splits += bool(children)
            closed = closed if children else min(closed, node.bound)
            for child in children:
                heapq.heappush(heap, child)
        bound = min([closed, best.value] + [node.bound for node in heap])
        return Settled(best.decision, best.solution, best.value, bound, self.solves, history)

    def _station(self, node: Node) -> tuple[int, ...]:
        """The aggregator of a node and the base station that each UE's largest share goes to."""
        likeliest = node.shares.argmax(axis=1)[:, None]
        return node.aggregator, *np.take_along_axis(node.choices, likeliest, axis=1)[:, 0].tolist()

    def _rounded(self, node: Node) -> Settled:
        aggregator, *stations = self._station(node)
        return self.settled(aggregator, np.array(stations))

    def settled(self, aggregator: int, ue_to_bs: NDArray) -> Settled:
        """The best decision with this aggregator and association, by one convex programme."""
        c = self.coefficients
        own = np.arange(c.ues)
        path_price = c.hop_price[own, ue_to_bs]
        relays = np.unique(ue_to_bs) if self.once else ue_to_bs
        solution, constant = self._solve(
            aggregator, c.path_s(aggregator)[own, ue_to_bs][:, None], path_price[:, None], np.ones((c.ues, 1)), False
        )
        constant += float(c.relay_price[relays, aggregator].sum())
        listening = self.reception[aggregator].base_station
        decision = c.decision(solution.variables, self.learning.iterations, aggregator, ue_to_bs, listening)
        value, bound = constant + solution.value, constant + solution.bound
        return Settled(decision, solution, value, bound, self.solves, [value])

    def _choices(self, aggregator: int) -> tuple[NDArray, NDArray]:
        """Base stations (N, K) that a UE may send its vector to, and which of the K places are filled."""
        c = self.coefficients
        if self.once:
            stations = np.broadcast_to(np.arange(c.stations), (c.ues, c.stations))
            return stations, np.ones(stations.shape, dtype=bool)
        time, price = c.path_s(aggregator), c.hop_price + c.relay_price[:, aggregator]
        order = np.lexsort((price, time), axis=1)
        sorted_price = np.take_along_axis(price, order, axis=1)
        cheapest = np.minimum.accumulate(sorted_price, axis=1)
        useful = np.ones(order.shape, dtype=bool)
        useful[:, 1:] = sorted_price[:, 1:] < cheapest[:, :-1]
        width = int(useful.sum(axis=1).max())
        front = np.argsort(~useful, axis=1, kind="stable")[:, :width]
        return np.take_along_axis(order, front, axis=1), np.take_along_axis(useful, front, axis=1)

    def _node(self, aggregator: int, choices: NDArray, allowed: NDArray) -> Node:
        """Solve the relaxation over the choices still allowed."""
        c = self.coefficients
        price = c.hop_price if self.once else c.hop_price + c.relay_price[:, aggregator]
        solution, constant = self._solve(
            aggregator,
            np.take_along_axis(c.path_s(aggregator), choices, axis=1),
            np.take_along_axis(price, choices, axis=1),
            allowed.astype(np.float64),
            self.once,
        )
        shares = np.where(allowed, solution.variables["I"], -1.0)
        return Node(constant + solution.bound, self.solves, aggregator, choices, allowed, shares)

    def _split(self, node: Node) -> list[Node]:
        """The two nodes in which the most fractional UE takes its likeliest base station, and does not."""
        undecided = (node.allowed.sum(axis=1) > 1) & (node.shares.max(axis=1) < 1.0 - INTEGRAL)
        if not undecided.any():
            return []
        ue = int(np.where(undecided, node.shares.max(axis=1), np.inf).argmin())
        likeliest = np.arange(node.allowed.shape[1]) == node.shares[ue].argmax()
        children = []
        for kept in (likeliest, node.allowed[ue] & ~likeliest):
            allowed = node.allowed.copy()
            allowed[ue] = kept
            children.append(self._node(node.aggregator, node.choices, allowed))
        return children

    def _solve(
        self, aggregator: int, path_s: NDArray, path_price: NDArray, allowed: NDArray, shared_relay: bool
    ) -> tuple[ConicSolution, float]:
        """The programme with these choices, and what J holds beside it."""
        c = self.coefficients
        shape = conic_shape(c.ues, c.stations, c.centres, path_s.shape[1], shared_relay, self.learning.sliced)
        numbers: dict[str, NDArray | float] = self._numbers | {
            "allowed": allowed,
            "path_time": path_s / c.unit_s,
            "centre_time": c.between_s[:, aggregator] / c.unit_s,
        }
        prices = dict(self._prices)
        prices["I"] = path_price
        if shared_relay:
            prices["r"] = c.relay_price[:, aggregator]
        self.solves += 1
        constant = self.learning.constant + self.reception[aggregator].value + c.centre_upload_price(aggregator)
        return shape.solve(numbers, prices), constant
