"""What every paper's folder keeps, a paper of a user's own, and claims that follow from the published rows."""

import json
import lzma
import sys
from pathlib import Path

import pytest

from rangym.evaluation.papers.paper import Drawing, Paper, Plan, find, names, resolve
from rangym.evaluation.papers.reproduce import ROWS, judged, reproduce
from rangym.evaluation.papers.rows import Rows

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


def test_a_paper_without_both_plans_is_refused(toy):
    with pytest.raises(ValueError, match="plans: full and quick wanted, got"):
        Paper(**{**vars(toy), "plans": {"full": Plan()}})


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
