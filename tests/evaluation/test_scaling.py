"""What a slot costs by size: what is measured, how it is put down to its parts, and what is published of it."""

import dataclasses
import re
import time
from pathlib import Path

import numpy as np
import pytest

from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.errors import WrongValue
from rangym.evaluation.episode import make_env, played
from rangym.evaluation.grid import write
from rangym.evaluation.problems.cell_association import ENV_ID, scaling, scaling_report
from rangym.evaluation.problems.cell_association.bound import slot_bounds
from rangym.evaluation.problems.cell_association.scaling import BOUND, FULL, Plan
from rangym.policies import make
from rangym.policies.algorithms.association.handover_planning import per_stage_bound
from rangym.policies.base import Policy
from rangym.policies.cell_association.optima import stages_of

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "evaluation" / "published" / "scaling.jsonl"
MOBILITY = {"scenario": "mobility"}
SMALL = {"scenario": "city", "overrides": {"num_ues": 40, "num_cells": 30, "horizon": 12}, "slots": 9}


def row(**changed):
    return {
        "key": "x",
        "scenario": "city",
        "overrides": {},
        "policy": "max_sinr",
        "slots": 9,
        "num_ues": 100,
        "num_cells": 10,
        "horizon": 50,
        "sampling_ms": 2.0,
        "decision_ms": 3.0,
        "step_ms": 5.0,
        "peak_mb": 7.0,
        "versions": {"processor": "a processor"},
    } | changed


class Busy(Policy):
    """It takes 5 ms a decision."""

    def reset(self, task, rng):
        self._ues = task.box("sinr_db").shape[0]

    def act(self, observation):
        end = time.process_time() + 0.005
        while time.process_time() < end:
            pass
        return np.zeros(self._ues, dtype=np.int64)


def test_times_go_to_their_parts(monkeypatch):
    monkeypatch.setattr(scaling.registry, "make", lambda name: Busy())
    times = np.array([*scaling._walk({**SMALL, "policy": "busy"})])
    assert times.shape == (9, 3) and times.min() >= 0
    assert np.median(times[:, 1]) == pytest.approx(0.005, rel=0.2) and np.median(times[:, 2]) < 0.002


def test_a_row_is_measured_in_a_process_of_its_own_and_kept(tmp_path, monkeypatch):
    plan = Plan(ues=(300,), cells=(), horizons=(), entries=1, least_slots=5, policies=("max_sinr", BOUND))
    rows = scaling.measured(plan, tmp_path / "rows.jsonl")
    assert [row["policy"] for row in rows] == ["max_sinr", BOUND] and not any(map(scaling.ROW, rows))
    for found in rows:
        assert (found["num_ues"], found["num_cells"], found["horizon"], found["slots"]) == (300, 200, 1000, 5)
        assert 0 < found["peak_mb"] < 100 and found["decision_ms"] > 0
    assert rows[0]["step_ms"] > 0 and rows[1]["step_ms"] == 0
    monkeypatch.delattr(scaling, "measure")  # nothing is left to do, nor can it be done
    assert scaling.measured(plan, tmp_path / "rows.jsonl") == scaling.load(tmp_path / "rows.jsonl") == rows
    with pytest.raises(WrongValue, match=r"max_sinr in city with \{'num_ues': 300\}: NameError"):
        scaling.measured(plan, tmp_path / "others.jsonl")


def test_the_plan_measures_the_city_once_and_keeps_its_density():
    jobs = FULL.jobs()
    city = [job for job in jobs if job["scenario"] == "city"]
    sizes = {job["policy"]: 0 for job in city}
    areas = []
    for job in city:
        p = dataclasses.replace(SCENARIOS["city"], **job["overrides"])
        sizes[job["policy"]] += (p.num_ues, p.num_cells) == (10_000, 200)
        areas.append(p.side_m**2 / p.num_cells)
        assert job["slots"] >= 10
    assert set(sizes.values()) == {1}
    assert areas == pytest.approx([300.5**2] * len(areas), rel=1e-3)
    assert {job["slots"] for job in jobs if job["scenario"] == "mobility"} == set(FULL.horizons)


def test_slopes_are_those_of_power_laws():
    rows = [row(num_ues=n, policy=p, decision_ms=1e-3 * n**1.5) for n in (50, 100, 400) for p in FULL.policies]
    rows += [row(num_cells=n, policy=p, decision_ms=0.1 * n) for n in (20, 80) for p in FULL.policies]
    rows += [row(scenario="mobility", horizon=n, policy=p) for n in (10, 90) for p in FULL.policies]
    table = {name: slopes for name, *slopes in scaling_report.slope_table(rows)}
    # the row of 100 UEs and 10 cells is part of both directions: .1 n at 10 cells there
    assert table["lda"] == ["1.50", "1.00", "0.00"]
    assert table["sampling"] == table["transition and observation"] == ["0.00", "0.00", "0.00"]


def test_the_table_says_speeds_and_what_is_a_transfer():
    rows = [row(policy=p) for p in ("max_sinr", "ppo_shared")] + [row(policy=BOUND, step_ms=0.0)]
    assert scaling_report.city_table(rows) == [
        ["max_sinr", "100.0", "3.0", "7", "0"],
        ["ppo_shared (transfer: trained on small)", "100.0", "3.0", "7", "0"],
        ["slot bound, certified", "", "3.0", "7", "0"],
    ]


def test_the_command_draws_stored_rows_and_refuses_others(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    rows = [
        row(key=f"{p} {size}", policy=p, **size)
        for p in FULL.policies
        for size in (
            {"num_ues": 50},
            {},
            {"num_cells": 20},
            {"scenario": "mobility"},
            {"scenario": "mobility", "horizon": 9},
        )
    ]
    write(rows, tmp_path / "rows.jsonl")
    scaling.main(["--rows", str(tmp_path / "rows.jsonl"), "--figure", str(tmp_path / "figure.png")])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "ppo_shared (transfer" in capsys.readouterr().out
    write([row(decision_ms="fast")], tmp_path / "wrong.jsonl")
    for name, got in (("wrong", ".*decision_ms: a number wanted"), ("absent", "no such file")):
        with pytest.raises(SystemExit):
            scaling.main(["--rows", str(tmp_path / f"{name}.jsonl")])
        assert re.search(f"{name}.jsonl: rows of the scaling wanted, got {got}", capsys.readouterr().err)


def test_the_published_rows_are_those_of_the_plan():
    rows = scaling.load(PUBLISHED)
    assert {r["key"] for r in rows} == {scaling.job_key(job) for job in FULL.jobs()}
    assert len(scaling_report.city_table(rows)) == len(FULL.policies)


def test_the_bound_of_slots_is_the_sum_of_their_optima():
    env = make_env(ENV_ID, "desk", {"num_ues": 50, "horizon": 30})
    env.reset(seed=3)
    each = list(slot_bounds(env.trace))
    assert len(each) == 30
    assert sum(each) == pytest.approx(per_stage_bound(stages_of(env.trace).value)[0], rel=1e-12)


def test_an_episode_of_a_city_is_played_without_keeping_its_observations():
    import tracemalloc

    peaks = []
    for horizon in (4, 8):
        env = make_env(ENV_ID, "city", {"horizon": horizon})
        env.reset(seed=0)
        tracemalloc.start()
        result = played(env, make("max_sinr"), env.trace, 0)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert result["horizon"] == horizon
    assert peaks[1] < 1.1 * peaks[0] < 200e6
