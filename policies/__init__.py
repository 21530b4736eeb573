"""Reference policies: algorithms of the papers, heuristics of practitioners, oracles."""

from rangym.policies.base import Knowledge, Policy, Task
from rangym.policies.predictor import Predictor
from rangym.policies.registry import Entry, bind, entry, make, names, register

__all__ = ["Entry", "Knowledge", "Policy", "Predictor", "Task", "bind", "entry", "make", "names", "register"]
