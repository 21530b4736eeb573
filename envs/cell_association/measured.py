"""The law ``measured``: an episode drawn from a radio map, of real drive logs or of a ray-traced city.

Each UE moves along the map's tracks. Its SINR is the map's value at the nearest location plus a fluctuation per (UE,
cell). On a map of logs it is clipped to [-10, 30] dB where the cell reaches the location and ``sinr_floor_db``
elsewhere; on a ray-traced map, where every cell has a value, to ``sinr_floor_db`` and ``sinr_ceiling_db``.

Fluctuation (dB, residual of the logs' SNR around the mean of its 50 m bin):

- ``slow``: a Gauss-Markov process of standard deviation 2.7 and time constant 25 s, the spread between visits.
- ``raw``: a fast part is added so that the total has the recorded 5.6 dB. The modem reports a value for 2.2 s on
  average, here 2 s (four of five times) or 3 s, with independent values of variance 5.6^2 - 2.7^2. The resulting
  autocorrelation at 1/2/3/5/10/20/40 s is .65/.30/.22/.19/.16/.10/.05, recorded .63/.31/.23/.19/.14/.09/.05.
  Policies that look one slot back chase this part: the ranking of policies depends on the choice.
- ``none``: the map alone.

A map of kind ``recorded`` brings its own fluctuation: nothing is added, and UEs replay the recorded ones. On a
ray-traced map ``none`` is right: the others describe logs in bins of 50 m, and the mean over a second at the speed of a
vehicle leaves some .4 dB of the fast fading.

**Limits of a ray-traced map.** All cells transmit at full load; there are no people, vehicles or trees; one scattering
coefficient is assumed for all walls; below what rays reach lies a modelled floor (`city_builder`). Intervals over seeds
are over UEs on that one map.

**Limits of a map of logs.** The map is not a physical SINR field (see `map_builder`: cells were measured only where
they served, which flatters them elsewhere). One map is one small area and one operator, so nothing found on it extends
beyond; intervals over seeds are over draws of UEs and fluctuations on that one map. Bandwidths (20 MHz 5G, 10 MHz LTE)
are an assumption, cell positions are where a cell was measured, and no cell is 3G or 2G. Only about three of 25 cells
cover a UE, so ``random`` is far below every policy: do not use it as the zero of a normalised score.
"""

from __future__ import annotations

import dataclasses
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association import layout
from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.errors import WrongValue
from rangym.envs.files import read_whole
from rangym.envs.physics.mobility import fold, gauss_markov, gauss_markov_walk
from rangym.envs.physics.random import box_muller
from rangym.envs.trace import Trace

COVERED_SINR_DB = (-10.0, 30.0)
SLOW_DB, SLOW_S = 2.7, 25.0
TOTAL_DB = 5.6
HOLD_S, LONG_HOLD_S, LONG_SHARE = 2.0, 3.0, 0.2
ROAD_GAP_M = 1.0
SHIPPED = {name: Path(__file__).parent / "maps" / f"{name}.npz" for name in ("munich", "florence")}
"""Maps that need no file of the user's, by the name that the parameter ``map`` gives them."""


def map_file(name: str) -> Path:
    """The file of the map that the parameter ``map`` names."""
    return SHIPPED.get(name, Path(name))


def radio_map(params: CellAssociationParams) -> RadioMap:
    """The map named by ``params``, read once per process.

    Raises
    ------
    UnreadableFile : no such file.
    ValueError : no map is named, or it is unreadable, has another number of cells, or lacks the tracks wanted.
    """
    if not params.map:
        raise WrongValue(
            "map: the file made by `rangym map import LOGS --out FILE.npz` wanted for the law 'measured', or one of "
            f"{', '.join(SHIPPED)}; got {params.map!r}"
        )
    file = map_file(params.map)
    found = _parsed(str(file), read_whole(file, "map"))
    if params.num_cells not in (None, found.num_cells):
        raise WrongValue(
            f"num_cells: {found.num_cells} wanted, the cells of {params.map}, got {params.num_cells}; leave it out"
        )
    if found.kind == "recorded" and params.tracks != "replay":
        raise WrongValue(
            f"tracks: 'replay' wanted for a recorded map, which has no values elsewhere; got {params.tracks!r}"
        )
    return found


def resolved(params: CellAssociationParams) -> CellAssociationParams:
    """The parameters with as many cells as their map has; errors as `radio_map`."""
    return dataclasses.replace(params, num_cells=radio_map(params).num_cells)


_parsed = lru_cache(maxsize=8)(RadioMap.parse)
"""The map, made once per process and content."""


def sample(params: CellAssociationParams, source: RadioMap, rng: np.random.Generator) -> Trace:
    """One episode on the map ``source``, with constant delays."""
    device, delay_ms = layout.draw_devices(params.num_ues, [rng])
    constants = {
        "bandwidth_mhz": source.bandwidth_mhz,
        "cell_position_m": source.cell_position_m,
        "cell_rat": source.cell_rat,
        "device_type": device[0],
        "handover_delay": layout.draw_delay_weights(delay_ms, source.cell_rat[None], params.slot_s, [rng])[0],
    }
    location, position = _TRACKS[params.tracks](source, params, rng)
    slots = {"user_position_m": position.astype(np.float32, copy=False)}
    sinr_db = source.sinr_db[location]  # (T + 2, I, J), NaN out of coverage
    covered = ~np.isnan(sinr_db)
    if params.noise != "none" and source.kind != "recorded":
        sinr_db += fluctuation_db(params, sinr_db.shape, rng)
    if source.city is not None:
        np.clip(sinr_db, params.sinr_floor_db, params.sinr_ceiling_db, out=sinr_db)
        return Trace(constants, {"sinr_db": sinr_db, **slots})
    low, high = np.clip(COVERED_SINR_DB, params.sinr_floor_db, params.sinr_ceiling_db)
    np.clip(sinr_db, low, high, out=sinr_db)
    sinr_db[~covered] = params.sinr_floor_db
    return Trace(constants, {"sinr_db": sinr_db, **slots, "covered": covered})


