"""What the ``rangym reproduce`` commands share: the line that repeats them, their figures, and how they end."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rangym.evaluation.papers.claims import Reproduction

DEFAULT_OUT = "results/reproduce"
MOST_PROBLEMS = 20


def command_line(name: str, quick: bool, workers: int, out: str | Path) -> str:
    """The command that repeats the run."""
    options = ["--quick"] * quick + [f"--workers {workers}"] * (workers != 1)
    options += [f"--out {out}"] * (str(out) != DEFAULT_OUT)
    return " ".join(["rangym reproduce", name, *options])


def failed(problems: Iterable[str]) -> bool:
    """Whether there are problems; the first of them go to standard error."""
    found = list(problems)
    for problem in found[:MOST_PROBLEMS]:
        print(f"PROBLEM: {problem}", file=sys.stderr)
    return bool(found)


def save_figures(module: str, data: Any, out: Path) -> dict[str, str]:
    """``module.save(data, out)``: file name -> caption; none, and what to install, where matplotlib is missing."""
    try:
        figures = importlib.import_module(f"rangym.evaluation.papers.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rangym"):
            raise
        print(f"no figures: they need {error.name}, pip install 'rangym[plot]'", file=sys.stderr)
        return {}
    return figures.save(data, out)


def conclude(found: Reproduction, out: Path, computed: int, start: float) -> int:
    """Write and print the claims; ``start`` is the run's `time.monotonic`."""
    found.write(out)
    print(found.text())
    print(f"{computed} cells run in {time.monotonic() - start:.0f} s; claims, figures and rows: {out}")
    return 0
