"""Compiled passes of Box and Muller's transformation; logarithms, sines and cosines stay with NumPy."""

from __future__ import annotations

import math

import numba
import numpy as np

_HALF, _WORD, _TURN = np.float32(0.5), np.float32(2.0**-32), np.float32(math.pi * 2.0**-31)
_MINUS_TWO = np.float32(-2.0)


@numba.njit(cache=True, nogil=True)
def uniform_and_angle(words, uniform, angle):
    """Uniform variates in (0, 1] from the first half of each row of ``words`` ``(l, 2 n)``, angles from the other.

    The words are uint32. Both are ``(l, n)`` float32, the angles in [-pi, pi].
    """
    lanes, pairs = uniform.shape
    for k in range(lanes):
        for i in range(pairs):
            uniform[k, i] = (np.float32(words[k, i]) + _HALF) * _WORD
            angle[k, i] = np.float32(np.int32(words[k, pairs + i])) * _TURN


@numba.njit(cache=True, nogil=True)
def polar(log_uniform, cosine, sine):
    """``(l, 2 n)`` normal variates: the radius sqrt(-2 log u) times the cosines, then times the sines."""
    lanes, pairs = log_uniform.shape
    normal = np.empty((lanes, 2 * pairs), np.float32)
    for k in range(lanes):
        for i in range(pairs):
            radius = np.sqrt(log_uniform[k, i] * _MINUS_TWO)
            normal[k, i] = radius * cosine[k, i]
            normal[k, pairs + i] = radius * sine[k, i]
    return normal
