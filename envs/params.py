"""Parameters and options: the range stands beside the field, one checker reads it, overrides are checked by name."""

from __future__ import annotations

import dataclasses
import difflib
import operator
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeAlias, TypeGuard, TypeVar

import numpy as np

from rangym.envs.errors import WrongType, WrongValue, shown

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value")
Params = TypeVar("Params", bound="DataclassInstance")
Uses = Mapping[str, tuple[object, ...]]
Overrides: TypeAlias = Mapping[str, Any]
"""Parameters or options by name, of every type that one may have; `derive` and `check` look at each."""


KINDS = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "True or False",
    tuple: "a tuple",
    dict: "a dictionary",
}
LIMITS: Mapping[type, float] = {int: 10**6, float: 1e9}
"""Of a declared number whose `Range` names no limit."""
FEW = 12
"""So many names an error lists, of more only those that come nearest."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """What a field may hold, and under which values of other fields it is used.

    Attributes
    ----------
    kind : the type of the value, or of each entry of a tuple: int, float, str, bool or tuple; integers pass for float,
        and NumPy's numbers for Python's.
    low, high, above, below : bounds; the first two are allowed themselves, the last two are not.
    limit : the largest magnitude, beyond which sizes fit no machine and formulas overflow; None: any finite number.
    least : where ``above`` is 0, the smallest number, below which formulas overflow; None: 1 / limit.
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
    limit: float | None = None
    least: float | None = None
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
        if self._beyond(value):
            return False
        below = (self.low is None or value >= self.low) and (self.above is None or value > self.above)
        return below and (self.high is None or value <= self.high) and (self.below is None or value < self.below)

    def _beyond(self, value: float) -> str:
        """The limit that a number is beyond, in words; empty where it is within them."""
        if self.limit is None:
            return ""
        if abs(value) > self.limit:
            return f" of at most {self.limit:g}" if value > 0 else f" of at least {-self.limit:g}"
        least = 1 / self.limit if self.least is None else self.least
        return f" of at least {least:g}" if self.above == 0 and 0 < value < least else ""

    def wanted(self, value: object) -> str:
        """What is allowed, and the limit that ``value``, or an entry of it, is beyond."""
        given = value if isinstance(value, tuple) else (value,)
        beyond = [text for v in given if is_number(v) and not self.words and (text := self._beyond(v))]
        return f"{self}{',' * (' ' in str(self)[2:])}{beyond[0]}" if beyond else str(self)

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

    The kind is that of ``default`` unless it is said, the limit that of the kind, and ``only`` may be a single
    condition.
    """
    kind = type(default[0] if isinstance(default, tuple) and default else default)
    kind = limits.setdefault("kind", kind if kind in (int, float, str, bool) else float)
    limits.setdefault("limit", LIMITS.get(kind))
    conditions = (only,) if isinstance(only, Mapping) else only
    return dataclasses.field(default=default, metadata={"range": Range(only=conditions, **limits)})


def ranges(of: DataclassInstance | type[DataclassInstance]) -> dict[str, Range]:
    """The `Range` of every field that declares one."""
    return {f.name: f.metadata["range"] for f in dataclasses.fields(of) if "range" in f.metadata}


def check(instance: DataclassInstance) -> None:
    """Refuse the first field of a dataclass instance whose value is outside the `Range` declared beside it.

    A number without one must be finite.
    """
    declared = ranges(instance)
    for field in dataclasses.fields(instance):
        name, value = field.name, getattr(instance, field.name)
        if (allowed := declared.get(name)) is None:
            if isinstance(value, float) and not is_number(value):
                raise WrongValue(f"{name}: a finite number wanted, got {value!r}")
        elif not allowed.allows(value):
            close = nearest(value, (w for w in allowed.words if isinstance(w, str)))
            raise WrongValue(f"{name}: {allowed.wanted(value)} wanted, got {shown(value)}{close}")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` when something allowed comes close, else an empty string."""
    close = difflib.get_close_matches(name[:100], list(allowed), n=1) if isinstance(name, str) else []
    return f"; did you mean {close[0]!r}?" if close else ""


def listed(names: Iterable[str], name: object = "") -> str:
    """Names between commas; of many only those nearest to ``name``, and how many there are.

    >>> listed(["static", "volatile"])
    'static, volatile'
    """
    known = list(names)
    if len(known) <= FEW:
        return ", ".join(known)
    close = difflib.get_close_matches(name[:100], known, n=4, cutoff=0.4) if isinstance(name, str) else []
    first = close or known[:4]
    return f"{', '.join(first)}, ... ({len(known)} in all)"


def derive(scenarios: Mapping[str, Params], scenario: str, overrides: Mapping[str, object]) -> Params:
    """The parameters of ``scenario`` with ``overrides``.

    A name that does not exist is refused with the nearest one, and so is one that the resulting parameters do not use;
    what the scenario itself carries never is. An error about another field says what was given.
    """
    if not isinstance(scenario, str) or scenario not in scenarios:
        close = nearest(scenario, scenarios)
        known = listed(map(repr, sorted(scenarios)), scenario)
        raise WrongValue(f"scenario: one of [{known}] wanted, got {shown(scenario)}{close}")
    if not isinstance(overrides, Mapping):
        raise WrongType(f"overrides: a dictionary wanted, got {shown(overrides)}")
    names = [f.name for f in dataclasses.fields(scenarios[scenario])]
    for key in overrides:
        if key not in names:
            # Python's own words for it: TorchRL recognises them, and does without what it offered.
            wrong = f"got an unexpected keyword argument {shown(key)}"
            raise WrongType(f"{wrong}{nearest(key, names)} (parameters: {listed(names, key)})")
    try:
        params = dataclasses.replace(scenarios[scenario], **{k: frozen(v) for k, v in overrides.items()})
    except WrongValue as error:
        if overrides.keys() & set(re.findall(r"\w+", str(error).partition(":")[0])):
            raise
        # The field before the colon is the scenario's, and does not go with what was given.
        given = ", ".join(f"{key}={shown(value)}" for key, value in overrides.items())
        raise WrongValue(f"{error} (with {given})") from error
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
        raise WrongValue(f"{name}: {wanted} wanted, got {shown(got)}")


def count_of(value: object) -> int | None:
    """``value`` as an integer of at least 0, where it is one (NumPy's too, truth values not), else None."""
    if isinstance(value, bool | np.bool_ | np.ndarray) or not isinstance(value, SupportsIndex):
        return None
    found = operator.index(value)
    return found if found >= 0 else None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether ``value`` is a finite number (and not a truth value)."""
    largest = sys.float_info.max  # a comparison, since an integer may be too large for a float
    return isinstance(value, int | float) and not isinstance(value, bool) and -largest <= value <= largest
