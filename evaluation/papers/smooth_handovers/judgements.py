"""Ways to judge a claim that "Smooth Handovers" needs beside those of `rangym.evaluation.papers.readings`.

g and f are sums of decimal logarithms of rates. A rate in kbit/s instead of Mbit/s adds 3 to g and to f for every UE,
so percentages of them mean nothing without the unit, which the paper does not give. Differences do not depend on it:
d decades per UE are worth as much as all rates times 10^d.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.readings import Reading, no_loss, number, same, spelled, whichever
from rangym.evaluation.papers.smooth_handovers.jobs import SOURCES, Source
from rangym.evaluation.papers.verdicts import DECADES
from rangym.evaluation.statistics import paired_difference

PER_UE = " decades per UE"
UNITS = {"Mbit/s": 0.0, "kbit/s": 3.0, "bit/s": 6.0}
"""Units that a rate may be in -> what they add to g and f for every UE, in decades."""


def each(make: Callable[[Source], Reading], sources: tuple[Source, ...] = SOURCES) -> tuple[Reading, ...]:
    """A reading of every source."""
    return tuple(make(source) for source in sources)


def no_loss_per_ue(label: str, values: NDArray, reference: NDArray, num_ues: int) -> Reading:
    """f or g of each seed claimed not to fall behind others on the same traces, by 3 % of the rate or more."""
    return no_loss(label, values / num_ues, reference / num_ues, PER_UE, DECADES)


def same_per_ue(label: str, values: NDArray, reference: NDArray, num_ues: int) -> Reading:
    """f or g of each seed claimed to be those of others on the same traces, within 3 % of the rate."""
    return same(label, values / num_ues, reference / num_ues, PER_UE, DECADES)


def percent_of(
    label: str,
    more: NDArray,
    less: NDArray,
    of: NDArray,
    printed: float | tuple[float, float],
    num_ues: int,
) -> Reading:
    """``more - less`` in % of ``of`` against a printed percentage, in every unit that the rates may be in."""

    def in_unit(unit: str, decades: float) -> Reading:
        return number(unit, 100 * (more - less) / np.abs(of + decades * num_ues), printed, " %")

    found = whichever(label, [in_unit(*unit) for unit in UNITS.items()])
    difference = spelled(paired_difference(more / num_ues, less / num_ues), PER_UE)
    return Reading(label, f"{difference}; {found.measured}", found.verdict)
