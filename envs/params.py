"""Scenario parameters: frozen dataclasses, derived from a named scenario by checked overrides."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def nearest(name: str, allowed: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` when something allowed comes close, else an empty string."""
    close = difflib.get_close_matches(name, list(allowed), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def derive(scenarios: Mapping[str, Any], scenario: str, overrides: Mapping[str, Any]) -> Any:
    """The parameters of ``scenario`` with ``overrides``; a name that does not exist is refused with the nearest one."""
    if scenario not in scenarios:
        raise ValueError(
            f"scenario: one of {sorted(scenarios)} wanted, got {scenario!r}{nearest(str(scenario), scenarios)}"
        )
    names = [f.name for f in dataclasses.fields(scenarios[scenario])]
    for key in overrides:
        if key not in names:
            raise TypeError(f"unknown parameter {key!r}{nearest(key, names)} (parameters: {', '.join(names)})")
    return dataclasses.replace(scenarios[scenario], **{k: _frozen(v) for k, v in overrides.items()})


def _frozen(value: Any) -> Any:
    """Lists and arrays become tuples, at any depth, NumPy scalars Python's: equal parameters compare equal."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return tuple(_frozen(x) for x in value) if isinstance(value, list | tuple) else value


def require(ok: bool, name: str, wanted: str, got: Any) -> None:
    """Refuse a parameter with its name, what was wanted and what came."""
    if not ok:
        raise ValueError(f"{name}: {wanted} wanted, got {got!r}")


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number (and not a truth value)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
