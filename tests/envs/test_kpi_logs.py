"""Logs of KPIs to recorded days: headers, units, what is dropped, Gaussians, carrying forward, files."""

import os
import shutil
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from rangym.cli import main
from rangym.envs.errors import MissingExtra
from rangym.envs.learning.heads import losses
from rangym.envs.qos_clustering.calibration import pairs
from rangym.envs.qos_clustering.kpi_logs import KPIS, Options, read_logs
from rangym.envs.qos_clustering.predictor import inputs_of
from rangym.envs.qos_clustering.recorded_days import load_days
from rangym.envs.qos_clustering.recorded_periods import recorded_days, without_sparse_cells
from rangym.envs.qos_clustering.recorded_predictor import fitted_days

NS3_HEADER = (
    "Time,FlowId,CellId,CellLoad,UE_X,UE_Y,Speed,Direction,PacketSize,DeltaTxPackets,DeltaRxPackets,AvgDelay,"
    "ThroughputKbps,IntervalLossRate,IntervalJitter,SINR,Rsrp,Gain,LOS"
)
RADIO_KPIS = ("tput_kbps", "sinr_db", "rsrp_dbm")


@pytest.fixture
def rows(kpi_logs):
    """Made-up rows of 3 cells and 24 periods."""
    return kpi_logs.kpi_rows(periods=24, cells=3)


def days_of(log, kpis=KPIS, period_s=900.0, label_delay=4):
    return recorded_days(log, kpis, period_s, label_delay)


