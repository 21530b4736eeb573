"""One mechanism writes every file, whole or not at all, also where the disk is full."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("envs", "policies", "evaluation", "baselines", "src/rangym/cli")
WRITERS = {"envs/files.py", "evaluation/grid.py"}
"""Modules that open files to write: the one mechanism, and the rows that are appended."""
LIBRARIES = {(owner, "save") for owner in ("torch", "model", "first", "image", "np")}
"""Calls of other packages that write what they are given: a buffer, never a path."""


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _writes(call: ast.Call) -> bool:
    """Whether a call would write a file under its own name."""
    name, words = _name(call.func), [a.value for a in call.args if isinstance(a, ast.Constant)]
    words += [k.value.value for k in call.keywords if isinstance(k.value, ast.Constant) and k.arg == "mode"]
    owner = _name(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    if name == "open" and owner != "archive":  # whose members are parts of one file
        flags = {"w", "a", "x", "+"}
        return any(isinstance(word, str) and len(word) < 4 and flags & set(word) for word in words)
    if name in ("savefig", "imsave", "savez", "savez_compressed") or (owner, name) in LIBRARIES:
        return not {"buffer", "file"} & set(map(_name, call.args))
    return name in ("write_text", "write_bytes", "tofile", "to_csv", "rename") or (owner, name) == ("os", "replace")


@pytest.mark.parametrize(
    ("code", "writes"),
    [
        ("open(path, 'wb')", True),
        ("path.open('a')", True),
        ("lzma.open(path, mode='xt')", True),
        ("open(path, 'rb')", False),
        ("open(path)", False),
        ("path.write_text('x')", True),
        ("np.savez(path, a=a)", True),
        ("np.savez(buffer, a=a)", False),
        ("figure.savefig(path)", True),
        ("os.replace(a, b)", True),
        ("text.replace(a, b)", False),
        ("torch.save(state, path)", True),
        ("self.model.save(buffer)", False),
        ("archive.open('x.npy', 'w')", False),
    ],
)
def test_the_search_for_writers_finds_them(code, writes):
    assert _writes(ast.parse(code).body[0].value) == writes


def test_every_file_is_written_by_the_one_mechanism():
    found = set()
    for path in (p for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")):
        calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
        if any(map(_writes, calls)):
            found.add(path.relative_to(ROOT).as_posix())
    assert found == WRITERS


LIMIT = 3_000
LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
{before}
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    {code}
except OSError as error:
    print(error)
else:
    print("written")
"""
NOISE = "np.random.default_rng(0).normal(size=2_000)"
KINDS = {
    "trace.npz": (
        f"from rangym.envs.trace import Trace\ntrace = Trace({{}}, {{'noise': {NOISE}}})",
        "trace.save(path)",
    ),
    "map.npz": (
        "from rangym.envs.cell_association.drive_logs import import_logs\n"
        "rng = np.random.default_rng(0)\n"
        "rows = [f'{t},1,{cell},{rng.uniform(-9, 30)}' for t in range(500) for cell in 'ab']\n"
        "log = path.with_name('log.csv'); log.write_text('time,ue,cell,sinr_db\\n' + '\\n'.join(rows))\n"
        "radio_map = import_logs(log); log.unlink()",
        "radio_map.save(path)",
    ),
    "predictor.npz": (
        "from rangym.envs.qos_clustering.predictor import load\nfound = load('small')",
        "found.save(path)",
    ),
    "film.gif": (
        "from rangym.evaluation.film import write_gif\n"
        "frames = np.random.default_rng(0).integers(0, 255, (3, 90, 90, 3), np.uint8)",
        "write_gif(frames, path)",
    ),
    "report.html": (
        "from rangym.evaluation import Benchmark, evaluate\n"
        "from rangym.evaluation.report import write_html\n"
        "found = evaluate('random', Benchmark('rangym/CellAssociation-v0', 'tiny', range(2)), bounds=False)",
        "write_html(found, path, command='x')",
    ),
    "rows.jsonl": (
        "from rangym.evaluation.grid import write\nrows = [{'key': str(n), 'n': n} for n in range(500)]",
        "write(rows, path)",
    ),
    "rows.jsonl.xz": (
        f"from rangym.evaluation.papers.rows import Rows\nrows = Rows.of({{'row': 'x', 'n': n}} for n in {NOISE})",
        "rows.save(path)",
    ),
    "claims.md": (
        "from rangym.evaluation.papers.tables import Reproduction\n"
        "table = Reproduction('x' * 9_000, (), '', (), {}, {}, {})",
        "table.write(path.parent)",
    ),
    "figure.png": (
        "from types import SimpleNamespace\n"
        "from matplotlib.figure import Figure\n"
        "from rangym.evaluation.papers.paper import Drawing\n"
        "from rangym.evaluation.papers import reproduce\n"
        "figure = Figure()\nfigure.add_subplot().plot(np.random.default_rng(0).normal(size=999))\n"
        "reproduce.resolve = lambda draw: lambda rows: figure\n"
        "paper = SimpleNamespace(figures={'figure.png': Drawing('', '')})",
        "reproduce.draw(paper, None, path.parent)",
    ),
    "tuned.json": (
        "from rangym.evaluation.tune import write_json\ncontent = {'x': list(range(5_000))}",
        "write_json(path, content)",
    ),
    "agent.npz": (
        "from rangym.baselines.agent import load_agents, save_agents\n"
        "from rangym.baselines.cell_association import AGENTS\n"
        "from rangym.baselines import policy\n"
        "agents = load_agents(Path(policy.__file__).parent / 'agents' / 'ppo_shared.npz')",
        "save_agents(path, agents)",
    ),
}


