"""How UEs move in a square."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def gauss_markov(mean: NDArray, deviation: NDArray, normal: NDArray, memory: float) -> NDArray:
    """Gauss-Markov process over slots, x' = a x + (1 - a) mean + sqrt(1 - a^2) sd N, stationary from slot 0 on.

    Parameters
    ----------
    mean, deviation : ``(...)`` stationary mean and standard deviation, in the unit of the process.
    normal : ``(S, ...)`` standard normal variates, S slots.
    memory : a, the correlation from one slot to the next, in [0, 1].

    Returns
    -------
    ``(S, ...)`` in the dtype of ``normal``.
    """
    return _scaled(mean, deviation, unit_gauss_markov(normal, memory))


def unit_gauss_markov(normal: NDArray, memory: float, before: NDArray | None = None) -> NDArray:
    """`gauss_markov` of mean 0 and deviation 1; with its value ``before`` ``(...)`` the first slot it goes on there."""
    from rangym.envs.physics import mobility_kernels as kernels

    number = normal.dtype.type
    process = np.multiply(normal, number(math.sqrt(1.0 - memory**2)), order="C")
    if before is None:
        process[0] = normal[0]
    else:
        process[0] += number(memory) * before
    kernels.remember(process.reshape(len(normal), -1), number(memory))
    return process


def _scaled(mean: NDArray, deviation: NDArray, unit: NDArray) -> NDArray:
    return mean.astype(unit.dtype) + deviation.astype(unit.dtype) * unit


def fold(position: NDArray, side: float | NDArray) -> NDArray:
    """Where free motion along a line is when walls at 0 and ``side`` reflect it.

    A reflection mirrors the rest of the path, so reflecting step by step is folding the free path.

    Parameters
    ----------
    position : ``(...)`` coordinate of the free motion.
    side : distance of the walls, in the same unit; broadcast with ``position``.

    >>> fold(np.array([3.0, 11.0, -2.0]), 10.0).tolist()
    [3.0, 9.0, 2.0]
    """
    return reflected(np.asarray(position, np.float64), side)


def reflected(position: NDArray, side: float | NDArray) -> NDArray:
    """`fold` of float64 numbers, whether an array or, compiled, a single one."""
    around = position - 2.0 * side * np.floor(position / (2.0 * side))
    return side - np.abs(np.abs(around) - side)  # a rounded quotient may leave a remainder just below 0


def gauss_markov_walk(uniform: NDArray, normal: NDArray, **motion: Any) -> tuple[NDArray, NDArray]:
    """A whole `GaussMarkovWalk`, whose parameters are ``uniform`` and ``motion``; ``normal`` as of its `advance`.

    Returns
    -------
    position_m ``(1 + (S - 1) k, 2, ues)`` float64 (slot 0 is a place, not a way) and the distance moved from slot to
    slot, ``(S - 1, ues)``.
    """
    return GaussMarkovWalk(uniform, **motion).advance(normal)


class GaussMarkovWalk:
    """Motion with Gauss-Markov speed and heading from a uniform start, reflected at the borders of the square.

    Each UE has a mean speed, a speed variance (both uniform in their ranges) and a mean heading. The speed may be
    negative, which is motion backwards, unless a floor raises lower speeds to it; a border flips heading and mean
    heading together.

    Parameters
    ----------
    uniform : uniform variates in [0, 1), ``(5, ues)``: two for the start, then mean speed, speed variance, heading.
    side_m : side of the square, or ``(2, 1)`` sides of a rectangle.
    slot_s, mean_speed_mps, speed_variance, memory, heading_sd, speed_floor_mps : see `CellAssociationParams`.
    samples : positions wanted on the way of each slot, k: at 1/k, 2/k, ..., 1 of it.
    """

    def __init__(
        self,
        uniform: NDArray,
        *,
        side_m: float | NDArray,
        slot_s: float,
        mean_speed_mps: tuple[float, float],
        speed_variance: tuple[float, float],
        memory: float,
        heading_sd: float,
        speed_floor_mps: float | None = None,
        samples: int = 1,
    ):
        self._side_m, self._slot_s, self._memory = side_m, slot_s, memory
        self._floor, self._samples = speed_floor_mps, samples
        self._mean = np.stack([_between(mean_speed_mps, uniform[2]), 2.0 * math.pi * uniform[4]])
        speed_sd = np.sqrt(_between(speed_variance, uniform[3]))
        self._deviation = np.stack([speed_sd, np.full_like(speed_sd, heading_sd)])
        self._unit: NDArray | None = None
        self._free = side_m * uniform[:2]  # where motion without borders would be

    def advance(self, normal: NDArray) -> tuple[NDArray, NDArray]:
        """Go on by n slots, with standard normal variates ``(n, 2, ues)`` of speed and heading.

        Returns
        -------
        position_m ``(1 + n k, 2, ues)`` float64, from where the UEs stood on, and the distance moved in each slot,
        ``(n, ues)``.
        """
        from rangym.envs.physics import mobility_kernels as kernels

        slots, ues = len(normal), self._free.shape[1]
        if not slots:
            return fold(self._free[None], self._side_m), np.zeros((0, ues))
        unit = unit_gauss_markov(normal, self._memory, self._unit)
        self._unit = unit[-1].copy()
        process = _scaled(self._mean, self._deviation, unit)  # (n, 2, ues)
        speed, heading = process[:, 0], process[:, 1]
        step = (speed if self._floor is None else np.maximum(speed, np.float32(self._floor))) * self._slot_s
        direction = np.empty_like(process)
        np.cos(heading, out=direction[:, 0])
        np.sin(heading, out=direction[:, 1])
        position = np.empty((1 + slots * self._samples, 2, ues))
        side = np.broadcast_to(np.float64(self._side_m).reshape(-1), 2)
        kernels.walk(self._free, step, direction, side, self._samples, position)
        return position, np.abs(step)


def random_waypoint_walk(rng: np.random.Generator, slots: int, ues: int, **motion: Any) -> tuple[NDArray, NDArray]:
    """A whole `RandomWaypointWalk` of S = ``slots`` slots, whose parameters are ``motion``.

    Returns
    -------
    As `gauss_markov_walk`: position_m ``(S, 2, ues)`` and the distance moved from slot to slot, ``(S - 1, ues)``.
    """
    return RandomWaypointWalk(rng, ues, **motion).advance(rng, slots - 1)


class RandomWaypointWalk:
    """Straight legs between uniform waypoints, without pauses, each UE at its own constant speed.

    Parameters
    ----------
    rng : draws the speeds.
    ues : number of UEs.
    side_m : side of the square; a UE starts at a uniform position.
    slot_s : length of a slot in seconds.
    mean_speed_mps : range in which each UE draws its speed, m/s.
    """

    def __init__(
        self, rng: np.random.Generator, ues: int, *, side_m: float, slot_s: float, mean_speed_mps: tuple[float, float]
    ):
        self._side_m, self._step = side_m, rng.uniform(*mean_speed_mps, ues) * slot_s
        self._known = np.empty((0, 2, ues))  # where the UEs are and where they go, once they have started

    def advance(self, rng: np.random.Generator, slots: int) -> tuple[NDArray, NDArray]:
        """Go on by ``slots`` slots, n, with waypoints from ``rng``; returns as `GaussMarkovWalk.advance`, k = 1."""
        ues = len(self._step)
        travelled = np.arange(slots + 1)[:, None] * self._step  # (n + 1, ues)
        waypoints = np.concatenate([self._known, rng.uniform(0.0, self._side_m, (8, 2, ues))])
        while True:
            legs = np.hypot(*np.moveaxis(np.diff(waypoints, axis=0), 1, 0))
            reached = np.concatenate([np.zeros((1, ues)), np.cumsum(legs, axis=0)])
            if (reached[-1] >= travelled[-1]).all():
                break
            waypoints = np.concatenate([waypoints, rng.uniform(0.0, self._side_m, waypoints.shape)])
        position = np.empty((slots + 1, 2, ues))
        for i in range(ues):
            for axis in range(2):
                position[:, axis, i] = np.interp(travelled[:, i], reached[:, i], waypoints[:, axis, i])
        target = (reached < travelled[-1]).sum(axis=0)  # the first waypoint that is not yet behind
        target = np.minimum(np.maximum(target, 1), len(reached) - 1)
        self._known = np.stack([position[-1], waypoints[target, :, np.arange(ues)].T])
        return position, np.diff(travelled, axis=0)


def standing(uniform: NDArray, slots: int, *, side_m: float) -> tuple[NDArray, NDArray]:
    """UEs that stay where they are.

    Parameters
    ----------
    uniform : ``(2, ues)`` uniform variates in [0, 1): the positions as shares of the side.
    slots : number S of slots.
    side_m : side of the square.

    Returns
    -------
    As `gauss_markov_walk`: position_m ``(S, 2, ues)``, and zeros ``(S - 1, ues)`` for the distance moved.
    """
    ues = uniform.shape[1]
    return np.broadcast_to(side_m * uniform, (slots, 2, ues)), np.zeros((slots - 1, ues))


def _between(bounds: tuple[float, float], uniform: NDArray) -> NDArray:
    return bounds[0] + (bounds[1] - bounds[0]) * uniform
