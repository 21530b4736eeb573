"""SIGKILL at twenty moments of an import, a training and an evaluation with two workers, each of which then goes on."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path

import pytest

from rangym.baselines.agent import load_agents
from rangym.cli import main
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.evaluation.grid import read

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")

SERVER = """
import dataclasses, importlib, json, os, sys, time
from rangym.baselines.recipes import RECIPES
from rangym.baselines.train import train
from rangym.cli import main

for name in ("baselines.learner", "cli.map_import", "envs.cell_association.drive_logs", "evaluation.summary"):
    importlib.import_module("rangym." + name)
sync = os.fsync

def training(out, total_steps, resume):
    recipe = RECIPES["ppo_shared"]
    kwargs = {**recipe.kwargs, "n_steps": 20, "batch_size": 80}
    changes = dict(num_envs=4, total_steps=total_steps, scenario="tiny", kwargs=kwargs)
    train(dataclasses.replace(recipe, **changes), 0, out, resume=resume)

def slow(file):  # as on a slow disk, so that kills meet files that are half there
    time.sleep(0.05)
    sync(file)

for line in sys.stdin:
    argv = json.loads(line)
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os.fsync = slow
        os._exit(training(*argv[1:]) or 0 if argv[0] == "training" else main(argv))
    print(child, flush=True)
    sys.stdin.readline()  # until then its number is nobody else's
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Server:
    """Starts commands in processes that have imported everything already, so that kills meet work."""

    def __init__(self) -> None:
        code = [sys.executable, "-c", SERVER]
        self._process = subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.sessions: list[int] = []
        self.kills = 0

    def start(self, *argv) -> int:
        self._process.stdin.write(json.dumps(argv) + "\n")
        self.sessions.append(int(self._process.stdout.readline()))
        return self.sessions[-1]

    def end(self) -> int:
        """How the command that was started last has ended."""
        self._process.stdin.write("\n")
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def run(self, *argv) -> None:
        self.start(*argv)
        assert self.end() == 0

    def kill(self, *argv, seen=None, then_s: float = 0.0) -> None:
        """Start a command and kill its process, not those it has started, some seconds after something is seen."""
        pid, end = self.start(*argv), time.monotonic() + 60
        while seen is not None and not seen() and not _ended(pid) and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(then_s)
        os.kill(pid, signal.SIGKILL)
        status = self.end()
        assert status in (0, -signal.SIGKILL)
        self.kills += status != 0  # one that had ended already does not count

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)


@pytest.fixture(scope="module")
def server():
    found = Server()
    yield found
    found.close()


def _times(kills, server):
    """Numbers from 0 until so many kills have been counted."""
    wanted, number = server.kills + kills, 0
    while server.kills < wanted:
        yield number
        number += 1
        assert number < 10 * kills, "the commands end before they can be killed"


def _log(path, shift):
    rows = [
        f"{t},{ue},{cell},{(7 * t + 3 * int(ue) + 5 * int(cell) + shift) % 30}"
        for t in range(600)
        for ue in "12"
        for cell in "123"
    ]
    path.write_text("\n".join(["time,ue,cell,sinr_db", *rows]) + "\n")
    return str(path)


def test_an_import_leaves_the_old_map_or_the_new_one(server, tmp_path):
    rng, out = random.Random(0), tmp_path / "map.npz"
    old_log, new_log = _log(tmp_path / "old.csv", 0), _log(tmp_path / "new.csv", 1)
    server.run("trace", "import", new_log, "--out", str(out))
    start, new = time.monotonic(), out.read_bytes()
    server.run("trace", "import", old_log, "--out", str(out))
    seconds, old = time.monotonic() - start, out.read_bytes()
    assert old != new

    for number in _times(7, server):
        moment = {"then_s": rng.uniform(0, seconds)} if number % 2 else {"seen": partial(_half, tmp_path)}
        server.kill("trace", "import", new_log, "--out", str(out), **moment)
        assert out.read_bytes() in (old, new) if number % 2 else out.read_bytes() == old
        assert RadioMap.load(out).num_cells == 3
        out.write_bytes(old)
        _sweep(tmp_path)
    server.run("trace", "import", new_log, "--out", str(out))
    assert out.read_bytes() == new


