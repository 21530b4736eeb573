"""Reference policies: algorithms of the papers, heuristics of practitioners, oracles."""

from rangym.policies.base import Knowledge, Policy, Task
from rangym.policies.registry import make, names

__all__ = ["Knowledge", "Policy", "Task", "make", "names"]
