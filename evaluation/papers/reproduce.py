"""Measure every claim of a paper: run its jobs, judge their rows, draw the figures, print and write the table."""

from __future__ import annotations

import functools
import importlib
import io
import pkgutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rangym.envs.files import write_whole
from rangym.evaluation import identity
from rangym.evaluation.columns import counted
from rangym.evaluation.grid import Job, Row, run_grid
from rangym.evaluation.papers.paper import Paper, Plan, find, resolve
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.tables import Reproduction
from rangym.evaluation.versions import versions

DEFAULT_OUT = "results/reproduce"
ROWS = "rows.jsonl.xz"
"""The rows behind the claims; ``rows.jsonl`` beside them, which a run goes on from, may hold others as well."""
MOST_PROBLEMS = 20


def reproduce(paper: str | Paper, quick: bool = False, workers: int = 1, out: str | Path = DEFAULT_OUT) -> int:
    """Measure, print the table, and write rows, claims and figures into the paper's folder below ``out``.

    Returns the exit status: 1 where a job failed. A stopped run goes on where it was.
    """
    paper = find(paper) if isinstance(paper, str) else paper
    plan = paper.plans["quick" if quick else "full"]
    return run(paper, plan, workers, Path(out) / paper.folder, command_line(paper.name, quick, workers, out))


def run(paper: Paper, plan: Plan, workers: int, out: Path, command: str) -> int:
    """`reproduce` for any plan; everything is written into ``out``."""
    start, computed, rows = time.monotonic(), 0, Rows({})
    measure = functools.partial(measured, dict(paper.measures))
    code = {
        kind: identity.code_of(target.partition(":")[0], *_modules(paper)) for kind, target in paper.measures.items()
    }
    done: list[Row] = []
    for stage in paper.jobs:
        jobs = [{**job, "code": code[job["row"]]} for job in resolve(stage)(plan, rows)]
        stored, ran = run_grid(measure, jobs, out / "rows.jsonl", workers=workers, title=paper.name)
        if _failed(map(_problem, stored.errors.values())):
            return 1
        computed += ran
        done += stored.rows.values()
        rows = Rows.of(done)
    if paper.impossible and _failed(resolve(paper.impossible)(rows)):
        return 1
    found = judged(paper, plan, rows, command, draw(paper, rows, out))
    found.write(out)
    rows.save(out / ROWS)
    print(found.text())
    print(f"{counted(computed, 'jobs')} run in {time.monotonic() - start:.0f} s; claims, figures and rows: {out}")
    return 0


def measured(measures: Mapping[str, str], job: Job) -> Row:
    """What one job measures."""
    arguments = {k: v for k, v in job.items() if k not in ("row", "code")}
    return {"versions": versions(), **resolve(measures[job["row"]])(**arguments)}


def _modules(paper: Paper) -> Iterator[str]:
    """The modules that ``paper.parts`` names, those of its packages included."""
    for part in paper.parts:
        yield part
        path = getattr(importlib.import_module(part), "__path__", [])
        yield from (found.name for found in pkgutil.walk_packages(path, f"{part}."))


def judged(paper: Paper, plan: Plan, rows: Rows, command: str, figures: Mapping[str, str]) -> Reproduction:
    """The claims that follow from the rows."""
    return Reproduction(
        paper=paper.title,
        claims=tuple(resolve(paper.claims)(rows)),
        command=command,
        setting=(*([plan.note] if plan.note else ()), *resolve(paper.setting)(plan)),
        readings=paper.readings,
        figures=figures,
        versions=rows.versions(),
    )


def draw(paper: Paper, rows: Rows, out: Path) -> dict[str, str]:
    """Write the figures: file name -> caption; none, and what to install, where matplotlib is missing."""
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        print(f"no figures: they need {error.name}, pip install 'rangym[plot]'", file=sys.stderr)
        return {}
    for name, drawing in paper.figures.items():
        figure = resolve(drawing.draw)(rows)
        buffer, made_by = io.BytesIO(), {"Software": f"matplotlib {matplotlib.__version__}"}
        figure.savefig(buffer, format=Path(name).suffix[1:], dpi=110, metadata=made_by)
        write_whole(out / name, buffer.getvalue())
    return {name: drawing.caption for name, drawing in paper.figures.items()}


def command_line(name: str, quick: bool, workers: int, out: str | Path) -> str:
    """The command that repeats the run."""
    options = ["--quick"] * quick + [f"--workers {workers}"] * (workers != 1)
    options += [f"--out {out}"] * (str(out) != DEFAULT_OUT)
    return " ".join(["rangym reproduce", name, *options])


def _problem(row: Row) -> str:
    """A failed job in one line."""
    hidden = ("key", "row", "code", "error", "where")
    arguments = ", ".join(f"{name} {value}" for name, value in row.items() if name not in hidden)
    return f"{row['row']}, {arguments}: {row['error']} ({row['where']})"


def _failed(problems: Iterable[str]) -> bool:
    """Whether there are problems; the first of them go to standard error."""
    found = list(problems)
    for problem in found[:MOST_PROBLEMS]:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return bool(found)
