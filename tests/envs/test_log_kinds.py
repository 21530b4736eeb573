"""One reader for all kinds of logs: the same log in another shape gives the same map, or the same days."""

import csv
import io
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.cell_association.drive_logs import import_logs
from rangym.envs.errors import WrongCall
from rangym.envs.logs.table import Reading
from rangym.envs.qos_clustering.kpi_logs import Options, read_logs

SHAPES = {
    "semicolons and decimal commas": dict(separator=";", comma=True),
    "a spreadsheet's unicode text": dict(separator="\t", comma=True, encoding="utf-16", suffix=".txt", end="\r\n"),
    "capitals": dict(capitals=True),
    "bars and other words for nothing": dict(separator="|", missing="N/A", suffix=".tsv"),
    "Android's number for nothing": dict(missing="2147483647"),
}


def written_as(source: Path, folder: Path, **shape) -> Path:
    """The same rows in another shape; times and names keep their points."""
    plain = dict(separator=",", comma=False, encoding="utf-8", suffix=".csv", end="\n", capitals=False, missing="-")
    separator, comma, encoding, suffix, end, capitals, missing = (plain | shape).values()
    header, *rows = csv.reader(io.StringIO(source.read_text()))
    texts = {k for k, name in enumerate(header) if name in ("Timestamp", "flow_id", "cell_id", "Operatorname")}
    lines = [[name.upper() if capitals else name for name in header]]
    for row in rows:
        row = [missing if cell == "-" else cell for cell in row]
        lines.append([x.replace(".", ",") if comma and k not in texts else x for k, x in enumerate(row)])
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator, lineterminator=end).writerows(lines)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (source.stem + suffix)
    path.write_bytes(buffer.getvalue().encode(encoding))
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_drives_in_another_shape_give_the_same_map(shape, road_logs, tmp_path):
    for source in sorted(road_logs.glob("*.csv")):
        written_as(source, tmp_path, **SHAPES[shape])
    one, other = import_logs(road_logs), import_logs(tmp_path)
    for name in ("sinr_db", "location_m", "cell_name", "cell_rat", "track_position_m", "track_location", "track_start"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert dict(one.account).items() <= dict(other.account).items()


@pytest.mark.parametrize("shape", SHAPES)
def test_kpis_in_another_shape_are_the_same(shape, kpi_logs, tmp_path):
    rows = kpi_logs.kpi_rows(periods=4, cells=3)
    for row in rows[::7]:
        row["speed_kmh"] = "-"
    for row in rows[5:60:11]:
        row["rsrp_dbm"] = "-"
    plain = kpi_logs.write_csv(tmp_path / "log.csv", rows)
    one, other = read_logs(plain), read_logs(written_as(plain, tmp_path / "other", **SHAPES[shape]))
    np.testing.assert_array_equal(one.time_s, other.time_s)
    np.testing.assert_array_equal(one.cell, other.cell)
    assert one.values.keys() == other.values.keys()
    for name in one.values:
        np.testing.assert_array_equal(one.values[name], other.values[name])
    assert one.account.items() <= other.account.items() and one.account["rows kept"] == len(rows) - 5


def test_before_the_first_fix_a_phone_is_nowhere(road_logs, tmp_path):
    """0, 0 is in the sea, and would make a leg of thousands of kilometres and another mean position."""
    for source in sorted(road_logs.glob("*.csv")):
        header, *lines = source.read_text().splitlines()
        places = [line.split(",") for line in lines[:20]]
        for mark, folder in (("0,0.0", tmp_path / "zero"), ("-,-", tmp_path / "missing")):
            early = [",".join([p[0], mark, *p[3:]]) for p in places]
            folder.mkdir(exist_ok=True)
            (folder / source.name).write_text("\n".join([header, *early, *lines[20:]]))
    zero, missing = import_logs(tmp_path / "zero"), import_logs(tmp_path / "missing")
    np.testing.assert_array_equal(zero.sinr_db, missing.sinr_db)
    np.testing.assert_array_equal(zero.track_position_m, missing.track_position_m)
    assert zero.account == missing.account and zero.account["positioned"] == 3 * (400 - 20 - 20)


@pytest.mark.parametrize("written, fine", [("11.0", True), ("1.1E+01", False), ("11.5", False)])
def test_a_cell_identity_that_a_spreadsheet_rounded_is_refused(written, fine, road_logs, tmp_path):
    for source in road_logs.glob("*.csv"):
        (tmp_path / source.name).write_text(source.read_text().replace(",11,-,-\n", f",{written},-,-\n"))
    if fine:
        assert set(import_logs(tmp_path).cell_name) == {"11", "12", "21", "22"}
        return
    with pytest.raises(ValueError, match="column RAWCELLID: a whole number of .*, in digits, or '-' wanted, got '"):
        import_logs(tmp_path)


KPI_ROWS = [
    {"t_s": t, "flow_id": flow, "cell_id": "c", "latency_ms": 9.5, "jitter_ms": 0.5, "rsrp_dbm": -80}
    for t in range(10)
    for flow in "ab"
]
BAD = {
    "a time that goes back": (5, {"t_s": 1, "flow_id": "c"}, "t_s: times that do not go back wanted"),
    "a row again": (5, {"t_s": 2, "flow_id": "a"}, "one row a flow, cell and time wanted"),
    "a value out of range": (5, {"rsrp_dbm": 3}, "rsrp_dbm: a number of at least -200 and of at most 0 wanted"),
    "no number": (5, {"jitter_ms": "1_0"}, "jitter_ms: a number or '-' wanted"),
    "no time": (5, {"t_s": "noon"}, "t_s: seconds or an ISO 8601 date and time wanted"),
    "milliseconds": (5, {"t_s": 1711929501000}, "t_s: seconds, not milliseconds, wanted"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_of_kpis_are_refused_or_skipped_by_reason(case, kpi_logs, tmp_path):
    k, change, reason = BAD[case]
    rows = [dict(row) for row in KPI_ROWS]
    rows[k] |= change
    path = kpi_logs.write_csv(tmp_path / "log.csv", rows)
    with pytest.raises(ValueError, match=r"log\.csv: row 7.*" + reason.partition(": ")[2]):
        read_logs(path)
    with pytest.raises(ValueError, match="1 bad rows, more than the share of 0.04 of 20"):
        read_logs(path, Options(tolerance=0.04))
    log = read_logs(path, Options(tolerance=0.05))
    assert log.account[f"skipped: {reason}"] == 1 and log.account["rows kept"] == 19
    kept = [float(row["t_s"]) for n, row in enumerate(rows) if n != k]
    assert log.time_s.tolist() == kept


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(tolerance=1.0), "tolerance: a number of at least 0 and below 1 wanted, got 1.0"),
        (dict(tolerance=-0.1), "tolerance: a number of at least 0 and below 1 wanted, got -0.1"),
        (dict(encoding="utf-99"), "encoding: the name of one, such as 'utf-16' or 'cp1252', wanted, got 'utf-99'"),
        (dict(encoding="hex"), "encoding: the name of one, .* got 'hex'"),
    ],
)
def test_wrong_ways_of_reading_are_refused(options, message):
    for make in (Reading, Options):
        with pytest.raises(ValueError, match=message):
            make(**options)


