"""From drives to a radio map: the recipe against brute force."""

import math
from collections import defaultdict

import numpy as np
import pytest

from rangym.envs.cell_association import map_builder

R = 6_371_008.8


def drive(second, latitude, longitude, **fields):
    n = len(second)
    given = dict(rat=np.full(n, 4), snr_db=np.zeros(n), rsrp_dbm=np.full(n, -90.0), cell=np.full(n, 1)) | fields
    return map_builder.Drive.of_rows(
        time_s=np.array(second), latitude_deg=np.array(latitude), longitude_deg=np.array(longitude), **given
    )


def test_rows_are_sorted_and_the_last_of_a_second_stays():
    d = drive([5, 3, 5, 4, 3], [0.0] * 5, [0.0] * 5, cell=np.array([1, 2, 3, 4, 5]))
    np.testing.assert_array_equal(d.time_s, [3, 4, 5])
    np.testing.assert_array_equal(d.cell, [5, 4, 3])
    assert d.rows == 5


def test_positions_are_interpolated_along_valid_legs_only():
    """Recipe step 2 by hand: fixes at 0, 90, 179, 330.1 (too far), 420, 425 m (too slow), 430, 530 m (too fast)."""
    fix = {0: 0, 10: 90, 12: 179, 20: 330.1, 30: 420, 40: 425, 641: 430, 643: 530}
    second = [0, 5, 10, 11, 12, 16, 20, 25, 30, 39, 40, 100, 641, 642, 643, 700]
    at = [fix[max(k for k in fix if k <= s)] for s in second]
    d = drive(second, [10.0] * len(at), [20.0 + math.degrees(x / R / math.cos(math.radians(10))) for x in at])
    x, y = map_builder.interpolated_position(d, (10.0, 20.0)).T
    nan = math.nan
    # 179 -> 330.1 is longer than 150 m; 40 s -> 641 s is longer than 600 s; 430 -> 530 in 2 s is faster than 45 m/s.
    expected = [0, 45, 90, 134.5, nan, nan, 330.1, 375.05, 420, 424.5, nan, nan, nan, nan, nan, nan]
    np.testing.assert_allclose(x, expected, atol=1e-6)
    np.testing.assert_allclose(y[~np.isnan(x)], 0, atol=1e-6)


def test_a_missing_position_is_no_fix():
    d = drive([0, 1, 2, 3, 4], [0.0, math.nan, 0.0, 0.0, 0.0], [0.0, math.nan, 0.0, 0.0, 0.0001])
    x = map_builder.interpolated_position(d, (0.0, 0.0))[:, 0]
    whole = R * math.radians(0.0001)
    np.testing.assert_allclose(x, [0, whole / 4, whole / 2, 3 * whole / 4, math.nan], rtol=1e-9)


def test_densest_window_against_all_corners():
    rng = np.random.default_rng(1)
    for _ in range(5):
        bins = np.floor(rng.normal(0, 40, (400, 2))).astype(int)
        cell = rng.integers(0, 5, 400)
        pairs = {(x, y, c) for (x, y), c in zip(bins.tolist(), cell.tolist(), strict=True)}

        def inside(west, south, pairs=pairs):
            return sum(west <= 50 * x < west + 3000 and south <= 50 * y < south + 3000 for x, y, _ in pairs)

        corners = [(250 * i, 250 * j) for i in range(-40, 40) for j in range(-40, 40)]
        west, south, east, north = map_builder.densest_window(bins, cell)
        assert inside(west, south) == max(inside(*corner) for corner in corners)
        assert (east - west, north - south) == (3000, 3000)


