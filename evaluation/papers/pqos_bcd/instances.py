"""Instances of batch clustering: a history day, what a pre-trained network makes of it, and which cells are alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.gaussians import hellinger_kernel, laplacian
from rangym.envs.learning.heads import HeadStatistics, statistics_of
from rangym.envs.qos_clustering import concepts, days, generator
from rangym.envs.qos_clustering.calibration import HISTORY
from rangym.envs.qos_clustering.deployment import deployment
from rangym.envs.qos_clustering.generator import AMPLITUDE_OF_DAY_SD, COLUMNS, Day
from rangym.envs.qos_clustering.predictor import Predictor, inputs_of, load
from rangym.policies.algorithms.prediction.problem import SharingProblem

FIRST_DAY, TEST_DAY, MORE_DAYS = 400, 600, 700
"""Instance n is history day 400 + n; day 600 + n tests its heads; 700 + 3 n and the two after it are trained on too."""
LAM, BETA, RHO = 0.002, 0.15, 0.03
CELLS = 12
QOS = [COLUMNS.index(name) for name in ("ln_latency", "ln_jitter", "rsrp_dbm")]


@dataclass(frozen=True, eq=False)
class Instance:
    """P pairs of a period t and t + h, N cells, n rows in each.

    Attributes
    ----------
    features : (P, N, n, p) of the rows at t, of the frozen network.
    targets : (P, N, 9) z-scored code of the Gaussian at t + h.
    values : (P, N, n, 3) q of rows at t + h, for likelihoods.
    kernels : (P, N, N) of the Gaussians at t.
    groups : (N,) the hidden kind of each cell.
    start : (p, 9) the pre-trained head.
    predictor : what the features and the code are of.
    """

    features: NDArray
    targets: NDArray
    values: NDArray
    kernels: NDArray
    groups: NDArray
    start: NDArray
    predictor: Predictor

    @property
    def kernel(self) -> NDArray:
        """(N, N) mean over the periods."""
        return self.kernels.mean(axis=0)

    def statistics(self) -> HeadStatistics:
        """Sums of the cells over all periods."""
        return statistics_of(self.features, self.targets[:, :, None]).mean()

    def problem(self, lam: float = LAM, beta: float = BETA) -> SharingProblem:
        """Which cells share a head on that day."""
        return SharingProblem(self.statistics(), self.start, laplacian(self.kernel), lam, beta, RHO)


@lru_cache(maxsize=8)
def drawn(number: int) -> Day:
    """History day ``number``: twelve cells, each with the demand of its site's group all day."""
    return days.history_day(HISTORY, number)


@lru_cache(maxsize=8)
def of_day(number: int, base: str = "small") -> Instance:
    """The instance of a history day; ``small`` by its 55 raw features, ``paper`` by 32 whitened ones and the bias."""
    predictor, day = load(base), drawn(number)
    h, inputs = predictor.label_delay, inputs_of(day)
    seen = predictor.base.raw_features(inputs) if base == "small" else predictor.features(inputs)
    return Instance(
        features=seen[:-h].astype(np.float64),
        targets=predictor.scaled_code(day.mean, day.covariance)[h:],
        values=day.rows[h:, ..., QOS].astype(np.float64),
        kernels=hellinger_kernel(day.mean, day.covariance)[:-h],
        groups=day.group_weight[0].argmax(axis=1),
        start=(predictor.head if base == "small" else predictor.theta0).astype(np.float64),
        predictor=predictor,
    )


def instance(seed: int, base: str = "small") -> Instance:
    """Instance ``seed``."""
    return of_day(FIRST_DAY + seed, base)


def joined(parts: list[Instance]) -> HeadStatistics:
    """Sums of the cells over several days of equally many rows."""
    every = [part.statistics() for part in parts]
    return HeadStatistics(
        np.mean([s.gram for s in every], axis=0),
        np.mean([s.cross for s in every], axis=0),
        np.mean([s.power for s in every], axis=0),
    )


def all_rows(number: int) -> Iterator[tuple[NDArray, NDArray]]:
    """Every row of history day ``number``, period by period: q (3, R) and cell (R,), as `draw_day` draws them.

    A day keeps its Gaussians and 16 rows of each; a test of distributions needs them all.
    """
    world, rng = deployment(HISTORY.num_cells, HISTORY.map_seed), days.day_rng(days.HISTORY, number)
    weight = generator._weights(HISTORY, world, rng)
    amplitude = world.amplitude + AMPLITUDE_OF_DAY_SD * rng.standard_normal(HISTORY.num_cells)
    background = concepts.background_load(rng, weight, amplitude)
    for level in background:
        period = generator._Period(HISTORY, world, level, rng)
        yield period.q.astype(np.float64), period.cell
        period.sample(period.moments()[:, 0].astype(np.int64), rng)
