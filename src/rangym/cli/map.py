"""``rangym map``: the files behind the scenarios that do not make up their traces."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping

DESCRIPTION = "Make the files behind scenarios such as `measured` and `imported`."
EXAMPLE = "  rangym map import drives.zip --out map.npz\n  rangym map raytrace munich --rays 4e6 --out city.npz"
ACTIONS = {
    "import": ("rangym.cli.map_import", "from logs: a radio map, or days of KPIs"),
    "raytrace": ("rangym.cli.map_raytrace", "from a city's scene, by ray tracing: a radio map"),
}
"""Name -> module, which has what a command's module has, and a summary."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_actions(parser, ACTIONS)


def add_actions(parser: argparse.ArgumentParser, actions: Mapping[str, tuple[str, str]]) -> None:
    """A parser for each action, whose module's functions take the place of the command's."""
    parsers = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, (module_name, summary) in actions.items():
        module = importlib.import_module(module_name)
        action = parsers.add_parser(
            name,
            help=summary,
            description=module.DESCRIPTION,
            epilog=f"example:\n{module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.set_defaults(run=module.run, prog=action.prog, refuse=action.error)
        if hasattr(module, "going_on"):
            action.set_defaults(going_on=module.going_on)
        module.add_arguments(action)


def run(args: argparse.Namespace) -> int:
    raise NotImplementedError("each action has a run of its own")
