"""The pages that code writes say what the code says; .ci/run builds the whole site, with warnings as errors."""

import dataclasses
import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rangym.cli import COMMANDS
from rangym.envs.registration import OURS, problem
from rangym.evaluation import Results
from rangym.evaluation.summary import summarise
from rangym.policies import registry

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pages():
    """Imports a module of docs/pages."""
    sys.path.insert(0, str(ROOT / "docs"))
    yield lambda name: importlib.import_module(f"pages.{name}")
    sys.path.remove(str(ROOT / "docs"))


@pytest.fixture(scope="module")
def site(pages, tmp_path_factory) -> Path:
    """The sources of all pages but the texts."""
    folder = tmp_path_factory.mktemp("site")
    index = pages("reference").Index()
    pages("environments").write(folder, index)
    pages("commands").write(folder)
    pages("papers").write(folder)
    assert pages("reference").write(folder, index) > 100
    return folder


@pytest.mark.parametrize("name", ["docstrings", "links"])
def test_examples(pages, name):
    found = doctest.testmod(pages(name))
    assert found.attempted and not found.failed


@pytest.mark.parametrize(("env_id", "folder"), [(env_id, folder) for env_id, (folder, _) in OURS.items()])
def test_an_environments_page_has_all_of_it(site, env_id, folder):
    text = (site / "environments" / f"{folder}.md").read_text()
    cls = problem(env_id).system_class
    assert all(f"`{scenario}`" in text for scenario in cls.scenarios)
    assert all(f"| `{name}` |" in text for name in registry.entries(env_id) if name != "sb3")
    assert all(f"| `{field.name}` |" in text for field in dataclasses.fields(cls.scenarios["small"]))
    assert "## Action Space" in text and "```pycon\n>>> import gymnasium" in text
    published = [c for c in Results.load(ROOT / "evaluation/published/bench.jsonl").comparisons if c.env_id == env_id]
    assert published
    for comparison in published:
        for line in summarise(comparison).policies:
            assert f"| `{line.policy}` | {line.knowledge} | {line.reward.value:.4f} |" in text
    assert (ROOT / "docs" / "pictures" / f"{folder}.gif").stat().st_size <= 300_000


def test_maps_of_places_have_their_captions_below(pages, site):
    text = (site / "environments" / "cell_association.md").read_text()
    for scenario, what in pages("environments").MAPS.items():
        assert f"](../pictures/cell_association_{scenario}.png)\n\n*{what}.*\n" in text


@pytest.mark.parametrize("script", ["build.py", "draw_pictures.py"])
def test_help_of_a_script_does_nothing_else(script, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "docs").rglob("*.*")}
    for words, status in ((["--help"], 0), (["--hepl"], 2)):
        command = [sys.executable, str(ROOT / "docs" / script), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == status and "usage:" in done.stdout + done.stderr
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_every_command_and_every_paper_has_its_page(site):
    commands = (site / "commands" / "index.md").read_text()
    assert all(f"## rangym {name}\n" in commands and f"usage: rangym {name}" in commands for name in COMMANDS)
    for claims in (ROOT / "evaluation" / "published").glob("*/claims.md"):
        text = (site / "papers" / f"{claims.parent.name}.md").read_text()
        assert claims.read_text().splitlines()[0] in text and "author = {" in text
        for figure in re.findall(r"!\[.*?\]\(([^)]*)\)", text, re.S):
            assert (site / "papers" / figure).exists()


def test_the_reference_links_names_and_reads_sections(site):
    text = (site / "reference" / "rangym.evaluation.protocol.md").read_text()
    assert "(rangym.evaluation.protocol.Benchmark-class)=" in text and "**Attributes**\n\n- `env_id, scenario" in text
    assert "](#rangym.evaluation.runner.evaluate)" in (site / "reference" / "rangym.evaluation.md").read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [("[x](nowhere.md)", "links to nowhere.md, which is not there"), ("[x](pyproject.toml)", "no page of the site")],
)
def test_a_link_that_leads_nowhere_is_refused(pages, text, says):
    with pytest.raises(ValueError, match=says):
        pages("links").relinked(text, "README.md")


def test_links_of_the_repository_become_links_of_the_site(pages):
    relinked = pages("links").relinked
    given = '[a](docs/concepts.md#trace) <img src="docs/pictures/qos_clustering.gif"> [b](https://x.org)'
    assert relinked("[a](../../evaluation/published/wkhm/claims.md)", "docs/howto/train.md") == "[a](../papers/wkhm.md)"
    shown = relinked(given, "README.md")
    assert shown == '[a](concepts.md#trace) <img src="pictures/qos_clustering.gif"> [b](https://x.org)'