def _limited(before, code, path, limit=LIMIT) -> str:
    """What a process says that may write no file beyond ``limit`` bytes."""
    script = LIMITED.format(before=f"path = Path({str(path)!r})\n{before}", code=code, limit=limit)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_leaves_the_old_file_and_is_one_clear_line(name, tmp_path):
    pytest.importorskip("resource")
    path = tmp_path / name
    path.write_bytes(b"old")
    said = _limited(*KINDS[name], path)
    assert said == f"[Errno 27] File too large: '{path}'"
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == [name]


def test_a_full_disk_during_a_run_costs_no_row_that_was_there(tmp_path):
    """The system takes a part of the last row before it says so; that part goes too, and the same command goes on."""
    pytest.importorskip("resource")
    path = tmp_path / "rows.jsonl"
    run = "from rangym.evaluation.grid import run_grid\njobs = [{'n': n} for n in range(99)]\ndef work(job): return {}"
    for workers in (1, 2):
        path.unlink(missing_ok=True)
        said = _limited(run, f"run_grid(work, jobs, path, workers={workers})", path)
        assert said == f"[Errno 27] File too large: '{path}'"
        assert LIMIT - 99 < path.stat().st_size <= LIMIT
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert len({row["key"] for row in rows}) == len(rows) < 99
        assert _limited(run, "run_grid(work, jobs, path)", path, limit=LIMIT * 9) == "written"
        assert [json.loads(line) for line in path.read_text().splitlines()][: len(rows)] == rows
        assert len(path.read_text().splitlines()) == 99


def test_a_full_disk_is_one_line_of_the_command_and_leaves_map_and_checkpoint(tmp_path):
    pytest.importorskip("resource")
    code = f"""
import resource, sys
from pathlib import Path
from rangym.cli import main
out = Path({str(tmp_path)!r})
log = "time,ue,cell,sinr_db\\n" + "".join(f"{{t}},1,{{c}},{{(7 * t) % 30}}\\n" for t in range(9_000) for c in "ab")
(out / "log.csv").write_text(log)
train = ["train", "ppo_shared", "--steps", "1", "--quiet", "--out", str(out / "run")]
assert main(train) == main(["map", "import", str(out / "log.csv"), "--out", str(out / "map.npz")]) == 0
files = [out / "map.npz", out / "run/checkpoint.zip", out / "run/progress.json", out / "run/agent.npz"]
before = [file.read_bytes() for file in files]
resource.setrlimit(resource.RLIMIT_FSIZE, (4_096, 4_096))
assert main(["map", "import", str(out / "log.csv"), "--out", str(out / "map.npz")]) == 2
assert main([*train, "--resume"]) == 2
assert [file.read_bytes() for file in files] == before
assert not [*out.rglob("*.part")]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        f"rangym map import: error: [Errno 27] File too large: '{tmp_path / 'map.npz'}'",
        f"rangym train: error: [Errno 27] File too large: '{tmp_path / 'run' / 'checkpoint.zip'}'",
    ]
