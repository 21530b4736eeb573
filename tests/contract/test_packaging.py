"""The wheel holds rangym/** only, and every module of the checkout."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from rangym.baselines.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("envs", "policies", "baselines", "evaluation")
DATA = ("*.npz", "*.json", "*.html.j2", "NOTICE.md", "py.typed")


NEGATIVE = {
    "ppo_city",
    "ppo_cells_flat",
    "ppo_flat",
    "ppo_gap_myopic",
    "ppo_maskable",
    "ppo_plain",
    "sac_plain",
    "sac_rounds",
}
"""Recipes whose agents stay in the repository: results to read about, not agents to use."""
FIRST = {"ppo_direct", "ppo_pairs", "ppo_pairs_tight", "ppo_shared", "ppo_tracking", "ppo_tracking_drift"}
"""Recipes of the first release, within `WHEEL` together with the code; every later file has a limit of its own."""
WHEEL, AGENTS, DATUM = 3_300_000, 2**20, 500_000
"""Most bytes of the wheel without later agents and maps, of a recipe's agents, and of any other file, compressed."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The members of the wheel: name -> compressed bytes."""
    tmp_path = tmp_path_factory.mktemp("wheel")
    src = tmp_path / "src"  # a clean copy: a stale build/lib would leak old modules into the wheel
    src.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, src)
    for name in ("src", *FOLDERS):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, src / name, symlinks=True, ignore=ignored)
    cmd = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*cmd, str(src)], check=True)
    return {
        member.filename: member.compress_size for member in zipfile.ZipFile(next(tmp_path.glob("*.whl"))).infolist()
    }


def _agents(name):
    """The recipe of a member that is a file of agents."""
    return Path(name).stem if name.startswith("rangym/baselines/agents/") else None


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_what_is_used(wheel):
    code = {n for n in wheel if ".dist-info/" not in n}
    assert {n.split("/")[0] for n in code} == {"rangym"}
    patterns = ("*.py", *DATA)
    want = {f"rangym/{p.relative_to(ROOT).as_posix()}" for f in FOLDERS for g in patterns for p in (ROOT / f).rglob(g)}
    want |= {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src").rglob("*.py")} | {"rangym/py.typed"}
    published = {n for n in want if n.startswith("rangym/evaluation/published/")}
    negative = {n for n in want if _agents(n) in NEGATIVE}
    assert len(published) >= 3 and len(negative) == len(NEGATIVE)
    assert len(want) > 150 and code == want - published - negative
    assert "rangym/evaluation/templates/report.html.j2" in code
    assert {_agents(n) for n in code} - {None} >= FIRST


@pytest.mark.slow
def test_every_file_of_the_wheel_keeps_its_limit(wheel):
    over = {n: size for n, size in wheel.items() if size > (AGENTS if _agents(n) else DATUM)}
    assert not over
    later = sum(size for n, size in wheel.items() if n.endswith(".npz") and _agents(n) not in FIRST)
    assert sum(wheel.values()) - later <= WHEEL


def test_every_recipe_has_its_file_of_agents():
    kept = {p.stem for p in (ROOT / "baselines" / "agents").iterdir()}
    assert kept == set(RECIPES) and NEGATIVE | FIRST <= kept


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
