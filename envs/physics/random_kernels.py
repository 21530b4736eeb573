"""Compiled passes of Box and Muller's transformation; logarithms, sines and cosines stay with NumPy."""

from __future__ import annotations

import math

import numba
import numpy as np

_HALF, _WORD, _TURN = np.float32(0.5), np.float32(2.0**-32), np.float32(math.pi * 2.0**-31)
_MINUS_TWO = np.float32(-2.0)


@numba.njit(cache=True, nogil=True)
def uniform_and_angle(words):
    """Uniform variates in (0, 1] from the first half of ``words`` ``(2 n,)`` uint32, angles from the other half."""
    pairs = len(words) // 2
    uniform, angle = np.empty(pairs, np.float32), np.empty(pairs, np.float32)
    for i in range(pairs):
        uniform[i] = (np.float32(words[i]) + _HALF) * _WORD
        angle[i] = np.float32(np.int32(words[pairs + i])) * _TURN
    return uniform, angle


@numba.njit(cache=True, nogil=True)
def polar(log_uniform, cosine, sine):
    """``(2 n,)`` normal variates: the radius sqrt(-2 log u) times the cosines, then times the sines."""
    pairs = len(log_uniform)
    normal = np.empty(2 * pairs, np.float32)
    for i in range(pairs):
        radius = np.sqrt(log_uniform[i] * _MINUS_TWO)
        normal[i] = radius * cosine[i]
        normal[pairs + i] = radius * sine[i]
    return normal
