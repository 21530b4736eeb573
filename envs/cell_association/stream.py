"""Large episodes of the laws ``mobility`` and ``urban``, drawn in blocks of slots when they are reached.

Block k of an episode is drawn by a generator of its own, from the episode's key and k. What crosses a border between
two blocks, the UEs' position, heading and speed and their shadowing, travels with the running stream.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association import layout, network
from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.place import Place
from rangym.envs.trace import StreamedTrace, Trace

WHOLE_ENTRIES = 2**21
"""Episodes of at most so many (slot, UE, cell) entries, of 4 bytes each, are drawn whole."""
BLOCK_ENTRIES = 2**18
"""Entries of a block of slots, at least one slot. Part of what a seed means: it sets the order of the draws."""


def is_streamed(params: CellAssociationParams) -> bool:
    """Whether the episodes of ``params`` are drawn in blocks."""
    if params.law not in ("mobility", "urban"):
        return False
    return (params.horizon + 2) * params.num_ues * params.num_cells > WHOLE_ENTRIES


def streamed(
    params: CellAssociationParams, drawn: layout.Networks, rng: np.random.Generator, places: Sequence[Place]
) -> Trace:
    """The episode of one lane, whose constants are ``drawn``; ``places`` holds its place under the law ``urban``."""
    key = tuple(rng.integers(0, 2**32, 4, dtype=np.uint32).tolist())
    constants = {f: v[0] for f, v in drawn.constants.items()}
    if params.delay_variation > 0:
        constants.pop("handover_delay")
    return StreamedTrace(constants, params.horizon, _Blocks(params, drawn, tuple(places), key))


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The slots of an episode from the start, at every call."""

    params: CellAssociationParams
    drawn: layout.Networks
    places: tuple[Place, ...]
    key: tuple[int, ...]

    def __call__(self) -> Iterator[dict[str, NDArray]]:
        p = self.params
        slots, size = p.horizon + 2, max(1, BLOCK_ENTRIES // (p.num_ues * p.num_cells))
        for k, begin in enumerate(range(0, slots, size)):
            rngs = [np.random.default_rng((*self.key, k))]
            if k == 0:
                walk, channel = network.start(p, rngs), network.Shadowed(p, layout.carriers(p), self.drawn)
            count = min(size, slots - begin)
            where, moved = walk.advance(rngs, count if k else count - 1)
            sinr = np.empty((count, p.num_ues, p.num_cells), np.float32)
            if self.places:  # the first place is the slot before: its level is not asked for again
                sinr[...] = network.on_maps(p, self.places, where)[:, 1 if k else 0 :].transpose(1, 2, 0)
            else:
                channel.draw(rngs, where[1 if k else 0 :], moved, sinr[:, None])
            ends = where[:: network.samples(p)][1 if k else 0 :]
            fields = {
                "sinr_db": sinr,
                "user_position_m": ends.transpose(0, 2, 1).astype(np.float32),
            }
            if p.delay_variation > 0:
                mean, bound = self.drawn.constants["handover_delay"][0], self._bound
                fields["handover_delay"] = layout.vary_delays(mean, p.delay_variation, bound, count, rngs[0])
            yield fields

    @property
    def _bound(self) -> float:
        return layout.delay_bound_slots(layout.carriers(self.params).rat, self.params.slot_s)
