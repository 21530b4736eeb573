"""What sharing predictors costs on the links between the cells and the server, in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BYTES = 4
"""Of a number sent as float32."""


@dataclass(frozen=True)
class Traffic:
    """Bytes of one iteration.

    Attributes
    ----------
    up : from all cells to the server.
    down : from the server, a head counted once for all cells (multicast).
    """

    up: int
    down: int


def network_weights(sizes: Sequence[int]) -> int:
    """Weights and biases of fully connected layers, inputs first.

    The 108,172 that the paper prints have 30 inputs and 12 outputs, three means and all nine covariances; the Cholesky
    code that it describes has 9 outputs, and its last layer 1,161 weights.

    >>> network_weights([30, 256, 256, 128, 12]), network_weights([128, 12])
    (108172, 1548)
    >>> network_weights([27, 256, 256, 128, 9]), network_weights([128, 9])
    (107017, 1161)
    """
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in zip(sizes, sizes[1:], strict=False))


def sharing_traffic(cells: int, heads: int, head_weights: int) -> Traffic:
    """One iteration of block coordinate descent with N cells and C heads of F_l weights.

    Up N (F_l + C): each cell's head and its row of the gradient step. Down C F_l + N C: every cell needs all heads, to
    know its losses, and its row of the assignment.

    >>> sharing_traffic(12, 4, 1548)
    Traffic(up=74496, down=24960)
    """
    return Traffic(BYTES * cells * (head_weights + heads), BYTES * (heads * head_weights + cells * heads))


def model_traffic(cells: int, weights: int) -> Traffic:
    """One round of federated averaging of a whole model of F weights: N F up, F down.

    >>> model_traffic(12, 108172)
    Traffic(up=5192256, down=432688)
    """
    return Traffic(BYTES * cells * weights, BYTES * weights)
