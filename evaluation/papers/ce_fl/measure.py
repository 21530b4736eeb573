"""What single rounds of CE-FL say: aggregators, drift, weights, sizes and offloading, all by convex programmes."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.network import subnets
from rangym.envs.physics.federated_round import (
    RoundConditions,
    RoundDecision,
    end_to_end_rate_bps,
    federated_round,
)
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.ce_fl.settings import best, rounds_of, system_of
from rangym.policies.algorithms.federated.count_search import CountSearch
from rangym.policies.algorithms.federated.round_problem import RoundProblem

NO_OFFLOADING = 1e4
"""Factor on the size of a data point at which nothing is offloaded."""


def aggregators(*, reading: str, links: str, rounds: int, seed: int) -> Row:
    """Each round's best decision for every aggregator: J, delay, energy; what greedy rules choose; data and rates."""
    found = []
    for problem in rounds_of(system_of(reading, seed, rounds), seed, correlated=links == "correlated"):
        solutions = [best(problem, [dc]) for dc in range(problem.shape[2])]
        made = [problem.evaluate(solution.decision)[1] for solution in solutions]
        data, rate = concentrations(problem)
        found.append(
            {
                "cost": [solution.value for solution in solutions],
                "delay": [float(done.delay_s) for done in made],
                "energy": [float(sum(done.energies_j().values())) for done in made],
                "gap": [solution.gap if np.isfinite(solution.bound) else None for solution in solutions],
                "data": data.tolist(),
                "rate": rate.tolist(),
            }
        )
    return {"rounds": found}


def concentrations(problem: RoundProblem) -> tuple[NDArray, NDArray]:
    """Data points in each sub-network, and the mean end-to-end rate (76) from the UEs to each DC, both (S,)."""
    ues, _, dcs = problem.shape
    given = problem.conditions
    rate = end_to_end_rate_bps(given["uplink_bps"], given["backhaul_bps"]).mean(axis=0)
    return np.bincount(subnets(ues, dcs), given["data_points"], dcs), rate


def relay(*, reading: str, seed: int) -> Row:
    """Energy of (31) over that of one vector from each BS with UEs; mean power of UEs, BSs and DCs in a round."""
    problem = rounds_of(system_of(reading, seed, 1), seed)[0]
    solution = best(problem)
    printed, once = (upload_energies(problem, solution.decision, form) for form in ("per_ue", "once"))
    made = problem.evaluate(solution.decision)[1]
    energies = {name: float(energy) for name, energy in made.energies_j().items()}
    delay = float(made.delay_s)
    return {
        "upload": printed["upload"] / once["upload"],
        "relay": printed["relay"] / once["relay"],
        "power": sum(energies.values()) / delay,
        "computing_power": (energies["ue_compute"] + energies["dc_compute"]) / delay,
        "energy": sum(energies.values()),
        "delay": delay,
    }


def upload_energies(problem: RoundProblem, decision: RoundDecision, accounting: str) -> dict[str, float]:
    """Energies in J of the vectors from the UEs to the aggregator, in all and from the BSs on."""
    network, ues = problem.network, problem.shape[0]
    done = federated_round(network, problem.conditions, decision, accounting)
    centres = float((done.dc_upload_s * network.dc_to_dc_power_w[:, decision["aggregator"]]).sum())
    stations = decision["ue_to_bs"]
    hop_s = network.model_bits / problem.conditions["uplink_bps"][np.arange(ues), stations]
    hop = float((hop_s * network.ue_power_w[np.arange(ues), stations]).sum())
    upload = float(done.aggregation_j) - centres
    return {"upload": upload, "relay": upload - hop}


def drift(*, reading: str, drifts: list[float], seed: int) -> Row:
    """Delay, mean clock of the UEs and J of one round under several drifts."""
    problem = rounds_of(system_of(reading, seed, 1), seed)[0]
    rows = []
    for drift_per_s in drifts:
        solution = best(dataclasses.replace(problem, drift_per_s=drift_per_s))
        clock = float(solution.decision["clock_hz"].mean())
        rows.append([float(problem.evaluate(solution.decision)[1].delay_s), clock])
    delay, clock_hz = np.array(rows).T.tolist()
    return {"delay": delay, "clock_hz": clock_hz}


