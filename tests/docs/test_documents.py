"""Every block of code of README and docs runs as it is printed, and so does every command of README's table."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = Path(__file__).with_name("run_document.py")
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))
LANGUAGES = {"python", "sh", "bash", "csv", "pycon", "text", ""}
"""A block of another one would not be run; `pycon` are doctests, `text` and the plain ones are no code."""
FEWER: dict[str, str | None] = {
    "rangym bench": None,  # .ci/run does, to the end
    "rangym train": "--steps 1 --quiet",
    "rangym reproduce wkhm": "--quick",
    "rangym federated": "--alpha 0.05 --rates 0.1 --seeds 0:1 --rounds 2",
    "rangym orchestrate": "--scenario tiny --rates 0.5 --seeds 0:1 --rounds 2",
    "rangym render": "--slots 3",
}
"""What README's long commands get in place of their sizes."""


def run(document: Path, folder: Path, fewer: dict[str, str | None]) -> list[str]:
    """What was run, one line each."""
    command = [sys.executable, str(RUN), str(document), json.dumps(fewer)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "PROBLEM" not in done.stdout + done.stderr, done.stdout[-3000:] + done.stderr[-3000:]
    return re.findall(r"^(?:RAN|FILE|PARSED|LEFT OUT).*", done.stdout, re.M)


def wanted(document: Path) -> int:
    """Python blocks, tables and lines of shell blocks, counted apart from the runner."""
    inside, count = "", 0
    for line in document.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = "" if inside else line[3:].split()[0] if len(line) > 3 else "plain"
            count += inside in ("python", "csv")
        elif inside in ("sh", "bash"):
            count += bool(line.strip()) and not line.endswith("\\")
    return count


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if wanted(d)], ids=lambda d: str(d.relative_to(ROOT)))
def test_every_block_of_a_page_runs(document, tmp_path):
    lines = run(document, tmp_path, {})
    assert len(lines) == wanted(document)
    if missing := [line for line in lines if line.startswith("LEFT OUT")]:
        pytest.skip(f"{len(lines) - len(missing)} of {len(lines)} ran; {'; '.join(missing)}")


@pytest.mark.parametrize("document", [ROOT / "README.md", *DOCUMENTS], ids=lambda d: str(d.relative_to(ROOT)))
def test_every_block_says_what_it_is(document):
    opening = re.findall(r"^```(\w*).*\n(?:.*?)^```$", document.read_text(encoding="utf-8"), re.M | re.S)
    assert set(opening) <= LANGUAGES


def test_everything_in_readme_runs(tmp_path, kpi_logs, drive_logs):
    drive_logs(tmp_path / "drives")
    kpi_logs.write_csv(tmp_path / "kpis" / "log.csv", kpi_logs.kpi_rows())
    lines = run(ROOT / "README.md", tmp_path, FEWER)
    table = re.findall(r"^\| `(rangym .*?)` \|", (ROOT / "README.md").read_text(), re.M)
    assert len(table) >= 13 and len(lines) == len(table) + wanted(ROOT / "README.md")
    assert {line.partition("$ ")[2].partition("  [")[0] for line in lines if "$ " in line} == set(table)
    assert sum(line.startswith("PARSED") for line in lines) == 1


def test_what_learns_is_seeded_apart_from_the_tables():
    """An algorithm's seed seeds its lanes anew, whatever `make_vec_env` was given."""
    found = []
    for document in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", *(ROOT / "examples").glob("*.py")):
        text = document.read_text(encoding="utf-8")
        code = (
            text.split('"""', 2)[2:]
            if document.suffix == ".py"
            else re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        )
        for block in code:
            if ".learn(" in block:
                found += [(document.name, int(n.replace("_", ""))) for n in re.findall(r"\bseed=([\d_]+)", block)]
    assert len(found) >= 8 and [(name, n) for name, n in found if n < 20_000] == []
