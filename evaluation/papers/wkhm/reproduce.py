"""Ghatak, "Weighted K-Harmonic Means Clustering": its theorems, ablations, distributions and Table I, measured."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rangym.evaluation import runner
from rangym.evaluation.grid import Cell, run_grid
from rangym.evaluation.papers.claims import Reproduction
from rangym.evaluation.papers.command import DEFAULT_OUT, command_line, conclude, failed, save_figures
from rangym.evaluation.papers.wkhm.claims import Data, all_claims
from rangym.evaluation.papers.wkhm.rows import ENV_ID, READINGS, cell, run_cell

PAPER = 'Ghatak, "Weighted K-Harmonic Means Clustering": claims and measurements'
NAME = "wkhm"
MEANING = {
    "literal": "the printed update from a uniform start, p = 2, q = 4, eps = 1e-6 in metres, and the same eps in the "
    "path loss, as the paper's single letter says; Shannon's rate without a cap",
    "3 m, cap": "the same update; antennas 3 m above the users and at most 7.4 bit/s/Hz, as radios have it",
    "corrected": "the gradient with 1/s on both terms, safeguarded ascent inside the area, eps = 9 m^2; the same radio",
    "hotspot": "half of the users in one hotspot",
}


@dataclass(frozen=True)
class Plan:
    """How much is run: seeds of the comparison, of the ablations and of the theorems."""

    seeds: int
    ablation_seeds: int
    theorem_seeds: int
    quick: bool = False


FULL = Plan(30, 20, 20)
QUICK = Plan(8, 4, 4, quick=True)


def reproduce(quick: bool = False, workers: int = 1, out: str | Path = DEFAULT_OUT) -> int:
    """Measure, print the table, and write rows, claims and figures below ``out``; 1 if a cell failed."""
    return run(QUICK if quick else FULL, workers, Path(out) / NAME, command_line("wkhm", quick, workers, out))


def run(plan: Plan, workers: int, out: Path, command: str) -> int:
    """`reproduce` for any plan; everything is written into ``out``."""
    start = time.monotonic()
    stored, computed = run_grid(run_cell, cells(plan), out / "rows.jsonl", workers=workers, title="wkhm")
    if failed(f"{r['row']}, seed {r['seed']}: {r['error']} ({r['where']})" for r in stored.errors.values()):
        return 1
    data = Data.of(stored)
    found = Reproduction(
        paper=PAPER,
        claims=tuple(all_claims(data)),
        command=command,
        setting=tuple(_setting(plan)),
        readings=MEANING,
        figures=save_figures("wkhm.figures", data, out),
        versions=runner.versions(),
    )
    return conclude(found, out, computed, start)


def cells(plan: Plan) -> list[Cell]:
    where = [(reading, "uniform") for reading in READINGS] + [("literal", "hotspot")]
    return [
        *(cell("comparison", reading=r, law=law, seed=seed) for seed in range(plan.seeds) for r, law in where),
        *(
            cell("ablation", reading=r, seed=seed)
            for seed in range(plan.ablation_seeds)
            for r in ("literal", "3 m, cap")
        ),
        *(cell("theorems", seed=seed) for seed in range(plan.theorem_seeds)),
    ]


def _setting(plan: Plan) -> Iterator[str]:
    if plan.quick:
        yield "QUICK RUN: fewer seeds; its verdicts are less certain."
    p = runner.make_env(ENV_ID, "static_uniform", {}).system.params
    yield (
        f"static_uniform: {p.num_ues} users and {p.num_nodes} nodes in {p.side_m:g} m x {p.side_m:g} m, seeds "
        f"0..{plan.seeds - 1} (ablations 0..{plan.ablation_seeds - 1}, theorems 0..{plan.theorem_seeds - 1}); every "
        "method starts from the same uniform nodes, and users are served by the nearest node."
    )
    yield (
        f"Not given in the paper and chosen here: path-loss exponent {p.path_loss_exponent:g}, SNR {p.snr_1m_db:g} dB "
        f"at 1 m, {p.bandwidth_mhz:g} MHz a node, and the users' distribution (uniform)."
    )
