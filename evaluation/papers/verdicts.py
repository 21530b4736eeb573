"""The rules that decide whether what we measure is what a paper claims."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.evaluation.statistics import Interval, paired_difference

REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable"
TOLERANCE = 0.03
"""Relative distance from the printed number at which a mean still counts as that number."""

RULES = (
    "A printed number, or range, is reproduced if our 95 % interval over seeds contains it (reaches into it), or our "
    "mean is within 3 % of it.",
    "An order or a tendency is reproduced if the 95 % interval of the paired differences excludes zero in the claimed "
    "direction.",
    'A limit is reproduced if the whole 95 % interval keeps it; "no loss" if the paired 95 % interval reaches zero or '
    "the mean loss is below 3 %.",
    "Not testable: what rests on private data or on something the paper does not define; and a number that our "
    "interval contains only because it is wide (its half-width exceeds the number).",
    "Nothing is corrected for the number of readings: one reading that agrees where its neighbours do not is weak "
    "evidence. The literal reading alone decides, whatever the others give.",
)


def number_verdict(measured: Interval, low: float, high: float | None = None) -> str:
    """A printed number ``low``, or a range from ``low`` to ``high``."""
    high = low if high is None else high
    if low > high:
        raise WrongValue(f"low, high: an ascending range wanted, got {low} and {high}")
    margin_low, margin_high = TOLERANCE * abs(low), TOLERANCE * abs(high)
    if low - margin_low <= measured.value <= high + margin_high:
        return REPRODUCED
    if not (measured.low <= high and measured.high >= low):  # also where one seed allows no interval
        return NOT_REPRODUCED
    return NOT_TESTABLE if measured.half_width > max(abs(low), abs(high)) else REPRODUCED


def order_verdict(difference: Interval) -> str:
    """A difference that is claimed to be positive."""
    return REPRODUCED if difference.low > 0 else NOT_REPRODUCED


def limit_verdict(measured: Interval, limit: float) -> str:
    """A quantity that is claimed to stay below ``limit``."""
    return REPRODUCED if measured.high < limit else NOT_REPRODUCED


def no_loss_verdict(values: ArrayLike, reference: ArrayLike) -> str:
    """``values`` that are claimed not to fall behind ``reference``, on the same traces."""
    difference, scale = paired_difference(values, reference), abs(float(np.mean(np.asarray(reference, dtype=float))))
    if difference.value >= -TOLERANCE * scale:
        return REPRODUCED
    if not difference.high >= 0:
        return NOT_REPRODUCED
    return NOT_TESTABLE if difference.half_width > scale else REPRODUCED
