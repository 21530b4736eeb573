"""``rangym trace import``: the former name of ``rangym map import``."""

from __future__ import annotations

from rangym.cli import map

DESCRIPTION = "The former name of `rangym map import`."
EXAMPLE = "  rangym map import --help"
ACTIONS = {"import": map.ACTIONS["import"]}
