"""From drive logs to a radio map: mean SNR per (50 m bin, cell), filled in from at most 100 m away.

The recipe follows from what the logs contain. The position is frozen between fixes about 100 m apart, so it is
interpolated in time along each plausible leg; rows repeat within a second; 3G and 2G rows carry no SNR and are left
out.

**The map is not a physical SINR field.** A cell is measured only where it served, so values filled in from nearby are
optimistic for cells that did not serve there (many locations claim several co-carrier cells that could not all be so
strong if fully loaded). It covers one small area and one operator. So do not compare utilities across maps, across the
choices made here (window, cell list, bin, radius) or across SINR floors: each shifts them by constants per cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rangym.envs.cell_association.radio_map import RadioMap, centroids
from rangym.envs.errors import WrongValue

EARTH_RADIUS_M = 6_371_008.8
HALF_TURN_DEG = 180.0
MAX_LEG_M, MAX_LEG_S, MAX_LEG_MPS = 150.0, 600.0, 45.0
MIN_RSRP_DBM = -140.0
BIN_M = 50.0
WINDOW_M, WINDOW_GRID_M = 3000.0, 250.0
MIN_CELL_ROWS, MIN_CELL_DRIVES, MIN_PAIR_ROWS = 100, 3, 2
RADIUS_M = 100.0
MIN_TRACK_S = 120
ORIGIN_GRID_DEG = 0.05
BANDWIDTH_MHZ = {5: 20.0, 4: 10.0}  # by RAT: an assumption, the logs hold none


@dataclass(frozen=True, eq=False, kw_only=True)
class Drive:
    """One log, one row per second in rising order: arrays of n seconds.

    ``rat`` is 5, 4 or 0 (another mode); ``cell`` 0 and NaN mean missing; ``rows`` counts the file's rows.
    """

    time_s: NDArray
    latitude_deg: NDArray
    longitude_deg: NDArray
    rat: NDArray
    snr_db: NDArray
    rsrp_dbm: NDArray
    cell: NDArray
    rows: int

    @staticmethod
    def of_rows(**columns: NDArray) -> Drive:
        """Sort a file's rows by second and keep the last row of each."""
        order = np.argsort(columns["time_s"], kind="stable")
        time_s = columns["time_s"][order]
        last = order[np.append(time_s[1:] != time_s[:-1], True)]
        return Drive(**{name: values[last] for name, values in columns.items()}, rows=len(order))


@dataclass(frozen=True, eq=False)
class _Samples:
    """Measurements, arrays of n rows: position (n, 2), its 50 m bin (n, 2), and what was measured there."""

    position_m: NDArray
    bin: NDArray
    drive: NDArray
    cell: NDArray
    rat: NDArray
    snr_db: NDArray

    def __len__(self) -> int:
        return len(self.cell)

    def where(self, mask: NDArray) -> _Samples:
        return _Samples(*(getattr(self, f.name)[mask] for f in fields(self)))


