"""A recorded time series of SINR per (time, UE, cell) as a `RadioMap`: each step of a UE is a location of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.map_builder import mean_degrees, metres_from
from rangym.envs.cell_association.radio_map import RadioMap, centroids
from rangym.envs.errors import WrongValue
from rangym.envs.memory import require_memory

MAX_STEPS_PER_ROW = 100
MIN_STEP_S = 1e-3
"""No phone logs so often: times are in days, as a spreadsheet counts them."""
MAX_STEP_S = 100.0
"""Rows so far apart say nothing of a handover: their times are in milliseconds."""
DOUBTFUL_STEP_S = 10.0
"""Few log so seldom, and 10 ms or more are usual: times that are no dates may be in either unit."""
SINCE_1970_S = 1e9
"""A time beyond is a date, in seconds: milliseconds since the start of a recording do not come to eleven days."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The rows of one general log, arrays of n rows.

    ``position`` (n, 2) is x and y in metres or, ``in_degrees`` (n,), longitude and latitude; NaN where there is none.
    """

    time_s: NDArray
    ue: NDArray
    cell: NDArray
    sinr_db: NDArray
    position: NDArray
    bandwidth_mhz: NDArray
    in_degrees: NDArray


def build_recording(recordings: Sequence[Recording], unit_is_told: bool = False) -> RadioMap:
    """One track per UE, from its first to its last row.

    Times fall on a grid from each UE's first time on, whose step is the median distance of a UE's successive times; of
    several rows for the same (UE, cell, step) the last one holds. A cell without a row at a step does not cover it. The
    rows say nothing about the radio technology; cells count as 5G. Steps that may be in milliseconds as well as in
    seconds are refused, unless the caller was told the unit.
    """
    rows = Recording(*(np.concatenate([getattr(r, f) for r in recordings]) for f in Recording.__dataclass_fields__))
    cells, cell = np.unique(rows.cell, return_inverse=True)
    ues, ue = np.unique(rows.ue, return_inverse=True)
    if len(cells) < 2:
        raise WrongValue(f"recording: rows of at least 2 cells wanted, got only {cells[0]}")
    position_m = _position_m(rows)
    placed = ~np.isnan(position_m).any(axis=1)
    if placed.any() and (lost := np.setdiff1d(rows.ue, rows.ue[placed])).size:
        raise WrongValue(f"recording: a position of every UE or of none wanted, got none of {lost[0]}")

    step_s = _step(rows.time_s, ue, unit_is_told or float(np.abs(rows.time_s).max()) >= SINCE_1970_S)
    first_s = np.full(len(ues), np.inf)
    np.minimum.at(first_s, ue, rows.time_s)
    step = np.floor((rows.time_s - first_s[ue]) / step_s + 0.5).astype(np.int64)
    last = np.zeros(len(ues), np.int64)
    np.maximum.at(last, ue, step)
    start = np.concatenate([[0], np.cumsum(last + 1)])

    if start[-1] > MAX_STEPS_PER_ROW * len(ue):
        raise WrongValue(
            f"recording: rows that follow each other in steps of {step_s:g} s wanted, got {len(ue)} rows scattered "
            f"over {start[-1]} steps; is `time` in seconds, and has each drive of a UE a name of its own?"
        )

    place = start[ue] + step
    require_memory({"steps": int(start[-1]), "cells": len(cells)})
    sinr_db = np.full((start[-1], len(cells)), np.nan, np.float32)
    sinr_db[place, cell] = rows.sinr_db  # in row order, so the last row of a step holds
    bandwidth = np.zeros(len(cells))
    bandwidth[cell] = rows.bandwidth_mhz
    if (differs := bandwidth[cell] != rows.bandwidth_mhz).any():
        raise WrongValue(f"recording: one bandwidth_mhz per cell wanted, got several for {cells[cell[differs]][0]}")

    position = np.zeros((start[-1], 2))
    if placed.any():
        position = _positions(place[placed], position_m[placed], start)
    kept = int(np.isfinite(sinr_db).sum())
    account = {"rows": kept, "ues": len(ues)}
    if kept < len(rows.ue):
        account["rows replaced by a later one of the same UE, cell and step"] = len(rows.ue) - kept
    if placed.any() and not placed.all():
        account["rows without a position"] = int((~placed).sum())
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
        account=account,
    )


def _step(time_s: NDArray, ue: NDArray, surely_seconds: bool) -> float:
    moment = np.unique(np.stack([ue, time_s], axis=1), axis=0)
    steps = np.diff(moment[:, 1])[np.diff(moment[:, 0]) == 0]
    if len(steps) == 0:
        raise WrongValue("recording: a UE with rows at two times at least wanted, got none")
    step_s = float(np.median(steps))
    if step_s < MIN_STEP_S:
        raise WrongValue(
            f"recording: rows of a UE at least {MIN_STEP_S:g} s apart wanted, got {step_s:g} s in the median; is "
            "`time` in days?"
        )
    if step_s >= MAX_STEP_S:
        raise WrongValue(
            f"recording: rows of a UE less than {MAX_STEP_S:g} s apart wanted, got {step_s:g} s in the median; is "
            "`time` in milliseconds (time_unit='ms', --time-unit ms)?"
        )
    if step_s >= DOUBTFUL_STEP_S and not surely_seconds:
        raise WrongValue(
            f"recording: rows of a UE less than {DOUBTFUL_STEP_S:g} s apart, or the unit of `time` wanted, got "
            f"{step_s:g} in the median; say time_unit='ms' (--time-unit ms) for milliseconds, 's' for seconds"
        )
    return step_s


def _position_m(rows: Recording) -> NDArray:
    """Metres (n, 2) of all files' positions, from an origin of their own; NaN where there is none."""
    in_degrees = rows.in_degrees[~np.isnan(rows.position).all(axis=1)]
    if not in_degrees.any():
        return rows.position
    if not in_degrees.all():
        raise WrongValue("recording: x_m, y_m or latitude, longitude in all files wanted, got both")
    at_deg = rows.position[:, ::-1]
    return metres_from(at_deg, mean_degrees(at_deg))


def _positions(place: NDArray, position_m: NDArray, start: NDArray) -> NDArray:
    """Positions of all steps (S, 2) from the south-west corner, from those known at some places of each track.

    They are interpolated in between; before its first and after its last one a UE stands.
    """
    known, row = np.unique(place, return_index=True)
    position = np.empty((start[-1], 2))
    for first, end in zip(start, start[1:], strict=False):
        of_track = slice(*np.searchsorted(known, (first, end)))
        for axis in (0, 1):
            position[first:end, axis] = np.interp(
                np.arange(first, end), known[of_track], position_m[row[of_track], axis]
            )
    return position - position.min(axis=0)
