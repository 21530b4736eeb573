"""The rules that decide whether what we measure is what a paper claims."""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.evaluation.statistics import Interval, paired_difference

REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE = "reproduced", "not reproduced", "undecided", "not testable"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)
TOLERANCE = 0.03
"""Relative distance from the printed number at which a mean still counts as that number."""
DECADES = -math.log10(1.0 - TOLERANCE)
"""The same tolerance of a rate, in its decimal logarithm: 0.0132."""
DECIBELS = 0.3
"""Distance at which two levels in dB still count as equal."""

RULES = (
    "A printed number, or range, is reproduced if our 95 % interval over seeds contains it (reaches into it), or our "
    "mean is within 3 % of it. A printed gain, such as a speed-up, is reproduced by a larger one, too.",
    "An order or a tendency is reproduced if the 95 % interval of the paired differences lies above zero, and not "
    "reproduced if it lies at zero or below. A limit is reproduced if the whole interval keeps it, and not reproduced "
    "if the whole interval breaks it.",
    '"No loss" and "the same" are reproduced if the whole paired interval stays within a tolerance, and not reproduced '
    "if the whole interval is beyond it. The tolerance is 3 % of a rate, a cost or a time, 0.3 dB of a level in dB, "
    "and 0.0132 decades per user, which is 3 % of the rate, of a sum of logarithms of rates: a percentage of such a "
    "sum depends on the unit of the rates.",
    "Undecided: our interval is too wide. It reaches both what is claimed and the contrary, or it contains a number "
    "only because its half-width exceeds that number. More seeds would decide.",
    "Not testable: what rests on private data or on something the paper does not define; no number of seeds would "
    "decide. Where the paper leaves a unit or a test set open, every one that it may mean is judged: a verdict on "
    "which all agree stands, and where they disagree the claim is not testable.",
    'A number read off a plot ("about") is reproduced if ours, rounded to the digits printed, is that number. '
    "A statement about every case is refuted by one case.",
    "The rules on undecided claims, gains, tolerances in a unit, open meanings and numbers read off a plot came after "
    "an earlier version of these tables had been seen; the others stood before anything was run.",
    "Nothing is corrected for the number of readings: one reading that agrees where its neighbours do not is weak "
    "evidence. The literal reading alone decides, whatever the others give.",
)


def interval_verdict(measured: Interval, low: float = -math.inf, high: float = math.inf) -> str:
    """A quantity that is claimed to lie between ``low`` and ``high``, ends excluded; one seed alone decides nothing."""
    if low >= high:
        raise WrongValue(f"low, high: an ascending range wanted, got {low} and {high}")
    if measured.low > low and measured.high < high:
        return REPRODUCED
    if measured.high <= low or measured.low >= high:
        return NOT_REPRODUCED
    return UNDECIDED


def number_verdict(measured: Interval, low: float, high: float | None = None) -> str:
    """A printed number ``low``, or a range from ``low`` to ``high``; a value without an interval counts as exact."""
    high = low if high is None else high
    if low > high:
        raise WrongValue(f"low, high: an ascending range wanted, got {low} and {high}")
    near = low - TOLERANCE * abs(low) <= measured.value <= high + TOLERANCE * abs(high)
    if not near and not (measured.low <= high and measured.high >= low):
        return NOT_REPRODUCED
    return UNDECIDED if measured.half_width > max(abs(low), abs(high)) else REPRODUCED


def order_verdict(difference: Interval) -> str:
    """A difference that is claimed to be positive."""
    return interval_verdict(difference, low=0.0)


def limit_verdict(measured: Interval, limit: float) -> str:
    """A quantity that is claimed to stay below ``limit``."""
    return interval_verdict(measured, high=limit)


def no_loss_verdict(values: ArrayLike, reference: ArrayLike, tolerance: float | None = None) -> str:
    """``values`` that are claimed not to fall behind ``reference``, on the same traces, by ``tolerance`` or more.

    The tolerance is in the unit of the values; None is 3 % of the mean reference, for quantities with a true zero.
    """
    return interval_verdict(paired_difference(values, reference), low=-_tolerance(reference, tolerance))


def same_verdict(values: ArrayLike, reference: ArrayLike, tolerance: float | None = None) -> str:
    """``values`` that are claimed to be those of ``reference``, on the same traces, within ``tolerance``."""
    allowed = _tolerance(reference, tolerance)
    return interval_verdict(paired_difference(values, reference), -allowed, allowed)


def read_off_verdict(value: float, printed: float, digits: int = 0) -> str:
    """A number that is read off a plot, to so many decimals; ours has no interval, as the end of a pooled CDF."""
    return REPRODUCED if round(value, digits) == printed else NOT_REPRODUCED


def all_verdict(parts: Collection[str]) -> str:
    """A claim that holds where all its parts do: one part that fails refutes it."""
    for verdict in (NOT_REPRODUCED, NOT_TESTABLE, UNDECIDED):
        if verdict in parts:
            return verdict
    return REPRODUCED


def whichever_verdict(meanings: Collection[str]) -> str:
    """A claim of which the paper leaves open what it means: the verdict that holds whichever it is."""
    found = set(meanings)
    if {REPRODUCED, NOT_REPRODUCED} <= found or NOT_TESTABLE in found:
        return NOT_TESTABLE
    return UNDECIDED if UNDECIDED in found else found.pop()


def _tolerance(reference: ArrayLike, given: float | None) -> float:
    return TOLERANCE * abs(float(np.mean(np.asarray(reference, dtype=float)))) if given is None else given
