"""What Algorithms 1-3 of CE-FL do at the paper's size: feasibility, descent, integers, distance, consensus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.network import Network
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.ce_fl.settings import best, rounds_of, system_of
from rangym.policies.algorithms.federated.association import AssociationSearch
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.consensus import (
    consensus_graph,
    consensus_weights,
    contraction,
    rounds_matrix,
)
from rangym.policies.algorithms.federated.count_search import plain_counts
from rangym.policies.algorithms.federated.primal_dual import CURVATURE, RELAXATION, Centralised, primal_dual
from rangym.policies.algorithms.federated.relaxed_round import Integers, RelaxedRound, simplex_rows
from rangym.policies.algorithms.federated.round_problem import FederatedSolution, RoundProblem

SCA_STEPS, DUAL_STEPS = 50, 60
FROZEN_STEPS = 10
"""Steps after which a start with the printed integrality constraints is looked at."""
SHRINK = 100.0
"""Averaging is counted until disagreement is this many times smaller."""


def algorithm(*, seed: int) -> Row:
    """Algorithm 1 from a random aggregator and the best links: its iterates, and the optimum with those integers."""
    problem = rounds_of(system_of("literal", seed, 1), seed)[0]
    rng = np.random.default_rng(seed)
    integers, optimum = start_and_optimum(problem, int(rng.integers(problem.shape[2])))
    free = best(problem)
    found: dict[str, object] = {"same_integers": optimum, "optimum": free.value, "bound": free.bound}
    for name, proximal in (("lambda 0.5", 0.5), ("lambda 0.03", 0.03)):
        found[name] = printed_run(problem, integers, proximal)
    safe = primal_dual(problem, integers, steps=SCA_STEPS, dual_steps=DUAL_STEPS)
    model, w = model_at(problem, integers)
    start = float(problem.cost(model.decision(w)))
    steps = np.diff(np.concatenate([[start], safe.history]))
    found["safeguarded"] = {
        "violation": max(safe.violations, 0.0),
        "raised": float((steps > 1e-6 * start).mean()),
        "value": safe.value,
        "final": float(safe.history[-1]),
        "start": start,
    }
    relaxed = primal_dual(problem, dual_steps=DUAL_STEPS)
    found["relaxed"] = {"value": relaxed.value, "aggregator": int(relaxed.decision["aggregator"])}
    return {**found, "aggregator": int(free.decision["aggregator"])}


def start_and_optimum(problem: RoundProblem, aggregator: int) -> tuple[Integers, float]:
    """The best uplink of each UE and the best way to hand the model out, and the least J with these integers."""
    coefficients = Coefficients(problem)
    ones = np.ones(coefficients.ues + coefficients.centres)
    counts = plain_counts(coefficients, ones, problem.learning_constants.server_scale)
    search = AssociationSearch(coefficients, counts, [aggregator])
    stations = problem.conditions["uplink_bps"].argmax(axis=1)
    decision = search.settled(aggregator, stations).decision
    return Integers(aggregator, stations, decision["bs_to_ue"]), float(problem.cost(decision))


def model_at(problem: RoundProblem, integers: Integers) -> tuple[RelaxedRound, NDArray]:
    """The relaxed round and the feasible point that a run starts from."""
    model = RelaxedRound(Coefficients(problem), 1)
    start = model.start(integers)
    delays = model.layout.central["A"][0], model.layout.central["R"][0]
    model.time_scale = float(start[list(delays)].sum())
    return model, model.with_delays(start)


class PrintedSteps(Centralised):
    """Algorithm 1 as printed: (60) for all variables, the delays too, whatever the step does to J."""

    def step(self, penalty: float, dual_steps: int) -> float:
        w, layout = self.central, self.model.layout
        found = self.model.evaluate(layout.spread(w))
        gradient = np.bincount(layout.source, found.gradient, layout.central_width) / self.unit
        jacobian = layout.gather_rows(found.jacobian) * self.free
        reached = self._dual_ascent(w, gradient, jacobian, found.constraints, dual_steps)
        self.central = w + RELAXATION * (reached - w)
        return float(abs(reached - w).max())


def printed_run(problem: RoundProblem, integers: Integers, proximal: float) -> dict[str, float]:
    """Greatest violation of the delay constraints, in units of the start's delay, and share of steps that raise J."""
    model, start = model_at(problem, integers)
    solver = PrintedSteps(model, start, keep_integers=True, printed=False)
    solver.proximal = proximal
    violations, values = [], [model.evaluate(model.layout.spread(start)).objective]
    for _ in range(SCA_STEPS):
        solver.step(0.0, DUAL_STEPS)
        found = model.evaluate(model.layout.spread(solver.central))
        violations.append(float(found.constraints.max()))
        values.append(found.objective)
    raised = np.diff(values) > 1e-6 * values[0]
    decision = model.decision(solver.central)
    return {
        "violation": max(violations),
        "raised": float(raised.mean()),
        "start": float(values[0]),
        "final": float(problem.cost(decision)),
    }


