"""Which cells should share a predictor: folds, scores and clusters on made-up days, and the study of real drives."""

import math
import os

import numpy as np
import pytest

from rangym.cli import main
from rangym.envs.learning.heads import ridge_heads, statistics_by_cell
from rangym.envs.qos_clustering.kpi_logs import KPIS, read_logs
from rangym.envs.qos_clustering.recorded_days import load_days
from rangym.envs.qos_clustering.recorded_predictor import fitted_days
from rangym.evaluation.problems.qos_clustering.drive_study import METHODS, drive_samples
from rangym.evaluation.problems.qos_clustering.sharing_study import Samples, methods_for, samples_of_days, study


@pytest.fixture(scope="module")
def two_days(kpi_logs, tmp_path_factory):
    """Days of four cells, from noon to noon: three dates."""
    folder = tmp_path_factory.mktemp("two_days")
    rows = [r | {"t_s": r["t_s"] + 43_200} for r in kpi_logs.kpi_rows(periods=192, rows=20)]
    fitted_days(read_logs(kpi_logs.write_csv(folder / "log.csv", rows)), KPIS).save(folder / "days.npz")
    return folder / "days.npz"


def test_pairs_lie_within_a_day_and_are_filled(two_days):
    days = load_days(two_days)
    samples = samples_of_days(days, days.predictor)
    assert samples.folds == ["day 1", "day 2", "day 3"]
    assert np.bincount(samples.fold).tolist() == [(n - 4) * 4 * 16 for n in (48, 96, 48)]
    features = days.predictor.features(
        np.concatenate([days.day.rows[50, 2], np.tile(_code(days, 50, 2), (16, 1))], axis=1).astype(np.float32)
    )
    mine = np.flatnonzero((samples.cell == "c2") & (samples.fold == 1))[(50 - 48) * 16 : (51 - 48) * 16]
    np.testing.assert_allclose(samples.features[mine], features, atol=1e-5)
    target = (_code(days, 54, 2) - days.predictor.target_mean) / days.predictor.target_scale
    np.testing.assert_allclose(samples.targets[mine], np.tile(target, (16, 1)), atol=1e-5)


def _code(days, t, i):
    factor = np.linalg.cholesky(days.day.covariance[t, i])
    lower = [math.log(factor[0, 0]), factor[1, 0], math.log(factor[1, 1]), *factor[2, :2], math.log(factor[2, 2])]
    return np.concatenate([days.day.mean[t, i], lower])


def test_the_score_is_the_joint_nll_of_what_came(two_days):
    from scipy.stats import multivariate_normal

    days = load_days(two_days)
    samples = samples_of_days(days, days.predictor)
    rows = np.flatnonzero(samples.fold == 2)[:32]
    rng = np.random.default_rng(0)
    predicted = 0.3 * rng.normal(size=(32, 9))
    expected = []
    for pair in range(2):
        period, cell = 144, pair  # the first pairs of the third day
        mean, covariance = days.predictor.gaussian(predicted[16 * pair : 16 * pair + 16].mean(axis=0))
        later = days.day.rows[period + 4, cell, :, :3]
        expected.append(-multivariate_normal(mean, covariance).logpdf(later).mean())
    assert samples.score(predicted, rows) == pytest.approx(np.mean(expected), rel=1e-9)


def test_clusters_are_the_two_kinds_of_cells_and_beat_one_head_on_other_days(two_days):
    days = load_days(two_days)
    found = study(samples_of_days(days, days.predictor), methods_for(4), lam=0.002, beta=0.15, rho=0.03)
    exact, bcd, greedy, local, everybody = found.results
    assert exact.labels.tolist() == [0, 1, 0, 1]
    assert local.labels.tolist() == [0, 1, 2, 3] and everybody.num_clusters == 1
    assert exact.value == min(r.value for r in found.results) and exact.value <= greedy.value
    assert found.mean_score("exact") < found.mean_score("global") - 0.1
    assert (exact.clusters == 2).all() and (exact.scores < everybody.scores).all()


