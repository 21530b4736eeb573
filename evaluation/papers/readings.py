"""Claims and their readings: what a paper says, what values of the seeds say about it, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.evaluation.papers.verdicts import (
    NOT_TESTABLE,
    TOLERANCE,
    VERDICTS,
    all_verdict,
    interval_verdict,
    limit_verdict,
    no_loss_verdict,
    number_verdict,
    order_verdict,
    same_verdict,
    whichever_verdict,
)
from rangym.evaluation.statistics import Interval, mean_interval, paired_difference


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper's algorithm or quantity is, what that gives, and the verdict."""

    label: str
    measured: str
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise WrongValue(f"verdict: one of {list(VERDICTS)} wanted, got {self.verdict!r}")


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


def gain(label: str, values: ArrayLike, printed: float, unit: str = "") -> Reading:
    """Values of the seeds against a printed gain, which a larger one reproduces, too."""
    found = mean_interval(values)
    return Reading(label, spelled(found, unit), interval_verdict(found, low=(1.0 - TOLERANCE) * printed))


def order(label: str, larger: ArrayLike, smaller: ArrayLike, unit: str = "") -> Reading:
    """Values claimed to be larger than others on the same traces; says both means and the paired difference."""
    return Reading(label, _compared(larger, smaller, unit), order_verdict(paired_difference(larger, smaller)))


def limit(label: str, values: ArrayLike, below: float, unit: str = "") -> Reading:
    """Values of the seeds claimed to stay below a limit."""
    found = mean_interval(values)
    return Reading(label, spelled(found, unit), limit_verdict(found, below))


def no_loss(
    label: str, values: ArrayLike, reference: ArrayLike, unit: str = "", tolerance: float | None = None
) -> Reading:
    """Values claimed not to fall behind others on the same traces; for ``tolerance`` see `no_loss_verdict`."""
    return Reading(label, _compared(values, reference, unit), no_loss_verdict(values, reference, tolerance))


def same(
    label: str, values: ArrayLike, reference: ArrayLike, unit: str = "", tolerance: float | None = None
) -> Reading:
    """Values claimed to be those of others on the same traces; for ``tolerance`` see `no_loss_verdict`."""
    return Reading(label, _compared(values, reference, unit), same_verdict(values, reference, tolerance))


def all_of(label: str, parts: Sequence[Reading]) -> Reading:
    """A claim with several parts, which holds where all of them do."""
    return Reading(label, _listed(parts), all_verdict([part.verdict for part in parts]))


def whichever(label: str, meanings: Sequence[Reading]) -> Reading:
    """A claim of which the paper leaves open what it means; see `whichever_verdict`."""
    return Reading(label, _listed(meanings), whichever_verdict([meaning.verdict for meaning in meanings]))


def spelled(found: Interval, unit: str = "") -> str:
    """``6.21 [5.86, 6.56]``."""
    if np.isnan(found.low):
        return f"{_short(found.value)}{unit}"
    return f"{_short(found.value)}{unit} [{_short(found.low)}, {_short(found.high)}]"


def _compared(values: ArrayLike, reference: ArrayLike, unit: str) -> str:
    difference = spelled(paired_difference(values, reference), unit)
    return f"{_short(_mean(values))} against {_short(_mean(reference))}{unit}, difference {difference}"


def _listed(parts: Sequence[Reading]) -> str:
    return "; ".join(f"{part.label}: {part.measured}" for part in parts)


def _mean(values: ArrayLike) -> float:
    return float(np.mean(np.asarray(values, dtype=float)))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
