"""An installation in which neither the package nor a home can be written, as in containers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """The surroundings of an installation in which neither the package nor a home can be written, even by root."""
    place = tmp_path_factory.mktemp("installed")
    (place / "file").write_text("in the way")
    kept = shutil.ignore_patterns("__pycache__", "published", "agents", ".mypy_cache")
    for folder in ("envs", "policies", "evaluation", "baselines"):
        shutil.copytree(ROOT / folder, place / "site" / "rangym" / folder, ignore=kept)
    for module in (ROOT / "src" / "rangym").glob("*.py"):
        shutil.copy(module, place / "site" / "rangym")
    shutil.copytree(ROOT / "src" / "rangym" / "cli", place / "site" / "rangym" / "cli", ignore=kept)
    for folder in [p for p in (place / "site").rglob("*") if p.is_dir()]:
        (folder / "__pycache__").touch()
    nowhere = str(place / "file" / "home")
    mine = {"PYTHONPATH": str(place / "site"), "HOME": nowhere, "RANGYM_CACHE": nowhere, "TMPDIR": str(place)}
    other = {k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")}
    return other | mine


def _python(surroundings, *words):
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=surroundings, cwd="/")
    assert done.returncode == 0, done.stderr
    return done


WORK = """
import numpy as np

def work(job):
    import importlib, os, pkgutil
    from rangym import envs
    from rangym.policies import algorithms
    for package, last in ((algorithms, ""), (envs, "_kernels")):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if found.name.endswith(last):
                importlib.import_module(found.name)  # numba refuses every kernel here that it has no folder for
    from rangym.policies.algorithms.association.assignment import dual_value
    value = dual_value(np.ones((2, 2)), np.zeros(3), np.ones(2, np.int64), np.full(2, 0.25))
    return {"value": value, "pid": os.getpid(), "folder": os.environ["NUMBA_CACHE_DIR"]}
"""
RUN = """
import sys
import rangym
from no_home_work import work
from rangym.evaluation.grid import run_grid
if __name__ == "__main__":
    assert rangym.__file__.startswith(sys.argv[1])
    stored, _ = run_grid(work, [{"n": n} for n in range(4)], None, workers=2)
    assert not stored.errors, stored.errors
    rows = stored.rows.values()
    assert {row["value"] for row in rows} == {2.5}, rows  # both UEs gain 1 - .25, both cells sell 2 places for .25
    print(*{row["folder"] for row in rows})
"""


def test_kernels_work_in_workers_where_neither_package_nor_home_can_be_written(installed):
    place = Path(installed["TMPDIR"])
    (place / "site" / "no_home_work.py").write_text(WORK)
    folder = Path(_python(installed, "-c", RUN, str(place)).stdout.strip())
    assert folder.parent == place and folder.name.startswith("rangym-kernels-")
    assert not list(place.glob("rangym-kernels-*"))  # it goes with the process that has made it


def test_a_folder_that_can_be_written_is_left_alone(installed, tmp_path):
    code = "import os, rangym; print(os.environ.get('NUMBA_CACHE_DIR'))"
    assert _python(installed | {"HOME": str(tmp_path)}, "-c", code).stdout.strip() == "None"
    assert _python(installed | {"NUMBA_CACHE_DIR": str(tmp_path)}, "-c", code).stdout.strip() == str(tmp_path)
    nowhere = _python(installed | {"NUMBA_CACHE_DIR": installed["HOME"]}, "-c", f"import numba; {code}")
    assert "rangym-kernels-" in nowhere.stdout


def test_numba_that_was_imported_first_is_told(installed):
    code = "import numba, os, rangym; print(numba.config.CACHE_DIR == os.environ['NUMBA_CACHE_DIR'])"
    assert _python(installed, "-c", code).stdout.strip() == "True"


def test_pictures_days_and_lists_need_no_home(installed, tmp_path):
    assert "oracle" in _python(installed, "-m", "rangym", "list").stdout
    words = ["render", "random", "--env", "QosClustering", "--scenario", "tiny", "--slots", "1"]
    _python(installed, "-m", "rangym", *words, "--out", str(tmp_path / "x.gif"))
    assert (tmp_path / "x.gif").stat().st_size > 1_000
