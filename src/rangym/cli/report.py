"""``rangym report``: tables and an HTML report from results files."""

from __future__ import annotations

import argparse

from rangym.cli import arguments

DESCRIPTION = """\
Print the tables of results files and write one self-contained HTML report
(needs: pip install 'rangym[plot]'). Nothing is run."""
EXAMPLE = "  rangym report results/bench.jsonl --out report.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_file

    parser.add_argument("files", nargs="+", metavar="FILE", help="JSON-lines files of `rangym evaluate` or `bench`")
    parser.add_argument("--out", type=new_file, metavar="FILE.html", help="also write the HTML report")
    parser.add_argument("--against", metavar="POLICY", help="differences to this policy (default: the best)")
    parser.add_argument("--details", action="store_true", help="also print reward terms and metrics")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.results import Results
    from rangym.evaluation.summary import summarise_all, text_report

    if args.out:
        from rangym.evaluation.report import check_extra, write_html

        check_extra()
    results = Results.merge(Results.load(file) for file in args.files)
    for summary in summarise_all(results, args.against):
        print(text_report(summary, args.details), end="\n\n")
    if args.out:
        print(f"report: {write_html(results, args.out, command=arguments.command_line(), against=args.against)}")
    return arguments.print_problems(results, " ".join(args.files))
