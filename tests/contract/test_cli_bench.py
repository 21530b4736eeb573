"""`rangym bench`, on tables of two episodes."""

import sys

import pytest

from rangym.cli import bench
from rangym.evaluation import Results

CELL = "rangym/CellAssociation-v0"


@pytest.fixture
def small_bench(monkeypatch):
    from rangym.evaluation import Benchmark, cards

    tiny = Benchmark(CELL, "tiny", range(2), policies=("max_sinr", "random"), variants=("a3:offset_db=6",))
    monkeypatch.setattr(cards, "benchmarks", lambda which: [tiny])


def test_bench_runs_its_tables(tmp_path, capsys, small_bench, call):
    out = str(tmp_path / "o")
    assert call("bench", "--out", out, "--workers", "1") == 0
    text = capsys.readouterr().out
    assert "a3:offset_db=6" in text and f"report: {out}/bench.html" in text
    assert "8 jobs run" in text  # 2 seeds x (3 policies and the bound)
    assert call("bench", "--out", out, "--workers", "1") == 0
    assert "\n0 jobs run" in capsys.readouterr().out
    assert call("bench", "--out", out, "--workers", "1", "--fresh") == 0
    assert "8 jobs run" in capsys.readouterr().out
    assert call("bench", "--out", out, "--workers", "1", "--published") == 0
    assert "README's rows: " in (text := capsys.readouterr().out) and "README's table" not in text
    assert len(Results.load(tmp_path / "o" / "published.jsonl").episodes) == 6


def test_bench_says_whether_the_published_rows_are_of_this_code(tmp_path, capsys, monkeypatch, small_bench, call):
    monkeypatch.setattr(bench, "PUBLISHED", tmp_path / "kept.jsonl")
    assert call("bench", "--out", str(tmp_path), "--workers", "1", "--published") == 0
    lines = (tmp_path / "published.jsonl").read_text().splitlines()
    (tmp_path / "kept.jsonl").write_text("\n".join(lines))
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    assert "README's table was made by this code" in capsys.readouterr().out
    changed = [line.replace('"key": "', '"key": "f', 1) for line in lines[:3]]
    (tmp_path / "kept.jsonl").write_text("\n".join([*changed, *lines[3:]]))
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    assert "by other code for 3 of these 8 rows" in capsys.readouterr().out


def test_bench_without_the_plot_extra_names_it(tmp_path, capsys, monkeypatch, small_bench, call):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert call("bench", "--out", str(tmp_path), "--workers", "1") == 0
    text = capsys.readouterr().out
    assert "max_sinr" in text and "pip install 'rangym[plot]'" in text
    assert call("evaluate", "random", "--scenario", "tiny", "--html", str(tmp_path / "x.html")) == 2
    assert "pip install 'rangym[plot]'" in capsys.readouterr().err


def test_bench_covers_every_environment_and_all_policies():
    from rangym.envs.registration import OURS
    from rangym.evaluation.cards import benchmarks

    assert {table.env_id for table in benchmarks() if table.policies is None} == set(OURS)
    assert len(benchmarks("full")) > len(benchmarks())
