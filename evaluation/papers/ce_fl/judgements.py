"""Ways to judge a claim that the CE-FL paper needs beside those of `rangym.evaluation.papers.readings`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.evaluation.papers.readings import Reading, order, spelled
from rangym.evaluation.papers.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    limit_verdict,
    no_loss_verdict,
)
from rangym.evaluation.statistics import mean_interval

EXACT = 1e-12
"""Relative error at which an equality still holds."""


def verdict_of(holds: bool) -> str:
    return REPRODUCED if holds else NOT_REPRODUCED


def equality(label: str, errors: ArrayLike, what: str) -> Reading:
    """An identity: every relative error is below `EXACT`."""
    worst = float(np.max(errors))
    return Reading(label, f"{what} {worst:.2g}", verdict_of(worst < EXACT))


def never(label: str, shares: ArrayLike, what: str, unit: float = 100.0) -> Reading:
    """Something that may not happen at all: shares of each seed."""
    found = mean_interval(unit * np.asarray(shares, dtype=float))
    return Reading(label, f"{what} {spelled(found, ' %')}", verdict_of(bool(np.max(shares) <= 0.0)))


def below(label: str, values: ArrayLike, limit: float, what: str) -> Reading:
    """A limit that the whole interval keeps."""
    found = mean_interval(values)
    return Reading(label, f"{what} {spelled(found)}", limit_verdict(found, limit))


def excess(label: str, cost: NDArray, reference: NDArray) -> Reading:
    """A cost that is claimed to be no worse than a reference: what it has more, in %."""
    found = mean_interval(100.0 * (cost / reference - 1.0))
    return Reading(label, f"{spelled(found, ' %')} above the reference", no_loss_verdict(-cost, -reference))


def rising(label: str, curves: NDArray, unit: str = "") -> Reading:
    """Curves (seeds, points) claimed to rise: the least step of each seed, and both ends."""
    steps = np.diff(curves, axis=1).min(axis=1)
    found = order(label, steps, np.zeros(len(steps)))
    ends = f"{curves[:, 0].mean():.3g} to {curves[:, -1].mean():.3g}{unit}"
    return Reading(label, f"{ends}, worst step {spelled(mean_interval(steps))}", found.verdict)


def falling(label: str, curves: NDArray, unit: str = "") -> Reading:
    """Curves (seeds, points) claimed to fall: the least fall of each seed, and both ends."""
    falls = -np.diff(curves, axis=1).max(axis=1)
    found = order(label, falls, np.zeros(len(falls)))
    ends = f"{curves[:, 0].mean():.3g} to {curves[:, -1].mean():.3g}{unit}"
    return Reading(label, f"{ends}, least fall {spelled(mean_interval(falls))}", found.verdict)


def shown(label: str, text: str) -> Reading:
    """A measurement that decides nothing."""
    return Reading(label, text, NOT_TESTABLE)
