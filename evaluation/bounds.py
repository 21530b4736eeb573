"""A bound on what any policy can reach on a trace, and how well it is proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rangym.envs.core import System, Trace
from rangym.envs.errors import WrongValue

KINDS = ("certified", "best known", "none")


@dataclass(frozen=True)
class Bound:
    """A bound on the mean reward per slot over one trace.

    Attributes
    ----------
    value : no policy exceeds it (``certified``), or none has so far (``best known``); None where there is none.
    kind : ``certified``, ``best known`` or ``none``.
    what : what it bounds and how, in a few words.
    lower : the best feasible value known, if any: the distance to ``value`` is what is left unproved.
    """

    value: float | None
    kind: str
    what: str
    lower: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise WrongValue(f"kind: one of {list(KINDS)} wanted, got {self.kind!r}")
        if (self.value is None) != (self.kind == "none"):
            raise WrongValue(f"value: a number unless kind is 'none', got {self.value!r} with kind {self.kind!r}")


BoundFunction = Callable[[System, Trace], Bound]
