"""A recorded time series of SINR per (time, UE, cell) as a `RadioMap`: each step of a UE is a location of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.radio_map import RadioMap, centroids
from rangym.envs.errors import WrongValue

MAX_STEPS_PER_ROW = 100


@dataclass(frozen=True, eq=False)
class Recording:
    """The rows of one general CSV file, arrays of n rows; ``position_m`` is NaN where the file has none."""

    time_s: NDArray
    ue: NDArray
    cell: NDArray
    sinr_db: NDArray
    position_m: NDArray
    bandwidth_mhz: NDArray


def build_recording(recordings: Sequence[Recording]) -> RadioMap:
    """One track per UE, from its first to its last row.

    Times fall on a grid whose step is the median distance of a UE's successive times; of several rows for the same
    (UE, cell, step) the last one holds. A cell without a row at a step does not cover it. The rows say nothing about
    the radio technology; cells count as 5G.
    """
    rows = Recording(*(np.concatenate([getattr(r, f) for r in recordings]) for f in Recording.__dataclass_fields__))
    cells, cell = np.unique(rows.cell, return_inverse=True)
    ues, ue = np.unique(rows.ue, return_inverse=True)
    if len(cells) < 2:
        raise WrongValue(f"recording: rows of at least 2 cells wanted, got only {cells[0]}")
    has_position = ~np.isnan(rows.position_m).any(axis=1)
    if has_position.any() and not has_position.all():
        raise WrongValue("recording: x_m and y_m in all files or in none wanted, got them in some")

    step_s = _step(rows.time_s, ue)
    step = np.rint((rows.time_s - rows.time_s.min()) / step_s).astype(np.int64)
    first = np.full(len(ues), np.iinfo(np.int64).max)
    last = np.full(len(ues), -1)
    np.minimum.at(first, ue, step)
    np.maximum.at(last, ue, step)
    start = np.concatenate([[0], np.cumsum(last - first + 1)])

    if start[-1] > MAX_STEPS_PER_ROW * len(ue):
        raise WrongValue(
            f"recording: rows that follow each other in steps of {step_s:g} s wanted, got {len(ue)} rows scattered "
            f"over {start[-1]} steps; is `time` in seconds?"
        )

    place = start[ue] + step - first[ue]
    sinr_db = np.full((start[-1], len(cells)), np.nan, np.float32)
    sinr_db[place, cell] = rows.sinr_db  # in row order, so the last row of a step holds
    bandwidth = np.zeros(len(cells))
    bandwidth[cell] = rows.bandwidth_mhz
    if (differs := bandwidth[cell] != rows.bandwidth_mhz).any():
        raise WrongValue(f"recording: one bandwidth_mhz per cell wanted, got several for {cells[cell[differs]][0]}")

    position = np.zeros((start[-1], 2))
    if has_position.all():
        position = _positions(place, rows.position_m, start)
    return RadioMap(
        kind="recorded",
        sinr_db=sinr_db,
        location_m=position.astype(np.float32),
        cell_name=cells,
        cell_rat=np.full(len(cells), 5, np.int64),
        bandwidth_mhz=bandwidth,
        cell_position_m=centroids(position, sinr_db.astype(np.float64)),
        track_start=start,
        track_position_m=position.astype(np.float32),
        track_location=np.arange(start[-1]),
        step_s=step_s,
        size_m=np.ptp(position, axis=0),
        account={"rows": len(rows.ue), "ues": len(ues)},
    )


def _step(time_s: NDArray, ue: NDArray) -> float:
    moment = np.unique(np.stack([ue, time_s], axis=1), axis=0)
    steps = np.diff(moment[:, 1])[np.diff(moment[:, 0]) == 0]
    if len(steps) == 0:
        raise WrongValue("recording: a UE with rows at two times at least wanted, got none")
    return float(np.median(steps))


def _positions(place: NDArray, position_m: NDArray, start: NDArray) -> NDArray:
    """Positions of all steps (S, 2), interpolated over steps without a row, from the south-west corner."""
    known, row = np.unique(place, return_index=True)
    # A track begins and ends with a row, so no interpolation crosses from one UE to the next.
    steps = np.arange(start[-1])
    position = np.stack([np.interp(steps, known, position_m[row, axis]) for axis in (0, 1)], axis=1)
    return position - position.min(axis=0)
