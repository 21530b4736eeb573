"""How fast CeflOrchestration's solvers are: the convex reference against cvxpy, the primal-dual, the card's bound.

CPU times of one core. Every repetition takes another episode of the scenario, of which solvers get the first round and
the bound gets all, and works through all rows once; medians are reported. Ratios of one run count, absolute times
depend on the machine. The exit status is 1 where a ratio misses its limit.

Example: python tests/benchmarks/speed_cefl_solvers.py --out solvers.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import json
import runpy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import rangym  # noqa: F401
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.core import Trace, build
from rangym.evaluation.problems.cefl_orchestration.bound import bound
from rangym.policies.algorithms.federated.cefl_reference import fixed_reference
from rangym.policies.algorithms.federated.consensus import consensus_graph, consensus_weights, rounds_matrix
from rangym.policies.algorithms.federated.primal_dual import primal_dual
from rangym.policies.algorithms.federated.relaxed_round import Integers
from rangym.policies.algorithms.federated.round_problem import FederatedSolution
from rangym.policies.cefl_orchestration.observed import round_problem

SYSTEM = "rangym.envs.cefl_orchestration.system:CeflOrchestration"
ORACLE = Path(__file__).parents[1] / "papers" / "cefl_oracle.py"
LEAST_RATIO = 3.0
"""Least ratio of cvxpy's time, which writes its programme in every call, to ours."""
STEPS = 4
"""Steps of successive approximation that a primal-dual run is timed over."""
LIMIT_S = {
    ("small_fixed", "reference"): 0.008,
    ("paper_fixed", "reference"): 0.04,
    ("paper_fixed", "centralised step"): 0.05,
    ("paper_fixed", "decentralised step"): 0.1,
    ("small", "bound() of an episode"): 5.0,
}
"""Seconds that were asked for: of one aggregator, of one step with 60 multiplier steps, of one episode with its best
known decisions."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=5, help="episodes of each scenario")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()
    rows = [row for scenario in ("small_fixed", "paper_fixed", "small") for row in measure(scenario, args.episodes)]
    print(table(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    return int(not all(row["kept"] for row in rows))


def measure(scenario: str, episodes: int) -> list[dict]:
    """The median time of each work of a scenario, over its episodes."""
    seconds: dict[str, list[float]] = {}
    system = build(SYSTEM, scenario, {})
    for seed in range(episodes):
        trace = system.sample_lanes([np.random.default_rng(seed)]).lane(0)
        for name, work in works(scenario, system, trace).items():
            seconds.setdefault(name, []).append(timed(work))
    took = {name: statistics.median(values) for name, values in seconds.items()}
    took = {name: median / STEPS if name.endswith("step") else median for name, median in took.items()}
    oracle = took.pop("cvxpy", None)
    rows = []
    for name, median in took.items():
        ratio = oracle / median if oracle and name == "reference" else None
        limit = LIMIT_S.get((scenario, name))
        rows.append(
            {"scenario": scenario, "work": name, "seconds": median, "asked": limit, "ratio": ratio}
            | {"kept": ratio is None or ratio >= LEAST_RATIO}
        )
    return rows


def works(scenario: str, system: CeflOrchestration, trace: Trace) -> dict[str, Callable[[], object]]:
    """What is timed on one episode."""
    if system.params.theta_mode == "eff":
        return {"bound() of an episode": lambda: bound(system, trace)}
    problem = round_problem(system, trace.slot(1), system.params.initial_gap)
    ues, stations, centres = problem.shape
    oracle = SimpleNamespace(**runpy.run_path(str(ORACLE)))
    reference = fixed_reference(problem)
    integers = integers_of(reference)
    found: dict[str, Callable[[], object]] = {
        "reference": lambda: fixed_reference(problem, aggregators=[0]),
        "cvxpy": lambda: oracle.relaxed_value(problem, 0, reference.decision["ue_to_bs"]),
    }
    if scenario == "paper_fixed":
        weights = rounds_matrix(consensus_weights(graph(ues, stations, centres)), 30)
        found["centralised step"] = lambda: primal_dual(problem, integers, steps=STEPS)
        found["decentralised step"] = lambda: primal_dual(problem, integers, weights, steps=STEPS)
    return found


def integers_of(solution: FederatedSolution) -> Integers:
    decision = solution.decision
    return Integers(int(decision["aggregator"]), decision["ue_to_bs"], decision["bs_to_ue"])


def graph(ues: int, stations: int, centres: int) -> np.ndarray:
    """UEs and base stations belong to the data centre of their sub-network."""
    ue_home, bs_home = np.arange(ues) * centres // ues, np.arange(stations) * centres // stations
    return consensus_graph(ue_home, ue_home[:, None] == bs_home, bs_home[:, None] == np.arange(centres))


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def table(rows: list[dict]) -> str:
    lines = [f"{'scenario':<13}{'work':<23}{'seconds':>9}{'asked':>8}{'x cvxpy':>9}  kept"]
    for r in rows:
        ratio = f"{r['ratio']:.1f}" if r["ratio"] else ""
        asked = r["asked"] or ""
        lines.append(f"{r['scenario']:<13}{r['work']:<23}{r['seconds']:>9.4f}{asked:>8}{ratio:>9}  {r['kept']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
