"""``rangym tune``: a policy's options, on the tuning seeds."""

from __future__ import annotations

import argparse
from pathlib import Path

from rangym.cli import arguments
from rangym.envs.errors import WrongValue

DESCRIPTION = """\
Try every combination of option values on the tuning seeds (10000..19999) and print the table.

Options in POLICY stay fixed. --save keeps the best ones in a file, in the form of the tuned.json
beside a problem's policies, which is where `NAME:tuned` reads them."""
EXAMPLE = """\
  rangym tune a3 --scenario small --grid offset_db=2,4,6 --grid time_to_trigger=1,2,3
  rangym tune lda:rounding=coupled --grid step_scale=1,3 --seeds 10000:10016 --workers 2 --save tuned.json"""


going_on = arguments.rows_kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_file

    parser.add_argument("policy", metavar="POLICY", help="NAME, or NAME:KEY=VALUE,... with what stays fixed")
    arguments.add_environment(parser)
    parser.add_argument("--grid", metavar="KEY=V1,V2,...", action="append", required=True, help="values to try")
    parser.add_argument("--seeds", default="10000:10016", help="tuning seeds (default: %(default)s)")
    arguments.add_workers(parser)
    parser.add_argument("--out", type=new_file, metavar="FILE", help="JSON-lines file that keeps the rows")
    parser.add_argument("--save", type=new_file, metavar="FILE.json", help="add the best options to this file")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.protocol import parse_seeds
    from rangym.evaluation.summary import text_report
    from rangym.evaluation.tune import save, tune, tuned_options

    overrides = arguments.key_values(args.overrides, "--set")
    if args.save and overrides.keys() - {"map"}:  # `measured` cannot be made without its map
        raise WrongValue("--save: tuned options are kept for a scenario as it is, so without --set (but for map)")
    if args.save:
        tuned_options(Path(args.save))  # refused before the work
    tuning = tune(
        args.policy,
        arguments.env_id(args.env),
        args.scenario,
        arguments.grid(args.grid),
        seeds=parse_seeds(args.seeds),
        overrides=overrides,
        workers=args.workers,
        out=args.out,
    )
    print(text_report(tuning.summary))
    print("\nbest: " + ", ".join(f"{key}={value}" for key, value in tuning.options.items()))
    for key in tuning.at_edge:
        print(f"note: the best {key} is at the edge of its values; try values beyond it")
    if args.save:
        save(tuning, arguments.command_line(), args.save)
        print(f"saved: {args.save}")
    return arguments.print_problems(tuning.results, args.out)
