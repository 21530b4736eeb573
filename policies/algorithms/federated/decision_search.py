"""Search on the true cost of a decision that is written as a vector in a box: coordinate steps on whole batches.

A sweep tries a step up and a step down in every coordinate at once, then moves along all that helped together, or along
the best one alone. A step grows where it helped and shrinks where it did not. Flat and rugged costs are no obstacle, so
rounded counts and choices by the largest score are searched like anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue

Cost = Callable[[NDArray], NDArray]
"""Costs (batch,) of vectors (batch, n)."""
FIRST_STEP, LEAST_STEP = 0.3, 1e-3
"""First and least step as a share of the box; a start has converged when no step is longer than the least."""
GROWTH, SHRINKAGE = 1.5, 0.4
LENGTHS = np.array([0.25, 0.5, 1.0, 1.5, 2.0])
"""Multiples of all helpful steps together that are tried."""


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The best vector found, its cost, the evaluations spent, and the best cost after each sweep.

    ``converged``: no start had a step left that was long enough, before the evaluations were spent.
    """

    vector: NDArray
    value: float
    evaluations: int
    converged: bool
    history: NDArray


def decision_search(
    cost: Cost, starts: ArrayLike, evaluations: int, low: ArrayLike = -1.0, high: ArrayLike = 1.0
) -> SearchResult:
    """Minimise ``cost`` from each of ``starts`` (k, n), the cheapest first.

    Parameters
    ----------
    evaluations : budget of vectors in all; each start gets an equal share of what is left when its turn comes.
    low, high : box, numbers or (n,).

    >>> found = decision_search(lambda x: ((x - [0.5, -2.0]) ** 2).sum(axis=1), [[0.0, 0.0]], 400)
    >>> found.vector.round(2).tolist(), found.converged
    ([0.5, -1.0], True)
    """
    vectors = np.array(starts, dtype=np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise WrongValue(f"starts: vectors (k, n), k at least 1, wanted, got shape {vectors.shape}")
    if evaluations < len(vectors):
        raise WrongValue(f"evaluations: at least one for each of {len(vectors)} starts wanted, got {evaluations}")
    low, high = np.broadcast_to(low, vectors.shape[1:]), np.broadcast_to(high, vectors.shape[1:])
    values = cost(vectors)
    used, history, converged = len(vectors), [float(values.min())], True
    best, value = vectors[values.argmin()], float(values.min())
    for turn, k in enumerate(np.argsort(values, kind="stable")):
        share = (evaluations - used) // (len(vectors) - turn)
        descent = _Descent(cost, vectors[k], float(values[k]), low, high)
        while not descent.converged and descent.used + descent.sweep_size <= share:
            descent.sweep()
            history.append(min(history[-1], descent.value))
        used += descent.used
        converged &= descent.converged
        if descent.value < value:
            best, value = descent.vector, descent.value
    return SearchResult(best, value, used, converged, np.array(history))


class _Descent:
    """One start on its way down."""

    def __init__(self, cost: Cost, vector: NDArray, value: float, low: NDArray, high: NDArray):
        self.cost, self.vector, self.value, self.low, self.high = cost, vector, value, low, high
        self.steps = FIRST_STEP * (high - low)
        self.used = 0

    @property
    def sweep_size(self) -> int:
        """Evaluations of a sweep."""
        return 2 * len(self.vector) + len(LENGTHS)

    @property
    def converged(self) -> bool:
        return bool((self.steps <= LEAST_STEP * (self.high - self.low)).all())

    def sweep(self) -> None:
        """Try both directions of every coordinate, then the helpful ones together."""
        each = np.diag(self.steps)
        tried = np.clip(self.vector + np.concatenate([each, -each]), self.low, self.high)
        values = self._costs(tried)
        up, down = np.split(values, 2)
        helpful = np.minimum(up, down) < self.value
        direction = np.where(helpful, np.where(up <= down, self.steps, -self.steps), 0.0)
        together = np.clip(self.vector + LENGTHS[:, None] * direction, self.low, self.high)
        self.steps = np.minimum(self.steps * np.where(helpful, GROWTH, SHRINKAGE), self.high - self.low)
        tried, values = np.concatenate([tried, together]), np.concatenate([values, self._costs(together)])
        least = int(values.argmin())
        if values[least] < self.value:
            self.vector, self.value = tried[least], float(values[least])

    def _costs(self, tried: NDArray) -> NDArray:
        self.used += len(tried)
        return self.cost(tried)