def fluctuation_db(
    params: CellAssociationParams, shape: tuple[int, int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Stationary fluctuation of ``shape`` (slots, UEs, cells) in dB, independent over UEs and cells."""
    memory = math.exp(-params.slot_s / SLOW_S)
    slow = gauss_markov(np.zeros(shape[1:]), np.full(shape[1:], SLOW_DB), box_muller(rng, shape), memory)
    return slow + _held_db(params.slot_s, shape, rng) if params.noise == "raw" else slow


def _held_db(slot_s: float, shape: tuple[int, int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """The fast part: independent values, each held for 2 or 3 s, from a stationary start."""
    slots, pairs = shape[0], shape[1:]
    holds = math.ceil(slots * slot_s / HOLD_S) + 1
    duration = np.where(rng.random((holds, *pairs), dtype=np.float32) < LONG_SHARE, LONG_HOLD_S, HOLD_S)
    # A moment picked at random falls into a hold with probability proportional to its duration.
    long_at_start = LONG_SHARE * LONG_HOLD_S / (LONG_SHARE * LONG_HOLD_S + (1.0 - LONG_SHARE) * HOLD_S)
    duration[0] = np.where(rng.random(pairs) < long_at_start, LONG_HOLD_S, HOLD_S) * (1.0 - rng.random(pairs))
    # Entry k counts the slots before the end of hold k; a slot's hold is the number of holds that ended before it.
    ends = np.ceil(np.cumsum(duration, axis=0) / slot_s).astype(np.int64)
    pair = np.arange(math.prod(pairs))
    ended = np.bincount(
        (np.minimum(ends, slots) * len(pair) + pair.reshape(pairs)).ravel(), minlength=(slots + 1) * len(pair)
    )
    hold = np.cumsum(ended.reshape(slots + 1, *pairs)[:slots], axis=0)
    value = np.float32(math.sqrt(TOTAL_DB**2 - SLOW_DB**2)) * box_muller(rng, (holds + 1, *pairs))
    return np.take_along_axis(value, hold, axis=0)


def _replay(source: RadioMap, params: CellAssociationParams, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Locations (T + 2, I) and positions (T + 2, I, 2) of UEs that repeat recorded tracks, each from its own moment.

    A UE starts at a step drawn from all tracks' steps, so a track has a probability proportional to its length, and
    turns back at the track's ends. No two UEs start at the same step while there are enough.
    """
    steps = len(source.track_location)
    start = rng.choice(steps, params.num_ues, replace=params.num_ues > steps)
    track = source.track_of_step[start]
    first, last = source.track_start[track], source.track_start[track + 1] - 1
    travelled = np.rint(np.arange(params.horizon + 2) * (params.slot_s / source.step_s)).astype(np.int64)
    # A track of one step has no length to fold into: the UE stays.
    turned = fold(start - first + travelled[:, None], np.maximum(last - first, 1)) * (last > first)
    step = first + turned.astype(np.int64)
    return source.track_location[step], source.track_position_m[step]


def _road(source: RadioMap, params: CellAssociationParams, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """UEs that drive along the recorded tracks at their own Gauss-Markov speeds, from a uniform point of all tracks."""
    position = source.track_position_m.astype(np.float64)
    between = np.hypot(*np.diff(position, axis=0).T)
    new_track = np.diff(source.track_of_step) > 0
    # One long road of all tracks; the gap keeps the end of one apart from the start of the next.
    milestone = np.concatenate([[0.0], np.cumsum(np.where(new_track, ROAD_GAP_M, between))])
    begin = milestone[source.track_start[:-1]]
    length = milestone[source.track_start[1:] - 1] - begin
    begin, length = begin[length > 0], length[length > 0]
    if len(length) == 0:
        raise WrongValue("tracks: 'replay' or 'plane' wanted, since no track of this map moves; got 'road'")

    ues = params.num_ues
    drawn = rng.random(ues) * length.sum()
    track = np.minimum(np.searchsorted(np.cumsum(length), drawn, side="right"), len(length) - 1)
    start = drawn - (np.cumsum(length) - length)[track]
    mean = rng.uniform(*params.mean_speed_mps, ues) * rng.choice((-1.0, 1.0), ues)
    deviation = np.sqrt(rng.uniform(*params.speed_variance, ues))
    speed = gauss_markov(mean, deviation, box_muller(rng, (params.horizon + 1, ues)), params.motion_memory)
    travelled = np.concatenate([np.zeros((1, ues)), np.cumsum(speed, axis=0, dtype=np.float64) * params.slot_s])
    mile = begin[track] + fold(start + travelled, length[track])
    where = np.stack([np.interp(mile, milestone, axis) for axis in position.T], axis=-1)
    return source.nearest(where), where


def _plane(source: RadioMap, params: CellAssociationParams, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """UEs in Gauss-Markov motion anywhere in the window, each at its nearest location, however far that is."""
    walk, _ = gauss_markov_walk(
        rng.random((5, params.num_ues)),
        box_muller(rng, (params.horizon + 1, 2, params.num_ues)),
        side_m=source.size_m[:, None],
        slot_s=params.slot_s,
        mean_speed_mps=params.mean_speed_mps,
        speed_variance=params.speed_variance,
        memory=params.motion_memory,
        heading_sd=params.heading_sd,
    )
    where = walk.transpose(0, 2, 1)
    return source.nearest(where), where


_TRACKS = {"replay": _replay, "road": _road, "plane": _plane}
