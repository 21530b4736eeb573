"""``rangym reproduce``: a paper's claims beside what we measure."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Measure every claim of a paper and print it beside the claim, with an interval and a verdict:
reproduced, not reproduced, undecided or not testable. Figures and rows go below --out; a stopped run
goes on. smooth-handovers, at the paper's size, takes 20 to 35 minutes with two workers on two cores,
and a minute with --quick. Without a paper, list those there are."""
EXAMPLE = "  rangym reproduce smooth-handovers --quick\n  rangym reproduce smooth-handovers --workers 2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.cli import arguments
    from rangym.evaluation.places import new_folder

    parser.add_argument("paper", nargs="?", help="which paper")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter episodes, said so in the table")
    arguments.add_workers(parser)
    default = Path("results/reproduce")  # a path, which argparse takes as it is: the list of papers needs no folder
    parser.add_argument("--out", type=new_folder, default=default, metavar="DIR", help="default: %(default)s")


def going_on(args: argparse.Namespace) -> str:
    """What an interrupted reproduction leaves behind."""
    return f"finished rows are below {args.out}, and the same command goes on from them"


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.papers.paper import find, names

    if args.paper is None:
        from rangym.evaluation.columns import aligned

        print(aligned(["paper", "title"], [[name, find(name).title] for name in names()], "ll"))
        return 0
    from rangym.evaluation.papers.reproduce import reproduce

    return reproduce(args.paper, args.quick, args.workers, args.out)
