"""Compiled passes of the motion over all slots and UEs. Sines and cosines stay with NumPy's vector instructions."""

from __future__ import annotations

import numba

from rangym.envs.physics.mobility import reflected

_reflected = numba.njit(reflected, error_model="numpy")


@numba.njit(cache=True, nogil=True)
def remember(process, memory):
    """A first-order recursion over slots, in place: x_t += memory x_{t-1} of ``process`` ``(S, n)``."""
    for t in range(1, len(process)):
        for i in range(process.shape[1]):
            process[t, i] += memory * process[t - 1, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def walk(free, step, direction, side, samples, position):
    """Add steps to where motion without borders would be, and reflect the way.

    Parameters
    ----------
    free : ``(2, n)`` in m, float64; the end of the way replaces its start.
    step, direction : ``(S, n)`` in m, and ``(S, 2, n)`` cosine and sine of the heading.
    side : ``(2,)`` sides of the rectangle in m.
    samples : number k of equal parts of a step.
    position : ``(1 + S k, 2, n)`` takes the way from its start on, float64.
    """
    for axis in range(2):
        for i in range(step.shape[1]):
            position[0, axis, i] = _reflected(free[axis, i], side[axis])
        for t in range(len(step)):
            for k in range(samples):
                for i in range(step.shape[1]):
                    free[axis, i] += float(step[t, i] * direction[t, axis, i]) / samples
                    position[1 + t * samples + k, axis, i] = _reflected(free[axis, i], side[axis])
