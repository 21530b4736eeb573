"""From drive logs to a radio map: the real logs' accounting, recorded time series, and refused files."""

import math
import zipfile

import numpy as np
import pytest

from rangym.envs.cell_association.drive_logs import import_logs
from rangym.envs.cell_association.radio_map import RadioMap


def test_accounting_of_the_real_logs(real_logs):
    """Every number that the recipe is known to give on the Cork logs, with the default options."""
    m = import_logs(real_logs)
    a = m.account
    assert [a[k] for k in ("drives", "rows", "seconds", "positioned")] == [37, 65_321, 60_373, 54_180]
    assert [a[k] for k in ("in_5g_or_lte", "measurements", "cells", "cells_of_100_rows")] == [44_802, 44_800, 145, 59]
    window = [a[k] for k in ("south_deg", "north_deg", "west_deg", "east_deg")]
    np.testing.assert_allclose(window, [51.89101, 51.91799, -8.50466, -8.46093], atol=5e-6)
    assert (m.cell_rat == 5).sum() == 15 and (m.cell_rat == 4).sum() == 10
    np.testing.assert_array_equal(m.bandwidth_mhz, np.where(m.cell_rat == 5, 20, 10))
    covered = ~np.isnan(m.sinr_db)
    per_location = covered.sum(axis=1)
    assert (len(m.sinr_db), a["pairs"], covered.sum()) == (397, 607, 975)
    assert round(per_location.mean(), 2) == 2.46
    assert [round((per_location >= k).mean(), 2) for k in (2, 3)] == [0.77, 0.45]
    quantiles = np.quantile(m.sinr_db[covered], [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    np.testing.assert_array_equal(quantiles, [-14, -9, -4, -1, 4, 13, 30])
    assert (len(m.track_start) - 1, a["track_drives"], len(m.track_location)) == (38, 24, 27_289)
    speed = m.track_speed_mps()
    assert round(speed.mean(), 1) == 4.0
    np.testing.assert_allclose(np.quantile(speed, [0.05, 0.5, 0.95]), [0.2, 2.2, 12.8], atol=0.05)
    assert m.track_position_m.min() >= 0 and m.track_position_m.max() <= 3000


def test_real_logs_give_the_same_map_from_the_explicit_window(real_logs):
    default = import_logs(real_logs)
    explicit = import_logs(real_logs, origin_deg=(51.9, -8.45), window_m=(-3750, -1000, -750, 2000))
    np.testing.assert_array_equal(default.sinr_db, explicit.sinr_db)
    np.testing.assert_array_equal(default.track_position_m, explicit.track_position_m)


def test_folder_and_zip_give_the_same_map(road_logs, tmp_path):
    with zipfile.ZipFile(tmp_path / "logs.zip", "w") as archive:
        for file in sorted(road_logs.glob("*.csv")):
            archive.write(file, f"Driving/{file.name}")
        archive.writestr("__MACOSX/Driving/._drive_0.csv", "not a log")
    calls = []
    a = import_logs(road_logs, progress=lambda *call: calls.append(call))
    b, c = import_logs(tmp_path / "logs.zip"), import_logs(tmp_path)
    for other in (b, c):
        np.testing.assert_array_equal(a.sinr_db, other.sinr_db)
        np.testing.assert_array_equal(a.track_position_m, other.track_position_m)
    assert [call[:2] for call in calls] == [(1, 3), (2, 3), (3, 3)]
    assert set(a.cell_name) == {"11", "12", "21", "22"}
    assert {n: r for n, r in zip(a.cell_name, a.cell_rat, strict=True)} == {"11": 5, "12": 5, "21": 4, "22": 4}


def test_3g_rows_and_rows_without_snr_are_left_out(make_drive, tmp_path):
    second = np.arange(400)
    for day in range(3):
        cell = 1 + second // 10 % 2
        mode = np.where(second % 4 == 0, "HSPA+", "LTE")
        snr = np.where(second % 4 == 1, np.nan, 7.0)
        fix = 5.0 * (second // 10 * 10)
        make_drive(tmp_path / f"{day}.csv", second + 86_400 * day, fix, 0, snr, cell, mode)
    m = import_logs(tmp_path)
    assert m.account["seconds"] == 1200
    assert m.account["positioned"] == 3 * 390  # the last fix begins no leg
    assert m.account["measurements"] == sum(1 for s in range(390) if s % 4 > 1) * 3
    assert np.unique(m.sinr_db[~np.isnan(m.sinr_db)]).tolist() == [7.0]


HEADER = "Timestamp,Longitude,Latitude,NetworkMode,RSRP,SNR,RAWCELLID\n"
ROW = "2020.01.01_00.00.00,3.0,40.0,LTE,-90,5,7\n"
MALFORMED = {
    "empty": ("", "the file is empty"),
    "header_only": (HEADER, "no rows below the header"),
    "missing_column": (HEADER.replace("SNR", "SINR") + ROW, "row 1: column SNR missing"),
    "non_numeric": (HEADER + ROW + ROW.replace(",5,", ",five,"), r"row 3, column SNR: a number .* got 'five'"),
    "inf": (HEADER + ROW.replace("-90", "inf"), r"row 2, column RSRP: a number or '-' wanted, got 'inf'"),
    "latitude": (
        HEADER + ROW.replace("40.0", "400"),
        "row 2, column Latitude: .* of at most 90 .* got '400'",
    ),
    "truncated": (HEADER + ROW + ROW[:30], "row 3: 7 columns wanted, as in the header, got 4"),
    "timestamp": (HEADER + ROW.replace("2020.01.01_", "01/01/2020 "), "row 2, column Timestamp: .* got '01/01/2020"),
    "binary": ("\xff\xfe\x00", "row 1: text in utf-16 wanted, got the byte 0x00"),
    "time": ("time,ue,cell,sinr_db\nnoon,a,b,1\n", "row 2, column time: seconds or .* got 'noon'"),
    "sinr": ("time,ue,cell,sinr_db\n0,a,b,-\n", "a row with a cell and its SINR wanted, got none"),
    "bandwidth": ("time,ue,cell,sinr_db,bandwidth_mhz\n0,a,b,1,-5\n", "row 2, column bandwidth_mhz: .* got '-5'"),
    "no_ue": ("time,ue,cell,sinr_db\n0,,b,1\n", "row 2, column ue: a name wanted, got ''"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_with_file_row_and_column(case, tmp_path):
    content, message = MALFORMED[case]
    (tmp_path / "drive_a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"drive_a\.csv: " + message):
        import_logs(tmp_path)


def test_paths_without_logs_are_refused(tmp_path, road_logs):
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        import_logs(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no \.csv, \.tsv or \.txt file in it"):
        import_logs(tmp_path)
    (tmp_path / "logs.zip").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match=r"logs\.zip: not a readable \.zip file"):
        import_logs(tmp_path)
    (tmp_path / "notes.pdf").write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.pdf: a folder, a \.zip or a \.csv, \.tsv or \.txt file wanted"):
        import_logs(tmp_path / "notes.pdf")


def test_a_doubled_log_is_refused(road_logs, tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes((road_logs / "drive_0.csv").read_bytes())
    with pytest.raises(ValueError, match=r"b\.csv: the same rows as .*a\.csv; import one copy only"):
        import_logs(tmp_path)


def test_logs_without_anything_usable_are_refused(make_drive, tmp_path, road_logs):
    second = np.arange(300)
    parked, moving, idle = tmp_path / "parked", tmp_path / "one_cell", tmp_path / "no_snr"
    make_drive(parked / "a.csv", second, 0.0, 0.0, 5, 7, "LTE")
    with pytest.raises(ValueError, match="no measurement: of 300 seconds 0 have a position"):
        import_logs(parked)
    make_drive(moving / "a.csv", second, 5.0 * second, 0.0, 5, 7, "LTE")
    with pytest.raises(ValueError, match="at least 2 cells with 100 rows from 1 drives .* got 1 of 1 cells"):
        import_logs(moving)
    make_drive(idle / "a.csv", second, 5.0 * second, 0.0, np.nan, 7, "LTE")
    with pytest.raises(ValueError, match="299 have a position, 0 of these an SNR in 5G or LTE"):
        import_logs(idle)
    general = tmp_path / "mixed"
    make_drive(general / "a.csv", second, 5.0 * second, 0.0, 5, 7, "LTE")
    (general / "b.csv").write_text("time,ue,cell,sinr_db\n0,a,b,1\n1,a,c,1\n")
    with pytest.raises(ValueError, match=r"b\.csv: its columns differ in kind from those of .*a\.csv"):
        import_logs(general)


RECORDED = """\
time,ue,cell,sinr_db,x_m,y_m,bandwidth_mhz
2020-01-01T00:00:00,a,north,10,100,0,20
2020-01-01T00:00:00,a,south,-3,100,0,5
2020-01-01T00:00:02,a,north,12,120,0,20
2020-01-01T00:00:04,a,south,4,140,0,5
2020-01-01T00:00:04,a,south,5,140,0,5
2020-01-01T00:00:08,a,north,14,180,40,20
2020-01-01T00:00:02,b,south,20,300,0,5
2020-01-01T00:00:04,b,south,21,300,10,5
"""


def test_a_general_csv_becomes_recorded_time_series(tmp_path):
    (tmp_path / "log.csv").write_text(RECORDED)
    m = import_logs(tmp_path / "log.csv")
    nan = math.nan
    assert (m.kind, m.step_s, m.cell_name.tolist()) == ("recorded", 2.0, ["north", "south"])
    assert m.track_start.tolist() == [0, 5, 7]
    a = [[10, -3], [12, nan], [nan, 5], [nan, nan], [14, nan]]  # nothing was recorded at 6 s
    np.testing.assert_array_equal(m.sinr_db, [*a, [nan, 20], [nan, 21]])
    np.testing.assert_array_equal(m.bandwidth_mhz, [20, 5])
    x = [0, 20, 40, 60, 80, 200, 200]  # from the westernmost; interpolated at 6 s
    np.testing.assert_array_equal(m.track_position_m, np.stack([x, [0, 0, 0, 20, 40, 0, 10]], axis=1))
    m.save(tmp_path / "map.npz")
    assert "rows kept: 7, UEs: 2, step: 2 s" in RadioMap.load(tmp_path / "map.npz").summary()


def test_a_general_csv_without_options_in_several_files(tmp_path):
    (tmp_path / "a.csv").write_text("time,ue,cell,sinr_db\n0,a,p,1\n0.5,a,q,2\n1.0,a,p,3\n")
    (tmp_path / "b.csv").write_text("ue,sinr_db,cell,time,remark\nb,4,q,7.5,x\n")
    m = import_logs(tmp_path)
    assert m.step_s == 0.5
    np.testing.assert_array_equal(m.sinr_db, [[1, math.nan], [math.nan, 2], [3, math.nan], [math.nan, 4]])
    assert (m.bandwidth_mhz == 20).all() and not m.track_position_m.any()


def test_ues_whose_clocks_are_half_a_step_apart_keep_all_their_rows(tmp_path):
    rows = [f"{t + half},{ue},{cell},{t}\n" for ue, half in (("a", 0), ("b", 0.5)) for t in range(4) for cell in "pq"]
    (tmp_path / "log.csv").write_text("time,ue,cell,sinr_db\n" + "".join(rows))
    m = import_logs(tmp_path)
    np.testing.assert_array_equal(m.sinr_db, [[t, t] for t in (0, 1, 2, 3) * 2])
    assert m.track_start.tolist() == [0, 4, 8]


def test_a_contradictory_general_csv_is_refused(tmp_path):
    (tmp_path / "log.csv").write_text(RECORDED.replace("140,0,5\n", "140,0,6\n", 1))
    with pytest.raises(ValueError, match="one bandwidth_mhz per cell wanted, got several for south"):
        import_logs(tmp_path)
    (tmp_path / "log.csv").write_text("time,ue,cell,sinr_db\n0,a,p,1\n1,a,p,2\n")
    with pytest.raises(ValueError, match="rows of at least 2 cells wanted, got only p"):
        import_logs(tmp_path)
    (tmp_path / "log.csv").write_text("time,ue,cell,sinr_db\n0,a,p,1\n0,a,q,2\n")
    with pytest.raises(ValueError, match="a UE with rows at two times at least wanted"):
        import_logs(tmp_path)
    (tmp_path / "log.csv").write_text("time,ue,cell,sinr_db\n0,a,p,1\n1,a,q,2\n2,a,q,2\n90000,a,q,2\n")
    with pytest.raises(ValueError, match="4 rows scattered over 90001 steps; is `time` in seconds"):
        import_logs(tmp_path)


def test_wrong_options_are_refused(road_logs):
    with pytest.raises(ValueError, match="num_cells: at least 2 wanted, got 1"):
        import_logs(road_logs, num_cells=1)
    with pytest.raises(ValueError, match="window_m: west < east and south < north wanted, got "):
        import_logs(road_logs, window_m=(0, 0, -1, 1))