def build_map(
    drives: Sequence[Drive],
    *,
    num_cells: int = 25,
    origin_deg: tuple[float, float] | None = None,
    window_m: tuple[float, float, float, float] | None = None,
) -> RadioMap:
    """The radio map of the drives; see `drive_logs.import_logs` for the options and errors."""
    origin = _mean_position(drives) if origin_deg is None else origin_deg
    positions = [interpolated_position(drive, origin) for drive in drives]
    everywhere, account = _measurements(drives, positions)
    window = densest_window(everywhere.bin, everywhere.cell) if window_m is None else window_m
    inside = everywhere.where(_within(everywhere.position_m, window))
    cells = _choose_cells(inside, num_cells, min(MIN_CELL_DRIVES, len(drives)))
    chosen = inside.where(np.isin(inside.cell, cells))

    location, sinr_db, num_pairs = _table(chosen, cells)
    heard = ~np.isnan(sinr_db).all(axis=0)
    if heard.sum() < 2:
        raise WrongValue(f"drive logs: 2 cells with {MIN_PAIR_ROWS} rows in one bin wanted, got {heard.sum()}")
    cells, sinr_db = cells[heard], sinr_db[:, heard]
    tracks = _tracks(drives, positions, window, cKDTree(location))
    corner = np.array(window[:2])
    track_position = np.concatenate([track for _, track in tracks])
    rat = np.array(
        [5 if 2 * (chosen.rat[chosen.cell == c] == 5).sum() > (chosen.cell == c).sum() else 4 for c in cells]
    )
    (south, west), (north, east) = (_degrees(window[i : i + 2], origin) for i in (0, 2))
    account |= {
        "pairs": num_pairs,
        "track_drives": len({drive for drive, _ in tracks}),
        "south_deg": south,
        "west_deg": west,
        "north_deg": north,
        "east_deg": east,
    }
    return RadioMap(
        kind="measured",
        sinr_db=sinr_db,
        location_m=(location - corner).astype(np.float32),
        cell_name=cells.astype(str),
        cell_rat=rat,
        bandwidth_mhz=np.array([BANDWIDTH_MHZ[r] for r in rat]),
        cell_position_m=centroids(location, sinr_db.astype(np.float64)) - corner,
        track_start=np.concatenate([[0], np.cumsum([len(track) for _, track in tracks])]),
        track_position_m=(track_position - corner).astype(np.float32),
        track_location=cKDTree(location).query(track_position)[1],
        step_s=1.0,
        size_m=np.subtract(window[2:], window[:2], dtype=np.float64),
        account=account,
    )


def interpolated_position(drive: Drive, origin_deg: tuple[float, float]) -> NDArray:
    """Metres east and north of the origin (n, 2), NaN off every valid leg.

    A fix is a row whose position is new. The rows from one fix up to, but without, the next lie on the leg between the
    two, which is valid if it is at most 150 m, 600 s and 45 m/s.
    """
    position = np.full((len(drive.time_s), 2), np.nan)
    present = np.flatnonzero(~np.isnan(drive.latitude_deg + drive.longitude_deg))
    if len(present) == 0:
        return position
    at = np.stack([drive.latitude_deg, drive.longitude_deg], axis=1)[present]
    new = np.append(True, (at[1:] != at[:-1]).any(axis=1))
    fix, place = present[new], metres_from(at[new], origin_deg)

    duration = np.diff(drive.time_s[fix])
    length = np.hypot(*np.diff(place, axis=0).T)
    valid = (length <= MAX_LEG_M) & (duration <= MAX_LEG_S) & (length <= MAX_LEG_MPS * duration)
    leg = np.searchsorted(fix, np.arange(len(position)), side="right") - 1
    row = np.flatnonzero((leg >= 0) & np.append(valid, False)[leg])
    leg = leg[row]
    share = (drive.time_s[row] - drive.time_s[fix[leg]]) / duration[leg]
    position[row] = place[leg] + share[:, None] * (place[leg + 1] - place[leg])
    return position


def densest_window(bins: NDArray, cell: NDArray) -> tuple[float, float, float, float]:
    """The 3 km square, its corner on a 250 m grid, with the most different (50 m bin, cell) pairs.

    Where several windows have equally many pairs, the south-westernmost of them is taken.
    """
    pairs = np.unique(np.column_stack([bins, cell]), axis=0)[:, :2]
    block = np.floor_divide(pairs * BIN_M, WINDOW_GRID_M).astype(np.int64)
    block, pairs_in_block = np.unique(block, axis=0, return_counts=True)
    reach = np.arange(round(WINDOW_M / WINDOW_GRID_M))
    shift = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    corners, square = np.unique((block[:, None] - shift).reshape(-1, 2), axis=0, return_inverse=True)
    total = np.bincount(square.ravel(), np.repeat(pairs_in_block, len(shift)))
    west, south = corners[total.argmax()] * WINDOW_GRID_M
    return west, south, west + WINDOW_M, south + WINDOW_M


