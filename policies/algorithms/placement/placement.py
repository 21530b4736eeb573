"""What every placement algorithm takes and returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue


@dataclass(frozen=True)
class Placement:
    """Where an algorithm puts the nodes.

    Attributes
    ----------
    position : (K, d) float64.
    value : the algorithm's objective there.
    iterations : steps taken.
    converged : whether it stopped because the nodes had come to rest, not at the iteration cap.
    history : (iterations + 1,) objective at the start and after every step.
    evaluations : how often the objective was evaluated.
    label : (N,) int64, the cluster of each user, where the algorithm makes clusters that are not the nearest nodes.
    """

    position: NDArray
    value: float
    iterations: int
    converged: bool
    history: NDArray
    evaluations: int
    label: NDArray | None = None


def checked_points(users: ArrayLike, nodes: ArrayLike) -> tuple[NDArray, NDArray]:
    """Users (N, d), float32 or float64, and nodes (K, d) float64: finite, 1 <= K <= N, the same d >= 1."""
    x = np.asarray(users)
    x = np.ascontiguousarray(x, np.float32 if x.dtype == np.float32 else np.float64)
    m = np.array(nodes, dtype=np.float64)
    if x.ndim != 2 or min(x.shape) < 1:
        raise WrongValue(f"users: an (N, d) array of at least one user wanted, got shape {x.shape}")
    if m.ndim != 2 or len(m) < 1 or m.shape[1] != x.shape[1]:
        raise WrongValue(f"nodes: a (K, {x.shape[1]}) array of at least one node wanted, got shape {m.shape}")
    if len(m) > len(x):
        raise WrongValue(f"nodes: at most one a user wanted, got {len(m)} for {len(x)} users")
    for name, values in (("users", x), ("nodes", m)):
        if not np.isfinite(values).all():
            raise WrongValue(f"{name}: finite positions wanted, got NaN or infinity")
    return x, m


def checked_positive(**numbers: float) -> None:
    """Refuse a parameter that is not a positive finite number, by name."""
    for name, value in numbers.items():
        if not (np.isfinite(value) and value > 0):
            raise WrongValue(f"{name}: a positive number wanted, got {value!r}")


def squared_distances(users: NDArray, nodes: NDArray) -> NDArray:
    """Squared distances (..., N, K), in float64, of users (..., N, d) and nodes (..., K, d).

    >>> squared_distances(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]])).tolist()
    [[16.0], [25.0]]
    """
    x, m = users.astype(np.float64, copy=False), nodes.astype(np.float64, copy=False)
    total = x[..., :, None, 0] - m[..., None, :, 0]
    total *= total
    for axis in range(1, x.shape[-1]):
        way = x[..., :, None, axis] - m[..., None, :, axis]
        way *= way
        total += way
    return total
