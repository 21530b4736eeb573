"""Reference policies: algorithms of the papers, heuristics of practitioners, oracles."""

from rangym.policies.base import Knowledge, Policy, Task
from rangym.policies.registry import bind, entry, make, names, register

__all__ = ["Knowledge", "Policy", "Task", "bind", "entry", "make", "names", "register"]
