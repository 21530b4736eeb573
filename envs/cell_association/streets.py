"""Streets of a city on a grid of squares, and tracks of UEs along them.

The streets are the largest set of outdoor squares that are connected through their sides, so closed courtyards are not
among them. A UE goes on shortest ways from one random place to the next, at a Gauss-Markov speed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from rangym.envs.errors import WrongValue
from rangym.envs.physics.mobility import gauss_markov

STEP_M = 5.0
"""Side of a square of the map; a location is the middle of one."""
QUANTUM_M = 0.5
"""Positions of tracks are whole multiples of it, plus a half: never on the border of two squares."""
LEAST_TRIP_M = 200.0
SPEED_MEMORY_S = 10.0
VEHICLE_MPS, WALKER_MPS = (6.0, 14.0), (0.8, 1.8)
VEHICLE_SPREAD, WALKER_SPREAD = 0.25, 0.1
"""Standard deviation of the speed over its mean."""


def places(outdoor: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The squares (H, W) of the largest connected part of ``outdoor``.

    >>> places(np.array([[1, 1, 0, 0], [0, 0, 1, 0]], bool)).astype(int).tolist()  # corners do not connect
    [[1, 1, 0, 0], [0, 0, 0, 0]]
    """
    part, parts = label(outdoor)
    if parts == 0:
        raise WrongValue("streets: outdoor squares wanted, got none")
    return part == 1 + np.bincount(part[outdoor])[1:].argmax()


def middles_m(street: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Middles (N, 2) of the squares of ``street`` (H, W), row by row, in metres from the south-west corner."""
    return ((np.argwhere(street)[:, ::-1] + 0.5) * STEP_M).astype(np.float32)


def square_of(street: NDArray[np.bool_], position_m: NDArray) -> NDArray[np.int64]:
    """Which of the squares of ``street``, counted as in `middles_m`, each position ``(..., 2)`` lies in.

    Raises
    ------
    ValueError : one lies in none of them.
    """
    column, row = np.moveaxis(np.floor(position_m / STEP_M).astype(np.int64), -1, 0)
    inside = (row >= 0) & (row < street.shape[0]) & (column >= 0) & (column < street.shape[1])
    number = np.where(street, np.cumsum(street).reshape(street.shape) - 1, -1)
    found = np.where(inside, number[row * inside, column * inside], -1)
    if (found < 0).any():
        raise WrongValue(f"tracks: positions in the streets wanted, got {position_m[found < 0][0]} m")
    return found


def street_tracks(
    street: NDArray[np.bool_],
    tracks: int,
    seconds: int,
    walkers: float,
    rng: np.random.Generator,
    bar: Callable[[int], Iterator[int]] = lambda total: iter(range(total)),
) -> NDArray[np.float32]:
    """Tracks of so many UEs once a second, (R, S, 2) in metres from the south-west corner of ``street`` (H, W).

    The share ``walkers`` of the UEs, the last ones, walks; all others drive. ``bar`` shows the progress over tracks.

    Raises
    ------
    ValueError : no two squares of the streets are as far apart as a way must be.
    """
    middle, graph = middles_m(street).astype(np.float64), _graph(street)
    if np.hypot(*(middle.max(axis=0) - middle.min(axis=0))) < LEAST_TRIP_M:
        raise WrongValue(f"streets: at least {LEAST_TRIP_M:g} m across wanted, got less")
    found = np.empty((tracks, seconds, 2), np.float32)
    for k in bar(tracks):
        walks = k >= round((1.0 - walkers) * tracks)
        (low, high), spread = (WALKER_MPS, WALKER_SPREAD) if walks else (VEHICLE_MPS, VEHICLE_SPREAD)
        mean = rng.uniform(low, high, 1)
        normal = rng.standard_normal((seconds - 1, 1))
        speed = gauss_markov(mean, spread * mean, normal, math.exp(-1.0 / SPEED_MEMORY_S))
        way = np.concatenate([[0.0], np.cumsum(np.maximum(speed[:, 0], 0.0))])
        mile, point = _route(middle, graph, float(way[-1]), rng)
        exact = np.stack([np.interp(way, mile, axis) for axis in point.T], axis=1)
        found[k] = (np.floor(exact / QUANTUM_M) + 0.5) * QUANTUM_M
    return found


def _route(
    middle: NDArray, graph: csr_array, metres: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Milestones (n,) and points (n, 2) of shortest ways between random places, at least ``metres`` long in all."""
    squares = [int(rng.integers(len(middle)))]
    length = 0.0
    while length < metres:
        start = squares[-1]
        far = np.flatnonzero(np.hypot(*(middle - middle[start]).T) >= LEAST_TRIP_M)
        if len(far) == 0:  # a start in the middle of small streets: the next way begins elsewhere on this one
            raise WrongValue(f"streets: places {LEAST_TRIP_M:g} m away from every place wanted, got a smaller city")
        target = int(rng.choice(far))
        metres_to, before = dijkstra(graph, indices=start, return_predecessors=True)
        way = [target]
        while way[-1] != start:
            way.append(int(before[way[-1]]))
        squares += way[-2::-1]
        length += float(metres_to[target])
    point = middle[squares]
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(point, axis=0).T))]), point


def _graph(street: NDArray[np.bool_]) -> csr_array:
    """Neighbouring squares and the metres between their middles, in both directions; no way cuts a corner."""
    number = np.cumsum(street).reshape(street.shape) - 1
    edges = []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(street, number, down, right)
        edges.append((here, there, np.full(len(here), STEP_M * math.hypot(down, right))))
    here, there, metres = (np.concatenate(column) for column in zip(*edges, strict=True))
    squares = int(street.sum())
    one_way = coo_array((metres, (here, there)), shape=(squares, squares)).tocsr()
    return csr_array(one_way + one_way.T)


def _shifted(street: NDArray[np.bool_], number: NDArray, down: int, right: int) -> tuple[NDArray, NDArray]:
    """Numbers of the squares, and of those ``down`` rows and ``right`` columns on to which one can go directly."""
    rows, columns = street.shape
    row, column = np.nonzero(street)
    inside = (row + down < rows) & (column + right >= 0) & (column + right < columns)
    row, column = row[inside], column[inside]
    free = street[row + down, column + right] & street[row + down, column] & street[row, column + right]
    row, column = row[free], column[free]
    return number[row, column], number[row + down, column + right]
