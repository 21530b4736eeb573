"""The grid: resumption after SIGKILL, torn lines, failing jobs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rangym.envs.errors import WrongValue
from rangym.evaluation.grid import job_key, read, run_grid

JOBS = [{"row": "test", "n": n} for n in range(6)]


def begin_with(wanted):
    os.environ["WANTED"] = wanted


def begun_with(job):
    return {"wanted": os.environ.get("WANTED")}


def square(job):
    return {"square": job["n"] ** 2}


def odd_ones_fail(job):
    if job["n"] % 2:
        raise ZeroDivisionError("planted")
    return square(job)


def not_json(job):
    return {"value": np.nan}


def test_rows_come_in_the_order_of_the_cells(tmp_path):
    stored, computed = run_grid(square, JOBS, tmp_path / "deep" / "x.jsonl")
    assert [row["square"] for row in stored.rows.values()] == [0, 1, 4, 9, 16, 25]
    assert computed == 6


def test_the_key_sees_every_argument_but_not_their_order():
    assert job_key({"a": 1, "b": [2]}) == job_key({"b": [2], "a": 1})
    keys = {job_key(c) for c in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": None}, {"a": [1]}, {})}
    assert len(keys) == 7


def test_a_torn_last_line_costs_its_row_only(tmp_path):
    path = tmp_path / "x.jsonl"
    run_grid(square, JOBS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    assert read(path).torn == (6,)
    stored, computed = run_grid(square, JOBS, path)
    assert (computed, stored.torn, len(stored.rows)) == (1, (6,), 6)
    assert len(path.read_bytes().splitlines()) == 7  # the torn line, and its row again on a line of its own
    assert run_grid(square, JOBS, path)[1] == 0


@pytest.mark.parametrize("rubbish", [b"\xff\xfe\x00", b"{", b"[1, 2]", b"3", b'{"no": "key"}'])
def test_lines_that_are_no_rows_are_counted_wherever_they_stand(tmp_path, rubbish):
    path = tmp_path / "x.jsonl"
    run_grid(square, JOBS, path)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], rubbish, *lines[2:]]) + b"\n")
    stored = read(path)
    assert stored.torn == (3,)
    assert len(stored.rows) == 6


def test_failed_cells_are_kept_apart_and_tried_again(tmp_path):
    path = tmp_path / "x.jsonl"
    stored, _ = run_grid(odd_ones_fail, JOBS, path)
    assert len(stored.rows) == len(stored.errors) == 3
    error = stored.errors[job_key(JOBS[1])]
    assert error["error"] == "ZeroDivisionError: planted" and error["where"].startswith("test_grid.py:")
    stored, computed = run_grid(square, JOBS, path)
    assert (computed, len(stored.errors), len(read(path).errors)) == (3, 0, 0)


def test_values_that_json_does_not_have_are_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        run_grid(not_json, JOBS, tmp_path / "x.jsonl")


def test_workers_change_nothing(tmp_path):
    alone, _ = run_grid(square, JOBS, tmp_path / "a.jsonl")
    together, _ = run_grid(square, JOBS, tmp_path / "b.jsonl", workers=2)
    assert alone.rows == together.rows


@pytest.mark.parametrize("workers", [0, -2])
def test_wrong_worker_counts_are_refused(workers):
    with pytest.raises(ValueError, match="workers"):
        run_grid(square, JOBS, None, workers=workers)


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_kill_9_loses_no_finished_row_and_the_rest_is_resumed(tmp_path):
    """A real evaluation in its own process group is killed outright, then the same call goes on."""
    out, script = tmp_path / "x.jsonl", tmp_path / "run.py"
    script.write_text(
        "import sys\n"
        "from rangym.evaluation import Benchmark, evaluate\n"
        "if __name__ == '__main__':\n"
        "    p = Benchmark('rangym/CellAssociation-v0', 'tiny', range(int(sys.argv[2])), {'horizon': 200})\n"
        "    r = evaluate(['max_sinr', 'random'], p, workers=2, out=sys.argv[1], bounds=False)\n"
        "    print(r.computed, len(r.episodes), len(r.torn))\n"
    )
    run = [sys.executable, str(script), str(out), "5000"]
    process = subprocess.Popen(run, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while (not out.exists() or out.stat().st_size < 10_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stored = read(out)
    assert len(stored.rows) >= 5 and len(stored.torn) <= 1
    kept = {json.dumps(row, sort_keys=True) for row in stored.rows.values()}
    seeds = max(row["seed"] for row in stored.rows.values()) + 3
    known = len(stored.rows)
    again = subprocess.run([*run[:-1], str(seeds)], capture_output=True, text=True, check=True)
    computed, episodes, torn = map(int, again.stdout.split())
    assert (computed, episodes, torn) == (2 * seeds - known, 2 * seeds, len(stored.torn))
    after = {json.dumps(row, sort_keys=True) for row in read(out).rows.values()}
    assert kept <= after and len(after) == 2 * seeds


def test_workers_find_a_module_that_came_onto_the_path_after_they_were_started(tmp_path, monkeypatch):
    assert len(run_grid(square, JOBS, None, workers=2)[0].rows) > 0
    (tmp_path / "late_work.py").write_text("def work(job):\n    return {'late': True}\n")
    monkeypatch.syspath_prepend(tmp_path)
    import late_work

    stored, _ = run_grid(late_work.work, JOBS, None, workers=2)
    assert not stored.errors and all(row["late"] for row in stored.rows.values())


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    """Only the parent gets the signal, as from the system when memory runs out; its workers must not go on alone."""
    code = """
