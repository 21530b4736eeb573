"""The table of the scenario `measured`, on a radio map of the user's."""

from __future__ import annotations

from pathlib import Path

from rangym.envs.errors import WrongValue
from rangym.evaluation.problems.cell_association import AGENTS, ENV_ID, LITERAL, PLACES
from rangym.evaluation.protocol import Benchmark


def measured(map_file: str | Path) -> Benchmark:
    """The benchmark on a map that ``rangym map import`` made."""
    if not Path(map_file).is_file():
        raise WrongValue(f"map: a file made by `rangym map import` wanted, got {str(map_file)!r}")
    without = ("static_oracle", *AGENTS, *PLACES)
    return Benchmark(ENV_ID, "measured", range(10), {"map": str(map_file)}, without=without, variants=LITERAL)