def test_positions_of_two_kinds_or_of_some_ues_are_refused(tmp_path):
    header, rows = "time,ue,cell,sinr_db", "0,{ue},p,1\n1,{ue},q,2\n".replace("\n", ",{x},{y}\n")
    (tmp_path / "a.csv").write_text(f"{header},x_m,y_m\n" + rows.format(ue="a", x=1, y=2))
    (tmp_path / "b.csv").write_text(f"{header},latitude,longitude\n" + rows.format(ue="b", x=1, y=2))
    with pytest.raises(ValueError, match="x_m, y_m or latitude, longitude in all files wanted, got both"):
        import_logs(tmp_path)
    (tmp_path / "b.csv").write_text(f"{header},latitude,longitude\n" + rows.format(ue="b", x="", y=""))
    with pytest.raises(ValueError, match="a position of every UE or of none wanted, got none of b"):
        import_logs(tmp_path)


CELLS = st.sampled_from(
    ["0", "1", "2", "1,5", "1.5", "-3", "1e400", "nan", "", "p", "q", '"', "1_0", "51.5", "\0", "2147483647", "\n"]
    + ["2020-01-01", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "é"]
)
HEADERS = st.sampled_from(
    [
        ("time", "ue", "cell", "sinr_db"),
        ("time", "ue", "cell", "sinr_db", "x_m", "y_m"),
        ("TIME", "ue", "cell", "sinr_db", "latitude", "longitude", "bandwidth_mhz"),
        ("Timestamp", "Longitude", "Latitude", "NetworkMode", "RSRP", "SNR", "RAWCELLID"),
        ("t_s", "flow_id", "cell_id", "latency_ms", "jitter_ms", "rsrp_dbm"),
    ]
)


@settings(max_examples=300, deadline=None, database=None)
@given(
    header=HEADERS,
    cells=st.lists(CELLS, min_size=7, max_size=7),
    spoilt=st.lists(st.integers(0, 41), max_size=4),
    separator=st.sampled_from(",;\t| "),
    encoding=st.sampled_from(["utf-8", "utf-16", "utf-32", "latin-1"]),
    said=st.sampled_from([None, "utf-8", "cp1252", "utf-16-le", "punycode"]),
    tolerance=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_whatever_a_file_holds_it_is_read_or_refused(header, cells, spoilt, separator, encoding, said, tolerance):
    """Six rows of a log that is fine, with some cells changed: a map or days, or an error that the caller can mend."""
    fine = {"ue": "a", "flow_id": "f", "NetworkMode": "LTE", "RSRP": "-90", "rsrp_dbm": "-90"}
    rows = [[fine.get(n, "pq"[k % 2] if n in ("cell", "cell_id") else str(k + 1)) for n in header] for k in range(6)]
    for place in spoilt:
        rows[place % 6][place // 6 % len(header)] = cells[place % 7]
    text = "\n".join(separator.join(row) for row in (header, *rows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_bytes(text.encode(encoding, "replace"))
        options = dict(encoding=said, tolerance=tolerance)
        try:
            if header[0] == "t_s":
                kept = read_logs(path, Options(**options)).account["rows kept"]
            else:
                kept = import_logs(path, reading=Reading(**options)).account["rows"]
        except WrongCall as refused:
            assert str(refused) and len(str(refused)) < 700
        else:
            assert 0 <= kept <= 6
