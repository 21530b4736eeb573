"""The hidden concepts: how the load of a group of cells moves over the day, and how a cell drifts between groups.

Four groups have a diurnal profile and a memory of their own. The memory is the concept: the same load now means
another load in an hour, and nothing that is observed says which. Groups stand in the order of `GROUPS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GROUPS = ("downtown", "residential", "highway", "industrial")
PERIOD_H = 0.25
"""Length of a period (slot) in hours."""

MEMORY = np.array([0.985, 0.985, 0.985, 0.43])
"""Modulus of the memory's autoregression, from period to period."""
CYCLE_H = np.array([2.0, math.inf, 6.0, math.inf])
"""Cycle of the memory in hours; infinite where it has none."""
MEMORY_SD = 0.17
LOAD_RANGE = (0.03, 0.88)
MEAN_LOAD, PROFILE_WEIGHT = 0.28, 0.3
PHASE_H = 1.0
"""A group's profile is early or late by up to this much, another amount every day."""
GRADUAL_H = 3.0
"""Length of a gradual change under the drift law `wander`."""

EVENT_KINDS = ("sudden", "gradual", "incremental", "recurring")
DRAWN_KINDS = ("sudden", "gradual", "recurring")
MAX_EVENTS, MAX_EVENT_CELLS = 3, 3
EVENT_START_H = (3.0, 16.0)
EVENT_DURATION_H = (3.0, 6.0, 24.0)

Event = tuple[str, tuple[int, ...], int, float, float]
"""(kind, cells, group, t0_h, duration_h)."""


def profiles(hour: NDArray) -> NDArray:
    """Diurnal profile of every group, ``(..., 4)``, at hours ``(..., 4)`` of each group's own clock."""
    downtown, residential, highway, industrial = np.moveaxis(np.asarray(hour, np.float64), -1, 0)
    return np.stack(
        [
            0.15 + 0.52 * _plateau(downtown, 8.0, 18.0),
            0.15 + 0.30 * _bell(residential, 6.5, 1.2) + 0.55 * _bell(residential, 20.5, 2.2),
            0.12 + 0.55 * _bell(highway, 7.5, 1.5) + 0.58 * _bell(highway, 16.8, 1.8),
            0.15 + 0.52 * _bell(industrial, 1.0, 3.0) + 0.40 * _bell(industrial, 12.5, 1.5),
        ],
        axis=-1,
    )


def _wrapped(hours: NDArray) -> NDArray:
    """A difference of clock times, in [-12, 12)."""
    return np.mod(hours + 12.0, 24.0) - 12.0


def _bell(hour: NDArray, mean: float, deviation: float) -> NDArray:
    return np.exp(-(_wrapped(hour - mean) ** 2) / (2.0 * deviation**2))


def _plateau(hour: NDArray, begin: float, end: float) -> NDArray:
    rise = 1.0 / (1.0 + np.exp(-2.0 * _wrapped(hour - begin)))
    return rise / (1.0 + np.exp(2.0 * _wrapped(hour - end)))


def memories(rng: np.random.Generator, periods: int, cells: int) -> NDArray:
    """One stationary memory of every group in each cell, ``(periods, cells, 4)``, standard deviation `MEMORY_SD`.

    s is the real part of z' = r exp(2 pi i 0.25 / cycle) z + noise: its correlation after k periods is
    r^k cos(2 pi 0.25 k / cycle).
    """
    factor = MEMORY * np.exp(2j * math.pi * PERIOD_H / CYCLE_H)
    noise = rng.standard_normal((2, periods, cells, len(GROUPS))) * MEMORY_SD
    drive = noise[0] + 1j * noise[1]
    drive[1:] *= np.sqrt(1.0 - MEMORY**2)
    for t in range(1, periods):
        drive[t] += factor * drive[t - 1]
    return drive.real


def background_load(rng: np.random.Generator, weight: NDArray, amplitude: NDArray) -> NDArray:
    """Background load of every cell, ``(periods, cells)``, from the weights of its groups ``(periods, cells, 4)``.

    ``amplitude`` ``(cells,)`` scales the profiles. The clock starts at midnight and wraps.
    """
    periods, cells, groups = weight.shape
    phase = rng.uniform(-PHASE_H, PHASE_H, groups)
    hour = PERIOD_H * np.arange(periods)
    profile = PROFILE_WEIGHT * amplitude[:, None] * profiles(hour[:, None] - phase)[:, None]
    demand = profile + memories(rng, periods, cells)
    return np.clip(MEAN_LOAD + (weight * demand).sum(axis=2), *LOAD_RANGE)


def drifted(start: NDArray, periods: int, events: Sequence[Event]) -> NDArray:
    """Weights of the groups, ``(periods, cells, 4)``: ``start`` ``(cells, 4)`` changed by the events in their order.

    An event moves the weights of its cells to W (1 - w) + w target, w of `_progress`.
    """
    weight = np.broadcast_to(start, (periods, *start.shape)).copy()
    hours = PERIOD_H * np.arange(periods)
    target = np.eye(len(GROUPS))
    for kind, cells, group, t0_h, duration_h in events:
        w = _progress(kind, hours - t0_h, duration_h)[:, None, None]
        where = list(cells)
        weight[:, where] = (1.0 - w) * weight[:, where] + w * target[group]
    return weight


def _progress(kind: str, since_h: NDArray, duration_h: float) -> NDArray:
    """How far an event has gone, 0..1: for good where it is gradual or incremental, for a while where it is not."""
    begun = since_h >= 0.0
    if kind == "sudden":
        return (begun & (since_h < duration_h)).astype(np.float64)
    if kind == "recurring":
        return (begun & (np.floor(since_h / duration_h) % 2 == 0)).astype(np.float64)
    share = np.clip(since_h / duration_h, 0.0, 1.0)
    return np.ceil(4.0 * share) / 4.0 if kind == "incremental" else share


def draw_events(rng: np.random.Generator, cells: int) -> list[Event]:
    """None to three events of one to three cells each, towards uniformly drawn groups."""
    events: list[Event] = []
    for _ in range(rng.integers(MAX_EVENTS + 1)):
        kind = DRAWN_KINDS[rng.integers(len(DRAWN_KINDS))]
        count = min(int(rng.integers(1, MAX_EVENT_CELLS + 1)), cells)
        where = tuple(int(i) for i in np.sort(rng.choice(cells, count, replace=False)))
        group, t0_h = int(rng.integers(len(GROUPS))), float(rng.uniform(*EVENT_START_H))
        events.append((kind, where, group, t0_h, EVENT_DURATION_H[rng.integers(len(EVENT_DURATION_H))]))
    return events


def wander(rng: np.random.Generator, periods: int, cells: int, hold_h: float) -> NDArray:
    """Weights ``(periods, cells, 4)`` of cells that start in any group and change at exponential times.

    Every cell's first group is drawn uniformly; then it changes to a uniformly drawn group (its own included) after
    exponential times of mean ``hold_h``, half of the changes sudden, half linear over `GRADUAL_H` hours.
    """
    start = np.eye(len(GROUPS))[rng.integers(len(GROUPS), size=cells)]
    changes: list[Event] = []
    for i in range(cells):
        t_h = rng.exponential(hold_h)
        while t_h < periods * PERIOD_H:
            group, gradual = int(rng.integers(len(GROUPS))), bool(rng.integers(2))
            changes.append(("gradual" if gradual else "sudden", (i,), group, t_h, GRADUAL_H if gradual else math.inf))
            t_h += rng.exponential(hold_h)
    return drifted(start, periods, changes)