def test_a_training_goes_on_from_where_it_was_killed(server, tmp_path):
    rng, out, last = random.Random(1), tmp_path / "run", 0
    checkpoint, progress = out / "checkpoint.zip", out / "progress.json"

    for number in _times(7, server):
        # In the midst of a checkpoint, or some time after one.
        seen = partial(_half, out) if number % 3 == 2 else partial(_newer, progress, _written(progress))
        moment = {"seen": seen, "then_s": 0.0 if number % 3 == 2 else rng.uniform(0, 0.5)}
        server.kill("training", str(out), 10**7, progress.exists(), **moment)
        _sweep(out)
        if not progress.exists():
            continue
        with zipfile.ZipFile(checkpoint) as archive:
            assert archive.testzip() is None
            steps = json.loads(archive.read("data"))["num_timesteps"]
        content = json.loads(progress.read_text())
        assert steps >= last and content["curve"][-1]["steps"] <= steps
        last = steps
    content["identity"]["recipe"]["total_steps"] = last + 1_000  # let it come to its end
    progress.write_text(json.dumps(content))
    server.run("training", str(out), last + 1_000, True)
    (agent,) = load_agents(out / "agent.npz")
    assert agent.config["steps"] >= last + 1_000 and len(agent.config["commands"]) >= 2
    curve = [point["steps"] for point in agent.config["curve"]]
    assert curve == sorted(set(curve)) and curve[0] == 0


@pytest.mark.undisturbed  # compares with other processes
def test_an_evaluation_with_two_workers_tears_loses_and_doubles_no_row(server, tmp_path):
    rng, out, content, began = random.Random(2), tmp_path / "rows.jsonl", b"", len(server.sessions)
    argv = ["evaluate", "max_sinr", "random", "--scenario", "tiny", "--set", "horizon=100", "--no-bounds"]
    argv += ["--seeds", "0:250", "--out"]

    for number in _times(6, server):
        # At some moment of the start, or once rows come.
        moment = {"then_s": rng.uniform(0, 1.5)}
        if number % 3 < 2:  # at some moment of the start, or once rows come
            moment = {"seen": partial(_grown, out, len(content)), "then_s": rng.uniform(0, 0.15)}
        server.kill(*argv, str(out), "--workers", "2", **moment)
        now = out.read_bytes() if out.exists() else b""
        assert now.startswith(content)
        content = now
    server.run(*argv, str(out), "--workers", "2")
    assert main([*argv, str(tmp_path / "alone.jsonl")]) == 0
    stored, alone = read(out), read(tmp_path / "alone.jsonl")
    rewards = [{key: row["reward"] for key, row in found.rows.items()} for found in (stored, alone)]
    assert rewards[0] == rewards[1] and len(rewards[0]) == 500 and not stored.errors
    assert len(out.read_bytes().splitlines()) == 500 + len(stored.torn) and len(stored.torn) <= 6
    end = time.monotonic() + 30
    while (left := _running(server.sessions[began:])) and time.monotonic() < end:
        time.sleep(0.2)
    assert not left, "workers have outlived their parents"


def _half(folder):
    """Whether a file in the folder is just being written."""
    return any(folder.glob(".*.part"))


def _sweep(folder):
    """Remove what kills have left, so that the next such file is seen."""
    for part in folder.glob(".*.part"):
        part.unlink()


def _written(path):
    return path.stat().st_mtime_ns if path.exists() else 0


def _newer(path, before):
    return _written(path) > before


def _grown(path, size):
    return path.exists() and path.stat().st_size > size


def _ended(pid):
    """Whether a process waits only for its end to be read."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def _running(sessions):
    """Processes of these sessions that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # ended meanwhile
            continue
        if int(session) in sessions and state != "Z":
            found.append(int(stat.parent.name))
    return found
