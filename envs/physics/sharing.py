"""How the users of a cell share it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def load_cost(num_ues: int) -> NDArray:
    """The table phi(y) = y log10 y for y = 0..num_ues, with phi(0) = 0; shape ``(num_ues + 1,)``.

    A cell's y UEs share it equally, so sum log10(c_i / y) = sum log10 c_i - phi(y). phi is convex.

    >>> load_cost(10)[[0, 1, 10]].tolist()
    [0.0, 0.0, 10.0]
    """
    y = np.arange(num_ues + 1)
    return y * np.log10(np.maximum(y, 1))
