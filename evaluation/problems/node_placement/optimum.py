"""How good a placement can be: a proof for two nodes, and the best placements found so far.

    python -m rangym.evaluation.problems.node_placement.optimum --scenarios static_uniform static_thomas --seeds 0:10

searches the scenarios' traces and stores what it finds in `BEST_KNOWN`, with the command. Each entry holds the
placement itself, so that its value can be checked; it says nothing about how much better an unknown one may be.
With ``--compare`` nothing is searched: policies' geometric mean rates are printed as shares of those stored, beside the
certified bound.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import Trace
from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.physics.units import linear_to_db

BEST_KNOWN = Path(__file__).with_name("best_known.json")
BOXES_AT_ONCE = 4096


@dataclass(frozen=True)
class Certificate:
    """The optimum of one slot lies in [lower, upper].

    ``node_position_m`` (2, 2) reaches ``lower``; ``closed`` if upper - lower came below the gap wanted; ``boxes`` were
    examined. Computed in double precision, without outward rounding.
    """

    lower: float
    upper: float
    closed: bool
    node_position_m: NDArray
    boxes: int


def certify(system: NodePlacement, user_m: NDArray, gap: float, max_boxes: int = 4_000_000) -> Certificate:
    """Branch and bound over the places of two nodes, for rewards ``proportional_fair`` and ``min_sinr``.

    A box of placements is an interval for every node coordinate, so every squared distance lies in an interval too.
    Where a user can be at node l at all (its nearest distance to l is not beyond its farthest to the other), its SINR
    there is at most P(nearest to l) / (1 + P(farthest from the other)). The load term sum_l N_l ln N_l is convex in
    N_1, and N_1 lies between the users who must be at node 1 and those who can.
    """
    p = system.params
    if p.num_nodes != 2 or p.association != "hard" or p.reward not in ("proportional_fair", "min_sinr"):
        raise ValueError(
            "system: two nodes, hard association and reward proportional_fair or min_sinr wanted, got "
            f"{p.num_nodes} nodes, {p.association}, {p.reward}"
        )
    if not gap > 0:
        raise ValueError(f"gap: a positive number wanted, got {gap!r}")
    low, high = np.zeros((1, 2, 2)), np.full((1, 2, 2), p.side_m)
    upper = _upper(system, user_m, low, high)
    best, value, examined = low[0], -np.inf, 1
    while len(upper):
        # The most promising boxes are halved along their longest side.
        first = np.argsort(-upper)[:BOXES_AT_ONCE]
        a, b = low[first].reshape(-1, 4), high[first].reshape(-1, 4)
        axis, row = (b - a).argmax(axis=1), np.arange(len(a))
        middle = (a[row, axis] + b[row, axis]) / 2.0
        left, right = b.copy(), a.copy()
        left[row, axis], right[row, axis] = middle, middle
        new_low = np.concatenate([a, right]).reshape(-1, 2, 2)
        new_high = np.concatenate([left, b]).reshape(-1, 2, 2)
        keep = new_low[:, 0, 0] <= new_high[:, 1, 0]  # the nodes are alike: the first one is not to the right
        new_low, new_high = new_low[keep], new_high[keep]
        centre = (new_low + new_high) / 2.0
        values = system.utility(user_m, centre)
        examined += len(new_low)
        if values.max() > value:
            best, value = centre[values.argmax()], float(values.max())
        low = np.concatenate([np.delete(low, first, axis=0), new_low])
        high = np.concatenate([np.delete(high, first, axis=0), new_high])
        upper = np.concatenate([np.delete(upper, first), _upper(system, user_m, new_low, new_high)])
        open_ = upper > value + gap
        if not open_.any() or examined >= max_boxes:
            break
        low, high, upper = low[open_], high[open_], upper[open_]
    top = max(float(upper.max()), value) if open_.any() else value + gap
    return Certificate(value, top, not open_.any(), best, examined)


def _upper(system: NodePlacement, user_m: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """Upper bound (B,) of the utility over boxes ``low, high`` (B, 2, 2)."""
    p, users = system.params, len(user_m)
    below, above = low[:, :, None] - user_m, user_m - high[:, :, None]  # (B, 2, N, 2)
    near = (np.maximum(np.maximum(below, above), 0.0) ** 2).sum(axis=-1)
    far = (np.maximum(-below, -above) ** 2).sum(axis=-1)
    strongest, weakest = _snr_at(system, near), _snr_at(system, far)
    sinr = strongest / (1.0 + weakest[:, ::-1])
    possible = near <= far[:, ::-1]
    if p.reward == "min_sinr":
        return linear_to_db(np.where(possible, sinr, 0.0).max(axis=1).min(axis=1))
    shannon = np.log2(1.0 + sinr)
    efficiency = shannon if p.max_spectral_efficiency is None else np.minimum(shannon, p.max_spectral_efficiency)
    best = np.where(possible, efficiency, 0.0).max(axis=1)
    certain = ~possible[:, ::-1]
    fewest, most = certain[:, 0].sum(axis=1), users - certain[:, 1].sum(axis=1)
    # Real loads halve the users best; clipping keeps the convex function's minimum over the interval.
    one = np.clip(users / 2.0, fewest, most)
    load = _x_log_x(one) + _x_log_x(users - one)
    return np.log(best).mean(axis=1) + np.log(p.bandwidth_mhz) - load / users


def _snr_at(system: NodePlacement, squared_m2: NDArray) -> NDArray:
    """Linear SNR at squared distances: the radio model, asked along a line."""
    origin, along = np.zeros((1, 2)), np.zeros((squared_m2.size, 2))
    along[:, 0] = np.sqrt(squared_m2).ravel()
    return system.radio.snr(along, origin)[0].reshape(squared_m2.shape)


def _x_log_x(x: NDArray) -> NDArray:
    return x * np.log(np.maximum(x, 1e-300))


def search(
    system: NodePlacement, user_m: NDArray, rng: np.random.Generator, restarts: int, evaluations: int
) -> NDArray:
    """The best placement (K, 2) of CMA-ES runs from K-means and K-harmonic means, then swaps and small steps."""
    from rangym.policies.algorithms.placement.clustering import k_means
    from rangym.policies.algorithms.placement.harmonic import k_harmonic_means
    from rangym.policies.algorithms.placement.search import (
        cma_es,
        improve_one_by_one,
        one_swap,
        ring_offsets,
        site_grid,
    )

    p = system.params

    def utility(nodes: NDArray) -> NDArray:
        return system.utility(user_m, nodes)

    offsets = ring_offsets(p.side_m * 0.05 / 2.0 ** np.arange(8))
    best, value = np.empty((0, 2)), -np.inf
    for run in range(restarts):
        cluster = (k_means, k_harmonic_means)[run % 2]
        start = cluster(user_m, rng.uniform(0, p.side_m, (p.num_nodes, 2))).position
        found = cma_es(utility, start, 0.0, p.side_m, rng, spread=0.1 * p.side_m, evaluations=evaluations).position
        found = one_swap(utility, found, site_grid(0.0, p.side_m, 20)).position
        polished = improve_one_by_one(
            utility, found, lambda position, node: np.clip(position[node] + offsets, 0.0, p.side_m)
        )
        if polished.value > value:
            best, value = polished.position, polished.value
    return best


def best_known(system: NodePlacement, trace: Trace) -> float | None:
    """Utility of the best placement stored for a trace of one slot and free moves, evaluated anew; None without one."""
    p = system.params
    if p.v_max_m is not None or p.horizon != 1 or p.movement_weight > 0:
        return None  # not one free placement
    users = trace.slots["user_position_m"][1]
    entry = _stored().get(fingerprint(users))
    if entry is None or len(entry["node_position_m"]) != p.num_nodes:
        return None
    return float(system.utility(users, np.array(entry["node_position_m"])))


def fingerprint(user_m: NDArray) -> str:
    """Identity of a set of users, to a millimetre."""
    return hashlib.sha256(np.round(user_m * 1000).astype("<i8").tobytes()).hexdigest()[:16]


@functools.cache
def _stored() -> dict[str, dict]:
    return json.loads(BEST_KNOWN.read_text(encoding="utf-8"))["placements"] if BEST_KNOWN.exists() else {}


def share_of_best_known(policies: Sequence[str], scenario: str, seeds: Sequence[int]) -> dict[str, float]:
    """Each policy's geometric mean rate as a share of the best known, and ``bound``: the best known's of the bound.

    Means over the seeds; each must have a stored placement.
    """
    from rangym.evaluation import Benchmark, evaluate  # which imports this module for the bound

    found = evaluate(policies, Benchmark("rangym/NodePlacement-v0", scenario, seeds)).comparison()
    best, bound = found.bound("lower"), found.bound()
    if best is None or bound is None:
        raise ValueError(f"seeds: such with a stored placement wanted, got {list(seeds)} of {scenario!r}")
    shares = {policy: float(np.exp(found.rewards(policy) - best).mean()) for policy in found.rows}
    return {**shares, "bound": float(np.exp(best - bound).mean())}


def main(arguments: Sequence[str] | None = None) -> None:
    from rangym.evaluation.episode import make_env
    from rangym.evaluation.protocol import parse_seeds

    parser = argparse.ArgumentParser(description="Search the best placements of one-slot scenarios and store them.")
    parser.add_argument("--scenarios", nargs="+", default=["static_uniform"])
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds("0:10"))
    parser.add_argument("--restarts", type=int, default=6)
    parser.add_argument("--evaluations", type=int, default=25_000, help="of each CMA-ES run")
    parser.add_argument("--compare", nargs="+", metavar="POLICY", help="compare these policies with what is stored")
    given = parser.parse_args(arguments)
    if given.compare:
        print("geometric mean rate, percent of the best known (last: best known, percent of the certified bound)\n")
        for scenario in given.scenarios:
            shares = share_of_best_known(given.compare, scenario, given.seeds)
            print(scenario + "".join(f"\n  {name:32} {100 * share:6.1f}" for name, share in shares.items()))
        return
    text = " ".join(["python -m rangym.evaluation.problems.node_placement.optimum", *(arguments or sys.argv[1:])])
    kept = json.loads(BEST_KNOWN.read_text(encoding="utf-8")) if BEST_KNOWN.exists() else {"placements": {}}
    for scenario in given.scenarios:
        env = make_env("rangym/NodePlacement-v0", scenario, {})
        system: NodePlacement = env.system  # type: ignore[assignment]
        for seed in given.seeds:
            env.reset(seed=seed)  # the trace that `evaluate` replays
            users = env.trace.slots["user_position_m"][1]
            place = search(system, users, np.random.default_rng(seed), given.restarts, given.evaluations).round(4)
            value, old = float(system.utility(users, place)), kept["placements"].get(fingerprint(users))
            print(f"{scenario} seed {seed}: geometric mean rate {np.exp(value):.4f} Mbit/s", flush=True)
            if old is None or old["utility"] < value:
                kept["placements"][fingerprint(users)] = {
                    "scenario": scenario,
                    "seed": seed,
                    "utility": round(value, 9),
                    "node_position_m": place.tolist(),
                    "command": text,
                }
            BEST_KNOWN.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
