"""Tables and their notes fit 80 columns, whatever is in them, and lose nothing; scores are bars on a named scale."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rangym.cli import main
from rangym.evaluation.columns import GAP, WIDTH, aligned, broken, paragraph, scale

CELL = st.text(st.sampled_from("abc,: =0.5"), min_size=1, max_size=60).map(lambda s: re.sub(r"\s+", "", s) or "x")
NUMBER = st.floats(-1e4, 1e4).map(lambda x: f"{x:.4f}")


@given(st.lists(st.tuples(CELL, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER), max_size=4))
def test_wide_tables_go_on_below_and_lose_nothing(rows):
    header = ["policy", *(f"number{k}" for k in range(8))]
    text = aligned(header, rows)
    assert max(map(len, text.splitlines())) <= WIDTH
    for row in rows:
        assert all(number in text for number in row[1:])
    blocks = [block.splitlines() for block in text.split("\n\n")]
    assert all(lines[0].startswith("policy") for lines in blocks)
    names = ["".join(line[: len(lines[1].split()[0])].strip() for line in lines[2:]) for lines in blocks]
    assert set(names) == {"".join(row[0] for row in rows)}  # whole in each part


def test_a_last_column_of_text_goes_on_in_its_row():
    text = aligned(["name", "what"], [["a", "word " * 40], ["b", "short"]], "ll").splitlines()
    assert max(map(len, text)) <= WIDTH and len(text) == 2 + 3 + 1
    assert " ".join(" ".join(line.split()) for line in text).count("word") == 40 and text[3].startswith("    ")


@given(CELL, st.integers(1, 30))
def test_broken_text_is_the_same_text(text, width):
    lines = broken(text, width)
    assert "".join(lines) == text and max(map(len, lines)) <= width


@given(st.lists(CELL, max_size=30).map(" ".join), st.integers(20, WIDTH))
def test_a_paragraph_keeps_its_words_whole_where_they_fit(text, width):
    lines = paragraph(text, width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    found = [word for line in lines for word in line.split()]
    assert {word for word in text.split() if len(word) <= width} <= set(found)


@pytest.mark.parametrize(
    ("score", "bar"),
    [(0.0, ".........."), (1.0, "##########"), (0.44, "####......"), (-0.01, ".........."), (-0.3, "<........."),
     (1.001, "##########"), (3.0, "#########>")],
)  # fmt: skip
def test_a_score_is_a_bar(score, bar):
    assert scale(score) == bar


EVALUATE = {
    "CellAssociation": ["max_sinr", "a3:offset_db=6,hysteresis_db=2,time_to_trigger=3", "random"],
    "NodePlacement": ["stay", "random"],
    "NomaAllocation": ["random"],
    "QosClustering": ["global", "random"],
    "CeflOrchestration": ["random"],
}


def tables(text):
    """Lines of a table: those from a rule of dashes back to its header and on to the next empty line."""
    lines, found = text.splitlines(), []
    for k, line in enumerate(lines):
        if set(line) == {"-", " "} or (line and set(line) == {"-"}):
            end = next((n for n in range(k, len(lines)) if not lines[n]), len(lines))
            found += lines[k - 1 : end]
    return found


def too_wide(out, path=None):
    """Lines that do not fit, but for those that name a file of the caller's."""
    return [line for line in out.splitlines() if len(line) > WIDTH and not (path and path in line)]


@pytest.mark.parametrize("env", list(EVALUATE))
def test_tables_of_every_environment_fit(env, capsys, tmp_path):
    from rangym.envs.registration import PROBLEMS
    from rangym.policies import registry

    known = registry.entries(next(env_id for env_id in PROBLEMS if f"/{env}-" in env_id))
    words = [word for word in EVALUATE[env] if word.partition(":")[0] in known]
    assert "random" in words
    rows = str(tmp_path / "rows.jsonl")
    call = ["evaluate", *words, "--env", env, "--scenario", "tiny", "--seeds", "0:2", "--details", "--out", rows]
    assert main(call) == 0 and main(["report", rows, "--details"]) == 0 and main(["list", "--env", env]) == 0
    out = capsys.readouterr().out
    assert len(tables(out)) > 20 and too_wide(out, rows) == []


def test_other_tables_fit(capsys):
    assert main(["reproduce"]) == 0
    assert main(["tune", "a3", "--scenario", "tiny", "--grid", "offset_db=2,4", "--seeds", "10000:10002"]) == 0
    out = capsys.readouterr().out
    assert len(tables(out)) > 10 and too_wide(out) == []


def test_federated_and_orchestrated_tables_fit():
    from rangym.evaluation.problems.cefl_orchestration import orchestrate_report as orchestrated
    from rangym.evaluation.problems.noma_allocation import federated_report as federated

    row = ["0.05", "random_fixed, oma_equal", "cfl_random", "0.001*", "3-5", "100%", "1.23e+03", "0.912 +-0.015",
           "0.912 +-0.015", "+0.012 +-0.015"]  # fmt: skip
    other = ["80%", "fednova_dpu:mean_iterations=3,mean_minibatch=0.5", "normalised", "0.01*", "10/10", "123.4 +-12.3",
             "12345 +-1234", "12345 +-1234", "+12.3 +-10.1 %", "+12.3 +-10.1 %"]  # fmt: skip
    for header, cells, align in ((federated.HEADER, row, "lllrlrrrrr"), (orchestrated.HEADER, other, "lllrrrrrrr")):
        text = aligned(header, [cells], align)
        assert max(map(len, text.splitlines())) <= WIDTH and cells[-1] in text and GAP in text


def test_a_long_list_of_names_in_an_error_is_short(capsys):
    for call in (
        ["evaluate", "max_sinrr"],
        ["evaluate", "a3", "--scenario", "smal"],
        ["evaluate", "a3", "--set", "x=1"],
    ):
        assert main(call) == 2
        assert len(capsys.readouterr().err) < 400


def test_a_policy_that_needs_positions_names_the_scenario(capsys):
    assert main(["evaluate", "map_forecast", "--scenario", "tiny", "--seeds", "0:1"]) == 2
    said = capsys.readouterr().err
    assert "'urban'" in said and "position_m" in said and len(said) < 200
