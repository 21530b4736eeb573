"""The wheel holds rangym/** only, and every module of the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("envs", "policies", "baselines", "evaluation")
DATA = ("*.npz", "*.json", "*.html.j2", "py.typed")


@pytest.mark.slow
def test_wheel_content(tmp_path):
    src = tmp_path / "src"  # a clean copy: a stale build/lib would leak old modules into the wheel
    src.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, src)
    for name in ("rangym", *FOLDERS):
        shutil.copytree(ROOT / name, src / name, ignore=shutil.ignore_patterns("__pycache__"))
    cmd = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*cmd, str(src)], check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    code = {n for n in names if ".dist-info/" not in n}
    assert {n.split("/")[0] for n in code} == {"rangym"}
    patterns = ("*.py", *DATA)
    want = {f"rangym/{p.relative_to(ROOT).as_posix()}" for f in FOLDERS for g in patterns for p in (ROOT / f).rglob(g)}
    want |= {p.relative_to(ROOT).as_posix() for p in (ROOT / "rangym").rglob("*.py")}
    assert want <= code, sorted(want - code)
