"""``rangym bench``: the benchmark."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rangym.cli import arguments

if TYPE_CHECKING:
    from rangym.evaluation import Results

DESCRIPTION = """\
Run every registered policy, trained agents included, on the same traces, print the tables and
write an HTML report. One scenario of each environment takes under three minutes on two cores;
a stopped run goes on where it was.

--full runs every scenario that has a table, about an hour on two cores. --map adds the scenario
`measured` on a radio map of yours (see `rangym trace import`)."""
EXAMPLE = "  rangym bench\n  rangym bench --full --map map.npz --out results --workers 4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_folder

    parser.add_argument(
        "--out", type=new_folder, default="results", metavar="DIR", help="folder of rows and report (default: results)"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the rows of earlier runs")
    parser.add_argument("--full", action="store_true", help="every scenario that has a table")
    parser.add_argument("--map", metavar="FILE", help="also run `measured` on this radio map")
    arguments.add_workers(parser, default=-1)


def going_on(args: argparse.Namespace) -> str:
    """What an interrupted benchmark leaves behind."""
    without = " without --fresh" if args.fresh else ""
    return f"finished rows are in {args.out}, and the same command{without} goes on from them"


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation import Results, evaluate
    from rangym.evaluation.cards import benchmarks
    from rangym.evaluation.problems.cell_association.measured import measured
    from rangym.evaluation.summary import summarise_all, text_report

    tables = [*benchmarks(args.full), *([measured(args.map)] if args.map else [])]
    rows = Path(args.out) / "bench.jsonl"
    if args.fresh:
        rows.unlink(missing_ok=True)
    start = time.monotonic()
    print("running the benchmark; the first run compiles for some seconds", file=sys.stderr, flush=True)
    results = Results.merge(evaluate(None, table, workers=args.workers, out=rows) for table in tables)
    for summary in summarise_all(results):
        print(text_report(summary), end="\n\n")
    print(f"{results.computed} jobs run in {time.monotonic() - start:.0f} s; rows: {rows}")
    print(f"report: {_report(results, rows.with_suffix('.html'))}")
    return arguments.print_problems(results, rows)


def _report(results: Results, path: Path) -> str:
    """The path of the HTML report, or what to install for one: the tables stand without it."""
    from rangym.envs.errors import MissingExtra
    from rangym.evaluation.report import write_html

    try:
        return str(write_html(results, path, command=arguments.command_line()))
    except MissingExtra as error:
        return f"none ({error})"
