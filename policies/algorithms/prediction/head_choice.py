r"""Which of S heads each of N cells uses: by descent in one slot, and by paths over an episode.

The cost of labels c (N,) in a slot, before them c' (N,), is

    sum_i l_i,c(i) + lam sum_ij [c(i) != c(j)] K_ij + beta (heads in use) + kappa (cells with c(i) != c'(i))

with the sum over ordered pairs of cells: a cell that leaves another pays 2 lam K_ij.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from rangym.envs.errors import WrongValue

MAX_SUBSETS = 5
"""Up to so many heads the descent starts from every non-empty subset of them, above from a few labellings."""


@dataclass(frozen=True)
class Weights:
    """lam of the cut, beta of a head in use, kappa of a migration; all of at least 0."""

    lam: float
    beta: float
    kappa: float

    def __post_init__(self) -> None:
        for name in ("lam", "beta", "kappa"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise WrongValue(f"{name}: a number of at least 0 wanted, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class HeadPaths:
    """A plan for an episode.

    Attributes
    ----------
    labels : (T, N) head of each cell in each slot.
    cost : of the whole episode.
    sweeps : over the cells.
    converged : no cell would change its path.
    """

    labels: NDArray
    cost: float
    sweeps: int
    converged: bool


def slot_cost(labels: ArrayLike, losses: ArrayLike, kernel: ArrayLike, present: ArrayLike, weights: Weights) -> float:
    """The cost of labels (N,) in one slot."""
    chosen, table = np.asarray(labels), np.asarray(losses, dtype=np.float64)
    cut = np.asarray(kernel, dtype=np.float64)[chosen[:, None] != chosen].sum()
    moved = (chosen != np.asarray(present)).sum()
    loss = table[np.arange(len(chosen)), chosen].sum()
    return float(loss + weights.lam * cut + weights.beta * len(np.unique(chosen)) + weights.kappa * moved)


def choose_heads(losses: ArrayLike, kernel: ArrayLike, present: ArrayLike, weights: Weights) -> NDArray:
    """(N,) heads of low cost for losses (N, S), a kernel (N, N) and the heads in use (N,).

    Coordinate descent over the cells from the best labels within every non-empty subset of the heads; with more than
    five heads from the best labels of all, the present ones, and every head for all. Constants added to a row of the
    losses change nothing.

    >>> kernel = np.zeros((2, 2))
    >>> choose_heads([[0.0, 1.0], [0.2, 0.0]], kernel, [0, 0], Weights(0.0, 0.1, 0.0)).tolist()
    [0, 1]
    >>> choose_heads([[0.0, 1.0], [0.2, 0.0]], kernel, [0, 0], Weights(0.0, 0.1, 0.2)).tolist()
    [0, 0]
    """
    table, k, now = _checked(losses, kernel, present)
    labels = now.copy()
    _best_descent(table, k, now, weights.lam, weights.beta, weights.kappa, MAX_SUBSETS, labels)
    return labels


def plan_heads(
    losses: ArrayLike, kernel: ArrayLike, weights: Weights, *, before: ArrayLike | None = None, max_sweeps: int = 10
) -> HeadPaths:
    """Paths of low cost for known losses (T, N, S) and kernels (T, N, N): an exact path of one cell after the other.

    The better of two starts, each slot by itself: its descent without migrations on losses averaged over the three
    slots on either side, and its labels of least loss and price of heads (the best of all with up to five heads), so
    that the plan costs no more than these. ``before`` (N,) are the heads before the first slot, 0 where it is None. No
    optimum, but one that no policy without the future comes near.
    """
    table, k = np.ascontiguousarray(losses, dtype=np.float64), np.ascontiguousarray(kernel, dtype=np.float64)
    if table.ndim != 3 or k.shape != (*table.shape[:2], table.shape[1]) or not np.isfinite(table).all():
        raise WrongValue(f"losses: finite (T, N, S) wanted, with kernels (T, N, N), got {table.shape} and {k.shape}")
    first = np.zeros(table.shape[1], dtype=np.int64) if before is None else np.asarray(before, dtype=np.int64)
    free, alone = Weights(weights.lam, weights.beta, 0.0), Weights(0.0, weights.beta, 0.0)
    averaged = [choose_heads(around.mean(axis=0), k[t], first, free) for t, around in _windows(table)]
    cheapest = [choose_heads(table[t], k[t], first, alone) for t in range(len(table))]
    plans = [_swept(table, k, np.stack(start), first, weights, max_sweeps) for start in (averaged, cheapest)]
    return min(plans, key=lambda plan: plan.cost)


def _swept(
    table: NDArray, kernel: NDArray, labels: NDArray, first: NDArray, weights: Weights, max_sweeps: int
) -> HeadPaths:
    """The paths that sweeps over the cells make of ``labels`` (T, N)."""
    sweeps, changed = 0, True
    while changed and sweeps < max_sweeps:
        changed = _sweep(table, kernel, labels, first, weights.lam, weights.beta, weights.kappa)
        sweeps += 1
    previous = np.concatenate([first[None], labels[:-1]])
    cost = sum(slot_cost(labels[t], table[t], kernel[t], previous[t], weights) for t in range(len(table)))
    return HeadPaths(labels, cost, sweeps, not changed)


def match_clusters(labels: ArrayLike, losses: ArrayLike, slots: ArrayLike) -> NDArray:
    """(N,) the slot of each cell: clusters to different ones of ``slots``, of least total loss (N, S) of the members.

    >>> match_clusters([0, 0, 1], [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [0.0, 1.0, 5.0]], [1, 2]).tolist()
    [2, 2, 1]
    """
    _, cluster = np.unique(np.asarray(labels), return_inverse=True)
    allowed, table = np.asarray(slots), np.asarray(losses, dtype=np.float64)
    if cluster.max() >= len(allowed):
        raise WrongValue(f"labels: at most {len(allowed)} clusters wanted, got {cluster.max() + 1}")
    member = cluster == np.arange(cluster.max() + 1)[:, None]
    _, chosen = linear_sum_assignment(member @ table[:, allowed])
    return allowed[chosen[cluster]]


def _windows(table: NDArray, reach: int = 3):
    return ((t, table[max(0, t - reach) : t + reach + 1]) for t in range(len(table)))


def _checked(losses: ArrayLike, kernel: ArrayLike, present: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
    table, k = np.ascontiguousarray(losses, dtype=np.float64), np.ascontiguousarray(kernel, dtype=np.float64)
    now = np.ascontiguousarray(present, dtype=np.int64)
    if table.ndim != 2 or k.shape != (len(table), len(table)) or now.shape != (len(table),):
        wanted = "losses (N, S), kernel (N, N) and present heads (N,) wanted"
        raise WrongValue(f"losses: {wanted}, got {table.shape}, {k.shape} and {now.shape}")
    if not (np.isfinite(table).all() and np.isfinite(k).all()):
        raise WrongValue("losses: finite numbers wanted, got NaN or infinity")
    return table, k, now


@numba.njit(cache=True)
def _best_descent(table, kernel, present, lam, beta, kappa, max_subsets, best):
    cells, heads = table.shape
    every = heads <= max_subsets
    count = (1 << heads) - 1 if every else heads + 2
    least = np.inf
    labels = np.empty(cells, np.int64)
    for start in range(count):
        for i in range(cells):
            if every or start == 0:
                allowed = start + 1 if every else (1 << heads) - 1
                chosen = -1
                for c in range(heads):
                    if allowed >> c & 1 and (chosen < 0 or table[i, c] < table[i, chosen]):
                        chosen = c
                labels[i] = chosen
            else:
                labels[i] = present[i] if start == 1 else start - 2
        cost = _descend(table, kernel, present, lam, beta, kappa, labels)
        if cost < least - 1e-12:
            least = cost
            best[:] = labels


@numba.njit(cache=True)
def _descend(table, kernel, present, lam, beta, kappa, labels):
    """Moves the labels to where no single cell gains; returns their cost."""
    cells, heads = table.shape
    used = np.zeros(heads, np.int64)
    near = np.zeros((cells, heads))  # kernel to the cells on each head
    for i in range(cells):
        used[labels[i]] += 1
        for j in range(cells):
            if j != i:
                near[i, labels[j]] += kernel[i, j]
    changed = True
    while changed:
        changed = False
        for i in range(cells):
            own = labels[i]
            used[own] -= 1
            least, chosen = np.inf, own
            for c in range(heads):
                value = table[i, c] - 2.0 * lam * near[i, c]
                if used[c] == 0:
                    value += beta
                if c != present[i]:
                    value += kappa
                if c == own:
                    value -= 1e-12  # stays where others are no better
                if value < least:
                    least, chosen = value, c
            used[chosen] += 1
            if chosen != own:
                changed = True
                labels[i] = chosen
                for j in range(cells):
                    if j != i:
                        near[j, own] -= kernel[j, i]
                        near[j, chosen] += kernel[j, i]
    cost = 0.0
    for i in range(cells):
        cost += table[i, labels[i]]
        if labels[i] != present[i]:
            cost += kappa
        for c in range(heads):
            if c != labels[i]:
                cost += lam * near[i, c]
    for c in range(heads):
        if used[c] > 0:
            cost += beta
    return cost


@numba.njit(cache=True)
def _sweep(table, kernel, labels, first, lam, beta, kappa):
    """The exact path of every cell in turn, given the others'; whether any changed."""
    slots, cells, heads = table.shape
    changed = False
    stage = np.empty((slots, heads))
    came = np.empty((slots, heads), np.int64)
    for i in range(cells):
        for t in range(slots):
            for c in range(heads):
                stage[t, c] = table[t, i, c] + beta
            for j in range(cells):
                if j != i:
                    c = labels[t, j]
                    stage[t, c] -= 2.0 * lam * kernel[t, i, j]
            for c in range(heads):
                for j in range(cells):
                    if j != i and labels[t, j] == c:
                        stage[t, c] -= beta  # the head is paid for by others
                        break
        value = np.empty(heads)
        for c in range(heads):
            value[c] = stage[0, c] + (kappa if c != first[i] else 0.0)
        for t in range(1, slots):
            cheapest = np.argmin(value)
            following = np.empty(heads)
            for c in range(heads):
                came[t, c] = c
                following[c] = value[c]
                if value[cheapest] + kappa < value[c]:
                    came[t, c] = cheapest
                    following[c] = value[cheapest] + kappa
                following[c] += stage[t, c]
            value = following
        own = 0.0
        for t in range(slots):
            before = first[i] if t == 0 else labels[t - 1, i]
            own += stage[t, labels[t, i]] + (kappa if labels[t, i] != before else 0.0)
        if np.min(value) < own - 1e-12:
            changed = True
            c = int(np.argmin(value))
            for t in range(slots - 1, -1, -1):
                labels[t, i] = c
                if t > 0:
                    c = came[t, c]
    return changed
