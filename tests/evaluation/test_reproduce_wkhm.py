"""The reproduction of WKHM on a few seeds: what is measured, and that its verdicts follow the numbers."""

import copy
import json

import numpy as np
import pytest
from scipy import stats

from rangym.evaluation.papers import readings
from rangym.evaluation.papers.reproduce import ROWS, run
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import DECIBELS, NOT_REPRODUCED, REPRODUCED, UNDECIDED, read_off_verdict
from rangym.evaluation.papers.wkhm import PAPER, WkhmPlan, claims, figures, measure
from rangym.evaluation.papers.wkhm.jobs import ABLATED, TABLE_I


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wkhm")
    plan = WkhmPlan(seeds=4, ablation_seeds=2, theorem_seeds=2, note="QUICK RUN: for a test.")
    assert run(PAPER, plan, 1, folder, "rangym reproduce wkhm") == 0
    return folder


@pytest.fixture(scope="module")
def data(out):
    return Rows.load(out / ROWS)


def found(out):
    return {c["statement"]: c for c in json.loads((out / "claims.json").read_text())["claims"]}


def test_every_claim_and_figure_is_written(out):
    table = found(out)
    assert len(table) >= 30
    assert "QUICK RUN" in (out / "claims.md").read_text()
    for name in ("distributions.png", "ablations.png", "throughput.png"):
        assert (out / name).stat().st_size > 10_000


def test_descent_is_refuted_and_the_counterexample_shown(out):
    table = found(out)
    theorem = table["The update never raises the distortion L"]
    assert theorem["verdict"] == NOT_REPRODUCED and theorem["readings"][0]["measured"].startswith("0 of 12 runs")
    example = next(c for name, c in table.items() if "one user at 0" in name)
    assert example["verdict"] == NOT_REPRODUCED and "0.999999 to 1e+06" in example["readings"][0]["measured"]


def test_lemma_1_holds_below_the_limit_of_delta_only(out):
    lemma = next(c for c in found(out).values() if c["where"] == "Lemma 1")
    assert lemma["verdict"] == NOT_REPRODUCED
    assert "positive in 6 of 12 cases" in lemma["readings"][0]["measured"]
    assert "those with delta below it" in lemma["readings"][0]["measured"]


def test_table_i_is_the_paired_t_test(out, data):
    ours, theirs = (claims.throughput(data, "literal", method) for method in ("WKHM", "KM"))
    test = stats.ttest_rel(theirs, ours)  # the paper's sign: negative where WKHM is better
    text = found(out)["WKHM's mean throughput is above KM's"]["readings"][0]
    assert f"t = {test.statistic:.2f}, p = {test.pvalue:.2g} " in text["measured"]
    assert (text["verdict"] == REPRODUCED) == (test.pvalue < 0.05 and test.statistic < 0)


def test_the_95_percent_intervals_of_the_figure_are_students(data):
    axes = figures.ablations(data).axes[0]
    for reading, bars in zip(ABLATED, axes.containers, strict=True):
        values = data.values(
            "ablation", "p", reading=reading
        )  # two seeds: Student's interval is 6.5 times the normal one
        ends = np.array([[y for _, y in segment] for segment in bars.lines[2][0].get_segments()])
        expected = stats.t.interval(0.95, len(values) - 1, loc=values.mean(axis=0), scale=stats.sem(values))
        np.testing.assert_allclose(ends, np.transpose(expected), rtol=1e-9)


def test_printed_statistics_imply_different_degrees_of_freedom():
    degrees = [
        measure.printed_test(method=method, statistic=t, p=p)["degrees_of_freedom"]
        for method, (t, p) in TABLE_I.items()
    ]
    np.testing.assert_allclose(degrees, [24.0, 29.7, 28.4, 33.1], atol=0.1)


def test_readings_differ_in_radio_and_update_only():
    users = []
    for _, radio in measure.READINGS.values():
        system, where, start = measure.drawn("uniform", 3, radio)
        users.append(np.concatenate([where, start]))
    assert all(np.array_equal(users[0], other) for other in users)
    system, _, _ = measure.drawn("uniform", 3, measure.NO_HEIGHT)
    assert system.params.distance_floor_m2 == pytest.approx(1e-6) and system.params.max_spectral_efficiency is None


def test_comparison_measures_what_the_environment_does(data):
    row = data.where("comparison", reading="3 m, cap", law="uniform")[0]["methods"]["KM"]
    system, users, start = measure.drawn("uniform", 0, {})
    from rangym.policies.algorithms.placement.clustering import k_means

    rates = system.rates(users, k_means(users, start).position)
    assert row["throughput_mbps"] == pytest.approx(rates.rate_mbps.mean())
    assert row["load"] == rates.load.tolist()
    np.testing.assert_allclose(row["sinr_db"], 10 * np.log10(rates.sinr), atol=1e-3)


def test_a_row_is_a_function_of_its_job():
    assert measure.theorems(seed=0) == measure.theorems(seed=0)


def test_the_lemmas_gain_is_the_difference_of_two_sums_of_rsrp():
    """Two users 1 apart, P = 1, delta added to the distance^alpha of every link."""
    for alpha, share in ((2.0, 0.5), (3.0, 1.1), (4.0, 2.0)):
        delta = share / (2**alpha - 2)
        users = np.array([0.0, 1.0])
        at_user, midway = ((1 / (np.abs(users - node) ** alpha + delta)).sum() for node in (0.0, 0.5))
        assert measure.lemma(alpha=alpha, share=share)["gain"] == pytest.approx(at_user - midway, rel=1e-12)