def _mean_position(drives: Sequence[Drive]) -> tuple[float, float]:
    at = np.concatenate([np.stack([d.latitude_deg, d.longitude_deg], axis=1) for d in drives])
    at = at[~np.isnan(at).any(axis=1)]
    if len(at) == 0:
        raise WrongValue("drive logs: no row has a position")
    latitude, longitude = np.rint(np.array(mean_degrees(at)) / ORIGIN_GRID_DEG) * ORIGIN_GRID_DEG
    return float(latitude), float(longitude)


def mean_degrees(at_deg: NDArray) -> tuple[float, float]:
    """The mean latitude and longitude of places (n, 2); NaN where there is none.

    Where longitudes span more than half the globe, the places lie across the antimeridian: western ones are counted on
    beyond 180 degrees.
    """
    if np.nanmax(at_deg[:, 1]) - np.nanmin(at_deg[:, 1]) > HALF_TURN_DEG:
        at_deg = at_deg + np.where(at_deg < 0, (0.0, 2 * HALF_TURN_DEG), 0.0)
    latitude, longitude = np.nanmean(at_deg, axis=0).tolist()
    return latitude, longitude - 2 * HALF_TURN_DEG if longitude > HALF_TURN_DEG else longitude


def metres_from(at_deg: NDArray, origin_deg: tuple[float, float]) -> NDArray:
    """Metres east and north of the origin (n, 2), from latitudes and longitudes (n, 2), the shorter way round."""
    away_deg = at_deg - np.array(origin_deg)
    round_deg = np.where(np.abs(away_deg) > HALF_TURN_DEG, np.copysign(2 * HALF_TURN_DEG, away_deg), 0.0)
    latitude, longitude = np.radians(away_deg - round_deg).T
    return EARTH_RADIUS_M * np.stack([np.cos(np.radians(origin_deg[0])) * longitude, latitude], axis=1)


def _degrees(at_m: Sequence[float], origin_deg: tuple[float, float]) -> tuple[float, float]:
    north = np.degrees(at_m[1] / EARTH_RADIUS_M)
    east = np.degrees(at_m[0] / EARTH_RADIUS_M / np.cos(np.radians(origin_deg[0])))
    return float(origin_deg[0] + north), float(origin_deg[1] + east)


def _within(position_m: NDArray, window_m: Sequence[float]) -> NDArray:
    """Whether each position is inside the window, whose west and south borders belong to it; NaN is outside."""
    west, south, east, north = window_m
    x, y = position_m.T
    return (x >= west) & (x < east) & (y >= south) & (y < north)


def _measurements(drives: Sequence[Drive], positions: Sequence[NDArray]) -> tuple[_Samples, dict[str, float]]:
    """Rows with a position, in 5G or LTE, with SNR, RSRP and cell; and the count left after each condition."""
    every = {f: np.concatenate([getattr(d, f) for d in drives]) for f in ("rat", "snr_db", "rsrp_dbm", "cell")}
    position = np.concatenate(positions)
    drive = np.repeat(np.arange(len(drives)), [len(d.time_s) for d in drives])
    positioned = ~np.isnan(position).any(axis=1)
    in_5g_or_lte = positioned & (every["rat"] > 0) & ~np.isnan(every["snr_db"])
    used = in_5g_or_lte & (every["rsrp_dbm"] > MIN_RSRP_DBM) & (every["cell"] > 0)
    if not used.any():
        raise WrongValue(
            f"drive logs: no measurement: of {len(used)} seconds {positioned.sum()} have a position, "
            f"{in_5g_or_lte.sum()} of these an SNR in 5G or LTE, and none of these a RAWCELLID and an RSRP above "
            f"{MIN_RSRP_DBM:g} dBm"
        )
    rows_of_cell = np.unique(every["cell"][used], return_counts=True)[1]
    account: dict[str, float] = {
        "drives": len(drives),
        "rows": sum(d.rows for d in drives),
        "seconds": len(used),
        "positioned": int(positioned.sum()),
        "in_5g_or_lte": int(in_5g_or_lte.sum()),
        "measurements": int(used.sum()),
        "cells": len(rows_of_cell),
        "cells_of_100_rows": int((rows_of_cell >= 100).sum()),
    }
    bins = np.floor(position[used] / BIN_M).astype(np.int64)
    samples = _Samples(
        position[used], bins, drive[used], every["cell"][used], every["rat"][used], every["snr_db"][used]
    )
    return samples, account


