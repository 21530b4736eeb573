"""Intervals and tests: against scipy, hand-computed values, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from rangym.evaluation.statistics import (
    dynamic_regret,
    holm,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    normalised_score,
    paired_difference,
    two_way_interval,
)

SAMPLE = np.array([2.1, 3.4, 1.9, 5.0, 2.8, 3.3, 4.1])


def test_mean_interval_is_scipys():
    found = mean_interval(SAMPLE, 0.9)
    low, high = stats.t.interval(0.9, len(SAMPLE) - 1, loc=SAMPLE.mean(), scale=stats.sem(SAMPLE))
    assert (found.value, found.low, found.high) == pytest.approx((SAMPLE.mean(), low, high), rel=1e-12)
    assert found.half_width == pytest.approx((high - low) / 2)


def test_paired_difference_is_scipys_paired_t_test():
    other = SAMPLE[::-1] * 0.9
    found = paired_difference(SAMPLE, other)
    expected = stats.ttest_rel(SAMPLE, other)
    interval = expected.confidence_interval(0.95)
    assert (found.t, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert found.num_pairs == 7


def test_constant_differences_are_certain():
    same, more, less = (paired_difference([1.0, 2.0, 4.0], [1.0 - d, 2.0 - d, 4.0 - d]) for d in (0.0, 0.5, -0.5))
    assert (same.t, same.p) == (0.0, 1.0)
    assert (more.t, more.p, less.t, less.p) == (np.inf, 0.0, -np.inf, 0.0)


def test_one_trace_has_a_value_and_no_interval():
    assert mean_interval([3.0]).value == 3.0
    assert np.isnan([mean_interval([3.0]).low, interquartile_mean_interval([3.0]).high]).all()
    assert np.isnan([paired_difference([3.0], [1.0]).t, paired_difference([3.0], [1.0]).p]).all()


def test_interquartile_mean_by_hand():
    assert interquartile_mean([0, 1, 2, 3, 4, 5, 6, 1000]) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert interquartile_mean([[0.0, 7.0], [8.0, -50.0]]) == pytest.approx(3.5)  # -50 and 8 are cut


def test_bootstrap_resamples_inside_each_task():
    """Two tasks far apart, each constant: resampling inside tasks leaves nothing to vary."""
    values = np.tile([0.0, 100.0], (6, 1))
    found = interquartile_mean_interval(values)
    assert found.low == found.high == found.value == 50.0


def test_bootstrap_interval_is_that_of_a_loop():
    """The vectorised bootstrap against one resample at a time with scipy's trimmed mean."""
    values = np.random.default_rng(3).normal(size=(9, 2))
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 9, (500, 9, 2))
    means = [stats.trim_mean(np.column_stack([values[c[:, k], k] for k in range(2)]), 0.25, axis=None) for c in chosen]
    found = interquartile_mean_interval(values, resamples=500, seed=0)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), rel=1e-12)


def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(11)
    n, runs = 20, 400
    hits = np.zeros(3)
    for _ in range(runs):
        x = rng.normal(1.0, 1.0, n)
        y = x + rng.normal(-0.3, 0.2, n)
        hits += [
            (i.low <= truth <= i.high)
            for i, truth in (
                (mean_interval(x), 1.0),
                (paired_difference(y, x), -0.3),
                (interquartile_mean_interval(x, resamples=400), 1.0),
            )
        ]
    # 400 runs: the standard error of a 95 % coverage is 1.1 %
    assert ((0.915 < hits / runs) & (hits / runs < 0.985)).all(), hits / runs


def test_unequal_pairs_are_told_apart_and_equal_ones_are_not():
    rng = np.random.default_rng(5)
    trace = rng.normal(0, 1.0, (300, 10))  # what policies share dominates
    p_equal = [paired_difference(t + rng.normal(0, 0.1, 10), t + rng.normal(0, 0.1, 10)).p for t in trace]
    p_unequal = [paired_difference(t + rng.normal(0.2, 0.1, 10), t + rng.normal(0, 0.1, 10)).p for t in trace]
    assert 0.02 < np.mean(np.array(p_equal) < 0.05) < 0.09
    assert np.mean(np.array(p_unequal) < 0.05) > 0.9
    assert stats.kstest(p_equal, "uniform").pvalue > 0.01


def test_holm_by_hand():
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then the running maximum
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.02, np.nan, 0.01]), [0.02, np.nan, 0.02])
    assert len(holm([])) == 0


def test_holm_keeps_the_family_wise_error_rate():
    rng = np.random.default_rng(2)
    false_alarms = [holm(rng.uniform(size=8)).min() < 0.05 for _ in range(4000)]
    assert np.mean(false_alarms) == pytest.approx(0.05, abs=0.012)


def test_scores_and_regret():
    bound, zero = np.array([3.0, 5.0]), np.array([0.5, 1.5])  # zero's mean 1, bound's mean 4
    np.testing.assert_allclose(normalised_score([2.4, 5.0], zero.mean(), bound), [0.8, 1.0])
    assert normalised_score(zero, zero.mean(), bound).mean() == pytest.approx(0.0)
    np.testing.assert_allclose(normalised_score(bound, zero.mean(), bound), 1.0)
    np.testing.assert_allclose(dynamic_regret([1.0, 3.0], [3.0, 5.0]), [2.0, 2.0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: mean_interval([]), "non-empty"),
        (lambda: mean_interval([1.0, np.nan]), "finite"),
        (lambda: mean_interval([[1.0]]), "1 dimension"),
        (lambda: mean_interval([1.0, 2.0], 95), "between 0 and 1"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "equal lengths"),
        (lambda: holm([0.5, 1.5]), r"\[0, 1\]"),
        (lambda: normalised_score([1.0], 2.0, [1.5]), "above the zero policy's"),
        (lambda: interquartile_mean_interval(np.zeros((2, 2, 2))), "shape"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_two_way_interval_by_hand():
    """2 agents on 3 traces: mean squares 6 and 8, of 1 and 2 degrees of freedom, and no rest: variance 14 / 6."""
    found = two_way_interval([[1.0, 3.0, 5.0], [3.0, 5.0, 7.0]])
    assert found.value == 4.0
    degrees = 14.0**2 / (6.0**2 / 1 + 8.0**2 / 2)
    assert found.half_width == pytest.approx(stats.t.ppf(0.975, degrees) * np.sqrt(14.0 / 6), rel=1e-12)


@pytest.mark.parametrize("of_agents, of_traces, of_rest", [(1.0, 1.0, 1.0), (0.0, 1.0, 0.3), (1.0, 0.0, 0.3)])
def test_two_way_intervals_cover_a_new_draw_of_agents_and_traces(of_agents, of_traces, of_rest):
    rng, runs, hits = np.random.default_rng(0), 1000, 0
    for _ in range(runs):
        agents, traces = rng.normal(size=(10, 1)), rng.normal(size=(1, 20))
        found = two_way_interval(of_agents * agents + of_traces * traces + of_rest * rng.normal(size=(10, 20)))
        hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / runs <= 0.98


def test_two_way_intervals_of_agents_that_do_not_differ_are_those_of_their_traces():
    values = np.random.default_rng(0).normal(size=20)
    found, wanted = two_way_interval([values] * 10), mean_interval(values)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high))
    assert two_way_interval(np.ones((3, 4))).half_width == 0
    for wrong in ([1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, np.nan], [1.0, 2.0]]):
        with pytest.raises(ValueError, match="values: .* wanted"):
            two_way_interval(wrong)
