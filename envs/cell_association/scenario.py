"""How an episode's chance is drawn, by law.

Lane b depends on its own generator only, and every operation across lanes is elementwise, so a lane of many has the
bits of a lane alone. Constants are drawn before slots.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association import layout
from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.place import Place, place
from rangym.envs.physics.channel import UMA, correlated_shadowing_db, sinr_db, thermal_noise_dbm
from rangym.envs.physics.mobility import gauss_markov_walk, random_waypoint_walk, standing
from rangym.envs.physics.random import box_muller
from rangym.envs.trace import Trace

IID_SINR_DB = (10.0, 30.0)
IID_BANDWIDTHS_MHZ = (5.0, 10.0, 15.0, 20.0)
# Numbers of (slot, UE, cell) entries worked on at once. The first is part of what a seed means: it sets the order of
# the draws of a large scenario. The second only keeps the working set in the cache.
UE_BLOCK_ENTRIES = 2**21
LANE_BLOCK_ENTRIES = 2**18


def sample_lanes(params: CellAssociationParams, rngs: Sequence[np.random.Generator]) -> Trace:
    """One episode per generator, as a stacked trace."""
    if params.law == "measured":
        from rangym.envs.cell_association import measured

        drawn = Trace.stack([measured.sample(params, rng) for rng in rngs])
        return _with_delays(params, rngs, dict(drawn.constants), dict(drawn.slots))
    return _network(params, rngs) if params.law in ("mobility", "urban") else _iid(params, rngs)


def _iid(params: CellAssociationParams, rngs: Sequence[np.random.Generator]) -> Trace:
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
        for b, rng in enumerate(rngs):
            sinr[:, b] = _uniform_sinr(p, (block[-1] + 1, *pairs), rng)[block]
    position = np.broadcast_to(user_position.astype(np.float32), (slots, lanes, p.num_ues, 2))
    return _with_delays(p, rngs, constants, {"sinr_db": sinr, "user_position_m": position})


def _uniform_sinr(params: CellAssociationParams, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    low, high = IID_SINR_DB
    drawn = low + (high - low) * rng.random(shape, dtype=np.float32)
    return np.clip(drawn, params.sinr_floor_db, params.sinr_ceiling_db)


def _network(params: CellAssociationParams, rngs: Sequence[np.random.Generator]) -> Trace:
    """Laws ``mobility`` and ``urban``: UEs moving through a network of TR 38.901 with co-carrier interference.

    Works through blocks of lanes and of UEs; the block of UEs depends on the parameters only, never on the lanes.
    """
    p, lanes, slots = params, len(rngs), params.horizon + 2
    rows = layout.carriers(p)
    networks = [layout.draw_network(p, rows, rng) for rng in rngs]
    constants = {f: np.stack([n.constants[f] for n in networks]) for f in networks[0].constants}
    places = [place(p, rng) for rng in rngs] if p.law == "urban" else []
    sinr = np.empty((slots, lanes, p.num_ues, p.num_cells), np.float32)
    position = np.empty((slots, lanes, p.num_ues, 2), np.float32)
    per_ue = slots * p.num_cells
    ue_block = min(p.num_ues, max(1, UE_BLOCK_ENTRIES // per_ue))
    lane_block = max(1, LANE_BLOCK_ENTRIES // (per_ue * ue_block))
    for some in _blocks(lanes, lane_block):
        pieces = slice(some.start, some.stop)
        for ues in _blocks(p.num_ues, ue_block):
            where, moved = _walk(p, rngs[pieces], len(ues))
            if places:
                by_cell = _on_maps(p, places[pieces], where)
            else:
                by_cell = _along_paths(p, rows, networks[pieces], rngs[pieces], where, moved)
            shape = len(some), len(ues)
            sinr[:, pieces, ues.start : ues.stop] = by_cell.reshape(-1, slots, *shape).transpose(1, 2, 3, 0)
            ends = where[:: _samples(p)].reshape(slots, 2, *shape)
            position[:, pieces, ues.start : ues.stop] = ends.transpose(0, 2, 3, 1)
    return _with_delays(p, rngs, constants, {"sinr_db": sinr, "user_position_m": position})


def _samples(params: CellAssociationParams) -> int:
    """Positions wanted on the way of each slot."""
    return params.slot_samples if params.law == "urban" else 1


def _walk(params: CellAssociationParams, rngs: Sequence[np.random.Generator], ues: int) -> tuple[NDArray, NDArray]:
    """Positions ``(1 + (T + 1) k, 2, n)`` and distances moved ``(T + 1, n)`` of ``ues`` UEs of each lane, n in all.

    With k = `_samples` positions on the way of each slot; the distances are only needed, and only right, for k = 1.
    """
    p, slots, samples = params, params.horizon + 2, _samples(params)
    places, place_s = 1 + (slots - 1) * samples, p.slot_s / samples
    if p.motion == "random_waypoint":
        walks = [
            random_waypoint_walk(rng, places, ues, side_m=p.side_m, slot_s=place_s, mean_speed_mps=p.mean_speed_mps)
            for rng in rngs
        ]
        where, moved = zip(*walks, strict=True)
        return np.concatenate(where, axis=2), np.concatenate(moved, axis=1)
    if p.motion == "static":
        return standing(np.concatenate([rng.random((2, ues)) for rng in rngs], axis=1), places, side_m=p.side_m)
    uniform, normal = np.empty((5, len(rngs), ues)), np.empty((slots - 1, 2, len(rngs), ues), np.float32)
    for k, rng in enumerate(rngs):
        uniform[:, k], normal[:, :, k] = rng.random((5, ues)), box_muller(rng, (slots - 1, 2, ues))
    return gauss_markov_walk(
        uniform.reshape(5, -1),
        normal.reshape(slots - 1, 2, -1),
        side_m=p.side_m,
        slot_s=p.slot_s,
        mean_speed_mps=p.mean_speed_mps,
        speed_variance=p.speed_variance,
        memory=p.motion_memory,
        heading_sd=p.heading_sd,
        speed_floor_mps=p.speed_floor_mps,
        samples=samples,
    )


def _on_maps(params: CellAssociationParams, places: Sequence[Place], where: NDArray) -> NDArray:
    """SINR in dB, ``(J, T + 2, n)`` float32: the mean in dB over the positions on a slot's way; slot 0 has only one.

    ``where`` ``(1 + (T + 1) k, 2, n)``; the n UEs are those of the lanes side by side.
    """
    samples, ues = params.slot_samples, where.shape[2] // len(places)
    x, y = where.astype(np.float32).transpose(1, 0, 2)
    if all(one is places[0] for one in places):
        level = places[0].sinr_at(x, y)  # (J, 1 + (T + 1) k, n)
    else:
        each = [slice(k * ues, (k + 1) * ues) for k in range(len(places))]
        level = np.concatenate([p.sinr_at(x[:, own], y[:, own]) for p, own in zip(places, each, strict=True)], axis=2)
    if samples == 1:
        return level
    mean = level[:, ::samples].copy()  # the place, or a slot's end
    for k in range(1, samples):
        mean[:, 1:] += level[:, k::samples]
    mean[:, 1:] *= np.float32(1.0 / samples)
    return mean


def _along_paths(
    params: CellAssociationParams,
    rows: layout.Carriers,
    networks: Sequence[layout.Network],
    rngs: Sequence[np.random.Generator],
    where: NDArray,
    moved: NDArray,
) -> NDArray:
    """SINR in dB, ``(J, T + 2, n)`` float32, with mixed path loss and a shadowing drawn along each UE's path.

    ``where`` ``(T + 2, 2, n)``, ``moved`` ``(T + 1, n)``; the n UEs are those of the lanes side by side.
    """
    slots, lanes = len(where), len(networks)
    site = np.stack([n.constants["cell_position_m"][n.cell_of_row] for n in networks])  # (l, J, 2)
    shape = (params.num_cells, slots, lanes, where.shape[2] // lanes)
    shadowing = np.empty(shape, np.float32)
    for k, rng in enumerate(rngs):
        shadowing[:, :, k] = box_muller(rng, (shape[0], slots, shape[3]))
    by_row = _channel(params, rows, site, where, moved, shadowing.reshape(*shape[:2], -1)).reshape(shape)
    by_cell = np.empty_like(by_row)
    for k, network in enumerate(networks):
        by_cell[network.cell_of_row, :, k] = by_row[:, :, k]
    return by_cell


def _channel(
    params: CellAssociationParams, rows: layout.Carriers, site: NDArray, where: NDArray, moved: NDArray, normal: NDArray
) -> NDArray:
    """Clipped SINR in dB, ``(J, T + 2, n)`` float32, rows in the order of the carriers.

    ``site`` ``(l, J, 2)``, ``where`` ``(T + 2, 2, n)``, ``moved`` ``(T + 1, n)``, ``normal`` ``(J, T + 2, n)``; the n
    UEs are those of l lanes side by side.
    """
    p = params
    level = correlated_shadowing_db(normal, moved.astype(np.float32), p.shadowing_db, p.shadowing_distance_m)
    x, y = where.astype(np.float32).transpose(1, 0, 2)
    site = np.repeat(site.astype(np.float32), x.shape[1] // len(site), axis=0)  # (n, J, 2)
    for r, (ghz, dbm) in enumerate(zip(rows.carrier_ghz.tolist(), rows.power_dbm.tolist(), strict=True)):
        dx, dy = x - site[:, r, 0], y - site[:, r, 1]
        level[r] += dbm - UMA.mean_db(np.sqrt(dx * dx + dy * dy), ghz)
    noise = [thermal_noise_dbm(mhz, p.noise_figure_db) for mhz in rows.bandwidth_mhz.tolist()]
    for group in rows.groups:
        level[group] = sinr_db(level[group], np.array(noise[group], np.float32))
    return np.clip(level, p.sinr_floor_db, p.sinr_ceiling_db, out=level)


def _with_delays(
    params: CellAssociationParams,
    rngs: Sequence[np.random.Generator],
    constants: dict[str, NDArray],
    slots: dict[str, NDArray],
) -> Trace:
    """The trace; with a delay variation the delays scatter log-normally from slot to slot about their means.

    The factor is independent over slots, UEs and cells, with mean 1 and relative standard deviation
    ``delay_variation``, before those beyond the observation's bound are cut.
    """
    if params.delay_variation > 0:
        mean, bound = constants.pop("handover_delay"), delay_bound_slots(params)  # (L, I, J)
        sigma = math.sqrt(math.log1p(params.delay_variation**2))
        delay = np.empty((params.horizon + 2, *mean.shape), np.float32)
        for b, rng in enumerate(rngs):
            for some in _blocks(len(delay), max(1, UE_BLOCK_ENTRIES // mean[b].size)):
                factor = np.exp(sigma * box_muller(rng, (len(some), *mean[b].shape)) - sigma**2 / 2.0)
                delay[some.start : some.stop, b] = np.minimum(factor * mean[b], bound)
        slots["handover_delay"] = delay
    return Trace(constants, slots)


def delay_bound_slots(params: CellAssociationParams) -> float:
    """The largest delay weight that an episode may hold, in slots."""
    if params.law in ("static", "volatile"):
        return layout.USUAL_DELAY_SLOTS  # i.i.d. delays of at most one slot
    if params.law == "measured":
        from rangym.envs.cell_association.measured import radio_map

        return layout.delay_bound_slots(radio_map(params).cell_rat, params.slot_s)
    return layout.delay_bound_slots(layout.carriers(params).rat, params.slot_s)


def _blocks(total: int, size: int) -> Iterator[range]:
    """``range(total)`` in consecutive pieces of at most ``size``."""
    return (range(start, min(start + size, total)) for start in range(0, total, size))
