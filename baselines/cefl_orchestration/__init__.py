"""CeflOrchestration's agents: how each is trained, and their names as policies. Strings only: none is imported here."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

RECIPES: dict[str, Recipe] = {}

AGENTS: dict[str, Entry] = {}
