"""What the learning model, the bound and the problem of CE-FL say by themselves: equations (8)-(11), (25), (33), P."""

from __future__ import annotations

import dataclasses
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.network import draw_network
from rangym.envs.learning import datasets
from rangym.envs.learning.convergence import (
    LearningConstants,
    accumulated_gradient,
    accumulation_weights,
    corollary_step_size,
    mean_iterations,
    norm1,
)
from rangym.envs.learning.federated import ClientData, Network
from rangym.envs.physics.federated_round import RoundDecision, energy_optimal_speed
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.ce_fl.settings import best, rounds_of, system_of
from rangym.policies.algorithms.federated.round_problem import RoundProblem

STEP, PROXIMAL = 0.05, 0.5
DPUS, COUNT = 25, 3
"""Data processing units of Corollary 1's slope, and SGD steps of each in every round."""
GREATEST_NOISE, LEAST_MINIBATCH, INITIAL_GAP = 7.5e3, 0.05, 2.0
"""Theta_max sigma_max^2, m_min and F_0 - F* of (33)."""
QUADRATIC_STEPS = (0.1, 0.01, 0.001)
SEGMENTS = 200


def accumulation(*, seed: int) -> Row:
    """Relative errors of (8) after each of 1 .. gamma local steps, and of (9), with random gradients."""
    rng = np.random.default_rng(seed)
    gamma = int(rng.integers(2, 7))
    gradients, start = rng.normal(size=(gamma, 10)), rng.normal(size=10)
    errors: dict[str, list[float]] = {"printed": [], "corrected": []}
    signs: dict[str, float] = {}
    x = start
    for k in range(1, gamma + 1):
        x = x - STEP * (gradients[k - 1] + PROXIMAL * (x - start))
        for form, found in errors.items():
            change = -STEP * accumulation_weights(k, STEP, PROXIMAL, gamma, form) @ gradients[:k]
            found.append(_error(change, x - start))
    total = accumulation_weights(gamma, STEP, PROXIMAL) @ gradients
    for form in errors:
        signs[form] = _error(accumulated_gradient(start, x, STEP, form), total)
    return {"model": errors, "sign": signs}


def _error(value: NDArray, truth: NDArray) -> float:
    return float(np.linalg.norm(value - truth) / np.linalg.norm(truth))


def offloaded_loss(*, splits: int, seed: int) -> Row:
    """Loss by (2), over the UEs' own samples, against the weighted one over UEs and DCs after random offloading."""
    rng = np.random.default_rng(seed)
    data = datasets.load("digits")
    network = Network((data.num_features, 10))
    model = network.initial(rng)[None].astype(np.float64)
    labels = data.y_train
    ues, dcs = 20, 5
    owner = rng.integers(ues, size=len(labels))
    errors, lost = [], []
    truth = _weighted_loss(network, model, data.x_train, labels, owner)
    for _ in range(splits):
        sent = rng.random(len(labels)) < rng.random(ues)[owner]
        place = np.where(sent, ues + rng.integers(dcs, size=len(labels)), owner)
        loss = _weighted_loss(network, model, data.x_train, labels, place)
        errors.append(abs(loss / truth - 1.0))
        lost.append(int(np.bincount(place, minlength=ues + dcs).sum() - len(labels)))
    return {"relative_error": float(max(errors)), "lost": int(np.abs(lost).max())}


def _weighted_loss(network: Network, model: NDArray, x: NDArray, y: NDArray, place: NDArray) -> float:
    """sum_i (D_i / D) F_i over the places that samples are at."""
    loss = 0.0
    for own in (place == i for i in np.unique(place)):
        held = ClientData.of(x.astype(np.float64), y, np.flatnonzero(own)[None])
        loss += float(own.mean() * network.losses(model, held.x, held.y)[0])
    return loss


def normalisation(*, seed: int) -> Row:
    """Distance of the fixed point of (11) from the optimum, six quadratic clients with 1 .. 6 exact local steps.

    Client i has the loss sum_j h_ij (x_j - c_ij)^2 / 2. Each step size has the distance with (10) and with plain
    averaging of the local models.
    """
    rng = np.random.default_rng(seed)
    iterations, weights = np.arange(1, 7), rng.dirichlet(np.full(6, 5.0))
    curvature, centre = rng.uniform(0.2, 1.0, (6, 4)), rng.normal(size=(6, 4))
    optimum = _balance(weights[:, None] * curvature, centre)
    found = {}
    for step in QUADRATIC_STEPS:
        moved = 1.0 - (1.0 - step * curvature) ** iterations[:, None]  # x - x_i = moved (x - c_i)
        normalised = moved / norm1(iterations, step, 0.0)[:, None]
        found[f"{step:g}"] = {
            "normalised": float(np.linalg.norm(_balance(weights[:, None] * normalised, centre) - optimum)),
            "plain": float(np.linalg.norm(_balance(weights[:, None] * moved, centre) - optimum)),
        }
    return {"distance": found}


