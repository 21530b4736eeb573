"""Every script in `examples/` runs as a reader would run it, and shows what its docstring says."""

import ast
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
LONG = {"ppo_single_file": 110}
"""Lines of code where 45 are too few: a whole algorithm."""
LATER = {"parallel_agents": "pettingzoo"}
"""What rangym imports for a script once it is asked."""
SLOW_S = 20


def source(name):
    return (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")


def stated_s(name):
    """The seconds that the docstring says it takes."""
    return int(re.search(r"^Takes (\d+) s\. Needs \S", ast.get_docstring(ast.parse(source(name))), re.M)[1])


def missing(name):
    """A package that the script imports and this environment does not have."""
    if name in LATER and importlib.util.find_spec(LATER[name]) is None:
        return LATER[name]
    for node in ast.walk(ast.parse(source(name))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for wanted in names:
            if importlib.util.find_spec(top := wanted.partition(".")[0]) is None:
                return top
            if wanted.startswith("ray.rllib") and importlib.util.find_spec("tree") is None:
                return "ray[rllib]"
    return None


def rewards(printed):
    """Policy -> mean reward of the tables printed."""
    rows = re.findall(r"^(\S+) +(?:observation|model|oracle) +(-?[\d.]+) +\[", printed, re.M)
    return {name.partition(":")[0] if "=" in name else name: float(value) for name, value in rows}


def steps_per_s(printed, name):
    return float(re.search(rf"^{name}: ([\d,]+) steps/s", printed, re.M)[1].replace(",", ""))


def per_slot(printed, name):
    return float(re.search(rf"^{name}: (-?[\d.]+) per slot", printed, re.M)[1])


def learned(printed, at_least):
    """The trained row is above random by so much, and not above the bound."""
    found = rewards(printed)
    certified = re.search(r"^bound: (-?[\d.]+) per slot, certified", printed, re.M)
    return found["random"] + at_least < found["mine"] <= float(certified[1]) and "PROBLEM" not in printed


SHOWS = {
    "first_steps": lambda out: "sinr_db         (10, 6)" in out and "environment of seed 63: True" in out,
    "maskable_ppo": lambda out: learned(out, 0.3),
    "minari_dataset": lambda out: "40 episodes, 800 steps" in out and "rewards again: True" in out,
    "native_lanes_sb3": lambda out: (
        learned(out, 0.3) and steps_per_s(out, "native lanes") > 2 * steps_per_s(out, "a list of environments")
    ),
    "optuna_search": lambda out: rewards(out)["a3"] > 1 and "best of 25 trials" in out,
    "own_environment": lambda out: (
        rewards(out)["last_idle"] > rewards(out)["random"] + 0.2 and ", certified (an idle channel" in out
    ),
    "own_motion": lambda out: (
        rewards(out).keys() == {"a3", "sticky_filtered", "lda", "random"} and ", certified (hindsight" in out
    ),
    "own_policy": lambda out: rewards(out)["max_sinr"] + 0.1 < rewards(out)["Averaged"] and "certified" in out,
    "own_sb3_model": lambda out: learned(out, 0.3),
    "parallel_agents": lambda out: "10 agents" in out and per_slot(out, "learning") > per_slot(out, "random") + 0.3,
    "ppo_single_file": lambda out: learned(out, 0.3),
    "ray_cluster": lambda out: "nodes: 2 CPUs: 2" in out and "as in this process: True" in out,
    "recorded_traces": lambda out: "5 traces of 20 slots (recorded)" in out and len(rewards(out)) == 5,
    "rllib_ppo": lambda out: learned(out, 2.0),
    "torchrl_ppo": lambda out: learned(out, 2.0),
}


def test_the_folder_is_the_list():
    assert SHOWS.keys() == set(SCRIPTS) and len(SCRIPTS) >= 15


@pytest.mark.parametrize("name", SCRIPTS)
def test_examples_are_short_and_use_public_names(name):
    tree = ast.parse(source(name))
    code = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.expr | ast.stmt)}
    assert len(code) <= LONG.get(name, 60), f"{len(code)} lines of code"
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_") or node.attr in own or node.attr.startswith("__"), node.attr
        if isinstance(node, ast.ImportFrom):
            assert not any(part.startswith("_") for a in node.names for part in (*node.module.split("."), a.name))


def run(arguments, folder, timeout_s):
    """What a process of its own printed, in an empty folder."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        capture_output=True, text=True, timeout=timeout_s,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture
def once(pytestconfig):
    if pytestconfig.getoption("--lowered"):
        pytest.skip("run once, on the processor as it is")


@pytest.mark.undisturbed  # a process of its own
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if stated_s(n) > SLOW_S else []) for n in SCRIPTS]
)
def test_every_example_shows_what_it_says(name, tmp_path, once):
    if (package := missing(name)) is not None:
        pytest.skip(f"needs {package}")
    printed = run([EXAMPLES / f"{name}.py"], tmp_path, 120 + 10 * stated_s(name))
    assert SHOWS[name](printed), printed


@pytest.mark.undisturbed
def test_the_notebook_prints_again_what_is_committed_with_it(tmp_path, once):
    """Its cells one after the other, without Jupyter; numbers move a little between processors."""
    cells = [c for c in json.loads((EXAMPLES / "tour.ipynb").read_text(encoding="utf-8"))["cells"]]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    (tmp_path / "tour.py").write_text("\n\n".join(code), encoding="utf-8")
    outputs = [o for c in cells if c["cell_type"] == "code" for o in c["outputs"]]
    committed = "".join("".join(o["text"]) for o in outputs if o["output_type"] == "stream")
    printed = run(["tour.py"], tmp_path, 300)
    number = re.compile(r"-?\d+\.\d+|\b\d\d+\b")
    assert number.sub("#", printed) == number.sub("#", committed)
    assert len(number.findall(committed)) > 30
    both = [[float(n) for n in number.findall(text)] for text in (printed, committed)]
    np.testing.assert_allclose(*both, rtol=0.02, atol=0.02)
    assert len([o for o in outputs if "image/png" in o.get("data", {})]) == 3
    assert (EXAMPLES / "tour.ipynb").stat().st_size < 300_000