def test_a_limit_that_is_lower_beside_is_no_minimum():
    one_user = np.zeros((1, 2))
    # On its only user's head a node has the largest L there is: everything beside is lower.
    assert measure.lower_beside(one_user, one_user, 2.0, 4.0, 1.0, np.random.default_rng(0))
    # On a line, midway between two users, L has a true local minimum.
    assert not measure.lower_beside(
        np.array([[-1.0], [1.0]]), np.zeros((1, 1)), 2.0, 4.0, 1e-4, np.random.default_rng(0)
    )


def test_a_limit_cycle_is_found_and_rest_is_none():
    """Seed 2 at (p, q, eps) = (1, 4, 1e-4) goes round between two placements; seed 3 comes to rest."""
    setting = dict(p=1.0, q=4.0, eps=1e-4)
    _, users, start = measure.drawn("uniform", 2, {})
    period, swing = measure.limit_cycle(users, start, "printed", **setting)
    assert period == 2 and 1e-4 < swing < 1e-2
    here = measure.moved(users, start, form="printed", max_iterations=4000, tolerance=1e-12, **setting).position
    there = measure.moved(users, here, form="printed", max_iterations=1, tolerance=1e-12, **setting)
    back = measure.moved(users, there.position, form="printed", max_iterations=1, tolerance=1e-12, **setting)
    assert np.abs(back.position - here).max() < 1e-9 < 1e-3 < np.abs(there.position - here).max()
    assert abs(there.value / back.value - 1) == pytest.approx(swing, rel=0.1)
    _, users, start = measure.drawn("uniform", 3, {})
    assert measure.limit_cycle(users, start, "printed", **setting) == (1, 0.0)


def test_one_cycle_refutes_and_none_leaves_the_limit(data):
    def settles(**cycle):
        rows = Rows.of(copy.deepcopy([row for kind in data.by_kind.values() for row in kind]))
        for row in rows.where("theorems"):
            count = len(row["printed"]["period"])
            row["printed"].update(period=[1] * count, swing=[0.0] * count, last_change=[0.0] * count)
        for name, value in cycle.items():
            rows.where("theorems")[0]["printed"][name][5] = value
        return next(c for c in claims.claims(rows) if c.where == "Theorem 2").readings[0]

    assert settles().verdict == REPRODUCED
    cyclic = settles(period=2, swing=1e-3)
    assert cyclic.verdict == NOT_REPRODUCED
    assert cyclic.measured.startswith(
        "1 of 12 runs never settle: cycles of 2 steps at (p, q, eps) = (1.0, 4.0, 0.0001)"
    )
    assert settles(period=2, swing=1e-8).verdict == REPRODUCED  # rounding


def test_next_to_no_regulariser_does_as_well_until_it_overflows():
    """Without eps a node that lands on a user is 0 / 0 in the next step; 1e-100 is enough to divide."""
    lost = {eps: [] for eps in measure.WITHOUT_EPS}
    for seed in range(4):
        system, users, start = measure.drawn("uniform", seed, measure.NO_HEIGHT)
        sinr = {
            eps: np.log10(system.rates(users, measure.moved(users, start, form="printed", eps=eps).position).sinr)
            for eps in (1e-6, *measure.WITHOUT_EPS)
        }
        for eps, values in lost.items():
            values.append(10 * (sinr[1e-6] - sinr[eps]).mean())
    assert np.mean(lost[1e-300]) > 1.0 and abs(np.mean(lost[1e-100])) < 0.3


def test_the_pooled_cdf_is_read_to_whole_decibels():
    for least, verdict in (([-4.65, -1.0], REPRODUCED), ([-1.0, -5.4], REPRODUCED), ([-3.2, -4.4], NOT_REPRODUCED)):
        found = claims._pooled("x", np.array(least), lambda lowest: read_off_verdict(lowest, -5.0))
        assert found.verdict == verdict and found.measured.startswith(f"{min(least):.2f} dB in 2 realisations")


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        ([10.0, 11.0, 10.5], [10.1, 11.1, 10.6], REPRODUCED),
        ([10.0, 11.0, 10.5], [10.4, 11.4, 10.9], NOT_REPRODUCED),
        ([1000.0, 1100.0, 1050.0], [1000.4, 1100.4, 1050.4], NOT_REPRODUCED),  # whatever the level
        ([10.0, 11.0, 10.5], [10.1, 11.7, 10.3], UNDECIDED),
    ],
)
def test_levels_in_db_are_the_same_within_a_tolerance_in_db(one, other, verdict):
    assert readings.same("x", np.array(one), np.array(other), " dB", DECIBELS).verdict == verdict


def test_a_chain_needs_every_step():
    values = [np.array([k, k + 0.1, k - 0.1]) for k in (5.0, 4.0, 3.0, 2.0, 1.0)]
    assert claims._chain("x", values).verdict == REPRODUCED
    assert claims._chain("x", [*values[:3], values[4], values[3]]).verdict == NOT_REPRODUCED
    assert claims._chain("x", [*values[:3], np.array([2.0, 0.0, 3.0]), values[4]]).verdict == UNDECIDED