def weight(*, reading: str, weights: list[float], seed: int) -> Row:
    """Mini-batches weighted by data (None without data), and the energy, under several learning weights pi_1."""
    problem = rounds_of(system_of(reading, seed, 1), seed)[0]
    ues = problem.shape[0]
    found: dict[str, list[float | None]] = {"all": [], "ues": [], "dcs": [], "energy": []}
    for learning_weight in weights:
        decision = best(dataclasses.replace(problem, learning_weight=learning_weight)).decision
        made = problem.evaluate(decision)[1]
        minibatch = np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]])
        points = made.points
        for name, part in (("all", slice(None)), ("ues", slice(ues)), ("dcs", slice(ues, None))):
            total = points[part].sum()
            found[name].append(float(points[part] @ minibatch[part] / total) if total > 0.0 else None)
        found["energy"].append(float(sum(made.energies_j().values())))
    return dict(found)


def counts(*, reading: str, dissimilarities: list[float], seed: int) -> Row:
    """The best common count of SGD steps for several zeta_2, which moves no decision at a given count."""
    problem = rounds_of(system_of(reading, seed, 1), seed)[0]
    search = CountSearch(problem, [int(best(problem).decision["aggregator"])])
    decisions = [search.common(count).decision for count in range(1, problem.most_iterations + 1)]
    costs = []
    for offset in dissimilarities:
        constants = dataclasses.replace(problem.learning_constants, dissimilarity_offset=offset)
        priced = dataclasses.replace(problem, learning_constants=constants)
        costs.append([float(priced.cost(decision)) for decision in decisions])
    return {"best": [1 + int(np.argmin(row)) for row in costs], "cost": costs}


def sizes(*, ues: list[int], rounds: int, seed: int) -> Row:
    """Mean J, and data points, of networks of several sizes: each has the first UEs of the largest one's."""
    system = system_of("literal", seed, rounds, num_ues=max(ues))
    problems = rounds_of(system, seed)
    found = []
    for count in ues:
        rank = np.arange(max(ues)) - np.searchsorted(system.network.ue_subnet, system.network.ue_subnet)
        kept = np.flatnonzero(rank < count // system.params.num_dcs)
        parts = [restricted(problem, kept) for problem in problems]
        found.append(
            {
                "cost": float(np.mean([best(part).value for part in parts])),
                "points": float(np.mean([part.conditions["data_points"].sum() for part in parts])),
            }
        )
    return {"sizes": found}


def restricted(problem: RoundProblem, ues: NDArray) -> RoundProblem:
    """The same round with some of its UEs only."""
    net, given = problem.network, problem.conditions
    network = dataclasses.replace(
        net,
        cycles_per_point=net.cycles_per_point[ues],
        capacitance=net.capacitance[ues],
        ue_power_w=net.ue_power_w[ues],
    )
    conditions = RoundConditions(
        data_points=given["data_points"][ues],
        uplink_bps=given["uplink_bps"][ues],
        downlink_bps=given["downlink_bps"][:, ues],
        backhaul_bps=given["backhaul_bps"],
        dc_to_bs_bps=given["dc_to_bs_bps"],
        dc_to_dc_bps=given["dc_to_dc_bps"],
    )
    noise = problem.gradient_noise[ues]
    return dataclasses.replace(
        problem,
        network=network,
        conditions=conditions,
        clock_low_hz=problem.clock_low_hz[ues],
        clock_high_hz=problem.clock_high_hz[ues],
        gradient_noise=np.concatenate([noise, np.full(problem.shape[2], noise.mean())]),
    )


def offloading(*, reading: str, seed: int) -> Row:
    """Delay and J of the best decision, and of the best one in which UEs keep their data."""
    problem = rounds_of(system_of(reading, seed, 1), seed)[0]
    free = best(problem).decision
    dear = dataclasses.replace(problem.network, point_bits=NO_OFFLOADING * problem.network.point_bits)
    kept = best(dataclasses.replace(problem, network=dear)).decision.copy()
    offloaded = float(kept["offload_share"].sum(axis=1).max())
    kept["offload_share"] = np.zeros_like(kept["offload_share"])
    found = {}
    for name, decision in (("with", free), ("without", kept)):
        cost, made, _ = problem.evaluate(decision)
        found[name] = {
            "cost": float(cost),
            "delay": float(made.delay_s),
            "offloaded": float(made.dc_points.sum() / made.points.sum()),
        }
    return {**found, "left": offloaded}
