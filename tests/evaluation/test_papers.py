"""What every paper's folder keeps, a paper of a user's own, and claims that follow from the published rows."""

import ast
import json
import lzma
import re
import sys
from pathlib import Path

import pytest

from rangym.cli import main
from rangym.evaluation.grid import job_key
from rangym.evaluation.papers.paper import Drawing, Paper, Plan, find, names, resolve
from rangym.evaluation.papers.reproduce import ROWS, judged, reproduce
from rangym.evaluation.papers.rows import Rows, job

FOLDERS = Path(__file__).resolve().parents[2] / "evaluation" / "papers"
PUBLISHED = Path(__file__).resolve().parents[2] / "evaluation" / "published"
TOY = """
from rangym.evaluation.papers.readings import Claim, number
from rangym.evaluation.papers.rows import job


def jobs(plan, rows):
    for seed in range(4):
        yield job("height", seed=seed)


def height(*, seed):
    return {"metres": 10.0 + 0.1 * seed}


def claims(rows):
    found = number("literal", rows.values("height", "metres"), 10.1, " m")
    yield Claim("The tower is high", "Fig. 1", "10 m", (found,))


def setting(plan):
    yield "Seeds 0..3."


def draw(rows):
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(rows.values("height", "metres"))
    return figure
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    (tmp_path / "tower.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    yield Paper(
        name="tower",
        title="A tower: claims and measurements",
        plans={"full": Plan(), "quick": Plan(note="QUICK RUN")},
        jobs=("tower:jobs",),
        measures={"height": "tower:height"},
        claims="tower:claims",
        figures={"height.png": Drawing("tower:draw", "Its height by seed.")},
        readings={"literal": "as measured"},
        setting="tower:setting",
    )
    sys.modules.pop("tower", None)


def test_a_paper_of_ones_own_is_reproduced_and_goes_on_where_it_was(toy, tmp_path, capsys):
    assert reproduce(toy, quick=True, out=tmp_path) == 0
    text = capsys.readouterr().out
    assert "The tower is high" in text and "QUICK RUN" in text and "4 jobs run" in text
    kept = json.loads((tmp_path / "tower" / "claims.json").read_text())
    assert [claim["verdict"] for claim in kept["claims"]] == ["reproduced"]
    assert (tmp_path / "tower" / "height.png").stat().st_size > 1000
    assert reproduce(toy, quick=True, out=tmp_path) == 0
    assert "0 jobs run" in capsys.readouterr().out
    (tmp_path / "tower.py").write_text(TOY.replace("10.0 + 0.1 * seed", "20.0 + 0.1 * seed"))
    sys.modules.pop("tower")
    from rangym.evaluation import identity

    for cached in (identity._closure, identity._imports, identity._module_hash, identity._file_of):
        cached.cache_clear()
    assert reproduce(toy, quick=True, out=tmp_path) == 0  # another measure is another row
    assert "4 jobs run" in capsys.readouterr().out
    kept = json.loads((tmp_path / "tower" / "claims.json").read_text())
    assert [claim["verdict"] for claim in kept["claims"]] == ["not reproduced"]


def test_two_processes_give_the_same_claims(toy, tmp_path):
    for workers in (1, 2):
        assert reproduce(toy, quick=True, workers=workers, out=tmp_path / str(workers)) == 0
    one, two = (json.loads((tmp_path / folder / "tower" / "claims.json").read_text()) for folder in "12")
    assert one["claims"] == two["claims"]


def test_rows_are_found_by_arguments_one_a_seed():
    rows = Rows.of({**job("x", side=s, seed=n), "v": {"w": 10 * s + n}} for n in (2, 0, 1) for s in (1, 2))
    assert rows.values("x", "v", "w", side=2).tolist() == [20, 21, 22]
    with pytest.raises(ValueError, match="one a seed"):
        rows.where("x")
    for kind, side in (("x", 3), ("y", 1)):
        with pytest.raises(ValueError, match="got none"):
            rows.where(kind, side=side)


def test_a_paper_without_both_plans_is_refused(toy):
    with pytest.raises(ValueError, match="plans: full and quick wanted, got"):
        Paper(**{**vars(toy), "plans": {"full": Plan()}})


def test_papers_are_the_folders_and_the_command_lists_them(capsys):
    folders = {path.parent.name for path in FOLDERS.glob("*/__init__.py")}
    assert names() == sorted(folder.replace("_", "-") for folder in folders) and len(names()) >= 3
    assert main(["reproduce"]) == 0
    listed = [line.split(" ")[0] for line in capsys.readouterr().out.splitlines()[2:]]  # below the header and its rule
    assert [name for name in listed if name] == names()
    with pytest.raises(ValueError, match="did you mean 'wkhm'"):
        find("wkmh")


def imported(path):
    """The modules that a file imports, wherever in its code."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    found = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return found | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.parametrize("name", names())
