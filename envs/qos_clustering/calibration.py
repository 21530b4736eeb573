"""What a pre-trained base network is given before it is used: whitened features, and libraries of heads.

Everything is measured on history days, which no episode is. No group label enters the heads; which head suits a group
is noted beside them, for oracles and for policies that are told the concepts' loss statistics.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.heads import HeadStatistics, ifca, losses, statistics_of
from rangym.envs.qos_clustering.concepts import GROUPS
from rangym.envs.qos_clustering.days import history_day
from rangym.envs.qos_clustering.generator import Day, DaySettings
from rangym.envs.qos_clustering.predictor import Base, Library, Predictor, inputs_of

HISTORY = DaySettings(num_cells=12, num_vehicles=30, sampling_s=4.0, periods=96, drift="none")
LABEL_DELAY = 4
PRETRAINING_DAYS, VALIDATION_DAY = range(100, 104), 104
LIBRARY_DAYS, CONCEPT_DAYS = range(400, 432), range(900, 924)
"""From 32 days a library of four heads loses as little on fresh days as heads fitted to the hidden groups (0.709 under
the head that suits the concept; 0.708). From eight it loses 8 % more than those; 64 days lower the loss by 0.4 %."""
UNIFORM_GROUPS = dataclasses.replace(HISTORY, drift="wander", concept_hold_h=math.inf)
"""Library days: cells draw a group for the whole day, since one cell alone of a kind would get no head."""
WANDERING = dataclasses.replace(HISTORY, drift="wander")

WIDTH = 32
"""Whitened features."""
WEAKEST = 1e-9
"""Share of the strongest direction's power below which one counts as absent."""
LIBRARY_SIZES = (2, 4, 10)
LIBRARY_RHO, LIBRARY_ITERATIONS, LIBRARY_RESTARTS, LIBRARY_SEED = 0.03, 30, 5, 0
RIDGE = 1e-6
LOG_LOSS_FLOOR = 0.02
"""Concept tables describe ln(loss + this)."""


def calibrated(
    base: Base,
    head: NDArray,
    target_mean: NDArray,
    target_scale: NDArray,
    inputs: NDArray,
    config: Mapping[str, object],
    sizes: Sequence[int] = LIBRARY_SIZES,
) -> Predictor:
    """The whole predictor of a base network and its head, pre-trained on ``inputs`` (R, n)."""
    plain = whitened(base, head, target_mean, target_scale, inputs, config)
    calibration = [history_day(UNIFORM_GROUPS, n) for n in LIBRARY_DAYS]
    wandering = [history_day(WANDERING, n) for n in CONCEPT_DAYS]
    statistics = _joined(_statistics(plain, calibration))
    group = np.concatenate([day.group_weight[0].argmax(axis=1) for day in calibration])
    concepts = list(_statistics(plain, wandering))
    present = np.concatenate([d.group_weight[: -plain.label_delay].argmax(axis=2).ravel() for d in wandering])
    return dataclasses.replace(
        plain,
        mean_gram=statistics.gram.mean(axis=0).astype(np.float32),
        libraries={n: _library(n, plain.theta0, statistics, group, concepts, present) for n in sizes},
    )


def whitened(
    base: Base,
    head: NDArray,
    target_mean: NDArray,
    target_scale: NDArray,
    inputs: NDArray,
    config: Mapping[str, object],
) -> Predictor:
    """A predictor with whitened features and the global head that stands for ``head`` on them, without libraries."""
    raw = base.raw_features(inputs)
    whitening = whitener(raw[:, :-1], WIDTH)
    phi = np.concatenate([raw[:, :-1] @ whitening, raw[:, -1:]], axis=1).astype(np.float64)
    gram = phi.T @ phi / len(phi) + RIDGE * np.eye(phi.shape[1])
    theta0 = np.linalg.solve(gram, phi.T @ (raw @ head) / len(phi)).astype(np.float32)
    return Predictor(base, target_mean, target_scale, head, whitening, theta0, gram, config=config)


def whitener(raw: NDArray, width: int) -> NDArray:
    """(q, width) float32: the strongest directions of the uncentred second moment of ``raw`` (R, q), scaled to 1.

    Fewer where ``raw`` has no more: a direction of next to nothing would be all rounding.
    """
    x = raw.astype(np.float64)
    value, vector = np.linalg.eigh(x.T @ x / len(x))
    strongest = np.argsort(value)[::-1][:width]
    strongest = strongest[value[strongest] > WEAKEST * value.max()]
    return (vector[:, strongest] / np.sqrt(value[strongest])).astype(np.float32)


def pairs(predictor: Predictor, day: Day) -> HeadStatistics:
    """Sums of each period and cell whose label exists, (P - h, N): features at t, the coded Gaussian at t + h."""
    h = predictor.label_delay
    features = predictor.features(inputs_of(day)[:-h])
    target = predictor.scaled_code(day.mean, day.covariance)[h:]
    return statistics_of(features, target[:, :, None])


def _statistics(predictor: Predictor, days: Iterable[Day]) -> list[HeadStatistics]:
    return [pairs(predictor, day) for day in days]


def _joined(parts: Sequence[HeadStatistics]) -> HeadStatistics:
    """One cell-day after the other, each the mean over its periods."""
    means = [part.mean() for part in parts]
    return HeadStatistics(
        np.concatenate([m.gram for m in means]),
        np.concatenate([m.cross for m in means]),
        np.concatenate([m.power for m in means]),
    )


def library_heads(size: int, theta0: NDArray, statistics: HeadStatistics) -> NDArray:
    """(C, p, 9) float32: the heads of the cell-days by IFCA."""
    rng = np.random.default_rng(LIBRARY_SEED)
    found = ifca(statistics, size, theta0, LIBRARY_RHO, rng, iterations=LIBRARY_ITERATIONS, restarts=LIBRARY_RESTARTS)
    return found.heads.astype(np.float32)


def _library(
    size: int,
    theta0: NDArray,
    statistics: HeadStatistics,
    group: NDArray,
    concepts: Sequence[HeadStatistics],
    present: NDArray,
) -> Library:
    heads = library_heads(size, theta0, statistics)
    table = losses(statistics, heads)
    groups = range(len(GROUPS))
    every = np.concatenate([theta0[None], heads])
    loss = np.concatenate([losses(part, every).reshape(-1, size + 1) for part in concepts])
    logarithm = np.log(loss + LOG_LOSS_FLOOR)
    return Library(
        heads=heads,
        head_of_group=np.array([table[group == g].mean(axis=0).argmin() for g in groups]),
        concept_mean=np.stack([logarithm[present == g].mean(axis=0) for g in groups]),
        concept_covariance=np.stack([np.cov(logarithm[present == g].T) for g in groups]),
        concept_loss=np.stack([loss[present == g].mean(axis=0) for g in groups]),
    )
