"""Placements that ignore the users."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.node_placement.tracking import Tracking


class Static(Tracking):
    """Nodes stay where they start."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return nodes


class Grid(Tracking):
    """Nodes in even rows over the area: 3 x 3 for nine."""

    def place(self, users: NDArray, start: NDArray, nodes: NDArray) -> NDArray:
        return even_rows(len(nodes)) * self._system.params.side_m


def even_rows(count: int) -> NDArray:
    """(count, 2) shares of the side: about sqrt(count) rows, as equally filled as can be."""
    rows = max(round(np.sqrt(count)), 1)
    sizes = [count // rows + (row < count % rows) for row in range(rows)]
    places = [((k + 0.5) / size, (row + 0.5) / rows) for row, size in enumerate(sizes) for k in range(size)]
    return np.array(places)
