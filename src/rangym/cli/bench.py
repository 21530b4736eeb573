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

--full runs every scenario that has a table, about an hour on two cores. --published runs the tables
of README, about ten minutes on two cores, and writes their rows alone into DIR/published.jsonl. --map adds
the scenario `measured` on a radio map of yours (see `rangym map import`)."""
EXAMPLE = "  rangym bench\n  rangym bench --full --map map.npz --out results --workers 4"
PUBLISHED = Path("published") / "bench.jsonl"
"""README's rows, in the folder of `rangym.evaluation`; they are in the repository, not in the package."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_folder

    parser.add_argument(
        "--out", type=new_folder, default="results", metavar="DIR", help="folder of rows and report (default: results)"
    )
    parser.add_argument("--fresh", action="store_true", help="forget the rows of earlier runs")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--full", dest="which", action="store_const", const="full", help="every scenario that has a table"
    )
    which.add_argument(
        "--published", dest="which", action="store_const", const="published", help="the tables of README"
    )
    parser.set_defaults(which="quick")
    parser.add_argument("--map", metavar="FILE", help="also run `measured` on this radio map")
    arguments.add_workers(parser, default=-1)


def going_on(args: argparse.Namespace) -> str:
    """What an interrupted benchmark leaves behind."""
    without = " without --fresh" if args.fresh else ""
    return f"finished rows are in {args.out}, and the same command{without} goes on from them"


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation import Results, evaluate
    from rangym.evaluation.cards import benchmarks
    from rangym.evaluation.columns import counted
    from rangym.evaluation.problems.cell_association.measured import measured
    from rangym.evaluation.summary import summarise_all, text_report

    tables = [*benchmarks(args.which), *([measured(args.map)] if args.map else [])]
    rows = Path(args.out) / "bench.jsonl"
    if args.fresh:
        rows.unlink(missing_ok=True)
    start = time.monotonic()
    print("running the benchmark; the first run compiles for some seconds", file=sys.stderr, flush=True)
    results = Results.merge(evaluate(None, table, workers=args.workers, out=rows) for table in tables)
    for summary in summarise_all(results):
        print(text_report(summary), end="\n\n")
    print(f"{counted(results.computed, 'jobs')} run in {time.monotonic() - start:.0f} s; rows: {rows}")
    print(f"report: {_report(results, rows.with_suffix('.html'))}")
    if args.which == "published":
        print(f"README's rows: {results.save(rows.with_name('published.jsonl'))}")
    if said := _other_code(results):
        print(said)
    return arguments.print_problems(results, rows)


def _other_code(results: Results) -> str:
    """What is to be said of the published rows of the same tables; empty where there are none."""
    import rangym.evaluation
    from rangym.evaluation.columns import counted

    path = Path(rangym.evaluation.__file__).parent / PUBLISHED
    if not path.is_file():
        return ""
    published = rangym.evaluation.Results.load(path)
    theirs = [*published.episodes, *published.bounds]
    tables, keys = {(row["env_id"], row["scenario"]) for row in theirs}, {row["key"] for row in theirs}
    ours = [r["key"] for r in (*results.episodes, *results.bounds) if (r["env_id"], r["scenario"]) in tables]
    other = sum(key not in keys for key in ours)
    how = (
        f"by other code for {other} of these {counted(len(ours), 'rows')}; --published makes it anew"
        if other
        else "by this code"
    )
    return f"README's table was made {how}" if ours else ""


def _report(results: Results, path: Path) -> str:
    """The path of the HTML report, or what to install for one: the tables stand without it."""
    from rangym.envs.errors import MissingExtra
    from rangym.evaluation.report import write_html

    try:
        return str(write_html(results, path, command=arguments.command_line()))
    except MissingExtra as error:
        return f"none ({error})"
