"""Search the best placements of one-slot scenarios.

    python -m rangym.evaluation.problems.node_placement.best_placements --scenarios static_uniform --seeds 0:10

searches the scenarios' traces and adds what it finds to the file ``--out``, in the form of the shipped best_known.json.
With ``--compare`` nothing is searched: policies' geometric mean rates are printed as shares of those stored, beside the
certified bound.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.files import write_whole
from rangym.envs.node_placement.system import NodePlacement
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.episode import make_env
from rangym.evaluation.places import new_file
from rangym.evaluation.problems.node_placement.optimum import fingerprint
from rangym.evaluation.protocol import parse_seeds
from rangym.policies.algorithms.placement.clustering import k_means
from rangym.policies.algorithms.placement.harmonic import k_harmonic_means
from rangym.policies.algorithms.placement.search import cma_es, improve_one_by_one, one_swap, ring_offsets, site_grid
from rangym.policies.base import Knowledge, Task


def search(
    system: NodePlacement, user_m: NDArray, rng: np.random.Generator, restarts: int, evaluations: int
) -> NDArray:
    """The best placement (K, 2) of CMA-ES runs from K-means and K-harmonic means, then swaps and small steps."""
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


def share_of_best_known(policies: Sequence[str], scenario: str, seeds: Sequence[int]) -> dict[str, float]:
    """Each policy's geometric mean rate as a share of the best known, and ``bound``: the best known's of the bound.

    Means over the seeds; each must have a stored placement.
    """
    found = evaluate(policies, Benchmark("rangym/NodePlacement-v0", scenario, seeds)).comparison()
    best, bound = found.bound("lower"), found.bound()
    if best is None or bound is None:
        raise WrongValue(f"seeds: such with a stored placement wanted, got {list(seeds)} of {scenario!r}")
    shares = {policy: float(np.exp(found.rewards(policy) - best).mean()) for policy in found.rows}
    return {**shares, "bound": float(np.exp(best - bound).mean())}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Search the best placements of one-slot scenarios and store them.")
    parser.add_argument("--scenarios", nargs="+", default=["static_uniform"])
    parser.add_argument("--seeds", type=parse_seeds, default=parse_seeds("0:10"))
    parser.add_argument("--restarts", type=int, default=6)
    parser.add_argument("--evaluations", type=int, default=25_000, help="of each CMA-ES run")
    parser.add_argument("--out", type=new_file, help="file to add to; better placements replace those in it")
    parser.add_argument("--compare", nargs="+", metavar="POLICY", help="compare these policies with what is stored")
    given = parser.parse_args(arguments)
    if given.compare:
        print("geometric mean rate, percent of the best known (last: best known, percent of the certified bound)\n")
        for scenario in given.scenarios:
            shares = share_of_best_known(given.compare, scenario, given.seeds)
            print(scenario + "".join(f"\n  {name:32} {100 * share:6.1f}" for name, share in shares.items()))
        return
    if given.out is None:
        parser.error("--out: a file to add to wanted")
    text = " ".join(
        ["python -m rangym.evaluation.problems.node_placement.best_placements", *(arguments or sys.argv[1:])]
    )
    out = Path(given.out)
    kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"placements": {}}
    for scenario in given.scenarios:
        env = make_env("rangym/NodePlacement-v0", scenario)
        system = Task.of(env, Knowledge.MODEL).model(NodePlacement)
        for seed in given.seeds:
            env.reset(seed=seed)  # the trace that `evaluate` replays
            users = env.trace.slots["user_position_m"][1]
            place = search(system, users, np.random.default_rng(seed), given.restarts, given.evaluations).round(4)
            value, old = float(system.utility(users, place)), kept["placements"].get(fingerprint(users))
            print(f"{scenario} seed {seed}: geometric mean rate {np.exp(value):.4f} Mbit/s", flush=True)
            if old is None or old["utility"] < value:
                found = {"scenario": scenario, "seed": seed, "utility": round(value, 9)}
                found |= {"node_position_m": place.tolist(), "command": text}
                kept["placements"][fingerprint(users)] = found
                write_whole(given.out, f"{json.dumps(kept, indent=1, sort_keys=True)}\n".encode())


if __name__ == "__main__":
    main()
