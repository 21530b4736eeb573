"""``rangym reproduce``: a paper's claims beside what we measure."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Measure every claim of a paper and print it beside the claim, with an interval and a verdict:
reproduced, not reproduced, or not testable. Figures and rows go below --out; a stopped run goes on.
Without a paper, list those there are."""
EXAMPLE = "  rangym reproduce smooth-handovers --quick\n  rangym reproduce smooth-handovers --workers 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.cli import arguments

    parser.add_argument("paper", nargs="?", help="which paper")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter episodes, said so in the table")
    arguments.add_workers(parser)
    parser.add_argument("--out", default="results/reproduce", metavar="DIR", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.papers.paper import find, names

    if args.paper is None:
        for name in names():
            print(f"{name:<18} {find(name).title}")
        return 0
    from rangym.evaluation.papers.reproduce import reproduce

    return reproduce(args.paper, args.quick, args.workers, args.out)
