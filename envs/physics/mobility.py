"""How UEs move in a square."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter


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
    drive = normal * normal.dtype.type(math.sqrt(1.0 - memory**2))
    drive[0] = normal[0]
    # The deviation from the mean is a first-order linear filter of the noise.
    unit = lfilter(np.ones(1, normal.dtype), np.array([1.0, -memory], normal.dtype), drive, axis=0)
    return mean.astype(normal.dtype) + deviation.astype(normal.dtype) * unit


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
    period = 2.0 * side
    around = np.array(np.broadcast_to(position, np.broadcast_shapes(np.shape(position), np.shape(side))), np.float64)
    # The remainder is slow, and leaves alone what is inside a period already.
    np.mod(around, period, out=around, where=(around < 0.0) | (around >= period))
    return side - np.abs(around - side)


def gauss_markov_walk(
    uniform: NDArray,
    normal: NDArray,
    *,
    side_m: float | NDArray,
    slot_s: float,
    mean_speed_mps: tuple[float, float],
    speed_variance: tuple[float, float],
    memory: float,
    heading_sd: float,
    speed_floor_mps: float | None = None,
    samples: int = 1,
) -> tuple[NDArray, NDArray]:
    """Motion with Gauss-Markov speed and heading from a uniform start, reflected at the borders of the square.

    Each UE has a mean speed, a speed variance (both uniform in their ranges) and a mean heading. The speed may be
    negative, which is motion backwards, unless a floor raises lower speeds to it; a border flips heading and mean
    heading together.

    Parameters
    ----------
    uniform : uniform variates in [0, 1), ``(5, ues)``: two for the start, then mean speed, speed variance, heading.
    normal : standard normal variates ``(S - 1, 2, ues)`` of speed and heading, S slots.
    side_m : side of the square, or ``(2, 1)`` sides of a rectangle.
    slot_s, mean_speed_mps, speed_variance, memory, heading_sd, speed_floor_mps : see `CellAssociationParams`.
    samples : positions wanted on the way of each slot, k: at 1/k, 2/k, ..., 1 of it.

    Returns
    -------
    position_m ``(1 + (S - 1) k, 2, ues)`` float64 (slot 0 is a place, not a way) and the distance moved from slot to
    slot, ``(S - 1, ues)``.
    """
    mean = np.stack([_between(mean_speed_mps, uniform[2]), 2.0 * math.pi * uniform[4]])
    speed_sd = np.sqrt(_between(speed_variance, uniform[3]))
    deviation = np.stack([speed_sd, np.full_like(speed_sd, heading_sd)])
    process = gauss_markov(mean, deviation, normal, memory)  # (S - 1, 2, ues)
    speed, heading = process[:, 0], process[:, 1]
    step = (speed if speed_floor_mps is None else np.maximum(speed, np.float32(speed_floor_mps))) * slot_s
    path = np.empty((samples * len(normal) + 1, 2, uniform.shape[1]))
    path[0] = side_m * uniform[:2]
    pieces = path[1:].reshape(len(normal), samples, 2, -1)
    pieces[:, :, 0], pieces[:, :, 1] = (step * np.cos(heading))[:, None], (step * np.sin(heading))[:, None]
    if samples > 1:
        pieces /= samples
    return fold(np.cumsum(path, axis=0, out=path), side_m), np.abs(step)


def random_waypoint_walk(
    rng: np.random.Generator, slots: int, ues: int, *, side_m: float, slot_s: float, mean_speed_mps: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    """Straight legs between uniform waypoints, without pauses, each UE at its own constant speed.

    Parameters
    ----------
    rng : draws speeds and waypoints.
    slots, ues : numbers S of slots and of UEs.
    side_m : side of the square; a UE starts at a uniform position.
    slot_s : length of a slot in seconds.
    mean_speed_mps : range in which each UE draws its speed, m/s.

    Returns
    -------
    As `gauss_markov_walk`: position_m ``(S, 2, ues)`` and the distance moved from slot to slot, ``(S - 1, ues)``.
    """
    speed = rng.uniform(*mean_speed_mps, ues)
    travelled = np.arange(slots)[:, None] * (speed * slot_s)  # (S, ues)
    waypoints = rng.uniform(0.0, side_m, (8, 2, ues))
    while True:
        legs = np.hypot(*np.moveaxis(np.diff(waypoints, axis=0), 1, 0))
        reached = np.concatenate([np.zeros((1, ues)), np.cumsum(legs, axis=0)])
        if (reached[-1] >= travelled[-1]).all():
            break
        waypoints = np.concatenate([waypoints, rng.uniform(0.0, side_m, waypoints.shape)])
    position = np.empty((slots, 2, ues))
    for i in range(ues):
        for axis in range(2):
            position[:, axis, i] = np.interp(travelled[:, i], reached[:, i], waypoints[:, axis, i])
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
