"""Summaries, tables and the HTML report."""

import dataclasses
import math
import re
import sys
import warnings

import numpy as np
import pytest

from rangym.envs.errors import MissingExtra
from rangym.evaluation import Benchmark, Results, evaluate
from rangym.evaluation.columns import GAP, aligned
from rangym.evaluation.report import write_html
from rangym.evaluation.statistics import holm, paired_difference
from rangym.evaluation.summary import detail_table, main_table, notes, p_value, summarise, summarise_all, text_report
from rangym.policies import Predictor

CELL = "rangym/CellAssociation-v0"
SCRIPT = "<script>alert('x')</script>"


def rows(policy, rewards, *, role="heuristic", knowledge="observation", scenario="small", **more):
    common = {
        "env_id": CELL,
        "scenario": scenario,
        "overrides": {},
        "trace_code": "s",
        "files": {},
        "versions": {"rangym": "9.9"},
    }
    return [
        {
            **common,
            "row": "episode",
            "key": f"{policy}{seed}{scenario}",
            "policy": policy,
            "options": {},
            "policy_overrides": {},
            "seed": seed,
            "role": role,
            "knowledge": knowledge,
            "horizon": 7,
            "reward": reward,
            "terms": {"utility": reward + 1, "handover": -1.0},
            "metrics": {"handovers": 2.0, "ping_pong": None if seed else 0.5},
            "cpu_ms_per_slot": 0.01,
            **more,
        }
        for seed, reward in enumerate(rewards)
    ]


def bounds(values, kind="certified", lower=None):
    common = {"row": "bound", "env_id": CELL, "scenario": "small", "overrides": {}, "files": {}}
    return [
        {**common, "seed": s, "bound": {"value": v, "kind": kind, "what": "planted", "lower": lower}}
        for s, v in enumerate(values)
    ]


GOOD, BAD, RANDOM = [3.0, 4.0, 5.0, 3.5], [2.0, 3.1, 4.2, 2.3], [0.0, 1.0, 2.0, 1.0]
ORACLE, BOUND = [4.0, 5.0, 6.0, 4.5], [4.0, 5.0, 6.0, 5.0]


@pytest.fixture
def results():
    episodes = [
        *rows("random", RANDOM, role="random"),
        *rows("bad", BAD, role="reference", knowledge="model"),
        *rows("good", GOOD, role="agent", policy_overrides={"action": "scores"}),
        *rows("oracle", ORACLE, role="oracle", knowledge="oracle"),
    ]
    return Results(tuple(episodes), tuple(bounds(BOUND, lower=1.0)), ())


def test_numbers_of_a_summary_by_hand(results):
    summary = summarise(results.comparison())
    lines = {line.policy: line for line in summary.policies}
    assert list(lines) == ["oracle", "good", "bad", "random"]
    assert summary.reference == "good" and summary.zero == "random"  # an oracle is no reference
    assert lines["good"].reward.value == pytest.approx(3.875)
    assert lines["good"].regret == pytest.approx(5.0 - 3.875)
    assert lines["good"].regret_least == pytest.approx(1.0 - 3.875)
    assert lines["good"].score.value == pytest.approx((3.875 - 1.0) / (5.0 - 1.0))
    assert lines["good"].difference is None and math.isnan(lines["good"].p_adjusted)
    assert lines["bad"].difference.value == pytest.approx(np.mean(np.subtract(BAD, GOOD)))
    raw = [paired_difference(x, GOOD).p for x in (ORACLE, BAD, RANDOM)]
    assert [lines[p].p_adjusted for p in ("oracle", "bad", "random")] == pytest.approx(list(holm(raw)))
    assert lines["bad"].metrics["ping_pong"] == 0.5  # of the one episode that has it
    assert lines["bad"].terms == pytest.approx({"utility": 3.9, "handover": -1.0})


@pytest.mark.parametrize(
    ("policies", "against", "said"),
    [
        (("random", "bad", "good", "oracle"), None, "good"),  # the best of three that are no oracles
        (("random", "bad", "good", "oracle"), "good", None),  # named beforehand
        (("random", "bad", "good", "oracle"), "bad", None),
        (("good", "oracle"), None, None),  # no choice
        (("good",), None, None),
    ],
)
def test_a_comparator_chosen_on_the_same_traces_is_said_to_be(results, policies, against, said):
    episodes = tuple(row for row in results.episodes if row["policy"] in policies)
    summary = summarise(Results(episodes, results.bounds, ()).comparison(), against)
    found = [note for note in notes(summary) if note.startswith("winner's curse")]
    assert len(found) == (said is not None)
    assert said is None or f"{said} is the comparator because it did best on these very traces" in found[0]
    assert (text_report(summary).count("winner's curse") == 1) == (said is not None)


def test_best_known_values_give_a_marked_score_and_no_regret(results):
    summary = summarise(Results(results.episodes, tuple(bounds(BOUND, "best known")), ()).comparison())
    header, _ = main_table(summary)
    assert "score (best known)" in header and "regret" not in header


def test_without_bounds_or_without_the_zero_policy_there_is_no_score(results):
    for episodes, found in (
        (results.episodes, ()),
        (results.episodes, tuple(bounds(BOUND[:3]))),  # one trace has no bound
        (tuple(r for r in results.episodes if r["policy"] != "random"), results.bounds),
    ):
        summary = summarise(Results(episodes, found, ()).comparison())
        assert all(line.score is None for line in summary.policies)
        assert not any(h.startswith("score") for h in main_table(summary)[0])


