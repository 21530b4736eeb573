"""How samples are spread over users: class shares from a Dirichlet distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue


@dataclass(frozen=True)
class Partition:
    """Which training samples each of N users holds.

    Attributes
    ----------
    indices : (N, V_max) positions in the training set, -1 beyond a user's own number of samples.
    counts : (N, C) samples of each class.
    """

    indices: NDArray
    counts: NDArray

    @property
    def sizes(self) -> NDArray:
        """Samples of each user, (N,)."""
        return self.counts.sum(axis=1)

    @property
    def shares(self) -> NDArray:
        """Class shares of each user, (N, C)."""
        return self.counts / self.sizes[:, None]


def dirichlet_partition(
    labels: ArrayLike, sizes: ArrayLike, concentration: float, rng: np.random.Generator
) -> Partition:
    """Users with class shares from Dir(concentration) over the classes of ``labels`` (n,), sizes[i] samples for user i.

    A small concentration gives users of one class, a large one users that are all alike. A user's samples differ from
    each other as long as the class has enough of them (after that it is used again from the start); two users may hold
    the same sample, since 100 users outgrow the small data sets.
    """
    y, v = np.asarray(labels), np.asarray(sizes)
    if y.ndim != 1 or len(y) == 0 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0:
        raise WrongValue(f"labels: integers of at least 0, shape (n,), wanted, got {y.dtype} of shape {y.shape}")
    if v.ndim != 1 or len(v) == 0 or not np.issubdtype(v.dtype, np.integer) or v.min() < 1:
        raise WrongValue(f"sizes: integers of at least 1, shape (N,), wanted, got {sizes!r}")
    if not (math.isfinite(concentration) and concentration > 0):
        raise WrongValue(f"concentration: a positive number wanted, got {concentration!r}")
    num_classes = int(y.max()) + 1
    pools = [np.flatnonzero(y == c) for c in range(num_classes)]
    if empty := [c for c, pool in enumerate(pools) if len(pool) == 0]:
        raise WrongValue(f"labels: samples of every class 0..{num_classes - 1} wanted, class {empty[0]} has none")
    # Gammas in the log domain: for a tiny concentration all of them would be 0, and the shares 0/0.
    shape = (len(v), num_classes)
    log_gamma = np.log(rng.standard_gamma(concentration + 1.0, shape)) + np.log(rng.random(shape)) / concentration
    weight = np.exp(log_gamma - log_gamma.max(axis=1, keepdims=True))
    counts = rng.multinomial(v, weight / weight.sum(axis=1, keepdims=True))
    indices = np.full((len(v), v.max()), -1)
    for user, own in enumerate(counts):
        chosen = [_draw(pool, count, rng) for pool, count in zip(pools, own, strict=True)]
        indices[user, : v[user]] = np.concatenate(chosen)
    return Partition(indices, counts)


def _draw(pool: NDArray, count: int, rng: np.random.Generator) -> NDArray:
    """``count`` samples of the pool; none is taken again before all have been."""
    rounds = [rng.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate(rounds)[:count] if rounds else pool[:0]