def brute_force(drives, window, num_cells):
    """Steps 3 to 7 of the recipe once more, with dictionaries and loops."""
    rows = []
    for k, d in enumerate(drives):
        position = map_builder.interpolated_position(d, (40.0, 3.0))
        for (x, y), rat, snr, rsrp, cell in zip(
            position.tolist(), d.rat, d.snr_db, d.rsrp_dbm, d.cell.tolist(), strict=True
        ):
            inside = window[0] <= x < window[2] and window[1] <= y < window[3]
            if inside and rat in (4, 5) and not math.isnan(snr) and rsrp > -140 and cell > 0:
                rows.append((math.floor(x / 50), math.floor(y / 50), cell, x, y, snr, k))
    by_cell = defaultdict(list)
    for r in rows:
        by_cell[r[2]].append(r)
    able = [c for c, rs in by_cell.items() if len(rs) >= 100 and len({r[6] for r in rs}) >= 3]
    able.sort(key=lambda c: (-len({r[:2] for r in by_cell[c]}), -len(by_cell[c]), c))
    cells = able[:num_cells]
    bins, pairs = defaultdict(list), defaultdict(list)
    for r in rows:
        if r[2] in cells:
            bins[r[:2]].append(r[3:5])
            pairs[r[:3]].append(r[3:6])
    pairs = {k: np.mean(v, axis=0) for k, v in pairs.items() if len(v) >= 2}
    locations, table = [], []
    for where in sorted(bins):
        at = np.mean(bins[where], axis=0)
        entry = []
        for c in cells:
            distance, value = min(
                ((math.dist(at, v[:2]), v[2]) for k, v in pairs.items() if k[2] == c), default=(math.inf, 0)
            )
            entry.append(round(value) if distance <= 100 else math.nan)  # Python's round is half to even, too
        if not all(map(math.isnan, entry)):
            locations.append(at)
            table.append(entry)
    return cells, np.array(locations), np.array(table), len(pairs)


def random_drives(rng):
    drives = []
    for _ in range(4):
        second = np.sort(rng.choice(1200, 900, replace=False))
        fix = second // 10 * 10
        x, y = 600 + 500 * np.sin(fix / 170 + rng.random()), 500 + 400 * np.sin(fix / 110)
        latitude = 40 + np.degrees(y / R)
        longitude = 3 + np.degrees(x / R / math.cos(math.radians(40)))
        cell = np.where(rng.random(900) < 0.9, 1 + (x // 150).astype(int) % 7, 0)
        drives.append(
            drive(
                second,
                latitude,
                longitude,
                cell=cell,
                rat=np.where(rng.random(900) < 0.1, 0, 4 + cell % 2),
                snr_db=np.where(rng.random(900) < 0.1, np.nan, rng.integers(-20, 30, 900)),
                rsrp_dbm=np.where(rng.random(900) < 0.05, -140.0, -90.0),
            )
        )
    return drives


@pytest.mark.parametrize("seed", range(3))
def test_table_against_brute_force(seed):
    drives, window = random_drives(np.random.default_rng(seed)), (150.0, 0.0, 1000.0, 900.0)
    cells, locations, table, num_pairs = brute_force(drives, window, 4)
    m = map_builder.build_map(drives, num_cells=4, origin_deg=(40.0, 3.0), window_m=window)
    assert m.cell_name.tolist() == [str(c) for c in cells]
    assert m.cell_rat.tolist() == [4 + c % 2 for c in cells]
    assert m.account["pairs"] == num_pairs
    np.testing.assert_allclose(m.location_m, locations - window[:2], atol=1e-3)
    np.testing.assert_array_equal(m.sinr_db, table)
    assert 0.02 < np.isnan(table).mean() < 0.98


@pytest.mark.parametrize("seed", range(3))
def test_tracks_are_long_runs_near_locations(seed):
    """Recipe step 8, once more in plain Python."""
    drives, window = random_drives(np.random.default_rng(seed)), (150.0, 0.0, 1000.0, 900.0)
    m = map_builder.build_map(drives, num_cells=4, origin_deg=(40.0, 3.0), window_m=window)
    locations = m.location_m.astype(float)
    distance = np.linalg.norm(m.track_position_m[:, None] - locations, axis=-1)
    np.testing.assert_array_equal(m.track_location, distance.argmin(axis=1))
    expected = []
    for d in drives:
        position = map_builder.interpolated_position(d, (40.0, 3.0)) - np.array(window[:2])
        run = []
        for second, (x, y) in [*zip(d.time_s.tolist(), position.tolist(), strict=True), (None, (-1, -1))]:
            if 0 <= x < 850 and 0 <= y < 900 and np.hypot(*(locations - (x, y)).T).min() <= 100:
                run.append((second, x, y))
                continue
            if run and run[-1][0] - run[0][0] + 1 >= 120:
                expected.append([])
                for (t, x, y), (next_t, next_x, next_y) in zip(run[:-1], run[1:], strict=True):
                    for k in range(next_t - t):  # the seconds without a row lie on the line between two rows
                        share = k / (next_t - t)
                        expected[-1].append((x + share * (next_x - x), y + share * (next_y - y)))
                expected[-1].append(run[-1][1:])
            run = []
    assert np.diff(m.track_start).tolist() == [len(track) for track in expected]
    np.testing.assert_allclose(m.track_position_m, np.concatenate(expected), atol=1e-3)
