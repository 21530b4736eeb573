"""``rangym map``: radio maps of CellAssociation, one sub-command for each source."""

from __future__ import annotations

import argparse
import importlib

ACTIONS = {
    "raytrace": ("rangym.cli.map_raytrace", "from a city's scene, by ray tracing"),
}
DESCRIPTION = "Make a radio map of CellAssociation, for `--set map=FILE`."
EXAMPLE = "  rangym map raytrace munich --rays 4e6 --out munich.npz"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="sources", metavar="SOURCE", required=True)
    for name, (module_name, summary) in ACTIONS.items():
        module = importlib.import_module(module_name)
        action = actions.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.set_defaults(action=module.run, prog=action.prog, refuse=action.error)
        if going_on := getattr(module, "going_on", None):
            action.set_defaults(going_on=going_on)
        module.add_arguments(action)


def run(args: argparse.Namespace) -> int:
    return args.action(args)
