"""How an episode's chance is drawn, by law.

Lane b depends on its own generator only, and every operation across lanes is elementwise, so a lane of many has the
bits of a lane alone. Constants are drawn before slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association import layout, network
from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.place import Place, Plan, fixed_place, place
from rangym.envs.cell_association.stream import is_streamed, streamed
from rangym.envs.model import LANES_A_PIECE, Each, serially
from rangym.envs.trace import Trace

IID_SINR_DB = (10.0, 30.0)
IID_BANDWIDTHS_MHZ = (5.0, 10.0, 15.0, 20.0)
PIECE_ENTRIES = 2**18
"""Entries (slot, UE, cell) of the lanes that are drawn together, at most: they stay in the cache of a processor."""
LANE_NUMBERS = 2**15
"""Numbers of a lane from which it is drawn in threads as a piece: with fewer they wait for the interpreter."""


def sample_lanes(params: CellAssociationParams, rngs: Sequence[np.random.Generator], each: Each = serially) -> Trace:
    """One episode per generator, as a stacked trace; ``each`` draws pieces of them, of one lane or more."""
    if params.law == "measured":
        from rangym.envs.cell_association import measured

        source = measured.radio_map(params)
        alone = _where_large(each, (params.horizon + 2) * params.num_ues * source.num_cells)
        drawn = Trace.stack(alone([partial(measured.sample, params, source, rng) for rng in rngs]))
        return _with_delays(params, rngs, each, dict(drawn.constants), dict(drawn.slots))
    return (_network if params.law in ("mobility", "urban") else _iid)(params, rngs, each)


def _iid(params: CellAssociationParams, rngs: Sequence[np.random.Generator], each: Each) -> Trace:
    """Laws ``static`` and ``volatile``: i.i.d. SINR, without geography (positions are nominal, for pictures)."""
    p, lanes, slots = params, len(rngs), params.horizon + 2
    cell_position, user_position = layout.nominal_positions(p)
    pairs = (p.num_ues, p.num_cells)
    constants = {
        "bandwidth_mhz": np.stack([rng.choice(IID_BANDWIDTHS_MHZ, p.num_cells) for rng in rngs]),
        "cell_position_m": np.broadcast_to(cell_position, (lanes, *cell_position.shape)),
        "cell_rat": np.full((lanes, p.num_cells), 5),
        "device_type": np.zeros((lanes, p.num_ues), np.int64),
        "handover_delay": np.stack([1.0 - rng.random(pairs) for rng in rngs]),  # (0, 1]
    }
    if p.law == "static":
        sinr = np.broadcast_to(np.stack([_uniform_sinr(p, pairs, rng) for rng in rngs]), (slots, lanes, *pairs))
    else:
        # Slot 0, which is only measured, has a draw of its own; slots 1..n, n+1..2n, ... share one.
        block = (np.arange(slots) - 1) // p.block_slots + 1
        sinr = np.empty((slots, lanes, *pairs), np.float32)

        def draw(b: int) -> None:
            sinr[:, b] = _uniform_sinr(p, (block[-1] + 1, *pairs), rngs[b])[block]

        _where_large(each, sinr[:, 0].size)([partial(draw, b) for b in range(lanes)])
    position = np.broadcast_to(user_position.astype(np.float32), (slots, lanes, p.num_ues, 2))
    return _with_delays(p, rngs, each, constants, {"sinr_db": sinr, "user_position_m": position})


def _uniform_sinr(params: CellAssociationParams, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    low, high = IID_SINR_DB
    drawn = low + (high - low) * rng.random(shape, dtype=np.float32)
    return np.clip(drawn, params.sinr_floor_db, params.sinr_ceiling_db)


def _network(params: CellAssociationParams, rngs: Sequence[np.random.Generator], each: Each) -> Trace:
    """Laws ``mobility`` and ``urban``: UEs moving through a network of TR 38.901 with co-carrier interference.

    A large episode is drawn in blocks of slots when they are reached, the others whole, in pieces of several lanes.
    """
    p, lanes, slots = params, len(rngs), params.horizon + 2
    rows = layout.carriers(p)
    networks = layout.draw_networks(p, rows, rngs)
    places = _places(p, rngs, each) if p.law == "urban" else []
    if is_streamed(p):
        own = [slice(b, b + 1) for b in range(lanes)]
        return Trace.stack([streamed(p, networks.lanes(x), rng, places[x]) for x, rng in zip(own, rngs, strict=True)])
    sinr = np.empty((slots, lanes, p.num_ues, p.num_cells), np.float32)
    position = np.empty((slots, lanes, p.num_ues, 2), np.float32)
    size = min(max(1, PIECE_ENTRIES // (slots * p.num_ues * p.num_cells)), LANES_A_PIECE)

    def draw(some: slice) -> None:
        _draw_ues(p, rows, rngs[some], networks.lanes(some), places[some], sinr[:, some], position[:, some])

    each([partial(draw, slice(first, first + size)) for first in range(0, lanes, size)])
    return _with_delays(p, rngs, each, networks.constants, {"sinr_db": sinr, "user_position_m": position})


def _places(params: CellAssociationParams, rngs: Sequence[np.random.Generator], each: Each) -> Sequence[Place]:
    """The place of each lane, one and the same where ``map_seed`` names it."""
    if (fixed := fixed_place(params)) is not None:
        return [fixed] * len(rngs)
    alone = _where_large(each, params.num_cells * Plan.of(params).points ** 2)
    return alone([partial(place, params, rng) for rng in rngs])


def _draw_ues(
    params: CellAssociationParams,
    rows: layout.Carriers,
    rngs: Sequence[np.random.Generator],
    networks: layout.Networks,
    places: Sequence[Place],
    sinr: NDArray,
    position: NDArray,
) -> None:
    """Draw the UEs' whole ways in l lanes, into ``sinr`` ``(T + 2, l, I, J)`` and ``position`` ``(T + 2, l, I, 2)``."""
    p, slots = params, params.horizon + 2
    where, moved = network.start(p, rngs).advance(rngs, slots - 1)
    if p.law == "urban":
        by_cell = network.on_maps(p, places, where)
        sinr[...] = by_cell.reshape(-1, slots, len(rngs), p.num_ues).transpose(1, 2, 3, 0)
    else:
        network.Shadowed(p, rows, networks).draw(rngs, where, moved, sinr)
    ends = where[:: network.samples(p)].reshape(slots, 2, len(rngs), p.num_ues)
    for axis in range(2):  # a whole transposition walks through memory in a worse order
        position[..., axis] = ends[:, axis]


