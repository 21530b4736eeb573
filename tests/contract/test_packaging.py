"""The wheel holds rangym/** only, and every module of the checkout."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
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
    for name in ("src", *FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, src / name, symlinks=True, ignore=ignored)
    cmd = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*cmd, str(src)], check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    code = {n for n in names if ".dist-info/" not in n}
    assert {n.split("/")[0] for n in code} == {"rangym"}
    patterns = ("*.py", *DATA)
    want = {f"rangym/{p.relative_to(ROOT).as_posix()}" for f in FOLDERS for g in patterns for p in (ROOT / f).rglob(g)}
    want |= {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("*.py")} | {"rangym/py.typed"}
    assert len(want) > 150 and want <= code, sorted(want - code)


def test_the_links_lead_to_the_top_level_folders():
    for name in FOLDERS:
        link = ROOT / "src" / "rangym" / name
        assert link.is_symlink() and link.resolve() == ROOT / name


@pytest.mark.parametrize("where", ["root", "parent", "elsewhere"])
def test_the_package_works_from_every_folder(where, tmp_path):
    """Neither the root of a clone nor its parent folder shadows the package."""
    folder = {"root": ROOT, "parent": ROOT.parent, "elsewhere": tmp_path}[where]
    code = (
        "import gymnasium; env = gymnasium.make('rangym:rangym/CellAssociation-v0', scenario='tiny');"
        "import rangym; print(rangym.__version__, type(env.unwrapped).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [version("rangym"), "rangym.envs.core"]
    done = subprocess.run([sys.executable, "-m", "rangym", "--version"], cwd=folder, capture_output=True, text=True)
    assert done.stdout.split() == ["rangym", version("rangym")]
