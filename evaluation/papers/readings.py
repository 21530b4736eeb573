"""Claims and their readings: what a paper says, what values of the seeds say about it, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.evaluation.papers.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    limit_verdict,
    no_loss_verdict,
    number_verdict,
    order_verdict,
)
from rangym.evaluation.statistics import Interval, mean_interval, paired_difference


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper's algorithm or quantity is, what that gives, and the verdict."""

    label: str
    measured: str
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE):
            raise WrongValue(
                f"verdict: {REPRODUCED!r}, {NOT_REPRODUCED!r} or {NOT_TESTABLE!r} wanted, got {self.verdict!r}"
            )


@dataclass(frozen=True)
class Claim:
    """What a paper says, and what we find.

    The rules for verdicts are those of `RULES`, implemented by the functions of this module. They stand before a
    reproduction is run; a claim judged by a rule that came later says so in its note. The claim's verdict is that of
    its first reading, the literal one; other readings are for information and never change it.

    Attributes
    ----------
    statement : the claim in our words.
    where : figure or section of the paper.
    printed : the number or relation as printed.
    readings : at least one; the first is the literal one.
    note : what the reader must know: substitutes for data, definitions, assumptions.
    """

    statement: str
    where: str
    printed: str
    readings: tuple[Reading, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.readings:
            raise WrongValue(f"readings: at least one wanted for {self.statement!r}, got none")

    @property
    def measured(self) -> str:
        return self.readings[0].measured

    @property
    def verdict(self) -> str:
        return self.readings[0].verdict


def not_testable(statement: str, where: str, printed: str, reason: str) -> Claim:
    """A claim that no measurement of ours can decide, and why."""
    return Claim(statement, where, printed, (Reading("-", "-", NOT_TESTABLE),), reason)


def number(label: str, values: ArrayLike, printed: float | tuple[float, float], unit: str = "") -> Reading:
    """Values of the seeds against a printed number or range."""
    found = mean_interval(values)
    ends = printed if isinstance(printed, tuple) else (printed, printed)
    return Reading(label, spelled(found, unit), number_verdict(found, *ends))


def order(label: str, larger: ArrayLike, smaller: ArrayLike, unit: str = "") -> Reading:
    """Values claimed to be larger than others on the same traces; says both means and the paired difference."""
    difference = paired_difference(larger, smaller)
    text = f"{_short(_mean(larger))} against {_short(_mean(smaller))}{unit}, difference {spelled(difference, unit)}"
    return Reading(label, text, order_verdict(difference))


def limit(label: str, values: ArrayLike, below: float, unit: str = "") -> Reading:
    """Values of the seeds claimed to stay below a limit."""
    found = mean_interval(values)
    return Reading(label, spelled(found, unit), limit_verdict(found, below))


def no_loss(label: str, values: ArrayLike, reference: ArrayLike) -> Reading:
    """Values claimed not to fall behind others on the same traces."""
    text = f"{_short(_mean(values))} against {_short(_mean(reference))}"
    text += f", difference {spelled(paired_difference(values, reference))}"
    return Reading(label, text, no_loss_verdict(values, reference))


def spelled(found: Interval, unit: str = "") -> str:
    """``6.21 [5.86, 6.56]``."""
    if np.isnan(found.low):
        return f"{_short(found.value)}{unit}"
    return f"{_short(found.value)}{unit} [{_short(found.low)}, {_short(found.high)}]"


def _mean(values: ArrayLike) -> float:
    return float(np.mean(np.asarray(values, dtype=float)))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