def _with_delays(
    params: CellAssociationParams,
    rngs: Sequence[np.random.Generator],
    each: Each,
    constants: dict[str, NDArray],
    slots: dict[str, NDArray],
) -> Trace:
    """The trace; with a delay variation the delays scatter about their means (`layout.vary_delays`)."""
    if params.delay_variation > 0:
        mean, bound = constants.pop("handover_delay"), delay_bound_slots(params)  # (L, I, J)
        delay = np.empty((params.horizon + 2, *mean.shape), np.float32)

        def draw(b: int) -> None:
            delay[:, b] = layout.vary_delays(mean[b], params.delay_variation, bound, len(delay), rngs[b])

        numbers = 4 * delay[:, 0].size  # a normal variate and an exponential each take as long as four of the others
        _where_large(each, numbers)([partial(draw, b) for b in range(len(rngs))])
        slots["handover_delay"] = delay
    return Trace(constants, slots)


def _where_large(each: Each, numbers: int) -> Each:
    """How lanes of so many numbers are drawn one by one."""
    return each if numbers >= LANE_NUMBERS else serially


def delay_bound_slots(params: CellAssociationParams) -> float:
    """The largest delay weight that an episode may hold, in slots."""
    if params.law in ("static", "volatile"):
        return layout.USUAL_DELAY_SLOTS  # i.i.d. delays of at most one slot
    if params.law == "measured":
        from rangym.envs.cell_association.measured import radio_map

        return layout.delay_bound_slots(radio_map(params).cell_rat, params.slot_s)
    return layout.delay_bound_slots(layout.carriers(params).rat, params.slot_s)
