"""Readings that the claims of this paper share, beside those of `rangym.evaluation.papers.readings`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.readings import Reading, spelled
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, REPRODUCED
from rangym.evaluation.statistics import mean_interval


def none_of(label: str, values: NDArray, what: str) -> Reading:
    """A share or a number that is claimed to be 0 on every instance."""
    text = f"{what} {spelled(mean_interval(values))}, in {int((values > 0).sum())} of {len(values)}"
    return Reading(label, text, NOT_REPRODUCED if (values > 0).any() else REPRODUCED)


def judged(label: str, measured: str, holds: bool) -> Reading:
    """What needs no statistics."""
    return Reading(label, measured, REPRODUCED if holds else NOT_REPRODUCED)


def percent(values: NDArray, reference: NDArray) -> NDArray:
    """By how much ``values`` are below ``reference``, in %."""
    return 100.0 * (1.0 - np.asarray(values) / np.asarray(reference))
