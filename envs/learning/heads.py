r"""Linear heads on a frozen network: losses, gradients, ridge fits and libraries from three sums a cell.

A head is a matrix theta (p, m) that maps the features phi (p,) of a sample to its target y (m,); a cell's loss under it
is the mean over its rows of |phi theta - y|^2 / m. With the network frozen everything needs only the cell's

    G = mean phi phi' (p, p),   B = mean phi y' (p, m),   c = mean |y|^2,
    m l(theta) = <G, theta theta'> - 2 <B, theta> + c,

so that fitting a head is ridge regression. Arrays have leading axes of lanes or periods where they are wanted; the axes
before the last are N cells or C heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue

EMPTY = 1e-6
"""A head whose members weigh no more than this in sum is not fitted."""
MAX_BOUND_HEADS = 16
"""Up to so many different heads `least_slot_cost` goes through all subsets."""


@dataclass(frozen=True)
class HeadStatistics:
    """The sums of N cells.

    Attributes
    ----------
    gram : G (..., N, p, p).
    cross : B (..., N, p, m).
    power : c (..., N).
    """

    gram: NDArray
    cross: NDArray
    power: NDArray

    def __post_init__(self) -> None:
        lead = self.power.shape
        p, m = self.cross.shape[-2:]
        if not lead or self.cross.shape != (*lead, p, m) or self.gram.shape != (*lead, p, p):
            raise WrongValue(
                "statistics: gram (..., N, p, p), cross (..., N, p, m) and power (..., N) wanted, got "
                f"{self.gram.shape}, {self.cross.shape} and {lead}"
            )
        if not all(np.isfinite(x).all() for x in (self.gram, self.cross, self.power)):
            raise WrongValue("statistics: finite numbers wanted, got NaN or infinity")

    @property
    def num_cells(self) -> int:
        """N."""
        return self.power.shape[-1]

    @property
    def outputs(self) -> int:
        """m."""
        return self.cross.shape[-1]

    def mean(self, axis: int = 0) -> HeadStatistics:
        """The mean over a leading axis, such as periods with equally many rows."""
        return HeadStatistics(self.gram.mean(axis=axis), self.cross.mean(axis=axis), self.power.mean(axis=axis))

    def weighted(self, weights: ArrayLike) -> HeadStatistics:
        """sum_i a_ic of the sums, (..., C) for weights a (..., N, C): three matrix products."""
        a = np.swapaxes(np.asarray(weights, dtype=np.float64), -1, -2)
        gram, cross = (_flat(x) for x in (self.gram, self.cross))
        lead = a.shape[:-1]
        return HeadStatistics(
            (a @ gram).reshape(*lead, *self.gram.shape[-2:]),
            (a @ cross).reshape(*lead, *self.cross.shape[-2:]),
            (a @ self.power[..., None])[..., 0],
        )


def statistics_of(features: ArrayLike, targets: ArrayLike) -> HeadStatistics:
    """Sums of cells with equally many rows: features (..., N, n, p), targets (..., N, n, m).

    Targets (..., N, 1, m) stand for all rows of a cell.
    """
    phi, y = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if phi.ndim < 3 or y.ndim != phi.ndim or y.shape[:-2] != phi.shape[:-2] or y.shape[-2] not in (1, phi.shape[-2]):
        raise WrongValue(f"targets: shape (..., N, n or 1, m) for features {phi.shape} wanted, got {y.shape}")
    if phi.shape[-2] == 0:
        raise WrongValue("features: at least one row a cell wanted, got none")
    turned = np.swapaxes(phi, -1, -2)
    gram = turned @ phi / phi.shape[-2]
    if y.shape[-2] == 1:
        cross = phi.mean(axis=-2)[..., :, None] * y
    else:
        cross = turned @ y / phi.shape[-2]
    return HeadStatistics(gram, cross, (y**2).sum(axis=-1).mean(axis=-1))


def statistics_by_cell(features: ArrayLike, targets: ArrayLike, cell: ArrayLike) -> HeadStatistics:
    """Sums of cells with any number of rows: features (R, p), targets (R, m), cell (R,) in 0 .. N - 1.

    >>> statistics_by_cell([[1.0], [3.0], [2.0]], [[1.0], [1.0], [4.0]], [0, 0, 1]).gram.ravel().tolist()
    [5.0, 4.0]
    """
    phi, y, of = np.asarray(features, dtype=np.float64), np.asarray(targets, dtype=np.float64), np.asarray(cell)
    if phi.ndim != 2 or y.ndim != 2 or of.shape != (len(phi),) or len(y) != len(phi):
        wanted = "features (R, p), targets (R, m) and cell (R,) of the same R wanted"
        raise WrongValue(f"features: {wanted}, got {phi.shape}, {y.shape} and {of.shape}")
    if not np.issubdtype(of.dtype, np.integer) or len(of) == 0 or of.min() < 0:
        raise WrongValue("cell: integers from 0 wanted, one a row")
    count = np.bincount(of)
    if (count == 0).any():
        raise WrongValue(
            f"cell: at least one row for each of 0..{len(count) - 1} wanted, got none for {count.argmin()}"
        )
    rows = np.split(np.argsort(of, kind="stable"), np.cumsum(count)[:-1])
    parts = [statistics_of(phi[None, r], y[None, r]) for r in rows]
    return HeadStatistics(
        np.concatenate([s.gram for s in parts]),
        np.concatenate([s.cross for s in parts]),
        np.concatenate([s.power for s in parts]),
    )


# --- Losses and gradients ---


def losses(statistics: HeadStatistics, heads: ArrayLike, start: NDArray | None = None, rho: float = 0.0) -> NDArray:
    """l (..., N, C) of every cell under every head (..., C, p, m); with the ridge term rho |theta - theta0|^2 / m
    where ``start``, theta0 (p, m), is given.

    Two matrix products, (N, p^2) (p^2, C) and (N, p m) (p m, C). Rounding may leave a loss of 0 at -1e-15.
    """
    theta = np.asarray(heads, dtype=np.float64)
    square = np.swapaxes(_flat(theta @ np.swapaxes(theta, -1, -2)), -1, -2)
    linear = np.swapaxes(_flat(theta), -1, -2)
    total = _flat(statistics.gram) @ square - 2.0 * (_flat(statistics.cross) @ linear) + statistics.power[..., None]
    if start is not None:
        total = total + rho * ((theta - start) ** 2).sum(axis=(-2, -1))[..., None, :]
    return total / statistics.outputs


def row_losses(features: ArrayLike, targets: ArrayLike, heads: ArrayLike) -> NDArray:
    """The same l (..., N, C) from rows: features (..., N, n, p), targets (..., N, n or 1, m), heads (..., C, p, m).

    Cheaper than the sums where a cell has few rows.
    """
    phi, y, theta = (np.asarray(x, dtype=np.float64) for x in (features, targets, heads))
    predicted = phi[..., :, None, :, :] @ theta[..., None, :, :, :]
    return ((predicted - y[..., :, None, :, :]) ** 2).sum(axis=-1).mean(axis=-1) / y.shape[-1]


def gradients(statistics: HeadStatistics, weights: ArrayLike, heads: ArrayLike, start: NDArray, rho: float) -> NDArray:
    """Gradient (..., C, p, m) of sum_ic a_ic l_ic in the heads, ridge term included, for weights a (..., N, C)."""
    a, theta = np.asarray(weights, dtype=np.float64), np.asarray(heads, dtype=np.float64)
    total = statistics.weighted(a)
    weight = a.sum(axis=-2)[..., None, None]
    return (2.0 / statistics.outputs) * (total.gram @ theta - total.cross + rho * weight * (theta - start))


# --- Fitting ---


def ridge_heads(
    statistics: HeadStatistics,
    weights: ArrayLike,
    start: NDArray,
    rho: float,
    heads: ArrayLike | None = None,
) -> NDArray:
    """The heads (C, p, m) that minimise sum_i a_ic l_ic, ridge term included, for weights a (N, C).

    theta_c = (sum_i a_ic (G_i + rho I))^-1 sum_i a_ic (B_i + rho theta0). A head without members keeps its matrix of
    ``heads``, theta0 where these are not given.
    """
    a, theta0 = np.asarray(weights, dtype=np.float64), np.asarray(start, dtype=np.float64)
    if a.ndim != 2 or len(a) != statistics.num_cells:
        raise WrongValue(f"weights: shape ({statistics.num_cells}, C) wanted, got {a.shape}")
    if not rho > 0:
        raise WrongValue(f"rho: a number above 0 wanted, got {rho!r}")
    kept = np.broadcast_to(theta0, (a.shape[1], *theta0.shape)) if heads is None else np.asarray(heads, np.float64)
    weight = a.sum(axis=0)
    used = weight > EMPTY
    total = statistics.weighted(a[:, used])
    pull = rho * weight[used, None, None]
    found = kept.copy()
    found[used] = np.linalg.solve(total.gram + pull * np.eye(len(theta0)), total.cross + pull * theta0)
    return found


def members(labels: ArrayLike, num_heads: int) -> NDArray:
    """(..., N, C) 0/1 weights of hard labels (..., N).

    >>> members([1, 0], 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    chosen = np.asarray(labels)
    if not np.issubdtype(chosen.dtype, np.integer) or (
        chosen.size and not 0 <= chosen.min() <= chosen.max() < num_heads
    ):
        raise WrongValue(f"labels: integers in 0..{num_heads - 1} wanted, got {labels!r}")
    return (chosen[..., None] == np.arange(num_heads)).astype(np.float64)


@dataclass(frozen=True)
class Library:
    """Heads and who uses which.

    Attributes
    ----------
    heads : (C, p, m).
    labels : (N,) the head of each cell, of least loss without the ridge term.
    value : sum over the cells of that loss.
    iterations : of the run that was kept.
    converged : its labels stopped changing.
    """

    heads: NDArray
    labels: NDArray
    value: float
    iterations: int
    converged: bool


def ifca(
    statistics: HeadStatistics,
    num_heads: int,
    start: NDArray,
    rho: float,
    rng: np.random.Generator,
    *,
    iterations: int = 30,
    restarts: int = 5,
) -> Library:
    """A library by IFCA (Ghosh et al., 2020): each cell takes the head of least loss, each head is refitted.

    A run starts from the ridge heads of ``num_heads`` different cells drawn by ``rng``; the run of least loss is kept.
    A head that loses its cells keeps its matrix.
    """
    if not 1 <= num_heads <= statistics.num_cells:
        raise WrongValue(f"num_heads: 1..{statistics.num_cells}, the number of cells, wanted, got {num_heads!r}")
    best: Library | None = None
    for _ in range(restarts):
        first = np.zeros((statistics.num_cells, num_heads))
        first[rng.permutation(statistics.num_cells)[:num_heads], np.arange(num_heads)] = 1.0
        found = _ifca_run(statistics, ridge_heads(statistics, first, start, rho), start, rho, iterations)
        if best is None or found.value < best.value:
            best = found
    if best is None:
        raise WrongValue(f"restarts: at least 1 wanted, got {restarts!r}")
    return best


def _ifca_run(statistics: HeadStatistics, heads: NDArray, start: NDArray, rho: float, iterations: int) -> Library:
    table = losses(statistics, heads)
    labels = table.argmin(axis=1)
    done, converged = 0, False
    while done < iterations and not converged:
        heads = ridge_heads(statistics, members(labels, len(heads)), start, rho, heads)
        table = losses(statistics, heads)
        new = table.argmin(axis=1)
        done, converged, labels = done + 1, bool((new == labels).all()), new
    return Library(heads, labels, float(table.min(axis=1).sum()), done, converged)


# --- Adaptation ---


@dataclass(frozen=True)
class HeadMemory:
    """What adapting heads remember: exponentially forgotten sums of the pairs they were used on.

    Attributes
    ----------
    gram : S (..., C, p, p).
    cross : R (..., C, p, m).
    """

    gram: NDArray
    cross: NDArray


def initial_memory(heads: ArrayLike, prior: ArrayLike) -> HeadMemory:
    """S_c = M, R_c = M theta_c: a memory under which the heads (..., C, p, m) stay as they are, for M (p, p)."""
    theta, m = np.asarray(heads, dtype=np.float64), np.asarray(prior, dtype=np.float64)
    return HeadMemory(np.broadcast_to(m, (*theta.shape[:-1], m.shape[-1])).copy(), m @ theta)


def remember(memory: HeadMemory, statistics: HeadStatistics, membership: ArrayLike, eta: float) -> HeadMemory:
    """S_c <- (1 - w_c) S_c + w_c mean of the members' G, R_c likewise, with w_c = 1 - (1 - eta)^(number of members).

    ``membership`` (..., N, C) is 0/1. A head without members remembers what it did.
    """
    a = np.asarray(membership, dtype=np.float64)
    count = a.sum(axis=-2)
    total = statistics.weighted(a)
    keep = ((1.0 - eta) ** count)[..., None, None]
    share = (1.0 - keep) / np.maximum(count, 1.0)[..., None, None]
    return HeadMemory(keep * memory.gram + share * total.gram, keep * memory.cross + share * total.cross)


def adapted_heads(memory: HeadMemory, prior: ArrayLike, initial: ArrayLike, pull: float) -> NDArray:
    """theta_c = (S_c + pull M)^-1 (R_c + pull M theta_init,c): (..., C, p, m), for M (p, p).

    A ridge regression on what is remembered, so that it cannot diverge as a gradient step on one period can.
    """
    m = pull * np.asarray(prior, dtype=np.float64)
    return np.linalg.solve(memory.gram + m, memory.cross + m @ np.asarray(initial, dtype=np.float64))


# --- Bound ---


def least_slot_cost(losses: ArrayLike, beta: float) -> NDArray:
    """(T,) a cost that no labels of a slot are below, for losses (T, N, C) and cut and migrations of at least 0.

    min over the non-empty sets U of heads of sum_i min_(c in U) l_ic + beta |U|: exact where only losses and heads in
    use cost. Equal heads count once; with more than 16 different ones sum_i min_c l_ic + beta, which is lower.

    >>> least_slot_cost([[[0.0, 1.0], [1.0, 0.0]]], 0.25).tolist()
    [0.5]
    """
    table = np.asarray(losses, dtype=np.float64)
    if table.ndim != 3 or 0 in table.shape or not np.isfinite(table).all():
        raise WrongValue(f"losses: finite (T, N, C) wanted, got shape {table.shape}")
    if not beta >= 0:
        raise WrongValue(f"beta: a number of at least 0 wanted, got {beta!r}")
    heads = np.unique(table.reshape(-1, table.shape[2]), axis=1).T.reshape(-1, *table.shape[:2])
    if len(heads) > MAX_BOUND_HEADS:
        return heads.min(axis=0).sum(axis=1) + beta
    best = np.full(len(table), np.inf)
    _try_subsets(heads, np.full(table.shape[:2], np.inf), 0.0, beta, best)
    return best


def _try_subsets(heads: NDArray, least: NDArray, paid: float, beta: float, best: NDArray) -> None:
    """Lower ``best`` to the cost of every set that has further ``heads``; the sets so far have ``least`` losses."""
    for k, loss in enumerate(heads):
        lower = np.minimum(least, loss)
        np.minimum(best, lower.sum(axis=1) + paid + beta, out=best)
        _try_subsets(heads[k + 1 :], lower, paid + beta, beta, best)


def _flat(matrices: NDArray) -> NDArray:
    """(..., N, p, q) as (..., N, p q)."""
    return matrices.reshape(*matrices.shape[:-2], -1)
