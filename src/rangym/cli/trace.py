"""``rangym trace import``: the former name of ``rangym map import``."""

from __future__ import annotations

import argparse

from rangym.cli.map import ACTIONS, add_actions, run

__all__ = ["DESCRIPTION", "EXAMPLE", "add_arguments", "run"]

DESCRIPTION = "The former name of `rangym map import`."
EXAMPLE = "  rangym map import --help"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_actions(parser, {"import": ACTIONS["import"]})