def _balance(pull: NDArray, centre: NDArray) -> NDArray:
    """Where the clients' pulls (I, P) towards their centres cancel."""
    return (pull * centre).sum(axis=0) / pull.sum(axis=0)


def corollary(*, horizons: list[int], form: str) -> Row:
    """The right side of (33) and its first term over horizons, without drift, the same counts in all rounds."""
    constants = LearningConstants()
    terms = []
    for horizon in horizons:
        gamma_bar = mean_iterations(np.broadcast_to(float(COUNT), (horizon, DPUS)), form)
        terms.append(corollary_terms(constants, DPUS, gamma_bar, horizon, COUNT))
    return {"bound": np.sum(terms, axis=1).tolist(), "first": [float(parts[0]) for parts in terms]}


def corollary_terms(
    constants: LearningConstants, num_dpus: int, gamma_bar: float, horizon: int, most_iterations: int
) -> NDArray:
    """The right side of (33) with eta of Corollary 1: its terms without that of the drift, (4,)."""
    c, eta = constants, corollary_step_size(num_dpus, gamma_bar, horizon)
    noise = GREATEST_NOISE / LEAST_MINIBATCH
    return np.array(
        [
            4.0 * INITIAL_GAP / (c.server_scale * eta * horizon),
            16.0 * c.smoothness * c.server_scale * noise * eta,
            12.0 * c.smoothness**2 * noise * most_iterations * eta**2,
            12.0 * c.smoothness**2 * c.dissimilarity_offset * most_iterations**2 * eta**2,
        ]
    )


def derivatives(*, seed: int) -> Row:
    """To which continuous decisions of a round (33) and (25) respond, by finite differences at its best decision."""
    problem = rounds_of(system_of("literal", seed, 1), seed)[0]
    decision = dict(cast(dict[str, NDArray], best(problem).decision))
    decision["offload_share"] = 0.9 * decision["offload_share"] + 0.005  # away from the corners
    decision["ue_minibatch"] = np.clip(decision["ue_minibatch"], 0.06, 0.9)
    decision["dc_minibatch"] = np.clip(decision["dc_minibatch"], 0.06, 0.9)
    found: dict[str, dict[str, float]] = {"printed": {}, "corrected": {}}
    for name in ("offload_share", "clock_hz", "points_per_s", "ue_minibatch", "dc_minibatch"):
        moved = decision | {name: decision[name] * (1.0 - 1e-4)}
        for form, bound in (("printed", _printed_bound), ("corrected", _round_bound)):
            found[form][name] = abs(bound(problem, moved) - bound(problem, decision)) / 1e-4
    return {"derivative": found}


def _printed_bound(problem: RoundProblem, decision: dict[str, NDArray]) -> float:
    """(33): of a decision it has the sum of all counts, nothing else."""
    counts = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]])
    horizon = problem.learning_constants.horizon
    gamma_bar = horizon * mean_iterations(counts, "printed")
    return float(
        corollary_terms(problem.learning_constants, len(counts), gamma_bar, horizon, problem.most_iterations).sum()
    )


def _round_bound(problem: RoundProblem, decision: dict[str, NDArray]) -> float:
    return float(problem.evaluate(decision)[2].xi)


def convexity(*, seed: int) -> Row:
    """Share of random segments on which J at the middle is above the mean of its ends.

    ``variables``: the paper's continuous variables at given integers; ``flows``: flows of data, processed samples and
    processing times, one SGD step each.
    """
    problem = rounds_of(system_of("literal", seed, 1), seed)[0]
    rng = np.random.default_rng(seed)
    fixed = {name: best(problem).decision[name] for name in ("aggregator", "ue_to_bs", "bs_to_ue")}
    ends = [_random_variables(problem, rng) for _ in range(2)]
    share = {"variables": _broken(problem, fixed, *ends)}
    flows = [_random_flows(problem, rng) for _ in range(2)]
    middle = {name: (flows[0][name] + flows[1][name]) / 2.0 for name in flows[0]}
    costs = [_cost(problem, fixed, _from_flows(problem, flow)) for flow in (*flows, middle)]
    share["flows"] = _above(*costs)
    return {"share": share}


