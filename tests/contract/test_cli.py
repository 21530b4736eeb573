"""The commands themselves, on the smallest scenario."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

from rangym.cli import main
from rangym.policies import names

CELL = "rangym/CellAssociation-v0"


def test_list_names_everything(capsys, call):
    assert call("list") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in [*names(CELL), "small", "measured", "oracle", "10 ues, 6 cells, 200 slots"])


def test_evaluate_then_report(tmp_path, capsys, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", "max_sinr", "a3", "random", "--scenario", "tiny", "--seeds", "0:4", "--out", "x.jsonl"]
    assert call(*argv, "--set", "handover_weight=5", "--no-bounds") == 0
    first = capsys.readouterr().out
    assert "tiny (handover_weight=5): 4 traces of 20 slots" in first
    assert "12 jobs run" in first
    assert call(*argv, "--set", "handover_weight=5", "--no-bounds") == 0
    second = capsys.readouterr().out
    assert "0 jobs run" in second
    assert second.splitlines()[:8] == first.splitlines()[:8]
    rows = [json.loads(line) for line in open("x.jsonl")]
    assert len(rows) == 12 and {row["overrides"]["handover_weight"] for row in rows} == {5}
    assert call("report", "x.jsonl", "--out", "r.html", "--details") == 0
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert "ping_pong" in capsys.readouterr().out


def test_torn_lines_are_told(tmp_path, capsys, monkeypatch, call):
    monkeypatch.chdir(tmp_path)
    argv = ["evaluate", "max_sinr", "--scenario", "tiny", "--seeds", "0:3", "--out", "x.jsonl", "--no-bounds"]
    assert call(*argv) == 0
    whole = (tmp_path / "x.jsonl").read_bytes()
    (tmp_path / "x.jsonl").write_bytes(whole[:-9])
    capsys.readouterr()
    assert call(*argv) == 0
    out, err = capsys.readouterr()
    assert "1 job run, 3 episodes in" in out and "1 line(s) of x.jsonl are no rows of this command" in err


def test_tune_saves_only_when_told(tmp_path, capsys, call):
    file = tmp_path / "tuned.json"
    argv = ["tune", "a3", "--scenario", "tiny", "--grid", "offset_db=3,15", "--seeds", "10000:10004"]
    assert call(*argv) == 0
    assert "best: offset_db=" in capsys.readouterr().out
    assert not file.exists()
    assert call(*argv, "--save", str(file)) == 0
    assert json.loads(file.read_text())["a3"]["tiny"]["options"]["offset_db"] in (3, 15)


def test_render_writes_a_moving_gif(tmp_path, monkeypatch, call):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.chdir(tmp_path)
    assert call("render", "a3", "--scenario", "tiny", "--slots", "3", "--out", "a.gif") == 0
    assert image.open(tmp_path / "a.gif").n_frames == 3
    assert (
        call("render", "a3", "--scenario", "tiny", "--slots", "7", "--every", "3", "--width", "200", "--out", "b.gif")
        == 0
    )
    small = image.open(tmp_path / "b.gif")
    assert (small.n_frames, small.size) == (3, (200, 112))  # after slots 1, 4 and 7


def test_a_gif_keeps_rare_colours(tmp_path):
    """Small dots with soft edges and a whole gradient share one palette."""
    image = pytest.importorskip("PIL.Image")
    from rangym.evaluation.film import write_gif

    frame = np.repeat(np.linspace(0, 255, 256).astype(np.uint8)[None, :, None], 256, axis=0).repeat(3, axis=2)
    moved = frame.copy()
    soft = np.minimum(np.hypot(*np.mgrid[-4:5, -4:5]) / 4, 1)[..., None]
    frame[10:19, 10:19] = soft * 255 + (1 - soft) * np.array([220, 20, 20])
    moved[30:39, 30:39] = soft * 255 + (1 - soft) * np.array([20, 20, 220])
    film = image.open(write_gif([frame, moved], tmp_path / "a.gif"))
    shown = np.asarray(film.convert("RGB")).astype(int)
    film.seek(1)
    later = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(shown[100] - frame[100]).max() <= 6  # the gradient
    assert np.abs(shown[14, 14] - (220, 20, 20)).max() <= 6 and np.abs(later[34, 34] - (20, 20, 220)).max() <= 6
    assert np.ptp(shown[34, 34]) <= 8 and np.ptp(later[14, 14]) <= 8  # grey where no dot is


def test_map_import_of_kpi_logs_gives_days_that_evaluate_takes(kpi_logs, tmp_path, capsys, call):
    kpi_logs.write_csv(tmp_path / "logs" / "log.csv", kpi_logs.kpi_rows())
    days = str(tmp_path / "days.npz")
    assert call("map", "import", str(tmp_path / "logs"), "--kind", "qos", "--out", days) == 0
    lines = capsys.readouterr().out.splitlines()
    for line in ("files: 1", "rows read: 5,760", "rows kept: 5,760", "periods: 60", "cells: 4", "carried forward: 0"):
        assert line in lines
    assert any(line.startswith("absent: ") for line in lines)
    asked = ("--env", "QosClustering", "--scenario", "imported", "--set", f"days={days}", "--seeds", "0:2")
    assert call("evaluate", "greedy_smoothed", "random", *asked) == 0
    assert "20 slots" in capsys.readouterr().out
    assert call("trace", "import", str(tmp_path / "logs"), "--kind", "qos", "--period", "9000", "--out", days) == 2
    out, err = capsys.readouterr()
    assert "rows read: 5,760" in out and "at least 22 periods of 9000 s" in err  # the account first
    assert sorted(p.name for p in tmp_path.iterdir()) == ["days.npz", "logs"]


def test_list_needs_no_compiler():
    code = "import sys; sys.modules['numba'] = None; from rangym.cli import main; main(['list'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (sb3, *_) = (line for line in done.stdout.splitlines() if line.startswith("sb3 "))
    assert sb3.split()[1:3] == ["agent", "observation"]


def test_what_trace_import_says_to_use_its_days_with_runs_as_it_stands(kpi_logs, tmp_path, capsys, monkeypatch, call):
    """Also with fewer cells than the scenario has heads, and another label delay."""
    monkeypatch.chdir(tmp_path)
    kpi_logs.write_csv(tmp_path / "log.csv", kpi_logs.kpi_rows(periods=24, cells=2))
    assert call("trace", "import", "log.csv", "--kind", "qos", "--label-delay", "3", "--out", "days.npz") == 0
    out = capsys.readouterr().out
    command = out.split("use it with: rangym ")[1].splitlines()[0]
    assert command.endswith("--set days=days.npz --set label_delay=3 --set num_heads=2")
    assert call(*command.split(), "--seeds", "0:2") == 0


def test_differences_are_to_the_policy_as_it_was_asked_for(capsys):
    command = ["evaluate", "max_sinr", "a3:tuned", "--scenario", "small", "--set", "horizon=3", "--seeds", "0:2"]
    label = {}
    for against in ("max_sinr", "a3:tuned", "a3", "a3:filter_coefficient=11,offset_db=10,time_to_trigger=1"):
        assert main([*command, "--no-bounds", "--against", against]) == 0
        label[against] = re.search(r"difference: paired, to (\S+);", capsys.readouterr().out).group(1)
    assert (
        set(label.values()) == {"max_sinr", "a3:filter_coefficient=11,offset_db=10,time_to_trigger=1"}
        and label["max_sinr"] == "max_sinr"
    )
