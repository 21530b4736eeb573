"""A predictor for recorded days, fitted to their first half without torch: linear in the inputs, and a library.

The inputs are z-scored; the global head is ridge regression on them, the library IFCA over the cells' days.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import encode
from rangym.envs.learning.heads import HeadStatistics, ridge_heads
from rangym.envs.qos_clustering.calibration import LABEL_DELAY, LIBRARY_RHO, library_heads, pairs, whitened
from rangym.envs.qos_clustering.generator import PERIOD_S
from rangym.envs.qos_clustering.kpi_logs import KpiLog
from rangym.envs.qos_clustering.predictor import TARGETS, Base, Library, Predictor, inputs_of
from rangym.envs.qos_clustering.recorded_days import RecordedDays
from rangym.envs.qos_clustering.recorded_periods import recorded_days

MAX_HEADS = 10
DAY_S = 86_400.0
CONSTANT = 1e-7
"""Share of its size up to which a column's deviation is rounding."""


def fitted_days(
    log: KpiLog, kpis: tuple[str, ...], period_s: float = PERIOD_S, label_delay: int = LABEL_DELAY
) -> RecordedDays:
    """The rows of a log in periods, with the linear predictor of the first half: as ``imported`` needs it."""
    days = recorded_days(log, kpis, period_s, label_delay)
    return dataclasses.replace(days, predictor=fit_linear(days, label_delay))


def pair_filled(days: RecordedDays, label_delay: int, periods: slice) -> NDArray:
    """(P' - h, N) whether both periods of a pair (t, t + h) inside ``periods`` have Gaussians of their own."""
    filled = days.filled[periods]
    return filled[:-label_delay] & filled[label_delay:]


def training_rows(days: RecordedDays, label_delay: int, periods: slice) -> tuple[NDArray, NDArray]:
    """Inputs (R, n) and coded targets (R, 9) float32 of every sampled row of a filled pair inside ``periods``."""
    part = days.part(periods)
    chosen = pair_filled(days, label_delay, periods)
    if not chosen.any():
        raise WrongValue(
            f"days: a cell with {label_delay} periods from one filled period to another in the first half wanted, "
            f"got none among {days.num_cells} cells"
        )
    rows = inputs_of(part)[:-label_delay][chosen]
    code = encode(part.mean, part.covariance)[label_delay:][chosen].astype(np.float32)
    targets = np.broadcast_to(code[:, None], (*rows.shape[:2], TARGETS))
    return rows.reshape(-1, rows.shape[-1]), targets.reshape(-1, TARGETS)


def fit_linear(days: RecordedDays, label_delay: int) -> Predictor:
    """The linear predictor of the first half, with its libraries."""
    inputs, targets = training_rows(days, label_delay, days.half("first"))
    base = Base(inputs.mean(axis=0), scale_of(inputs), (), skip=False)
    target_mean, target_scale = targets.mean(axis=0), scale_of(targets)
    config = {"name": "linear", "label_delay": label_delay, "skip": False, "columns": list(days.columns)}
    nothing = np.zeros((inputs.shape[1] + 1, TARGETS), np.float32)
    plain = whitened(base, nothing, target_mean, target_scale, inputs, config)
    everything = _cell_days(plain, days)
    theta0 = ridge_heads(everything, np.ones((everything.num_cells, 1)), np.zeros(plain.theta0.shape), LIBRARY_RHO)[0]
    head = np.concatenate([plain.whitening @ theta0[:-1], theta0[-1:]])
    fitted = dataclasses.replace(plain, theta0=theta0.astype(np.float32), head=head.astype(np.float32))
    return with_libraries(fitted, days)


def with_libraries(predictor: Predictor, days: RecordedDays) -> Predictor:
    """The predictor with libraries of 1 to 10 heads of the first half's cell-days, as far as there are as many."""
    statistics = _cell_days(predictor, days)
    sizes = range(1, min(MAX_HEADS, statistics.num_cells) + 1)
    return dataclasses.replace(
        predictor,
        mean_gram=statistics.gram.mean(axis=0).astype(np.float32),
        libraries={n: _library(n, predictor.theta0, statistics) for n in sizes},
    )


def _library(size: int, theta0: NDArray, statistics: HeadStatistics) -> Library:
    heads = library_heads(size, theta0, statistics)
    slots = size + 1
    return Library(
        heads=heads,
        head_of_group=np.zeros(0, np.int64),
        concept_mean=np.zeros((0, slots)),
        concept_covariance=np.zeros((0, slots, slots)),
        concept_loss=np.zeros((0, slots)),
    )


def _cell_days(predictor: Predictor, days: RecordedDays) -> HeadStatistics:
    """Sums of each cell and day of the first half, the means over its filled pairs; those without any are left out."""
    half = days.half("first")
    every = pairs(predictor, days.part(half))
    chosen = pair_filled(days, predictor.label_delay, half).astype(np.float64)
    blocks = max(1, round(len(chosen) * days.period_s / DAY_S))
    parts = []
    for rows in np.array_split(np.arange(len(chosen)), blocks):
        count = chosen[rows].sum(axis=0)
        some, weight = count > 0, chosen[rows] / np.maximum(count, 1.0)
        mean = [np.einsum("tn,tn...->n...", weight, x[rows])[some] for x in (every.gram, every.cross, every.power)]
        parts.append(mean)
    return HeadStatistics(*(np.concatenate(x) for x in zip(*parts, strict=True)))


def scale_of(values: NDArray) -> NDArray:
    """Standard deviation of every column; 1 where it is constant."""
    exact = values.astype(np.float64)
    deviation, size = exact.std(axis=0), np.abs(exact).max(axis=0)
    return np.where(deviation > CONSTANT * size, deviation, 1).astype(values.dtype)
