"""All recipes by name: those of each problem's folder."""

from __future__ import annotations

import importlib

from rangym.baselines.recipe import Recipe
from rangym.envs.registration import SYSTEMS

_PROBLEMS = [system.split(".")[2] for system in SYSTEMS.values()]
RECIPES: dict[str, Recipe] = {
    name: recipe
    for problem in _PROBLEMS
    for name, recipe in importlib.import_module(f"rangym.baselines.{problem}").RECIPES.items()
}
