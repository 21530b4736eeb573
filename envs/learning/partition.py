"""How samples are spread over users: class shares from a Dirichlet distribution, fixed or drifting."""

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
    _check_concentration(concentration)
    num_classes = int(y.max()) + 1
    pools = [np.flatnonzero(y == c) for c in range(num_classes)]
    if empty := [c for c, pool in enumerate(pools) if len(pool) == 0]:
        raise WrongValue(f"labels: samples of every class 0..{num_classes - 1} wanted, class {empty[0]} has none")
    counts = rng.multinomial(v, dirichlet_shares(concentration, (len(v), num_classes), rng))
    indices = np.full((len(v), v.max()), -1)
    for user, own in enumerate(counts):
        chosen = [_draw(pool, count, rng) for pool, count in zip(pools, own, strict=True)]
        indices[user, : v[user]] = np.concatenate(chosen)
    return Partition(indices, counts)


def dirichlet_shares(concentration: float, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """Shares from a symmetric Dirichlet distribution over the last axis of ``shape``, where they sum to 1."""
    _check_concentration(concentration)
    # Gammas in the log domain: for a tiny concentration all of them would be 0, and the shares 0/0.
    log_gamma = np.log(rng.standard_gamma(concentration + 1.0, shape)) + np.log(rng.random(shape)) / concentration
    weight = np.exp(log_gamma - log_gamma.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)


def drifting_shares(
    rounds: int, clients: int, classes: int, concentration: float, rate: float, rng: np.random.Generator
) -> NDArray:
    """Class shares p of each client in each round, (rounds, clients, classes).

    .. math:: p_0 \\sim \\mathrm{Dir}, \\quad p_{t+1} = (1 - r)\\, p_t + r\\, q_t, \\quad q_t \\sim \\mathrm{Dir}

    with r = ``rate``: 0 leaves the shares as they are, 1 draws them anew in every round.
    """
    if not 0 <= rate <= 1:
        raise WrongValue(f"rate: a number in [0, 1] wanted, got {rate!r}")
    shares = dirichlet_shares(concentration, (rounds, clients, classes), rng)
    for t in range(1, rounds):
        shares[t] = (1.0 - rate) * shares[t - 1] + rate * shares[t]
    return shares


@dataclass(frozen=True)
class ClassPools:
    """The samples of a data set by class.

    Attributes
    ----------
    order : (n,) positions in the data set, class after class.
    starts, counts : (C,) where each class begins in ``order``, and how many samples it has.
    """

    order: NDArray
    starts: NDArray
    counts: NDArray

    @staticmethod
    def of(labels: NDArray, num_classes: int) -> ClassPools:
        """The pools of classes (n,); each class needs a sample."""
        counts = np.bincount(labels, minlength=num_classes)
        if (counts == 0).any():
            raise WrongValue(f"labels: samples of every class wanted, class {counts.argmin()} has none")
        return ClassPools(np.argsort(labels, kind="stable"), np.cumsum(counts) - counts, counts)

    def draw(self, shares: NDArray, sizes: NDArray, rng: np.random.Generator) -> NDArray:
        """sizes[i] samples of each client i, with replacement: a class by its ``shares`` (N, C), then one of the class.

        Positions in the data set, client after client, (sum of sizes,). What is drawn depends on nothing else, so a
        client's samples are alike in every order.
        """
        owner = np.repeat(np.arange(len(sizes)), sizes)
        below = np.cumsum(shares, axis=1)[owner, :-1]
        chosen = (rng.random(len(owner))[:, None] >= below).sum(axis=1)
        return self.order[self.starts[chosen] + rng.integers(self.counts[chosen])]


def largest_remainders(shares: NDArray, totals: NDArray) -> NDArray:
    """Whole numbers (N, K) in proportion to ``shares`` (N, K) that sum to ``totals`` (N,) in every row.

    Each is its quota rounded down, and the greatest remainders are rounded up; of equal ones the first.

    >>> largest_remainders(np.array([[0.5, 0.3, 0.2]]), np.array([6])).tolist()  # quotas 3, 1.8, 1.2
    [[3, 2, 1]]
    """
    quotas = shares * totals[:, None]
    whole = np.floor(quotas).astype(np.int64)
    left = totals - whole.sum(axis=1)
    rank = np.argsort(np.argsort(whole - quotas, axis=1, kind="stable"), axis=1, kind="stable")
    return whole + (rank < left[:, None])


def _check_concentration(concentration: float) -> None:
    if not (math.isfinite(concentration) and concentration > 0):
        raise WrongValue(f"concentration: a positive number wanted, got {concentration!r}")


def _draw(pool: NDArray, count: int, rng: np.random.Generator) -> NDArray:
    """``count`` samples of the pool; none is taken again before all have been."""
    rounds = [rng.permutation(pool) for _ in range(-(-count // len(pool)))]
    return np.concatenate(rounds)[:count] if rounds else pool[:0]