def test_seeds_that_a_policy_lacks_are_left_out_and_said_so(results):
    fewer = tuple(r for r in results.episodes if (r["policy"], r["seed"]) != ("bad", 2))
    comparison = Results(fewer, (), ()).comparison()
    assert comparison.seeds == (0, 1, 3) and comparison.dropped_seeds == 1
    assert "1 left out" in " ".join(text_report(summarise(comparison)).split())
    assert "seeds 0..1, 3" in text_report(summarise(comparison))


def test_measured_takes_max_sinr_as_zero():
    episodes = [*rows("max_sinr", RANDOM, scenario="measured"), *rows("random", BAD, scenario="measured")]
    assert summarise(Results(tuple(episodes), (), ()).comparison()).zero == "max_sinr"


def test_differences_to_a_chosen_policy(results):
    assert summarise_all(results, "bad")[0].reference == "bad"
    tuned = Results((*results.episodes, *rows("lda", BAD, options={"step": 3})), (), ())
    assert summarise_all(tuned, "lda")[0].reference == "lda:step=3"
    two = Results((*tuned.episodes, *rows("lda", BAD, options={"step": 4})), (), ())
    with pytest.raises(ValueError, match="lda:step=3, lda:step=4 wanted, got 'lda'"):
        summarise_all(two, "lda")
    with pytest.raises(ValueError, match="against"):
        summarise_all(results, "worse")


def test_text_names_what_it_prints(results):
    text = text_report(summarise(results.comparison()), details=True)
    for words in (
        "4 traces of 7 slots",
        "evaluation",
        "good acts under action=scores",
        "Holm",
        "certified",
        "ping_pong",
    ):
        assert words in text
    tables = [line for line in text.splitlines() if GAP in line]
    assert len(tables) > 15 and max(map(len, tables)) <= 80


def test_columns_are_aligned():
    assert aligned(["a", "b"], [["x", "1.5"], ["long", "10"]]) == "a       b\n----  ---\nx     1.5\nlong   10"


@pytest.mark.parametrize(("p", "text"), [(0.0004, "<.001"), (0.05, ".050"), (1.0, "1.000"), (math.nan, "")])
def test_p_values(p, text):
    assert p_value(p) == text


def test_report_stands_alone_and_says_how_it_came_about(results, tmp_path):
    page = write_html(results, tmp_path / "deep" / "r.html", command="rangym bench --out x").read_text()
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
    assert not re.search(r"@import|url\(\s*['\"]?http", page)
    assert page.count("<svg") == 4  # reward, difference, score, terms
    for words in ("rangym bench --out x", "rangym 9.9", "seeds 0..3", "3.8750", "planted"):
        assert words in page
    tables = [main_table, detail_table]
    for table in tables:
        header, lines = table(summarise(results.comparison()))
        assert all(f"<th>{cell}</th>" in page for cell in header)
        assert all(len(line) == len(header) for line in lines)


def test_far_policies_are_arrows_and_the_bound_is_always_shown(results):
    plots = pytest.importorskip("rangym.evaluation.plots")
    far = Results((*results.episodes, *rows("lost", [-90.0] * 4)), tuple(bounds([50.0] * 4)), ())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib's when a layout fails
        svg = plots.reward_plot(summarise(far.comparison()))
    assert "-90" in svg and "bound (certified)" in svg
    shown = [float(x.replace("\u2212", "-")) for x in re.findall(r">(\u2212?[\d.]+)</text>", svg)]
    assert min(shown) > -60 and max(shown) >= 50


def test_report_escapes_what_it_is_given(results, tmp_path):
    planted = Results((*results.episodes, *rows(SCRIPT, BAD, role="agent")), results.bounds, ())
    page = write_html(planted, tmp_path / "r.html", command=SCRIPT).read_text()
    assert "<script" not in page and "&lt;script&gt;" in page


def test_report_shows_problems(results, tmp_path):
    broken = Results((*results.episodes, *rows("cheat", [9.0, 9.0, 9.0, 9.0], role="agent")), results.bounds, ())
    page = write_html(broken, tmp_path / "r.html", command="x").read_text()
    assert "4 problem(s)" in page and "above the certified bound" in page


def test_a_missing_extra_says_what_to_install(results, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtra, match=r"pip install 'rangym\[plot\]'"):
        write_html(results, tmp_path / "r.html", command="x")


def test_names_are_shown_as_they_are_in_tables_and_pictures(tmp_path):
    """Dollar signs begin no formula, and escape sequences reach neither a terminal nor a page."""

    class Named:
        def predict(self, observation, state=None, episode_start=None, deterministic=True):
            return np.zeros(4, int), None

    names = ("$x^2$", "$\\frac{", "red\x1b[31m")
    results = evaluate([Predictor(Named(), name=name) for name in names], Benchmark(CELL, "tiny", range(2)))
    page = write_html(results, tmp_path / "x.html", command="rangym \x1b[0m").read_text()
    for text in (str(results), page):
        assert "\x1b" not in text and "red\\x1b[31m" in text
        assert "$x^2$" in text and "$\\frac{" in text


def test_a_bound_that_the_zero_policy_reaches_gives_a_table_without_scores():
    """Where nothing can be gained, as on a drive with one good cell."""
    results = evaluate(["random", "hindsight"], Benchmark(CELL, "tiny", range(2)))
    (comparison,) = results.comparisons
    least = 1e-12 + comparison.rewards("random").mean()
    bounds = {seed: {**bound, "value": least} for seed, bound in comparison.bounds.items()}
    text = text_report(summarise(dataclasses.replace(comparison, bounds=bounds)))
    assert "score: none, since random reaches the bound." in text and "0 to 1" not in text
