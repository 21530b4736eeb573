"""Kalntis et al., "Smooth Handovers via Smoothed Online Learning": every claim of its evaluation, measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from rangym.evaluation import runner
from rangym.evaluation.grid import run_grid
from rangym.evaluation.papers.claims import Reproduction
from rangym.evaluation.papers.command import DEFAULT_OUT, command_line, conclude, failed, save_figures
from rangym.evaluation.papers.smooth_handovers import plan as p
from rangym.evaluation.papers.smooth_handovers.claims import all_claims
from rangym.evaluation.papers.smooth_handovers.plan import ROUNDED, SOURCES, Data, Plan
from rangym.evaluation.papers.smooth_handovers.rows import run_cell
from rangym.evaluation.results import EXCESS

PAPER = 'Kalntis et al., "Smooth Handovers via Smoothed Online Learning": claims and measurements'
NAME = "smooth_handovers"


def reproduce(quick: bool = False, workers: int = 1, out: str | Path = DEFAULT_OUT) -> int:
    """Measure, print the table, and write rows, claims and figures below ``out``; 1 if a cell failed."""
    return run(
        p.QUICK if quick else p.FULL, workers, Path(out) / NAME, command_line("smooth-handovers", quick, workers, out)
    )


def run(plan: Plan, workers: int, out: Path, command: str) -> int:
    """`reproduce` for any plan; everything is written into ``out``."""
    start = time.monotonic()
    stored, computed = run_grid(run_cell, p.cells(plan), out / "rows.jsonl", workers=workers, title="smooth-handovers")
    if failed(
        f"{r['row']} {r.get('policy', '')}, {r['experiment']}, seed {r['seed']}: {r['error']} ({r['where']})"
        for r in stored.errors.values()
    ):
        return 1
    data = Data.of(stored)
    if failed(beyond_bounds(data)):
        return 1
    found = Reproduction(
        paper=PAPER,
        claims=tuple(all_claims(data)),
        command=command,
        setting=tuple(_setting(data, plan)),
        readings={s.label: s.what for s in SOURCES}
        | {"fair": "experts pay for fractional moves as forecasters do for whole handovers (`fair_surrogate`)"},
        figures=save_figures("smooth_handovers.figures", data, out),
        versions=runner.versions(),
    )
    return conclude(found, out, computed, start)


def beyond_bounds(data: Data) -> Iterator[str]:
    """Episodes whose f exceeds the certified bound of their trace: an error of the simulator or of the bound."""
    for scenario in ("static", "volatile"):
        for policy in (*(s.policy for s in ROUNDED), p.MAX_SINR, p.RANDOM):
            for row, bound in zip(data.episodes(scenario, policy), data.bounds(scenario), strict=False):
                if row["f"] > bound["upper"] + EXCESS * abs(bound["upper"]):
                    yield f"{policy}, {scenario}, seed {row['seed']}: f = {row['f']:.9g} above {bound['upper']:.9g}"


def _setting(data: Data, plan: Plan) -> Iterator[str]:
    if plan.quick:
        yield "QUICK RUN: fewer seeds and shorter horizons; its verdicts hold for these, not for the paper's horizons."
    desk = runner.make_env("rangym/CellAssociation-v0", "desk", plan.desk).system.params
    for name in ("static", "volatile"):
        here = runner.make_env("rangym/CellAssociation-v0", name, plan.synthetic).system.params
        yield (
            f"{name}: {here.num_ues} UEs, {here.num_cells} cells, T = {here.horizon}, gamma = {p.SYNTHETIC_GAMMA:g}, "
            f"seeds 0..{plan.seeds - 1}."
        )
    yield (
        f"Stand-in data: the paper's real-world measurements (1000 UEs, 25 cells, T = 10000) are private. Scenario "
        f"desk takes their place ({desk.num_ues} UEs, {desk.num_cells} cells, T = {desk.horizon}, 3GPP channel, "
        f"Gauss-Markov motion, seeds 0..{plan.seeds - 1}); verdicts on it are about the stand-in only."
    )
    yield "HO cost is the paper's norm throughout; numbers are means over slots, then over seeds, with 95 % intervals."
