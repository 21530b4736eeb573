"""``rangym check``: what a problem or a policy of one's own must keep."""

from __future__ import annotations

import argparse

from rangym.cli import arguments

DESCRIPTION = """\
Check a system of yours (my_module:MySystem): Gymnasium's checker, lanes equal to single environments,
replay, and observations that show only what is public. Or check a policy on an environment: actions
in the space, repeatable with the seed, decisions from public values only, batched as one by one.

Exit status: 0 if everything holds, 1 if something does not, 2 for a wrong call."""
EXAMPLE = "  rangym check my_module:MySystem\n  rangym check my_module:MyPolicy --env CellAssociation"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="module:Class of a system, or a policy")
    parser.add_argument("--env", help="the environment of a policy")
    parser.add_argument("--scenario", help="default: tiny, where there is one")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.check import check

    findings = check(args.target, arguments.env_id(args.env) if args.env else None, args.scenario)
    print(f"in the scenario {args.scenario or 'tiny, or the smallest there is (--scenario names another)'}:")
    for finding in findings:
        print(f"{'FAILED' if finding.wrong else 'ok':6}  {finding.what}{': ' if finding.wrong else ''}{finding.wrong}")
    return 1 if any(finding.wrong for finding in findings) else 0
