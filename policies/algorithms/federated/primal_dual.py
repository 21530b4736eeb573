"""The paper's solver: successive convex approximation (Algorithm 1) by primal-dual steps (2) with consensus (3).

At each step the objective and the delay constraints are replaced by quadratics with identity Hessian, whose Lagrangian
is minimised by one Euclidean projection, (69); the multipliers follow by ascent, at every node and averaged with its
neighbours in the decentralised form. Different from arXiv 2203.13950, on purpose:

- variables are scaled to [0, 1], definitions are substituted, counts are equal and rates the largest, and the smooth
  functions charge the relay of (31) once a UE, under either accounting;
- the integrality constraints (45)-(47) become a penalty on I (1 - I), which grows: their printed surrogates, kept with
  ``form="printed"``, freeze every binary point and allow no other one;
- lambda_1 doubles where a centralised step raises J, because (62) majorises J only for a large enough one;
- a decentralised multiplier step is divided by the squared norm of the constraint's own row where that is above 1: with
  one length for all, a clock near 0 slows every multiplier down and the run leaves its bounds (seen);
- after a centralised step the two delays are set to the largest path, which restores feasibility.

| symbol | name | value |
|---|---|---|
| lambda_1, L_C, psi | PROXIMAL, CURVATURE, RELAXATION | 0.5, 0.1, 0.8 |
| Lambda, Omega | multipliers of the delays and of the copies | |
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.federated_round import RoundDecision
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.copies import Copies
from rangym.policies.algorithms.federated.count_search import CountSearch, point_of
from rangym.policies.algorithms.federated.relaxed_round import Integers, RelaxedRound
from rangym.policies.algorithms.federated.round_problem import FederatedSolution, RoundProblem

PROXIMAL, CURVATURE, RELAXATION = 0.5, 0.1, 0.8
PENALTY, PENALTY_START, PENALTY_STEPS = 0.05, 30, 40
"""The penalty is 0 for `PENALTY_START` steps and grows to `PENALTY` over the next `PENALTY_STEPS`."""


def primal_dual(
    problem: RoundProblem,
    integers: Integers | None = None,
    averaging: NDArray | None = None,
    steps: int = 90,
    dual_steps: int = 60,
    count: int = 1,
    polish: bool = False,
    form: str = "corrected",
) -> FederatedSolution:
    """Algorithm 1 for one round; the best iterate, its integers rounded, is returned.

    Parameters
    ----------
    integers : kept where given, else the aggregator and the associations are relaxed and start uniform.
    averaging : (V, V) from `consensus.rounds_matrix` for the decentralised solver, None for the centralised one.
    steps, dual_steps : steps of approximation, and multiplier steps in each.
    count : iterations of every data processing unit.
    polish : solve the convex programmes of `CountSearch` with the integers found.
    form : "printed" keeps the integrality constraints with the paper's surrogates and starts from ``integers``.

    >>> from rangym.policies.algorithms.federated.round_problem import small_round
    >>> found = primal_dual(small_round(), steps=20)
    >>> bool(found.history[-1] <= found.history[0]), found.decision["ue_to_bs"].tolist()
    (True, [0, 0])
    """
    if form == "printed" and (integers is None or averaging is not None):
        raise WrongValue("form: 'printed' starts from integers and is centralised; give integers and no averaging")
    model = RelaxedRound(Coefficients(problem), count)
    start = model.start(integers)
    delays = model.layout.central["A"][0], model.layout.central["R"][0]
    model.time_scale = float(start[list(delays)].sum())
    start = model.with_delays(start)
    solver: Centralised | Copies
    if averaging is None:
        solver = Centralised(model, start, integers is not None and form != "printed", form == "printed")
    else:
        solver = Copies(model, start, integers is not None, averaging, PROXIMAL, CURVATURE, RELAXATION)
    best: RoundDecision = model.decision(start)
    value, history = float(problem.cost(best)), []
    moved = np.inf
    for step in range(steps):
        growth = (step - PENALTY_START) / PENALTY_STEPS if integers is None else 0.0
        moved = solver.step(PENALTY * min(max(growth, 0.0), 1.0), dual_steps)
        decision = model.decision(solver.central)
        reached = float(problem.cost(decision))
        history.append(reached)
        if reached < value:
            best, value = decision, reached
    if polish:
        search = CountSearch(problem, [int(best["aggregator"])])
        polished = search.descend(model.iterations, point_of(problem, best))
        best, value = min((best, value), (polished.decision, polished.value), key=lambda pair: pair[1])
    return FederatedSolution(
        best, value, -np.inf, problem.violation(best), steps, bool(moved < 1e-3), np.array(history)
    )


class Centralised:
    """One vector of variables and one of multipliers."""

    def __init__(self, model: RelaxedRound, start: NDArray, keep_integers: bool, printed: bool):
        self.model, self.central = model, start
        self.proximal = PROXIMAL
        self.free = model.free(keep_integers)
        self.blocks = model.integer_blocks() if printed else []
        self.unit = model.evaluate(model.layout.spread(start)).objective
        self.multipliers = np.zeros(len(model.layout.row_owner) + len(self.blocks))

    def step(self, penalty: float, dual_steps: int) -> float:
        """One step of Algorithm 1; the largest change of a variable that the approximation asks for."""
        w, layout = self.central, self.model.layout
        found = self.model.evaluate(layout.spread(w))
        gradient = np.bincount(layout.source, found.gradient, layout.central_width) / self.unit
        gradient += self._penalty_slope(w, penalty)
        jacobian, constraints = layout.gather_rows(found.jacobian), found.constraints
        if self.blocks:
            jacobian, constraints = self._integrality(w, jacobian, constraints)
        jacobian = jacobian * self.free
        reached = self._dual_ascent(w, gradient, jacobian, constraints, dual_steps)
        moved = self.model.with_delays(w + RELAXATION * (reached - w))
        if self._cost(moved, penalty) > self._cost(w, penalty) * (1.0 + 1e-9):
            self.proximal *= 2.0
        else:
            self.central = moved
        return float(abs(reached - w).max())

    def _dual_ascent(
        self, w: NDArray, gradient: NDArray, jacobian: NDArray, constraints: NDArray, dual_steps: int
    ) -> NDArray:
        """Algorithm 2: projections (69) and multiplier steps (70) in turn."""
        length = self.proximal / np.linalg.eigvalsh(jacobian @ jacobian.T)[-1]
        multipliers, reached = self.multipliers, w
        for _ in range(dual_steps):
            curvature = self.proximal + CURVATURE * multipliers.sum()
            reached = self.model.project(w - (gradient + multipliers @ jacobian) / curvature)
            reached = np.where(self.free, reached, w)
            change = reached - w
            surrogate = constraints + jacobian @ change + CURVATURE / 2.0 * (change @ change)
            multipliers = np.maximum(multipliers + length * surrogate, 0.0)
        self.multipliers = multipliers
        return reached

    def _integrality(self, w: NDArray, jacobian: NDArray, constraints: NDArray) -> tuple[NDArray, NDArray]:
        """Add the rows of (45)-(47)."""
        rows = np.zeros((len(self.blocks), len(w)))
        for row, block in zip(rows, self.blocks, strict=True):
            row[block] = 1.0 - 2.0 * w[block]
        values = [float((w[block] * (1.0 - w[block])).sum()) for block in self.blocks]
        return np.vstack([jacobian, rows]), np.concatenate([constraints, values])

    def _penalty_slope(self, w: NDArray, penalty: float) -> NDArray:
        return np.where(self.model.integer, penalty * (1.0 - 2.0 * w), 0.0)

    def _cost(self, w: NDArray, penalty: float) -> float:
        objective = self.model.evaluate(self.model.layout.spread(w)).objective / self.unit
        relaxed = w[self.model.integer]
        return objective + penalty * float((relaxed * (1.0 - relaxed)).sum())
