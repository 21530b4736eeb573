"""Agents and predictors of QosClustering."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

RECIPES: dict[str, Recipe] = {}

AGENTS: dict[str, Entry] = {}