def _choose_cells(samples: _Samples, num_cells: int, min_drives: int) -> NDArray:
    """The cells seen in most 50 m bins; among equals those with more rows. Rows alone would favour where cars park."""
    ranked = []
    for cell in np.unique(samples.cell):
        seen = samples.where(samples.cell == cell)
        if len(seen) >= MIN_CELL_ROWS and len(np.unique(seen.drive)) >= min_drives:
            ranked.append((-len(np.unique(seen.bin, axis=0)), -len(seen), cell))
    if len(ranked) < 2:
        raise WrongValue(
            f"drive logs: at least 2 cells with {MIN_CELL_ROWS} rows from {min_drives} drives in the window wanted, "
            f"got {len(ranked)} of {len(np.unique(samples.cell))} cells; more drives along the same roads are needed"
        )
    return np.array([cell for _, _, cell in sorted(ranked)[:num_cells]])


def _table(samples: _Samples, cells: NDArray) -> tuple[NDArray, NDArray, int]:
    """Locations (N, 2), their SINR (N, J) in whole dB, NaN out of coverage, and the number of pairs behind it.

    Every bin with a row is a location, at the mean position of its rows. Every (bin, cell) with at least 2 rows is a
    pair: the mean SNR of these rows, at their mean position. A location takes a cell's SINR from the nearest pair of
    that cell, if that is at most 100 m away.
    """
    _, bin_of_row = np.unique(samples.bin, axis=0, return_inverse=True)
    location = _group_means(bin_of_row.ravel(), samples.position_m)
    _, pair_of_row, rows = np.unique(
        np.column_stack([samples.bin, samples.cell]), axis=0, return_inverse=True, return_counts=True
    )
    pair = _group_means(pair_of_row.ravel(), np.column_stack([samples.position_m, samples.snr_db, samples.cell]))
    pair = pair[rows >= MIN_PAIR_ROWS]
    sinr_db = np.full((len(location), len(cells)), np.nan, np.float32)
    for j, cell in enumerate(cells):
        if len(own := pair[pair[:, 3] == cell]):
            distance, nearest = cKDTree(own[:, :2]).query(location)
            near = distance <= RADIUS_M
            sinr_db[near, j] = np.rint(own[nearest[near], 2])
    kept = ~np.isnan(sinr_db).all(axis=1)
    return location[kept], sinr_db[kept], len(pair)


def _group_means(group: NDArray, values: NDArray) -> NDArray:
    """Mean of ``values`` (n, k) over the rows of each group 0..G-1, shape (G, k)."""
    sums = np.stack([np.bincount(group, column) for column in values.T], axis=1)
    return sums / np.bincount(group)[:, None]


def _tracks(
    drives: Sequence[Drive], positions: Sequence[NDArray], window_m: Sequence[float], locations: cKDTree
) -> list[tuple[int, NDArray]]:
    """(drive, positions once a second) of each longest run of rows in the window and within 100 m of a location."""
    tracks = []
    for d, (drive, position) in enumerate(zip(drives, positions, strict=True)):
        good = _within(position, window_m)
        good[good] = locations.query(position[good])[0] <= RADIUS_M
        edges = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
        for first, end in edges.reshape(-1, 2):
            time = drive.time_s[first:end]
            seconds = np.arange(time[0], time[-1] + 1)
            if len(seconds) >= MIN_TRACK_S:
                x, y = (np.interp(seconds, time, position[first:end, axis]) for axis in (0, 1))
                tracks.append((d, np.stack([x, y], axis=1)))
    if not tracks:
        raise WrongValue(f"drive logs: no run of {MIN_TRACK_S} s within {RADIUS_M:g} m of measured locations")
    return tracks