import os, sys, time
from pathlib import Path
from rangym.evaluation.grid import run_grid

def work(job):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(600)

run_grid(work, [{"n": n} for n in range(4)], None, workers=2)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    assert _within(120, lambda: len(list(tmp_path.iterdir())) == 2), "the workers never started"
    children = [int(file.name) for file in tmp_path.iterdir()]
    parent.kill()
    parent.wait()
    assert _within(60, lambda: not any(map(_runs, children)))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="children are looked up in /proc")
def test_a_worker_without_a_job_ends_with_a_parent_that_is_killed(tmp_path):
    """Of three workers one never has a job: two jobs are all there are."""
    code = """
import os, sys, time
from pathlib import Path
from rangym.evaluation.grid import run_grid

def work(job):
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(600)

run_grid(work, [{"n": n} for n in range(2)], None, workers=3)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        assert _within(120, lambda: len(list(tmp_path.iterdir())) == 2), "the workers never started"
        assert _within(60, lambda: len(_children(parent.pid)) >= 3), "there is no third worker"
        children = _children(parent.pid)
    finally:
        parent.kill()
        parent.wait()
    assert _within(60, lambda: not any(map(_runs, children)))


def test_workers_begin_with_what_the_caller_wants_as_well():
    import joblib

    with joblib.parallel_config(backend="loky", initializer=begin_with, initargs=("here",)):
        stored, _ = run_grid(begun_with, JOBS, None, workers=2)
    assert {row["wanted"] for row in stored.rows.values()} == {"here"} and "WANTED" not in os.environ


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_killed_worker_is_one_line_and_the_same_call_goes_on(tmp_path):
    """As from the system when memory runs out; rows that were finished stay, and the next workers are new ones."""
    out, code = (
        tmp_path / "x.jsonl",
        """
import os, signal, sys
from rangym.envs.errors import WrongCall
from rangym.evaluation.grid import run_grid

def work(job):
    if job["n"] == 30 and not os.path.exists(sys.argv[2]):
        open(sys.argv[2], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"square": job["n"] ** 2}

for _ in range(2):
    try:
        print(run_grid(work, [{"n": n} for n in range(60)], sys.argv[1], workers=2)[1])
    except WrongCall as error:
        print(str(error).count("\\n"), error)
""",
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(out), str(tmp_path / "killed")], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("0 workers: one was killed") and "Traceback" not in done.stderr
    stored = read(out)
    assert {row["square"] for row in stored.rows.values()} == {n**2 for n in range(60)} and not stored.torn
    assert 0 < int(second) < 60 and len(out.read_text().splitlines()) == 60


@pytest.mark.skipif(os.name != "posix", reason="locks and SIGKILL")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_file_that_another_run_is_writing_is_refused_and_free_once_that_is_killed(tmp_path, workers):
    out, code = (
        tmp_path / "x.jsonl",
        """
import sys, time
from rangym.evaluation.grid import run_grid

def work(job):
    if job["n"] == 1:
        time.sleep(600)
    return {"square": job["n"] ** 2}

run_grid(work, [{"row": "test", "n": n} for n in range(6)], sys.argv[1], workers=int(sys.argv[2]))
""",
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(out), workers], stderr=subprocess.DEVNULL)
    try:
        assert _within(120, lambda: len(read(out).rows) == (1 if workers == "1" else 5)), "it wrote no row"
        written = out.read_bytes()
        with pytest.raises(WrongValue, match="out: a file that no other run is writing wanted, got .*x.jsonl"):
            run_grid(square, JOBS, out)
        assert out.read_bytes() == written and other.poll() is None
    finally:
        other.kill()
        other.wait()
    stored, computed = run_grid(square, JOBS, out)
    assert computed == (5 if workers == "1" else 1) and len(stored.rows) == 6 and not stored.torn


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_other_backends_do_the_same_and_leave_the_caller_alone(backend):
    import joblib

    with joblib.parallel_config(backend=backend):
        stored, _ = run_grid(square, JOBS, None, workers=2)
    assert len(stored.rows) == 6
    assert "parent watch" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.skipif(os.name != "posix", reason="parents")
def test_a_worker_whose_parent_went_while_it_started_ends():
    code = "import os, time; from rangym.evaluation.grid import _begin; _begin(os.getppid() + 1, None); time.sleep(60)"
    assert subprocess.run([sys.executable, "-c", code], timeout=50).returncode == 1


def _within(seconds, happened):
    """Whether something happens in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.1)
    return False


def _children(parent):
    """Processes that a process has started."""
    stats = [stat.read_text() for stat in Path("/proc").glob("[0-9]*/stat") if stat.exists()]
    return [int(stat.split()[0]) for stat in stats if int(stat.rpartition(")")[2].split()[1]) == parent]


def _runs(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if Path("/proc").is_dir() else "R"
        os.kill(pid, 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # a dead one that nobody has waited for