def test_a_fold_is_predicted_by_a_fit_to_the_others():
    """The held-out error of one head and of a head each, by least squares of our own."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(63, 2)), rng.normal(size=(63, 3))
    cell, fold = np.arange(63) % 3, np.arange(63) // 21  # cells weigh the same in a fit, however many rows they have
    samples = Samples(x, y, cell, fold, ["a", "b", "c"], lambda p, rows: float(((p - y[rows]) ** 2).mean()))
    found = study(samples, ("global", "local"), lam=0.0, beta=0.1, rho=1e-9)
    for k in range(3):
        train, test = fold != k, fold == k
        theta = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
        assert found.results[0].scores[k] == pytest.approx(((x[test] @ theta - y[test]) ** 2).mean(), rel=1e-5)
        own = np.empty((test.sum(), 3))
        for i in range(3):
            theta = np.linalg.lstsq(x[train & (cell == i)], y[train & (cell == i)], rcond=None)[0]
            own[cell[test] == i] = x[test & (cell == i)] @ theta
        assert found.results[1].scores[k] == pytest.approx(((own - y[test]) ** 2).mean(), rel=1e-5)
    assert found.mean_score("global") == pytest.approx(found.results[0].scores.mean())
    with pytest.raises(ValueError, match="fold: at least two folds, each with rows, wanted"):
        study(Samples(x, y, cell, np.zeros(63, int), ["a"], samples.score), ("global",), lam=0.0, beta=0.1, rho=0.1)


def test_rangym_cluster_prints_methods_days_and_labels(two_days, capsys):
    assert main(["cluster", str(two_days)]) == 0
    text = capsys.readouterr().out
    assert "4 cells, 192 periods of 900 s" in " ".join(text.split())
    lines = text.splitlines()
    top = next(k for k, line in enumerate(lines) if line.startswith("method"))
    assert lines[top].split() == "method predictors F_orig above NLL day 1 day 2 day 3".split()
    assert [line.split()[:2] for line in lines[top + 2 : top + 7]] == [
        ["exact", "2"],
        ["bcd", "2"],
        ["greedy", "2"],
        ["local", "4"],
        ["global", "1"],
    ]
    labels = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("c") and line[1].isdigit()}
    assert [labels[f"c{i}"][0] for i in range(4)] == ["0", "1", "0", "1"]
    assert [labels[f"c{i}"][3] for i in range(4)] == ["0", "1", "2", "3"]
    with pytest.raises(SystemExit, match="2"):
        main(["cluster", str(two_days), "--beta", "-1"])
    assert "--beta: a number of at least 0 wanted, got -1.0" in capsys.readouterr().err


def test_a_file_of_less_than_two_days_is_held_out_by_halves(days_file):
    days = load_days(days_file)
    assert samples_of_days(days, days.predictor).folds == ["first half", "second half"]


def test_more_than_fourteen_cells_have_the_best_known():
    assert methods_for(14)[0] == "exact" and methods_for(15)[0] == "best"
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(320, 2)), rng.normal(size=(320, 2))
    samples = Samples(x, y, np.arange(320) % 16, np.arange(320) // 160, ["a", "b"], lambda p, rows: 0.0)
    best, *others = study(samples, methods_for(16), lam=0.0, beta=0.05, rho=0.03).results
    assert best.value <= min(r.value for r in others) + 1e-12


# --- Real drives ---

EXPECTED = {
    0.03: {"global": 0.2201, "local": 0.2207, "exact": 0.2191},
    0.3: {"global": 0.2201, "local": 0.2145, "exact": 0.2158},
}
"""Held-out errors of the specification, whose windows and folds are not told in every detail."""


@pytest.fixture(scope="module")
def drives():
    if not (path := os.environ.get("RANGYM_DATA")):
        pytest.skip("RANGYM_DATA is not set: it names a folder or .zip with the 5G-production-dataset's drive logs")
    return drive_samples(path)


def test_twelve_cells_of_real_drives(drives):
    """88 to 462 samples in each of twelve cells."""
    count = np.unique(drives.cell, return_counts=True)[1]
    assert len(count) == 12 and abs(count.min() - 88) <= 2 and abs(count.max() - 462) <= 2
    assert drives.features.shape == (count.sum(), 10) and set(np.unique(drives.fold)) == set(range(5))
    np.testing.assert_allclose(drives.targets.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(drives.targets.std(axis=0), 1)


@pytest.mark.parametrize("rho", EXPECTED)
def test_differences_of_two_percent_are_not_significant_on_real_drives(drives, rho):
    """Global, local, exact and BCD at beta .02: no paired difference to one head of five folds excludes 0 by much."""
    from scipy.stats import t

    found = study(drives, METHODS, lam=0.0, beta=0.02, rho=rho)
    scores = {r.method: r.scores for r in found.results}
    assert scores["global"].mean() == pytest.approx(EXPECTED[rho]["global"], rel=0.01)
    folds = scores["global"].std(ddof=1) / scores["global"].mean()
    assert folds > 0.03  # one fold differs from another by more than any method from another
    if rho == 0.3:
        for method in ("local", "exact", "bcd"):
            assert scores[method].mean() == pytest.approx(EXPECTED[rho].get(method, scores["exact"].mean()), rel=0.04)
            difference = scores[method] - scores["global"]
            half = t.ppf(0.975, 4) * difference.std(ddof=1) / math.sqrt(5)
            assert abs(difference.mean()) < half  # the paired 95 % interval holds 0
            assert abs(difference.mean()) < 0.02 * scores["global"].mean()
    exact = next(r for r in found.results if r.method == "exact")
    assert exact.value == min(r.value for r in found.results)


def test_the_global_head_of_real_drives_is_least_squares(drives):
    everybody = statistics_by_cell(drives.features, drives.targets, np.zeros(len(drives.cell), int))
    theta = ridge_heads(everybody, np.ones((1, 1)), np.zeros((10, 3)), 1e-9)[0]
    expected = np.linalg.lstsq(drives.features, drives.targets, rcond=None)[0]
    np.testing.assert_allclose(theta, expected, atol=1e-6)
