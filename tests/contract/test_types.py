"""Types reach a user's file: mistakes planted there are found, and few places in the product give up on them."""

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("envs", "policies", "baselines", "evaluation", "src/rangym")
MINE = """
from dataclasses import dataclass

import numpy as np

from rangym.envs.core import Array, Outcome, Slot
from rangym.envs.node_placement.system import NodePlacement, PlacementDecision, PlacementState
from rangym.envs.params import ranged
from rangym.policies.base import Observation, Policy, Task


@dataclass(eq=False)
class Mine(Policy):
    weight: float = ranged(1.0, low=0)
    sites: int = ranged("three")  # wrong: a text

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._side = task.model(NodePlacement).params.side_m
        self._gap = task.model(NodePlacement).params.gap_m  # wrong: no such parameter

    def act(self, observation: Observation) -> Array:
        return observation["user_position_m"]


class Other(NodePlacement):
    def transition(
        self, state: PlacementState, decision: PlacementDecision, slot: Slot
    ) -> tuple[PlacementState, Outcome]:
        print(state["load"], state["loads"])  # wrong: no such entry
        return super().transition(state, decision["shortened"], slot)  # wrong: a part of a decision


Mine(weight=2.0)
Mine(weight="x")  # wrong: a text
"""


def test_mistakes_in_a_users_file_are_found(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "mine.py").write_text(MINE)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"), "--follow-imports", "silent"]
    environment = {"MYPYPATH": str(ROOT / "src"), "PATH": ""}
    done = subprocess.run([*command, "mine.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    found = {int(n) for n in re.findall(r"^mine\.py:(\d+): error", done.stdout, re.M)}
    wrong = {n for n, line in enumerate(MINE.splitlines(), 1) if "# wrong" in line}
    assert found == wrong, done.stdout + done.stderr


@pytest.mark.skipif(find_spec("basedpyright") is None, reason="basedpyright is not installed")
def test_an_editors_type_checker_finds_them_too(tmp_path):
    """basedpyright resolves the editable install by itself, as editors do: no path is given to it."""
    (tmp_path / "mine.py").write_text(MINE)
    command = [sys.executable, "-m", "basedpyright", "--pythonpath", sys.executable, "--outputjson", "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    reported = json.loads(done.stdout)["generalDiagnostics"]
    assert not [d for d in reported if d.get("rule") == "reportMissingImports"], done.stdout
    found = {d["range"]["start"]["line"] + 1 for d in reported if d["severity"] == "error"}
    wrong = {n for n, line in enumerate(MINE.splitlines(), 1) if "# wrong" in line}
    assert len(found & wrong) >= 2 and found <= wrong, done.stdout


def test_an_editor_completes_names_of_a_module_that_is_new(tmp_path):
    """jedi sees the editable install, a module added after it included."""
    jedi = pytest.importorskip("jedi")
    environment = jedi.create_environment(sys.executable, safe=False)
    new = ROOT / "evaluation" / "added_by_a_test.py"
    try:
        new.write_text("def freshly_added_function() -> int:\n    return 1\n")
        for code, wanted in (
            ("import rangym.policies.base as base\nbase.Kno", "Knowledge"),
            ("from rangym.evaluation.added_by_a_test import fresh", "freshly_added_function"),
        ):
            line = code.count("\n") + 1
            script = jedi.Script(code, path=tmp_path / "x.py", environment=environment)
            names = [c.name for c in script.complete(line, len(code.splitlines()[-1]))]
            assert wanted in names, names
    finally:
        new.unlink()


def test_few_places_give_up_on_types():
    files = [p for room in ROOMS for p in (ROOT / room).rglob("*.py")]
    assert len(files) > 150
    lines = [line for p in files for line in p.read_text(encoding="utf-8").splitlines()]
    assert sum("type: ignore" in line for line in lines) <= 12
    code = [line for line in lines if not re.match(r"\s*(from|import)\b", line)]
    assert sum(len(re.findall(r"\bAny\b", line)) for line in code) <= 60
