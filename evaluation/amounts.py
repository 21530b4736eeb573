"""Numbers that a command takes, as types of its arguments: what is out of range is refused before the work."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeVar

from rangym.envs.errors import shown
from rangym.envs.params import LIMITS, Range

Number = TypeVar("Number", int, float)


def number(kind: type[Number], **limits: Any) -> Callable[[str], Number]:
    """The type of a numeric argument: a reader that refuses what a `Range` of these limits does not hold."""
    allowed = Range(kind=kind, **{"limit": LIMITS[kind], **limits})

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{allowed} wanted, got {shown(text)}") from None
        if not allowed.allows(value):
            raise argparse.ArgumentTypeError(f"{allowed.wanted(value)} wanted, got {shown(value)}")
        return value

    return read
