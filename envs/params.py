"""Parameters and options: the range stands beside the field, one checker reads it, overrides are checked by name."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from rangym.envs.errors import WrongType, WrongValue

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value")
Params = TypeVar("Params", bound="DataclassInstance")
Uses = Mapping[str, tuple[object, ...]]
Overrides: TypeAlias = Mapping[str, Any]
"""Parameters or options by name, of every type that one may have; `derive` and `check` look at each."""


KINDS = {int: "an integer", float: "a number", str: "a text", bool: "True or False", tuple: "a tuple"}


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a field may hold, and under which values of other fields it is used.

    Attributes
    ----------
    kind : the type of the value, or of each entry of a tuple: int, float, str, bool or tuple; integers pass for float,
        and NumPy's numbers for Python's.
    low, high, above, below : bounds; the first two are allowed themselves, the last two are not.
    words : the values allowed, where they can be listed.
    length : of a tuple of values; 0 means any length.
    ascending : the entries of the tuple do not fall.
    optional : None is allowed too.
    only : ``({"law": ("mobility",)},)``: only this law uses the field, so naming it under another one is refused; of
        several such conditions one must hold. Empty: the field is always used.
    """

    kind: type = float
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    words: tuple[object, ...] = ()
    length: int | None = None
    ascending: bool = False
    optional: bool = False
    only: tuple[Uses, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether ``value`` is inside."""
        if value is None:
            return self.optional
        if self.length is None:
            return self._allows_one(value)
        if not isinstance(value, tuple) or self.length not in (0, len(value)) or not all(map(self._allows_one, value)):
            return False
        return not (self.ascending and any(a > b for a, b in zip(value, value[1:], strict=False)))

    def _allows_one(self, value: object) -> bool:
        if isinstance(value, np.generic):
            value = value.item()
        if self.words:
            return any(type(w) is type(value) and w == value for w in self.words)
        if self.kind not in (int, float) or not isinstance(value, (int, float)):
            return isinstance(value, self.kind)
        if not is_number(value) or not isinstance(value, (int, self.kind)):
            return False
        below = (self.low is None or value >= self.low) and (self.above is None or value > self.above)
        return below and (self.high is None or value <= self.high) and (self.below is None or value < self.below)

    def __str__(self) -> str:
        """``an integer of at least 1``, ``a number above 0 and below 1``, ``one of ['a', 'b']``."""
        if self.words:
            text = f"one of {list(self.words)}"
        else:
            text = KINDS[self.kind]
            ends = ("of at least", self.low), ("above", self.above), ("of at most", self.high), ("below", self.below)
            text += " and".join(f" {word} {end:g}" for word, end in ends if end is not None)
        if self.length is not None:
            count = f"{self.length} values" if self.length else "values"
            text = f"a tuple of {count}{', ascending' if self.ascending else ''}, each {text}"
        return f"None or {text}" if self.optional else text

    def is_used(self, instance: object) -> bool:
        """Whether the other fields of ``instance`` make use of this one."""
        holds = (all(getattr(instance, other) in values for other, values in uses.items()) for uses in self.only)
        return not self.only or any(holds)

    def usage(self) -> str:
        """``law 'mobility' and motion 'static' or 'random_waypoint', or law 'measured'``."""
        return ", or ".join(
            " and ".join(f"{other} {' or '.join(map(repr, values))}" for other, values in uses.items())
            for uses in self.only
        )


def ranged(default: Value, *, only: Uses | tuple[Uses, ...] = (), **limits: Any) -> Value:
    """A dataclass field with a `Range` beside it, whose fields ``limits`` are given by name.

    The kind is that of ``default`` unless it is said, and ``only`` may be a single condition.
    """
    kind = type(default[0] if isinstance(default, tuple) and default else default)
    limits.setdefault("kind", kind if kind in (int, float, str, bool) else float)
    conditions = (only,) if isinstance(only, Mapping) else only
    return dataclasses.field(default=default, metadata={"range": Range(only=conditions, **limits)})


def ranges(of: DataclassInstance | type[DataclassInstance]) -> dict[str, Range]:
    """The `Range` of every field that declares one."""
    return {f.name: f.metadata["range"] for f in dataclasses.fields(of) if "range" in f.metadata}


def check(instance: DataclassInstance) -> None:
    """Refuse the first field of a dataclass instance whose value is outside the `Range` declared beside it."""
    for name, allowed in ranges(instance).items():
        value = getattr(instance, name)
        if not allowed.allows(value):
            close = nearest(value, (w for w in allowed.words if isinstance(w, str))) if isinstance(value, str) else ""
            raise WrongValue(f"{name}: {allowed} wanted, got {value!r}{close}")


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` when something allowed comes close, else an empty string."""
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def derive(scenarios: Mapping[str, Params], scenario: str, overrides: Mapping[str, object]) -> Params:
    """The parameters of ``scenario`` with ``overrides``.

    A name that does not exist is refused with the nearest one, and so is one that the resulting parameters do not use;
    what the scenario itself carries never is.
    """
    if scenario not in scenarios:
        close = nearest(str(scenario), scenarios)
        raise WrongValue(f"scenario: one of {sorted(scenarios)} wanted, got {scenario!r}{close}")
    names = [f.name for f in dataclasses.fields(scenarios[scenario])]
    for key in overrides:
        if key not in names:
            raise WrongType(f"unknown parameter {key!r}{nearest(key, names)} (parameters: {', '.join(names)})")
    params = dataclasses.replace(scenarios[scenario], **{k: frozen(v) for k, v in overrides.items()})
    for key, allowed in ranges(params).items():
        if key in overrides and not allowed.is_used(params):
            others = dict.fromkeys(other for uses in allowed.only for other in uses)
            have = ", ".join(f"{other}={getattr(params, other)!r}" for other in others)
            raise WrongValue(f"{key}: used with {allowed.usage()} only, got {have}")
    return params


def frozen(value: object) -> object:
    """Lists and arrays become tuples, at any depth, NumPy scalars Python's: equal parameters compare equal."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(frozen(x) for x in value) if isinstance(value, list | tuple) else value


def require(ok: bool, name: str, wanted: str, got: object) -> None:
    """Refuse a combination of fields with their names, what was wanted and what came."""
    if not ok:
        raise WrongValue(f"{name}: {wanted} wanted, got {got!r}")


def is_number(value: object) -> bool:
    """Whether ``value`` is a finite number (and not a truth value)."""
    largest = sys.float_info.max  # a comparison, since an integer may be too large for a float
    return isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest
