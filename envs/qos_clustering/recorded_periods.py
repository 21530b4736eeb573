"""Rows of logs to periods: a Gaussian, a load and a sample of rows for each cell and period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.qos_clustering.generator import MIN_ROWS, SAMPLE_ROWS, Day, carried_forward, gaussians
from rangym.envs.qos_clustering.kpi_logs import COLUMNS, KpiLog, domain
from rangym.envs.qos_clustering.recorded_days import RecordedDays

INPUTS = tuple(name for name in COLUMNS if name not in ("x_m", "y_m", "tx", "rx"))
"""What a predictor may see of a row beside the KPIs."""
CIRCLE_M = 100.0
"""Cells without positions stand on a circle, so far from each other."""
MAX_PERIODS_PER_FILLED = 100
"""Of a file's periods for each one with rows: beyond, times are taken to be in another unit."""
SAMPLE_SEED = 0


def recorded_days(log: KpiLog, kpis: Sequence[str], period_s: float, label_delay: int) -> RecordedDays:
    """Cut the rows of a log into periods; refuses what no episode can be made of."""
    cells, cell = np.unique(log.cell, return_inverse=True)
    if len(cells) < 2:
        raise WrongValue(f"logs: rows of at least two cells wanted, got those of {', '.join(cells) or 'none'}")
    start_s, period = _periods(log.time_s, period_s, label_delay)
    shape = (int(period.max()) + 1, len(cells))
    place = period * len(cells) + cell
    moments = _moments([domain(name, log.values[name]) for name in kpis], place, shape)
    count = moments[..., 0].astype(np.int64)
    _refuse_unfilled(cells, count, period_s)
    mean, covariance = gaussians(carried_forward(moments, count >= MIN_ROWS))
    columns, values, notes = _inputs(log, kpis, period < shape[0] // 2)
    rows = carried_forward(_sample(values, place, count), count > 0)
    load = _load(log, cells, place, shape)
    day = Day(load, np.zeros((*shape, 0)), mean, covariance, rows, count)
    position, where = _positions(log, cell, len(cells))
    account = {
        **log.account,
        "periods": shape[0],
        "cells": len(cells),
        "periods and cells filled": int((count >= MIN_ROWS).sum()),
        "carried forward": day.carried,
    }
    return RecordedDays(
        day=day,
        kpis=tuple(kpis),
        columns=columns,
        cells=cells,
        cell_position_m=position,
        period_s=float(period_s),
        start_s=start_s,
        account=account,
        notes=[*log.notes, *notes, *where],
    )


def without_sparse_cells(log: KpiLog, period_s: float) -> KpiLog:
    """The log without the cells that have 20 rows in no period, said in its account; unchanged where all are such."""
    _check_period(period_s)
    cells, cell = np.unique(log.cell, return_inverse=True)
    if not len(cells):
        return log
    period = np.unique(log.time_s // period_s, return_inverse=True)[1]
    count = np.bincount(period * len(cells) + cell, minlength=(period.max() + 1) * len(cells))
    sparse = count.reshape(-1, len(cells)).max(axis=0) < MIN_ROWS
    if sparse.all() or not sparse.any():
        return log
    keep = ~sparse[cell]
    account = {name: number for name, number in log.account.items() if name != "rows kept"}
    account |= {
        f"dropped: a cell with fewer than {MIN_ROWS} rows in every period": int((~keep).sum()),
        "rows kept": int(keep.sum()),
    }
    return replace(
        log,
        time_s=log.time_s[keep],
        cell=log.cell[keep],
        values={name: values[keep] for name, values in log.values.items()},
        account=account,
        notes=[*log.notes, f"left out: {sparse.sum()} of {len(cells)} cells, seen too rarely"],
    )


def _check_period(period_s: float) -> None:
    if not 0 < period_s < np.inf:
        raise WrongValue(f"period_s: a finite number above 0 wanted, got {period_s!r}")


def _periods(time_s: NDArray, period_s: float, label_delay: int) -> tuple[float, NDArray]:
    """Start of the first period, a multiple of its length, and the period (R,) of each row."""
    _check_period(period_s)
    if label_delay < 1:
        raise WrongValue(f"label_delay: an integer of at least 1 wanted, got {label_delay!r}")
    start_s = float(np.floor(time_s.min() / period_s) * period_s)
    period = ((time_s - start_s) // period_s).astype(np.int64)
    periods, some = int(period.max()) + 1, len(np.unique(period))
    if periods > MAX_PERIODS_PER_FILLED * some:
        raise WrongValue(
            f"logs: rows that follow each other wanted, got rows in {some:,} of {periods:,} periods of {period_s:g} s; "
            "are times in seconds?"
        )
    if periods < 4 * label_delay + 6:
        largest = max(periods - periods // 2 - 2 * label_delay - 2, 0)
        raise WrongValue(
            f"logs: at least {4 * label_delay + 6} periods of {period_s:g} s (4h + 6 with h = {label_delay}) wanted, "
            f"got {periods}, whose second half allows horizon {largest}"
        )
    return start_s, period


def _moments(q: Sequence[NDArray], place: NDArray, shape: tuple[int, int]) -> NDArray:
    """Count, sums and sums of products of q in each period and cell, ``(P, N, 10)``."""
    products = [q[a] * q[b] for a, b in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))]
    weights = [None, *q, *products]
    size = shape[0] * shape[1]
    return np.stack([np.bincount(place, w, size) for w in weights], axis=1).reshape(*shape, 10)


def _refuse_unfilled(cells: NDArray, count: NDArray, period_s: float) -> None:
    """Refuse cells that are seen, but in no period often enough."""
    most = count.max(axis=0)
    if (never := most < MIN_ROWS).any():
        first = never.argmax()
        advice = "are times in seconds?" if never.all() else "leave out their rows (--leave-out-sparse-cells)"
        raise WrongValue(
            f"cell {cells[first]}: at least {MIN_ROWS} rows in some period of {period_s:g} s wanted, got {most[first]} "
            f"at most; {never.sum()} of {len(cells)} cells are like this, {advice}"
        )


def _load(log: KpiLog, cells: NDArray, place: NDArray, shape: tuple[int, int]) -> NDArray:
    """Mean load (P, N) of each period and cell, where it has none that of the period before; 0 where logs have none."""
    if "load" not in log.values:
        return np.zeros(shape)
    known, size = ~np.isnan(log.values["load"]), shape[0] * shape[1]
    number = np.bincount(place[known], minlength=size).reshape(shape)
    total = np.bincount(place[known], log.values["load"][known], size).reshape(shape)
    if (most := number.max(axis=0)).min() == 0:
        raise WrongValue(f"cell {cells[most.argmin()]}: a load in some row, like other cells, wanted, got none")
    return carried_forward(total / np.maximum(number, 1), number > 0)


def _inputs(log: KpiLog, kpis: Sequence[str], first_half: NDArray) -> tuple[tuple[str, ...], NDArray, list[str]]:
    """Names and values (R, K) of what the predictor sees; a missing one is the first half's mean, 0 after scaling."""
    found: dict[str, NDArray] = {name: domain(name, log.values[name]) for name in kpis}
    notes = []
    for name in INPUTS:
        if name in found or name not in log.values:
            continue
        values = domain(name, log.values[name])
        if name == "dir_deg":
            found |= {"sin_direction": np.sin(np.radians(values)), "cos_direction": np.cos(np.radians(values))}
        else:
            found[name] = values
    for name, values in found.items():
        if (missing := np.isnan(values)).any():
            known = values[first_half & ~missing]
            found[name] = np.where(missing, known.mean() if len(known) else 0.0, values)
            notes.append(f"{name}: the mean stands in for {missing.sum():,} missing values")
    return tuple(found), np.stack(list(found.values()), axis=1), notes


def _sample(values: NDArray, place: NDArray, count: NDArray) -> NDArray:
    """Rows (P, N, 16, K) float32 drawn with replacement from those of each period and cell; zeros where it has none."""
    order = np.argsort(place, kind="stable")
    number = count.ravel()
    first = np.cumsum(number) - number
    uniform = np.random.default_rng(SAMPLE_SEED).random((len(number), SAMPLE_ROWS))
    chosen = first[:, None] + (uniform * number[:, None]).astype(np.int64)
    rows = values[order[np.minimum(chosen, len(order) - 1)]] * (number > 0)[:, None, None]
    return rows.reshape(*count.shape, SAMPLE_ROWS, values.shape[1]).astype(np.float32)


def _positions(log: KpiLog, cell: NDArray, cells: int) -> tuple[NDArray, list[str]]:
    """Mean position of each cell's rows, or a circle where some cell has none."""
    if {"x_m", "y_m"} <= log.values.keys():
        place = np.stack([log.values["x_m"], log.values["y_m"]], axis=1)
        known = ~np.isnan(place).any(axis=1)
        number = np.bincount(cell[known], minlength=cells)
        if number.min() > 0:
            total = np.stack([np.bincount(cell[known], axis[known], cells) for axis in place.T], axis=1)
            return total / number[:, None], []
    angle = 2.0 * np.pi * np.arange(cells) / cells
    radius = CIRCLE_M / (2.0 * np.sin(np.pi / cells))
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), ["no positions: the cells stand on a circle"]
