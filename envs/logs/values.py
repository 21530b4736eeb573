"""What stands in a log's columns: numbers, whole numbers, times and names, and how a missing one is spelled.

A reader is made for one column and called with its texts in turn. It raises `Refused` with what it wanted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from rangym.envs.params import Range

MISSING = frozenset(
    ("", "-", "--", "?", "\\n", "na", "n/a", "#n/a", "nan", "nil", "none", "null", "unknown", "unavailable")
)
"""What logs write for a missing value, in any case of letters."""
UNAVAILABLE = frozenset(("2147483647", "9223372036854775807"))
"""What Android gives for one, the largest integers; spreadsheets make 2147483647.0 of it."""
_UNAVAILABLE = frozenset(map(float, UNAVAILABLE))
_NUMBER = r"[+-]?(?:[0-9]+(?:MARK[0-9]*)?|MARK[0-9]+)(?:[eE][+-]?[0-9]+)?"
NUMBER_WITH = {mark: re.compile(_NUMBER.replace("MARK", f"[{mark}]")) for mark in ".,"}
"""By the decimal mark."""
NUMBER = re.compile(_NUMBER.replace("MARK", "[.,]"))
WHOLE = re.compile(r"[+-]?[0-9]+(?:[.,]0*)?")
THOUSANDS = re.compile(r"[+-]?[0-9]{1,3}(?:[.,][0-9]{3})+")
"""A number whose comma or point may part thousands or decimals."""
GNETTRACK_TIME = "%Y.%m.%d_%H.%M.%S"
MAX_SECONDS = 1e11
"""The year 5138: a larger time is one in milliseconds."""
TIME_UNITS = {"s": 1.0, "ms": 1e-3}
"""In seconds."""
ANY = Range()
"""Any finite number."""

Value: TypeAlias = float | int | str | bool
Reader: TypeAlias = Callable[[str], Value]


class Refused(ValueError):
    """A text that is no value of its column; the message says what was wanted."""


def is_missing(text: str) -> bool:
    """Whether a text stands for no value.

    >>> [is_missing(text) for text in ("", "NaN", "N/A", "2147483647", "0")]
    [True, True, True, True, False]
    """
    return text.casefold() in MISSING or text in UNAVAILABLE


@dataclass(frozen=True)
class Kind:
    """How the texts of a column become values.

    Attributes
    ----------
    reader : made from the column's decimal mark, ``.`` or ``,``.
    filler : the value that holds the place of a text without one.
    has_decimals : whether the decimal mark matters.
    """

    reader: Callable[[str], Reader]
    filler: Value
    has_decimals: bool = False


def numbers(allowed: Range = ANY, *, optional: bool = True, unit: str = "") -> Kind:
    """Numbers within a range as float64, NaN where one is missing and may be."""
    wanted = f"{allowed} {unit}".strip() + " or '-'" * optional

    def reader(mark: str) -> Reader:
        def read(text: str) -> float:
            value = _number(text, mark)
            if optional and (value in _UNAVAILABLE or value is None and is_missing(text)):
                return math.nan
            if value is None:
                raise Refused(_with_mark(wanted, text, mark))
            if not (math.isfinite(value) if allowed is ANY else allowed.allows(value)):  # the former is much faster
                raise Refused(wanted)
            return value

        return read

    return Kind(reader, math.nan, has_decimals=True)


def wholes(allowed: Range = ANY) -> Kind:
    """Whole numbers as int64, 0 where one is missing; one that a spreadsheet has rounded (1.2E+07) is refused."""
    wanted = f"{allowed}, in digits, or '-'".replace("a number", "a whole number")

    def read(text: str) -> int:
        if is_missing(text):
            return 0
        if not WHOLE.fullmatch(text) or not allowed.allows(value := int(re.split("[.,]", text)[0])):
            raise Refused(wanted)
        return 0 if value in _UNAVAILABLE else value

    return Kind(lambda _: read, 0)


def names(*, optional: bool = False) -> Kind:
    """Texts, the empty one where one is missing and may be."""

    def read(text: str) -> str:
        if not is_missing(text):
            return text
        if optional:
            return ""
        raise Refused("a name")

    return Kind(lambda _: read, "")


def texts(convert: Callable[[str], Value], filler: Value) -> Kind:
    """What ``convert`` makes of any text."""
    return Kind(lambda _: convert, filler)


def times(unit: str | None = None) -> Kind:
    """Seconds as float64: numbers, or dates and times in ISO 8601 or as G-NetTrack Pro writes them, since 1970.

    Numbers are in ``unit``, one of `TIME_UNITS`; None: seconds. All dates of a column have a zone or none has; without
    one they are taken as UTC, since only differences matter.
    """

    def reader(mark: str) -> Reader:
        has_zone: list[bool] = []

        def read(text: str) -> float:
            if (value := _number(text, mark)) is not None:
                if not abs(seconds := TIME_UNITS[unit or "s"] * value) < MAX_SECONDS:
                    raise Refused("seconds, not milliseconds,")
                return seconds
            if unit == "ms":
                raise Refused("a number of milliseconds, as time_unit says,")
            if NUMBER.fullmatch(text):
                raise Refused(_with_mark("seconds", text, mark))
            time = _moment(text)
            has_zone[:] = has_zone or [time.tzinfo is not None]
            if has_zone[0] != (time.tzinfo is not None):
                raise Refused(f"a time {'with' if has_zone[0] else 'without'} a zone, like those before,")
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

        return read

    return Kind(reader, math.nan, has_decimals=True)


def _number(text: str, mark: str) -> float | None:
    """A number by its form, None for others: Python's reader takes ``1_0``, ``inf`` and other scripts' digits too."""
    if "\N{MINUS SIGN}" in text:
        text = text.replace("\N{MINUS SIGN}", "-")
    if not NUMBER_WITH[mark].fullmatch(text):
        return None
    return float(text if mark == "." else text.replace(",", "."))


def _with_mark(wanted: str, text: str, mark: str) -> str:
    """What was wanted of a text that is none; of a number with the other decimal mark, this one."""
    return f"{wanted} with decimals after {mark!r}, as in other rows," if NUMBER.fullmatch(text) else wanted


def _moment(text: str) -> datetime:
    for read in (datetime.fromisoformat, lambda given: datetime.strptime(given, GNETTRACK_TIME)):
        try:
            return read(text)
        except ValueError:
            continue
    raise Refused("seconds or an ISO 8601 date and time")