def integrality(*, starts: int, seed: int) -> Row:
    """The printed surrogates of (45)-(47): do integers move from binary starts, is any point feasible from others?"""
    problem = rounds_of(system_of("literal", seed, 1), seed)[0]
    rng = np.random.default_rng(seed)
    ues, stations, centres = problem.shape
    moved, feasible = 0, 0
    for _ in range(starts):
        integers = Integers(int(rng.integers(centres)), rng.integers(0, stations, ues), rng.integers(0, stations, ues))
        model, start = model_at(problem, integers)
        solver = Centralised(model, start, keep_integers=False, printed=True)
        for _ in range(FROZEN_STEPS):
            solver.step(0.0, DUAL_STEPS)
        d = model.decision(solver.central)
        same = d["aggregator"] == integers.aggregator
        same &= (d["ue_to_bs"] == integers.ue_to_bs).all() and (d["bs_to_ue"] == integers.bs_to_ue).all()
        moved += not same
        feasible += least_surrogate(rng.dirichlet(np.ones(centres))) <= 0.0
    return {"moved": moved / starts, "feasible": feasible / starts}


def least_surrogate(shares: NDArray) -> float:
    """The least value over the simplex of the surrogate (64) of sum I (1 - I) <= 0 at ``shares``, with our L."""
    nearest = simplex_rows((shares - (1.0 - 2.0 * shares) / CURVATURE)[None])[0]
    change = nearest - shares
    value = (shares * (1.0 - shares)).sum() + (1.0 - 2.0 * shares) @ change + CURVATURE / 2.0 * (change @ change)
    return float(value)


def weights_of(network: Network, form: str) -> NDArray:
    """Averaging weights of the network's nodes."""
    graph = consensus_graph(network.ue_subnet, network.own_bs, network.inside)
    return consensus_weights(graph, form=form)


def averaging() -> Row:
    """Rounds that shrink disagreement a hundred times, at worst, by both weights; error of the mean on the way."""
    network = system_of("literal", 0, 1).network
    found = {}
    for form in ("printed", "corrected"):
        weights = weights_of(network, form)
        factor = contraction(weights)
        values = np.random.default_rng(0).normal(size=(len(weights), 50))
        after = rounds_matrix(weights, 70) @ values
        found[form] = {
            "contraction": factor,
            "rounds": int(np.ceil(np.log(SHRINK) / -np.log(factor))),
            "mean_error": float(abs(after.mean(axis=0) - values.mean(axis=0)).max()),
        }
    return {"weights": found}


def decentralised(*, averagings: list[int], seed: int) -> Row:
    """J of the decentralised solver by rounds of averaging, and of the centralised one, from the same integers.

    The weights with chi = 1 / (greatest degree + 1) are tried with the fewest and the most rounds.
    """
    system = system_of("literal", seed, 1)
    problem = rounds_of(system, seed)[0]
    reference = best(problem)
    d = reference.decision
    integers = Integers(int(d["aggregator"]), d["ue_to_bs"], d["bs_to_ue"])

    def run(matrix: NDArray | None) -> dict[str, float]:
        solution: FederatedSolution = primal_dual(problem, integers, matrix, SCA_STEPS, DUAL_STEPS)
        return {"best": solution.value, "final": float(solution.history[-1])}

    found = {"reference": reference.value, "centralised": run(None)}
    nodes = sum(problem.shape)
    found["exact"] = run(np.full((nodes, nodes), 1.0 / nodes))
    for form, tried in (("printed", averagings), ("corrected", [averagings[0], averagings[-1]])):
        weights = weights_of(system.network, form)
        found[form] = {str(rounds): run(rounds_matrix(weights, rounds)) for rounds in tried}
    return found
