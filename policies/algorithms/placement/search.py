"""Placement by search on the utility itself, given as a function of many placements at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.placement.placement import Placement

Utility = Callable[[NDArray], NDArray]
"""Values (B,) of placements (B, K, d); larger is better."""


def improve_one_by_one(
    utility: Utility,
    start: ArrayLike,
    candidates: Callable[[NDArray, int], NDArray],
    max_rounds: int = 50,
) -> Placement:
    """Local search: each node in turn goes to its best candidate, until a whole round brings no gain.

    ``candidates(position, node)`` gives the places (C, d) that ``node`` may move to from ``position`` (K, d). The
    value never falls, and where it stops no single move to a candidate helps (if ``converged``).
    """
    position = np.array(start, dtype=np.float64)
    value = float(utility(position[None])[0])
    history, evaluations, converged, rounds = [value], 1, False, 0
    while rounds < max_rounds and not converged:
        before = value
        for node in range(len(position)):
            places = candidates(position, node)
            tried = np.repeat(position[None], len(places), axis=0)
            tried[:, node] = places
            values = utility(tried)
            evaluations += len(places)
            best = int(values.argmax())
            if values[best] > value:
                position, value = tried[best], float(values[best])
        rounds += 1
        history.append(value)
        converged = value == before
    return Placement(position, value, rounds, converged, np.array(history), evaluations)


def one_swap(utility: Utility, start: ArrayLike, sites: ArrayLike, max_rounds: int = 50) -> Placement:
    """Local search that exchanges one node's place for one of ``sites`` (C, d): no such swap helps at the end.

    >>> users = np.array([0.0, 1.0, 8.0])
    >>> def nearness(tried):  # minus the sum of distances to the nearest node
    ...     return -np.abs(users[:, None] - tried[:, None, :, 0]).min(axis=2).sum(axis=1)
    >>> found = one_swap(nearness, [[3.0], [4.0]], [[0.0], [4.0], [8.0]])
    >>> sorted(found.position.ravel().tolist()), found.value
    ([0.0, 8.0], -1.0)
    """
    places = np.asarray(sites, dtype=np.float64)
    if places.ndim != 2 or len(places) < 1:
        raise WrongValue(f"sites: a (C, d) array of at least one place wanted, got shape {places.shape}")
    return improve_one_by_one(utility, start, lambda position, node: places, max_rounds)


def site_grid(low: float, high: float, per_axis: int) -> NDArray:
    """Centres (per_axis^2, 2) of the squares of a regular grid over [low, high]^2.

    >>> site_grid(0.0, 4.0, 2).tolist()
    [[1.0, 1.0], [1.0, 3.0], [3.0, 1.0], [3.0, 3.0]]
    """
    line = low + (np.arange(per_axis) + 0.5) * (high - low) / per_axis
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)


def ring_offsets(radii: ArrayLike, directions: int = 8) -> NDArray:
    """Offsets (R * directions, 2) on circles of the given radii."""
    angle = 2.0 * np.pi * np.arange(directions) / directions
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (np.asarray(radii, dtype=np.float64)[:, None, None] * unit).reshape(-1, 2)


def cma_es(
    utility: Utility,
    start: ArrayLike,
    low: float,
    high: float,
    rng: np.random.Generator,
    *,
    spread: float,
    evaluations: int,
) -> Placement:
    """CMA-ES (Hansen) on all coordinates at once, in the box [low, high]; the best placement seen.

    Needs the package `cma`. ``spread`` is the first standard deviation, ``evaluations`` the budget.
    """
    import cma

    first = np.array(start, dtype=np.float64)
    best, value = first, float(utility(first[None])[0])
    history, used = [value], 1
    options = {
        "bounds": [low, high],
        "seed": np.nan,  # no global seeding: all randomness is rng's
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "maxfevals": evaluations,
    }
    search = cma.CMAEvolutionStrategy(np.clip(first, low, high).ravel(), spread, options)
    while not search.stop() and used + search.popsize <= evaluations:
        asked = search.ask()
        tried = np.reshape(asked, (-1, *first.shape))
        values = utility(tried)
        search.tell(asked, (-values).tolist())
        used += len(values)
        if values.max() > value:
            best, value = tried[values.argmax()], float(values.max())
        history.append(value)
    return Placement(best, value, len(history) - 1, bool(search.stop()), np.array(history), used)
