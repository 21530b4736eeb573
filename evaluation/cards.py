"""The cards of the problems: found through a system's class, so that a derived system keeps those of its parent."""

from __future__ import annotations

from typing import cast

from rangym.envs.core import System, Trace
from rangym.envs.errors import WrongType
from rangym.envs.registration import PROBLEMS, lineage, problem, resolve
from rangym.evaluation.bounds import Bound, BoundFunction
from rangym.evaluation.protocol import Benchmark, Card

CHANCE = {"sample", "sample_lanes", "scenarios"}
"""What a derived system may change and keep the bound: which episodes are drawn, not what happens in them."""


def card_of(system_class: type[System]) -> tuple[Card, type[System]]:
    """The nearest card, and the class that it is of; an empty card where neither the class nor a parent has one."""
    for found in lineage(system_class):
        if found.card is not None:
            card = resolve(found.card)
            if not isinstance(card, Card):
                raise WrongType(f"card of {found.env_id}: a rangym.evaluation.Card wanted, got {type(card).__name__}")
            return card, found.system_class
    return Card(), system_class


def bound(system: System, trace: Trace) -> Bound:
    """The bound of ``trace`` (one lane) under ``system``; kind ``none`` where the environment has none."""
    trace.check(system.shapes, system.reveal, system.horizon)
    card, base = card_of(type(system))
    nothing = f"no bound is known for {type(system).__name__}"
    if card.bound is None:
        return Bound(None, "none", nothing)
    if changed := changed_of(type(system), base) - CHANCE:
        return Bound(None, "none", f"{nothing}, which changes {', '.join(sorted(changed))} of {base.__name__}")
    return cast(BoundFunction, resolve(card.bound))(system, trace)


def changed_of(cls: type, base: type) -> set[str]:
    """The methods and attributes of ``base`` that ``cls``, or a class between them, overrides."""
    between = cls.__mro__[: cls.__mro__.index(base)]
    own = {name for c in between for name in vars(c) if hasattr(base, name)}
    return {name for name in own if name == "__init__" or not name.startswith("__") and name != "_abc_impl"}


def zero_policy(env_id: str, scenario: str) -> str:
    """The policy whose mean reward scores 0: ``random``, but for scenarios where most actions mean nothing.

    Also ``random`` for rows of a problem that is not registered here, such as a colleague's.
    """
    if env_id not in PROBLEMS:
        return "random"
    return card_of(problem(env_id).system_class)[0].zero_policy.get(scenario, "random")


def benchmarks(which: str = "quick") -> list[Benchmark]:
    """The ``quick`` tables of every problem's card, ``full``: and all further ones; or those that are ``published``."""
    cards = [cast(Card, resolve(p.card)) for p in PROBLEMS.values() if p.card is not None]
    if which == "published":
        return [table for card in cards for table in card.published or card.quick]
    quick = [table for card in cards for table in card.quick]
    return quick + [table for card in cards for table in card.full if which == "full"]
