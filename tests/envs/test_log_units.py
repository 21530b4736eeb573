"""Units that a log does not say: seconds or milliseconds, degrees on both sides of the antimeridian, technology."""

import numpy as np
import pytest

from rangym.cli import main
from rangym.envs.cell_association.drive_logs import import_logs
from rangym.envs.cell_association.map_builder import EARTH_RADIUS_M, mean_degrees, metres_from
from rangym.envs.logs.table import Reading


def log(path, times, places=None):
    """A general log: a UE that hears two cells at each of the times."""
    position = "" if places is None else ",longitude,latitude"
    rows = [
        f"{time},a,{cell},{10 + k}" + ("" if places is None else f",{places[k][0]},{places[k][1]}")
        for k, time in enumerate(times)
        for cell in "pq"
    ]
    path.write_text("\n".join([f"time,ue,cell,sinr_db{position}", *rows]) + "\n")
    return path


@pytest.mark.parametrize("spacing", [10, 50, 99])
def test_times_that_may_be_in_milliseconds_are_refused_until_the_unit_is_said(spacing, tmp_path):
    path = log(tmp_path / "log.csv", [spacing * k for k in range(5)])
    with pytest.raises(ValueError, match=rf"got {spacing} in the median; say time_unit='ms' \(--time-unit ms\)"):
        import_logs(path)
    for unit, factor in (("s", 1.0), ("ms", 1e-3)):
        found = import_logs(path, reading=Reading(time_unit=unit))
        assert found.step_s == pytest.approx(factor * spacing, rel=1e-12)
        np.testing.assert_array_equal(found.sinr_db, [[10 + k] * 2 for k in range(5)])


@pytest.mark.parametrize(
    "times",
    [
        [f"2026-01-01T00:0{k}:00" for k in range(5)],
        [1_700_000_000 + 60 * k for k in range(5)],
    ],
)
def test_dates_leave_no_doubt(times, tmp_path):
    assert import_logs(log(tmp_path / "log.csv", times)).step_s == 60.0


def test_seconds_of_usual_spacing_leave_no_doubt(tmp_path):
    for spacing in (0.2, 1, 9.5):
        assert import_logs(log(tmp_path / "log.csv", [spacing * k for k in range(5)])).step_s == pytest.approx(spacing)


def test_long_steps_in_milliseconds_become_seconds(tmp_path):
    path = log(tmp_path / "log.csv", [1000 * k for k in range(5)])
    with pytest.raises(ValueError, match="--time-unit ms"):
        import_logs(path)
    assert import_logs(path, reading=Reading(time_unit="ms")).step_s == 1.0
    out = str(tmp_path / "map.npz")
    assert main(["map", "import", str(path), "--time-unit", "ms", "--out", out]) == 0


def test_milliseconds_since_1970(tmp_path):
    path = log(tmp_path / "log.csv", [1_711_929_501_000 + 500 * k for k in range(5)])
    assert import_logs(path, reading=Reading(time_unit="ms")).step_s == 0.5


def test_a_date_is_not_in_milliseconds_and_a_unit_is_one_of_two(tmp_path):
    path = log(tmp_path / "log.csv", [f"2026-01-01T00:00:0{k}" for k in range(5)])
    with pytest.raises(ValueError, match="row 2, column time: a number of milliseconds, as time_unit says, wanted"):
        import_logs(path, reading=Reading(time_unit="ms"))
    with pytest.raises(ValueError, match=r"time_unit: None or one of \['s', 'ms'\] wanted, got 'us'"):
        Reading(time_unit="us")


def test_a_drive_across_the_antimeridian_is_as_long_as_elsewhere(tmp_path):
    def places(middle):
        east = [(middle + 1e-3 * k + 180) % 360 - 180 for k in range(-3, 4)]
        return [(f"{x:.6f}", -17.0) for x in east]

    across, elsewhere = (
        import_logs(log(tmp_path / f"{middle}.csv", range(7), places(middle))) for middle in (180, 100)
    )
    np.testing.assert_allclose(across.track_position_m, elsewhere.track_position_m, atol=0.05)
    step = np.radians(1e-3) * EARTH_RADIUS_M * np.cos(np.radians(17.0))
    np.testing.assert_allclose(np.diff(across.track_position_m[:, 0]), step, rtol=1e-3)


def test_the_mean_place_and_distances_from_it():
    assert mean_degrees(np.array([[10.0, 179.0], [20.0, -177.0], [np.nan, np.nan]])) == (15.0, -179.0)
    assert mean_degrees(np.array([[10.0, 179.5], [20.0, -179.9]])) == pytest.approx((15.0, 179.8))
    assert mean_degrees(np.array([[-10.0, -3.0], [-20.0, 5.0]])) == (-15.0, 1.0)
    for origin, at in ((179.9, -179.9), (-179.9, 179.9), (0.1, -0.1)):
        east = metres_from(np.array([[0.0, at]]), (0.0, origin))[0, 0]
        away = (at - origin + 180) % 360 - 180
        assert east == pytest.approx(EARTH_RADIUS_M * np.radians(away))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"num_cells": 5}, r"num_cells \(--cells\): for logs of G-NetTrack Pro only, .*got 5"),
        ({"origin_deg": (1.0, 2.0)}, "origin_deg: for logs of G-NetTrack Pro only"),
        ({"window_m": (0.0, 0.0, 1.0, 1.0)}, "window_m: for logs of G-NetTrack Pro only"),
    ],
)
def test_what_a_general_log_has_no_use_for_is_refused(given, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        import_logs(log(tmp_path / "log.csv", range(5)), **given)


def test_a_general_log_says_nothing_of_technology(tmp_path):
    said = import_logs(log(tmp_path / "log.csv", range(5))).summary()
    assert "cells: 2 (the log does not say of which technology, they count as 5G);" in said and "2 5G" not in said
