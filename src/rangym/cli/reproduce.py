"""``rangym reproduce``: a paper's claims beside what we measure."""

from __future__ import annotations

import argparse
import importlib

DESCRIPTION = """\
Measure every claim of a paper and print it beside the claim, with an interval and a verdict:
reproduced, not reproduced, or not testable. Figures and rows go below --out; a stopped run goes on."""
EXAMPLE = "  rangym reproduce smooth-handovers --quick\n  rangym reproduce smooth-handovers --workers 2"

PAPERS = {
    "smooth-handovers": "rangym.evaluation.papers.smooth_handovers.reproduce:reproduce",
    "wkhm": "rangym.evaluation.papers.wkhm.reproduce:reproduce",
    "cfl-noma": "rangym.evaluation.papers.cfl_noma.reproduce:reproduce",
}
"""Name -> "module:function"; the function takes ``quick``, ``workers`` and ``out`` and returns an exit status."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.cli import arguments

    parser.add_argument("paper", choices=sorted(PAPERS), help="which paper")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter episodes, said so in the table")
    arguments.add_workers(parser)
    parser.add_argument("--out", default="results/reproduce", metavar="DIR", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    module, _, name = PAPERS[args.paper].partition(":")
    return getattr(importlib.import_module(module), name)(quick=args.quick, workers=args.workers, out=args.out)
