"""Normal variates, fast."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def box_muller(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Independent standard normal variates, float32, two from each 64-bit word of ``rng``.

    Box and Muller (1958): one half of the words gives radii, the other angles. Two to three times as fast as
    ``rng.standard_normal(dtype=float32)``. 32 bits a radius limit the tails to 6.8 standard deviations.

    Parameters
    ----------
    rng : source of the words.
    shape : of the result.
    """
    count = math.prod(shape)
    pairs = (count + 1) // 2
    words = rng.integers(0, 2**64, pairs, dtype=np.uint64, endpoint=False).view(np.uint32)
    uniform = words[:pairs].astype(np.float32)
    uniform = (uniform + np.float32(0.5)) * np.float32(2.0**-32)  # in (0, 1]
    radius = np.sqrt(np.log(uniform) * np.float32(-2.0))
    angle = words[pairs:].view(np.int32).astype(np.float32) * np.float32(math.pi * 2.0**-31)  # in [-pi, pi]
    normal = np.empty((2, pairs), np.float32)
    np.multiply(radius, np.cos(angle), out=normal[0])
    np.multiply(radius, np.sin(angle), out=normal[1])
    return normal.reshape(-1)[:count].reshape(shape)
