"""All recipes by name: those of each problem's folder."""

from __future__ import annotations

from typing import cast

from rangym.baselines.recipe import Recipe
from rangym.envs.registration import PROBLEMS, resolve

RECIPES: dict[str, Recipe] = {
    name: recipe
    for problem in PROBLEMS.values()
    if problem.recipes is not None
    for name, recipe in cast("dict[str, Recipe]", resolve(problem.recipes)).items()
}
