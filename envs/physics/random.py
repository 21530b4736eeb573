"""Random numbers, fast."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    return box_muller_lanes([rng], shape)[0]


def box_muller_lanes(rngs: Sequence[np.random.Generator], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """`box_muller` of each lane's generator, ``(l, *shape)``."""
    from rangym.envs.physics import random_kernels as kernels

    count = math.prod(shape)
    pairs = (count + 1) // 2
    words = np.empty((len(rngs), pairs), np.uint64)
    kernels.draw_words(kernels.bitgens(rngs), words)
    kernels.words_to_normals(words.view(np.uint32), kernels.LOG, kernels.COS, kernels.SIN)
    normal = words.view(np.float32)
    return normal[:, :count].reshape(len(rngs), *shape)


def uniform_lanes(rngs: Sequence[np.random.Generator], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform variates in [0, 1) from each lane's generator, those of its `random`; ``(l, *shape)``."""
    from rangym.envs.physics import random_kernels as kernels

    uniform = np.empty((len(rngs), math.prod(shape)))
    kernels.draw_doubles(kernels.bitgens(rngs), uniform)
    return uniform.reshape(len(rngs), *shape)