def test_a_folder_declares_its_paper_and_leaves_the_skeleton_to_the_shared_modules(name):
    files = sorted((FOLDERS / find(name).folder).glob("*.py"))
    assert {path.name for path in files} >= {"__init__.py", "jobs.py", "measure.py", "claims.py", "figures.py"}
    for path in files:
        modules = imported(path)
        if path.name == "__init__.py":  # strings and frozen dataclasses only
            assert modules <= {"collections.abc", "dataclasses", "rangym.evaluation.papers.paper"}
        if path.name == "claims.py":  # judges rows, runs nothing
            assert not [m for m in modules if m.startswith(("rangym.policies", "rangym.evaluation.episode", "scipy"))]
        assert not modules & {
            f"rangym.evaluation.{m}" for m in ("identity", "runner", "papers.reproduce", "papers.tables")
        }
        assert not [word for word in ("run_grid", "savefig", "json.", "sha256") if word in path.read_text()]


@pytest.mark.parametrize("name", names())
def test_every_name_that_a_paper_gives_leads_somewhere(name):
    paper = find(name)
    targets = [*paper.jobs, *paper.measures.values(), paper.claims, paper.setting]
    targets += [drawing.draw for drawing in paper.figures.values()] + [paper.impossible] * bool(paper.impossible)
    assert all(callable(resolve(target)) for target in targets)
    kinds = {job["row"] for plan in paper.plans.values() for job in resolve(paper.jobs[0])(plan, Rows({}))}
    assert kinds and kinds <= set(paper.measures)


@pytest.mark.parametrize("name", names())
def test_published_claims_follow_from_the_published_rows(name):
    paper = find(name)
    folder = PUBLISHED / paper.folder
    kept = (folder / "claims.json").read_text()
    with lzma.open(folder / ROWS, "rt") as file:
        rows = [json.loads(line) for line in file]
    captions = {file: drawing.caption for file, drawing in paper.figures.items()}
    found = judged(paper, paper.plans["full"], Rows.of(rows), json.loads(kept)["command"], captions)
    assert found.as_json() == kept
    assert found.markdown() == (folder / "claims.md").read_text()
    assert (folder / ROWS).stat().st_size < 2**20
    assert all((folder / file).is_file() for file in captions)
    # A changed row changes what is claimed: the claims are computed, not copied.
    half = [row for row in rows if row.get("seed", 0) < 5]
    assert judged(paper, paper.plans["full"], Rows.of(half), "x", captions).as_json() != kept
    # The rows are those of the plan's jobs, all of them and no others.
    grouped = Rows.of(rows)
    code = {row["row"]: row["code"] for row in rows}
    jobs = [wanted for stage in paper.jobs for wanted in resolve(stage)(paper.plans["full"], grouped)]
    keys = {job_key({**wanted, "code": code[wanted["row"]]}) for wanted in jobs}
    assert sorted(row["key"] for row in rows) == sorted(keys)


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_a_quick_run_judges_every_claim(name, tmp_path):
    assert reproduce(name, quick=True, out=tmp_path) == 0
    folder = find(name).folder
    quick, full = (json.loads((where / folder / "claims.json").read_text()) for where in (tmp_path, PUBLISHED))
    assert [claim["where"] for claim in quick["claims"]] == [claim["where"] for claim in full["claims"]]
    assert quick["setting"][0].startswith("QUICK RUN")


@pytest.mark.parametrize("name", names())
def test_a_row_of_claims_has_its_six_cells(name):
    """A bar in a formula, as in P(|x| > d), would begin another cell and push the verdict off the page."""
    text = (PUBLISHED / name.replace("-", "_") / "claims.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) > 20 and {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