def test_gaussians_are_the_moments_of_the_logarithms(rows, kpi_logs, tmp_path):
    log = read_logs(kpi_logs.write_csv(tmp_path / "log.csv", rows))
    days = days_of(log)
    assert days.cells.tolist() == ["c0", "c1", "c2"] and days.periods == 24 and days.start_s == 0
    for t, i in ((0, 0), (7, 1), (23, 2)):
        own = [r for r in rows if r["t_s"] // 900 == t and r["cell_id"] == f"c{i}"]
        q = np.array([[np.log(r["latency_ms"]), np.log(r["jitter_ms"]), r["rsrp_dbm"]] for r in own])
        np.testing.assert_allclose(days.day.mean[t, i], q.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(days.day.covariance[t, i], np.cov(q.T) + 1e-6 * np.eye(3), atol=1e-9)
        np.testing.assert_allclose(days.day.load[t, i], own[0]["load"])
        seen = {tuple(np.float32(x) for x in (*row, r["load"], r["speed_kmh"])) for row, r in zip(q, own, strict=True)}
        where = [days.columns.index(name) for name in (*KPIS, "load", "speed_kmh")]
        assert {tuple(row[where]) for row in days.day.rows[t, i]} <= seen
    assert days.columns == (*KPIS, "load", "speed_kmh")
    assert days.account["rows read"] == days.account["rows kept"] == 24 * 3 * 24
    assert days.account["periods and cells filled"] == 72 and days.account["carried forward"] == 0


def test_sparse_cells_are_left_out_on_request_only_and_counted(rows, kpi_logs, tmp_path, capsys):
    glimpses = [dict(r, cell_id=f"far{k % 2}", flow_id=f"g{k}") for k, r in enumerate(rows[:39])]  # 20 and 19 rows
    both = sorted(rows + glimpses, key=lambda r: r["t_s"])
    path = kpi_logs.write_csv(tmp_path / "log.csv", both)
    log, plain = read_logs(path), read_logs(kpi_logs.write_csv(tmp_path / "without" / "log.csv", rows))
    with pytest.raises(ValueError, match=r"cell far1: .* 1 of 5 cells are like this, leave out their rows"):
        days_of(log)
    left = without_sparse_cells(log, 900.0)
    assert list(left.account)[-2:] == ["dropped: a cell with fewer than 20 rows in every period", "rows kept"]
    assert list(left.account.values())[-2:] == [19, len(both) - 19] and len(left.time_s) == len(both) - 19
    assert left.notes[-1] == "left out: 1 of 5 cells, seen too rarely" and set(left.cell) == {"far0", "c0", "c1", "c2"}
    days, before = days_of(left), days_of(plain)
    np.testing.assert_array_equal(days.day.mean[:, :3], before.day.mean)  # cells in the order of their names
    assert without_sparse_cells(plain, 900.0) is plain
    assert without_sparse_cells(log, 9.0) is log  # none has 20 rows in 9 s: the refusal says more than an empty log
    for period_s in (0, np.nan, np.inf):
        for use in (without_sparse_cells, lambda log, period_s: days_of(log, period_s=period_s)):
            with pytest.raises(ValueError, match=f"period_s: a finite number above 0 wanted, got {period_s}"):
                use(log, period_s)
    command = ["trace", "import", str(path), "--kind", "qos", "--out", str(tmp_path / "days.npz")]
    assert main(command) == 2 and "--leave-out-sparse-cells" in capsys.readouterr().err
    assert main([*command, "--leave-out-sparse-cells"]) == 0
    assert "dropped: a cell with fewer than 20 rows in every period: 19" in capsys.readouterr().out
    assert load_days(tmp_path / "days.npz").cells.tolist() == ["c0", "c1", "c2", "far0"]
    radio = [*command[:3], "--out", str(tmp_path / "map.npz"), "--leave-out-sparse-cells"]
    assert main(radio) == 2 and "--kind qos only" in capsys.readouterr().err


def test_what_has_too_few_rows_repeats_the_period_before(rows, kpi_logs, tmp_path):
    thin = [r for r in rows if not (r["cell_id"] == "c1" and r["t_s"] // 900 in (0, 5, 6) and r["t_s"] % 900 > 300)]
    days = days_of(read_logs(kpi_logs.write_csv(tmp_path / "log.csv", thin)))
    whole = days_of(read_logs(kpi_logs.write_csv(tmp_path / "whole.csv", rows)))
    assert 0 < days.day.num_rows[5, 1] < 20
    assert days.account["carried forward"] == days.day.carried == 3 and (~days.filled).sum() == 3
    for t, source in ((0, 1), (5, 4), (6, 4)):
        np.testing.assert_array_equal(days.day.mean[t, 1], whole.day.mean[source, 1])
    np.testing.assert_array_equal(days.day.mean[:, 0], whole.day.mean[:, 0])


def as_ns3(row):
    """The same row in ns-3's names and units."""
    values = {
        "Time": row["t_s"],
        "FlowId": row["flow_id"],
        "CellId": row["cell_id"],
        "CellLoad": 3,
        "UE_X": 10,
        "UE_Y": -20,
        "Speed": row["speed_kmh"],
        "Direction": 90,
        "PacketSize": 1500,
        "DeltaTxPackets": 8,
        "DeltaRxPackets": 8,
        "AvgDelay": repr(row["latency_ms"] / 1e3),
        "ThroughputKbps": 96,
        "IntervalLossRate": 0,
        "IntervalJitter": repr(row["jitter_ms"] / 1e3),
        "SINR": 12.5,
        "Rsrp": row["rsrp_dbm"],
        "Gain": -100,
        "LOS": 1,
    }
    assert ",".join(values) == NS3_HEADER
    return values


def test_an_ns3_header_is_the_same_log_in_other_units(rows, kpi_logs, tmp_path):
    ours = read_logs(kpi_logs.write_csv(tmp_path / "ours.csv", rows))
    theirs = read_logs(kpi_logs.write_csv(tmp_path / "ns3.csv", [as_ns3(r) for r in rows]))
    for name in KPIS:
        np.testing.assert_allclose(theirs.values[name], ours.values[name], rtol=1e-12)
    np.testing.assert_array_equal(theirs.cell, ours.cell)
    assert theirs.notes == ["absent: load", "ignored: Gain"]  # CellLoad counts UEs
    days = days_of(theirs)
    np.testing.assert_allclose(days.cell_position_m, [[10, -20]] * 3)
    assert not days.day.load.any()
    direction = days.day.rows[..., [days.columns.index(f"{f}_direction") for f in ("sin", "cos")]]
    np.testing.assert_allclose(direction, np.broadcast_to([1, 0], direction.shape), atol=1e-6)


def test_seconds_without_a_packet_have_no_latency(rows, kpi_logs, tmp_path):
    lines = [as_ns3(r) for r in rows]
    for line in lines[10:14]:
        line |= {"DeltaRxPackets": 0, "AvgDelay": 0, "IntervalJitter": 0}
    log = read_logs(kpi_logs.write_csv(tmp_path / "log.csv", lines))
    assert log.account["dropped: no packet was received"] == 4 and log.account["rows kept"] == len(rows) - 4


def test_cumulative_delay_and_summed_jitter_give_those_of_each_row(kpi_logs, tmp_path):
    """Packet by packet: two flows, random packets a row, the mean delay since the flow's start, the sum of jitters."""
    rng = np.random.default_rng(3)
    lines, latency, jitter = [], [], []
    past = {"a": [], "b": []}
    for t in range(40):
        for flow in past:
            delay = rng.uniform(1.0, 30.0, rng.integers(0, 7))
            past[flow].extend(delay)
            uneven = np.abs(np.diff(delay))
            since_start = np.mean(past[flow]) if past[flow] else 0.0
            lines.append(
                {
                    "t_s": t,
                    "flow_id": flow,
                    "cell_id": "c",
                    "rx": len(delay),
                    "latency_ms": repr(float(since_start)),
                    "jitter_ms": repr(float(uneven.sum())),
                    "rsrp_dbm": -80,
                }
            )
            if len(delay) >= 2:
                latency.append(delay.mean())
                jitter.append(uneven.mean())
    options = Options(delay_is_cumulative=True, jitter_is_sum=True)
    log = read_logs(kpi_logs.write_csv(tmp_path / "log.csv", lines), options)
    np.testing.assert_allclose(log.values["latency_ms"], latency, rtol=1e-9)
    np.testing.assert_allclose(log.values["jitter_ms"], jitter, rtol=1e-9)
    few = log.account["dropped: no packet was received"], log.account["dropped: fewer than two packets, without jitter"]
    assert min(few) > 0 and sum(few) == len(lines) - len(latency)


def test_columns_rename_any_header_and_name_what_they_leave(rows, kpi_logs, tmp_path):
    names = {"t_s": "when", "cell_id": "eci", "latency_ms": "rtt", "jitter_ms": "pdv", "rsrp_dbm": "power"}
    theirs = [{names.get(k, k): v for k, v in row.items()} | {"vendor": "x"} for row in rows]
    log = read_logs(kpi_logs.write_csv(tmp_path / "theirs.csv", theirs), Options(columns=names))
    ours = read_logs(kpi_logs.write_csv(tmp_path / "ours.csv", rows))
    for name in ours.values:
        np.testing.assert_array_equal(log.values[name], ours.values[name])
    assert log.notes[-1] == "ignored: vendor"


def test_columns_are_renamed_beside_those_of_a_known_header(rows, kpi_logs, tmp_path):
    lines = [as_ns3(r) | {"Busy": r["load"], "Delay2": 2 * r["latency_ms"]} for r in rows]
    options = Options(columns={"load": "Busy", "latency_ms": "Delay2"})
    log = read_logs(kpi_logs.write_csv(tmp_path / "ns3.csv", lines), options)
    ours = read_logs(kpi_logs.write_csv(tmp_path / "ours.csv", rows))
    np.testing.assert_array_equal(log.values["load"], ours.values["load"])
    np.testing.assert_allclose(log.values["latency_ms"], 2 * ours.values["latency_ms"])  # in our unit, not ns-3's
    np.testing.assert_allclose(log.values["jitter_ms"], ours.values["jitter_ms"])


def test_kpis_of_other_names_enter_by_their_unit(rows, kpi_logs, tmp_path):
    lines = [{**row, "rsrq_db": -11.5, "tput_kbps": 0} for row in rows]
    kpis = ("latency_ms", "tput_kbps", "rsrq_db")
    days = days_of(read_logs(kpi_logs.write_csv(tmp_path / "log.csv", lines), Options(kpis=kpis)), kpis)
    assert days.kpis == kpis and days.columns[:3] == kpis
    np.testing.assert_allclose(days.day.mean[..., 1], 0.0)  # ln of the floor of 1 kbit/s
    np.testing.assert_allclose(days.day.mean[..., 2], -11.5)


def test_missing_optional_values_are_the_first_halfs_mean(rows, kpi_logs, tmp_path):
    speeds = [r["speed_kmh"] for r in rows if r["t_s"] < 12 * 900]
    lines = [row | ({"speed_kmh": "-"} if row["t_s"] >= 12 * 900 else {}) for row in rows]
    days = days_of(read_logs(kpi_logs.write_csv(tmp_path / "log.csv", lines)))
    later = days.day.rows[12:, :, :, days.columns.index("speed_kmh")]
    np.testing.assert_allclose(later, np.mean(speeds), rtol=1e-6)
    assert any(note.startswith("speed_kmh: the mean stands in for 864 missing") for note in days.notes)


def test_several_files_and_iso_times_are_one_log(rows, kpi_logs, tmp_path):
    whole = read_logs(kpi_logs.write_csv(tmp_path / "whole.csv", rows))
    for i in range(3):
        own = [r | {"t_s": datetime.fromtimestamp(r["t_s"], UTC).isoformat()} for r in rows if r["cell_id"] == f"c{i}"]
        kpi_logs.write_csv(tmp_path / "parts" / f"{i}.csv", own)
    parts = read_logs(tmp_path / "parts")
    assert parts.account["files"] == 3
    np.testing.assert_array_equal(days_of(parts).day.mean, days_of(whole).day.mean)


def test_a_parquet_file_is_read_like_the_csv_file(rows, kpi_logs, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'rangym[logs]'")
    table = pytest.importorskip("pyarrow").table
    (tmp_path / "p").mkdir()
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    columns["speed_kmh"][5] = None
    parquet.write_table(table(columns), tmp_path / "p" / "log.parquet")
    rows[5]["speed_kmh"] = "-"
    one, other = read_logs(tmp_path / "p"), read_logs(kpi_logs.write_csv(tmp_path / "c" / "log.csv", rows))
    assert one.account == other.account and one.values.keys() == other.values.keys()
    for name in one.values:
        np.testing.assert_array_equal(one.values[name], other.values[name])
    (tmp_path / "p" / "log.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"log\.parquet: not a Parquet file"):
        read_logs(tmp_path / "p")


def test_parquet_without_pyarrow_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "log.parquet").write_bytes(b"")
    with pytest.raises(MissingExtra, match=r"pyarrow: pip install 'rangym\[logs\]'"):
        read_logs(tmp_path / "log.parquet")


def test_g_nettrack_rows_are_dropped_by_reason(make_drive, tmp_path):
    second = np.array([0, 1, 1, 2, 3, 5, 4, 6])
    snr = np.array([1.0, 2, 3, np.nan, 5, 6, 7, 8])
    rsrp = np.array([-90, -90, -90, -90, -90, -90, -90, -200])
    path = make_drive(tmp_path / "drive.csv", second, 0, 0, snr, 7, "LTE", rsrp)
    lines = path.read_text().splitlines()
    lines[5] = lines[5].replace(",D,", ",I,")
    path.write_text("\n".join(lines) + "\n")
    log = read_logs(path, Options(kpis=RADIO_KPIS))
    assert list(log.account.values()) == [1, 8, 1, 2, 1, 4]
    assert log.values["sinr_db"].tolist() == [1, 3, 6, 7]  # of second 1 the last row
    assert log.values["tput_kbps"].tolist() == [29] * 4


def test_logs_of_two_kinds_are_imported_apart(rows, kpi_logs, make_drive, tmp_path):
    make_drive(tmp_path / "a.csv", np.arange(5), 0, 0, 3.0, 7, "LTE")
    kpi_logs.write_csv(tmp_path / "b.csv", rows)
    with pytest.raises(
        ValueError, match=r"b\.csv: a log of G-NetTrack Pro like .*a\.csv wanted, got a log in our names"
    ):
        read_logs(tmp_path)


def test_phones_that_stay_in_a_cell_give_days(make_drive, tmp_path):
    """Two phones, one row in 30 s for 24 periods: what no drive allows."""
    rng = np.random.default_rng(0)
    second = np.arange(0, 24 * 900, 30)
    for k in range(2):
        make_drive(tmp_path / f"{k}.csv", second, 0, 0, rng.integers(0, 20, len(second)), 7 + k, "LTE")
    days = fitted_days(read_logs(tmp_path, Options(kpis=RADIO_KPIS)), RADIO_KPIS)
    assert days.cells.tolist() == ["7", "8"] and days.filled.all() and (days.day.num_rows == 30).all()
    assert days.start_s == datetime(2020, 1, 1, tzinfo=UTC).timestamp()
    np.testing.assert_allclose(days.day.mean[..., 0], np.log(29))
    days.save(tmp_path / "days.npz")
    assert load_days(tmp_path / "days.npz").kpis == RADIO_KPIS


def test_the_real_drive_logs_account_and_why_no_day_can_be_made_of_them(real_logs):
    """Specification section 2c: 60,373 seconds, 48,167 with SNR, cell and RSRP, 41,590 downloading, 13 % at rate 0."""
    log = read_logs(real_logs, Options(kpis=RADIO_KPIS))
    read, repeated, unusable, idle, kept = list(log.account.values())[1:]
    assert log.account["files"] == 37 and read == 65_321
    assert read - repeated == 60_373
    assert read - repeated - unusable == 48_167
    assert read - repeated - unusable - idle == kept == len(log.time_s) == 41_590
    assert round(float((log.values["tput_kbps"] == 0).mean()), 2) == 0.13
    with pytest.raises(ValueError, match="at least 20 rows in some period of 900 s wanted, .* 5. of 142 cells are"):
        days_of(log, RADIO_KPIS)
    with pytest.raises(ValueError, match=r"no jitter and a latency \(PINGAVG\) in 1,986 of 65,321 rows"):
        read_logs(real_logs)


# --- The file and its predictor ---


@pytest.fixture(scope="module")
def days(days_file):
    return load_days(days_file)


def test_a_file_gives_back_what_was_written(days, tmp_path):
    days.save(tmp_path / "again.npz")
    again = load_days(tmp_path / "again.npz")
    for name in days.day.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again.day, name), getattr(days.day, name))
    for name in ("kpis", "columns", "period_s", "start_s", "account", "notes"):
        assert getattr(again, name) == getattr(days, name)
    assert again.predictor.sha256 == days.predictor.sha256 and list(again.predictor.libraries) == list(range(1, 5))


def test_a_write_that_fails_leaves_the_old_file(days, tmp_path, monkeypatch):
    path = tmp_path / "days.npz"
    days.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        days.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_logs_given_as_days_are_told_how_to_become_days(rows, kpi_logs, tmp_path):
    csv = kpi_logs.write_csv(tmp_path / "logs" / "log.csv", rows)
    archive = shutil.make_archive(str(tmp_path / "logs"), "zip", csv.parent)
    for given in (csv, csv.parent, archive):
        with pytest.raises(ValueError, match=r"not a file as .* imported first: rangym map import .*logs") as error:
            load_days(given)
        assert f"rangym map import {given} --kind qos --out FILE.npz" in str(error.value)
        assert "pickle" not in str(error.value)


def test_a_torn_or_foreign_file_is_refused_by_name(days_file, tmp_path):
    content = open(days_file, "rb").read()
    for number, data in enumerate((content[:-100], content[:200], b"PK", b"")):
        path = tmp_path / f"{number}.npz"
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"days: .*{number}\.npz: not a file as `rangym map import --kind qos`"):
            load_days(path)
    np.savez(tmp_path / "other.npz", loss=np.zeros(3))
    with pytest.raises(ValueError, match="not a file as"):
        load_days(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        load_days(tmp_path / "none.npz")


def test_nothing_of_the_second_half_enters_the_predictor(kpi_logs, tmp_path):
    rows = kpi_logs.kpi_rows(periods=40, cells=3)
    changed = [r | ({"latency_ms": 99.0, "speed_kmh": "-"} if r["t_s"] >= 20 * 900 else {}) for r in rows]
    one, other = (
        fitted_days(read_logs(kpi_logs.write_csv(tmp_path / f"{k}.csv", lines)), KPIS)
        for k, lines in enumerate((rows, changed))
    )
    assert one.predictor.sha256 == other.predictor.sha256
    assert not np.array_equal(one.day.mean[20:], other.day.mean[20:])


def test_the_global_head_is_the_least_of_ridge_regression(days):
    """By its definition: the mean over the cells of |phi theta - y|^2 / 9 over their rows, and rho |theta|^2 / 9."""
    predictor, h = days.predictor, days.predictor.label_delay
    half = days.part(days.half("first"))
    phi = predictor.features(inputs_of(half)).astype(np.float64)[:-h]
    target = predictor.scaled_code(half.mean, half.covariance)[h:]

    def objective(theta):
        return (((phi @ theta - target[:, :, None]) ** 2).sum(axis=-1).mean() + 0.03 * (theta**2).sum()) / 9

    theta0, rng = predictor.theta0.astype(np.float64), np.random.default_rng(0)
    for _ in range(5):
        step = rng.normal(size=theta0.shape)
        slope = (objective(theta0 + 1e-4 * step) - objective(theta0 - 1e-4 * step)) / 2e-4
        assert abs(slope) < 1e-5
        assert objective(theta0 + step) > objective(theta0)
    np.testing.assert_allclose(
        predictor.predict(inputs_of(half)), predictor.features(inputs_of(half)) @ predictor.theta0, atol=1e-4
    )


def test_two_heads_are_those_of_the_two_kinds_of_cells(days):
    unseen = pairs(days.predictor, days.part(days.half("second"))).mean()
    table = losses(unseen, days.predictor.library(2).heads)
    best = table.argmin(axis=1)
    assert best[0] == best[2] != best[1] == best[3]
    assert table.min(axis=1).mean() < 0.9 * losses(unseen, days.predictor.theta0[None]).mean()


def test_another_period_and_delay_are_kept(kpi_logs, tmp_path):
    rows = kpi_logs.kpi_rows(periods=30, cells=2, rows=50)
    log = read_logs(kpi_logs.write_csv(tmp_path / "log.csv", rows))
    days = fitted_days(log, KPIS, period_s=450.0, label_delay=8)
    assert days.periods == 60 and days.predictor.label_delay == 8
    assert days.largest_horizon(8) == 60 - 30 - 18
    assert days.filled.all()