def _broken(problem: RoundProblem, fixed: dict, one: dict, other: dict) -> float:
    middle = {name: (one[name] + other[name]) / 2.0 for name in one}
    return _above(*(_cost(problem, fixed, continuous) for continuous in (one, other, middle)))


def _above(one: NDArray, other: NDArray, middle: NDArray) -> float:
    mean = (one + other) / 2.0
    return float((middle > mean * (1.0 + 1e-9)).mean())


def _cost(problem: RoundProblem, fixed: dict, continuous: dict[str, NDArray]) -> NDArray:
    lead = len(continuous["clock_hz"])
    whole = {name: np.broadcast_to(value, (lead, *np.shape(value))) for name, value in fixed.items()}
    return problem.cost(cast(RoundDecision, continuous | whole))


def _random_variables(problem: RoundProblem, rng: np.random.Generator) -> dict[str, NDArray]:
    """Uniform decisions in the paper's variables, SGD steps continuous."""
    ues, stations, centres = problem.shape
    fastest = problem.network.machine_points_per_s
    return {
        "offload_share": rng.dirichlet(np.ones(stations + 1), (SEGMENTS, ues))[..., :-1],
        "forward_share": rng.dirichlet(np.ones(centres), (SEGMENTS, stations)),
        "clock_hz": rng.uniform(problem.clock_low_hz, problem.clock_high_hz, (SEGMENTS, ues)),
        "points_per_s": rng.uniform(problem.least_speed, 1.0, (SEGMENTS, centres)) * fastest,
        "ue_iterations": rng.uniform(1, problem.most_iterations, (SEGMENTS, ues)),
        "dc_iterations": rng.uniform(1, problem.most_iterations, (SEGMENTS, centres)),
        "ue_minibatch": rng.uniform(problem.least_minibatch, 1.0, (SEGMENTS, ues)),
        "dc_minibatch": rng.uniform(problem.least_minibatch, 1.0, (SEGMENTS, centres)),
    }


def _random_flows(problem: RoundProblem, rng: np.random.Generator) -> dict[str, NDArray]:
    """The same decisions at one SGD step: flows in data points, samples processed, processing times in s."""
    v, net = _random_variables(problem, rng), problem.network
    sent = v["offload_share"] * problem.conditions["data_points"][:, None]
    forwarded = v["forward_share"] * sent.sum(axis=1)[..., None]
    kept = problem.conditions["data_points"] - sent.sum(axis=2)
    samples, dc_samples = v["ue_minibatch"] * kept, v["dc_minibatch"] * forwarded.sum(axis=1)
    slowest = energy_optimal_speed(net.dynamic_share)
    speed = np.maximum(v["points_per_s"], slowest * net.machine_points_per_s)
    return {
        "sent": sent,
        "forwarded": forwarded,
        "samples": samples,
        "dc_samples": dc_samples,
        "time": net.cycles_per_point * samples / v["clock_hz"],
        "dc_time": dc_samples / (net.machines * speed),
    }


def _from_flows(problem: RoundProblem, flow: dict[str, NDArray]) -> dict[str, NDArray]:
    """The decision behind flows."""
    points, net = problem.conditions["data_points"], problem.network
    received = flow["sent"].sum(axis=1)
    ones = np.ones_like(flow["samples"]), np.ones_like(flow["dc_samples"])
    return {
        "offload_share": flow["sent"] / points[:, None],
        "forward_share": flow["forwarded"] / received[..., None],
        "clock_hz": net.cycles_per_point * flow["samples"] / flow["time"],
        "points_per_s": flow["dc_samples"] / (net.machines * flow["dc_time"]),
        "ue_iterations": ones[0],
        "dc_iterations": ones[1],
        "ue_minibatch": flow["samples"] / (points - flow["sent"].sum(axis=2)),
        "dc_minibatch": flow["dc_samples"] / flow["forwarded"].sum(axis=1),
    }


def capacity(*, networks: int, seed: int) -> Row:
    """Share of networks and DCs in which the links into a DC can carry more than the DC, (15), before availability."""
    params = system_of("literal", 0, 1).params
    exceeded = []
    for number in range(networks):
        network = draw_network(dataclasses.replace(params, network_seed=seed * networks + number))
        exceeded.append((network.backhaul_bps.sum(axis=0) > network.dc_capacity_bps).mean())
    return {"share": float(np.mean(exceeded))}
