"""``rangym evaluate``: chosen policies on one scenario."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rangym.cli import arguments
from rangym.envs.errors import WrongValue
from rangym.envs.params import nearest

if TYPE_CHECKING:
    from rangym.evaluation import Benchmark

DESCRIPTION = """\
Run policies on the same traces and compare them: means, paired differences, bounds.

A policy is NAME, NAME:KEY=VALUE,... or NAME:tuned, with the options tuned for the scenario (see
`rangym tune`); a class of your own is my_module:Mine or my_module:Mine:KEY=VALUE,... A problem of
your own is --env my_module:lab/Mine-v0. sb3:file=MODEL.zip plays a model of stable-baselines3;
such a file is code that runs when it is read, so take files of your own only.

--traces takes recorded traces (Trace.save) in place of seeds. With --out, finished episodes are kept, and the same
command goes on where it was stopped. The environment variable RANGYM_CACHE names a folder in which drawn days of
QosClustering are kept.

Exit status: 0; 1 where an episode failed or a certified bound was broken; 2 for a wrong call."""
EXAMPLE = """\
  rangym evaluate max_sinr a3 lda --scenario small --seeds 0:20
  rangym evaluate a3:offset_db=6 lda:tuned random --set handover_weight=5 --workers 2 --out results/x.jsonl"""


going_on = arguments.rows_kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_file

    parser.add_argument("policies", nargs="+", metavar="POLICY", help="see `rangym list`")
    arguments.add_environment(parser)
    parser.add_argument("--seeds", default="0:20", help="FIRST:END, END excluded, or a list (default: %(default)s)")
    parser.add_argument("--traces", nargs="+", metavar="FILE", default=[], help="recorded traces in place of seeds")
    parser.add_argument("--any-seed", action="store_true", help="also take seeds kept for tuning and training")
    arguments.add_workers(parser)
    parser.add_argument("--out", type=new_file, metavar="FILE", help="JSON-lines file that keeps the rows")
    parser.add_argument("--against", metavar="POLICY", help="differences to this policy (default: the best)")
    parser.add_argument("--no-bounds", action="store_true", help="leave out the bounds (no scores, no regrets)")
    parser.add_argument("--details", action="store_true", help="also print reward terms and metrics")
    parser.add_argument("--html", type=new_file, metavar="FILE", help="also write a report")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation import Benchmark, evaluate
    from rangym.evaluation.columns import counted
    from rangym.evaluation.protocol import parse_seeds
    from rangym.evaluation.summary import summarise_all, text_report

    benchmark = Benchmark(
        arguments.env_id(args.env),
        args.scenario,
        range(20) if args.traces else parse_seeds(args.seeds),
        arguments.key_values(args.overrides, "--set"),
        traces=args.traces,
        any_seed=args.any_seed,
    )
    if args.html:
        from rangym.evaluation.report import check_extra, write_html

        check_extra()
    against = None if args.against is None else _row_of(args.against, args.policies, benchmark)
    results = evaluate(
        args.policies,
        benchmark,
        workers=args.workers,
        out=args.out,
        bounds=not args.no_bounds,
        against=against,
    )
    for summary in summarise_all(results, against):
        print(text_report(summary, args.details))
    if args.out:
        print(f"\n{counted(results.computed, 'jobs')} run, {counted(len(results.episodes), 'episodes')} in {args.out}")
    if args.html:
        print(f"report: {write_html(results, args.html, command=arguments.command_line(), against=against)}")
    return arguments.print_problems(results, args.out)


def _row_of(against: str, asked: Sequence[str], benchmark: Benchmark) -> str:
    """The row's name of the one asked policy that ``against`` means, said as it was asked, as its row, or by bare name.

    Refused before any episode is played.
    """
    from rangym.evaluation.identity import options_of
    from rangym.policies import registry, words

    for word in asked:
        registry.entry(word, benchmark.env_id)  # refuses an unknown one with the names of the environment's own
    made = [registry.make(word, scenario=benchmark.scenario) for word in asked]
    rows = [words.spell(policy.name, options_of(policy)[0]) for policy in made]
    meant = {row for word, row in zip(asked, rows, strict=True) if against in (word, row)}
    meant = meant or {row for row in rows if against == row.partition(":")[0]}
    if len(meant) != 1:
        raise WrongValue(f"--against: one of {', '.join(asked)} wanted, got {against!r}{nearest(against, asked)}")
    return meant.pop()
