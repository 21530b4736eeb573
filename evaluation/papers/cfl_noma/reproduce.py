"""Lin, Wang, Ding, "Clustered federated learning with NOMA": every claim of its evaluation, measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rangym.evaluation import runner
from rangym.evaluation.grid import Cell, run_grid
from rangym.evaluation.papers.cfl_noma import claims as c
from rangym.evaluation.papers.cfl_noma.claims import Data, all_claims
from rangym.evaluation.papers.cfl_noma.rows import ACCESSES, cell, run_cell
from rangym.evaluation.papers.claims import Reproduction
from rangym.evaluation.papers.command import DEFAULT_OUT, command_line, conclude, failed, save_figures
from rangym.evaluation.problems.noma_allocation.federated import ALL_SERVED, FederatedStudy, allocations, federated

PAPER = 'Lin, Wang, Ding, "Clustered federated learning with NOMA" (arXiv 2403.03157): claims and measurements'
NAME = "cfl_noma"
POLICIES, ACCURACY_ACCESSES = (ALL_SERVED, "random_fixed", "mba_fixed", "mba_kkt"), ("noma", "oma_equal")
SCENARIOS = ("paper", "urban", "tight")


@dataclass(frozen=True)
class Plan:
    """How much is run: seeds of the rows about one round, of the timings, and of the federated trainings."""

    seeds: int
    timing_seeds: int
    learning_seeds: int
    study: FederatedStudy
    learning_rates: tuple[float, ...]
    quick: bool = False


FULL = Plan(200, 10, 5, FederatedStudy(), (0.05, 0.1, 0.2, 0.5, 1.0))
QUICK = Plan(30, 3, 3, FederatedStudy(rounds=20), (0.2, 0.5), quick=True)


def reproduce(quick: bool = False, workers: int = 1, out: str | Path = DEFAULT_OUT) -> int:
    """Measure, print the table, and write rows, claims and figures below ``out``; 1 if a cell failed."""
    return run(QUICK if quick else FULL, workers, Path(out) / NAME, command_line("cfl-noma", quick, workers, out))


def run(plan: Plan, workers: int, out: Path, command: str) -> int:
    """`reproduce` for any plan; everything is written into ``out``."""
    start = time.monotonic()
    stored, computed = run_grid(run_cell, list(cells(plan)), out / "rows.jsonl", workers=workers, title="cfl-noma")
    learned = federated(
        plan.study,
        concentrations=c.CONCENTRATIONS,
        allocations=allocations(POLICIES, ACCURACY_ACCESSES),
        learning_rates=plan.learning_rates,
        seeds=range(plan.learning_seeds),
        workers=workers,
        out=out / "federated.jsonl",
    )
    problems = [f"{row['row']}, seed {row['seed']}: {row['error']} ({row['where']})" for row in stored.errors.values()]
    if failed([*problems, *learned.problems]):
        return 1
    data = Data.of(stored, learned.rows)
    found = Reproduction(
        paper=PAPER,
        claims=tuple(all_claims(data)),
        command=command,
        setting=tuple(_setting(plan)),
        readings=READINGS,
        figures=save_figures("cfl_noma.figures", data, out),
        versions=runner.versions(),
    )
    return conclude(found, out, computed + learned.computed, start)


def cells(plan: Plan) -> Iterator[Cell]:
    """Every row about single rounds."""
    for seed in range(plan.seeds):
        yield cell("powers", seed=seed)
        for concentration in c.CONCENTRATIONS:
            yield cell("likelihood", concentration=concentration, seed=seed)
        for fading, times in c.CASES:
            yield cell("matching", fading=fading, times=times, seed=seed)
        for offload_s in c.OFFLOADS_S:
            yield cell("energy", offload_s=offload_s, seed=seed)
        for scenario in SCENARIOS:
            for access in ACCESSES:
                yield cell("strategies", scenario=scenario, access=access, seed=seed)
        if seed < plan.timing_seeds:
            yield cell("timing", seed=seed)


READINGS = {
    "literal": "swaps that leave both users and both sub-channels no worse (2es, Definition 3 as printed)",
    "sum": "swaps that lower the sum of both sub-channels, whoever pays",
    "local search": "assignment by the Hungarian method and swaps in turn, with restarts",
    "flat": "the same gain on all sub-channels, as the paper's notation may mean; else independent fading on each",
    "own times": "training times differ between users; else everybody has 0.2 s to upload",
    "R-F, MBA-F, MBA-KKT": "random pairs at full power; swaps (sum) at full power; swaps (sum) with least energy",
}


def _setting(plan: Plan) -> Iterator[str]:
    if plan.quick:
        yield "QUICK RUN: fewer seeds, shorter training; its verdicts hold for these."
    study = plan.study
    yield f"Rounds: seeds 0..{plan.seeds - 1}, one round each, independent places, data, processors and fading."
    yield (
        f"Learning: {study.dataset}, {study.num_ues} users, {study.participants} in a round, {study.rounds} rounds, "
        f"seeds 0..{plan.learning_seeds - 1}, learning rates {', '.join(f'{r:g}' for r in plan.learning_rates)} tried."
    )
