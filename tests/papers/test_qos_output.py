"""What the reproduction of the predictive-QoS paper computes itself: the descent with a ReLU, rows, splits, scores."""

import dataclasses
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rangym.envs.learning.heads import statistics_of
from rangym.evaluation.papers.pqos_bcd import accuracy, measure, solver
from rangym.evaluation.papers.pqos_bcd.instances import FIRST_DAY, all_rows, drawn, instance
from rangym.evaluation.papers.pqos_bcd.output import _Rows, descend
from rangym.policies.algorithms.prediction.bcd import bcd

random_instance = runpy.run_path(str(Path(__file__).with_name("sharing_instances.py")))["instance"]

FORMS = (("printed", "mean"), ("printed", "weighted"), ("corrected", "weighted"))


@pytest.fixture(scope="module")
def small():
    """The problem of six cells, its rows, and a start on the simplex."""
    problem, _, _, features, targets = random_instance(3, cells=6, p=4, m=2)
    return problem, features, targets, np.random.default_rng(0).dirichlet(np.ones(6), 6)


@pytest.mark.parametrize(("form", "aggregation"), FORMS)
def test_a_linear_output_descends_as_the_three_sums_do(small, form, aggregation):
    problem, features, targets, start = small
    options = {"form": form, "aggregation": aggregation, "iterations": 30}
    wanted = bcd(problem, start=start, theta="gradient", tolerance=0, **options)
    found = descend(problem, features, targets, start, output="linear", **options)
    np.testing.assert_allclose(found, wanted.relaxed, rtol=1e-10)


def test_a_relu_that_never_cuts_changes_nothing_and_one_that_cuts_does(small):
    problem, features, targets, start = small
    features = np.concatenate([np.abs(features), np.ones((*features.shape[:2], 1))], axis=2)
    head = np.concatenate([problem.start, np.full((1, 2), 50.0)])
    shifted = dataclasses.replace(problem, statistics=statistics_of(features, targets + 50.0), start=head)
    runs = [
        descend(
            shifted, features, targets + 50.0, start, output=o, form="corrected", aggregation="weighted", iterations=9
        )
        for o in ("linear", "relu")
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    plain = dataclasses.replace(shifted, statistics=statistics_of(features, targets), start=0.0 * head)
    runs = [
        descend(plain, features, targets, start, output=o, form="corrected", aggregation="weighted", iterations=9)
        for o in ("linear", "relu")
    ]
    assert runs[1][-1] > runs[0][-1] + 0.1


def test_losses_and_slopes_behind_a_relu_by_brute_force(small):
    problem, features, targets, a = small
    rows = _Rows(problem, features, targets, "relu")
    rng = np.random.default_rng(1)
    heads = rng.normal(size=(6, 4, 2))

    def table(theta):
        found = np.empty((6, 6))
        for i in range(6):
            for c in range(6):
                error = np.maximum(features[i] @ theta[c], 0) - targets[i]
                pull = problem.rho * ((theta[c] - problem.start) ** 2).sum()
                found[i, c] = ((error**2).sum(axis=1).mean() + pull) / 2
        return found

    error, losses = rows.losses(heads)
    np.testing.assert_allclose(losses, table(heads), rtol=1e-12)
    slope = rows.gradient(error, a) + 2 * problem.rho / 2 * a.sum(axis=0)[:, None, None] * (heads - problem.start)
    for _ in range(5):
        d = rng.normal(size=heads.shape)
        difference = (a * (table(heads + 1e-6 * d) - table(heads - 1e-6 * d))).sum() / 2e-6
        assert (slope * d).sum() == pytest.approx(difference, rel=1e-5)


def test_all_rows_are_those_of_the_day():
    day = drawn(FIRST_DAY)
    for t, (q, cell) in enumerate(all_rows(FIRST_DAY)):
        assert np.bincount(cell, minlength=12).tolist() == day.num_rows[t].tolist()
        mean = [q[:, cell == i].mean(axis=1) for i in range(12)]
        np.testing.assert_allclose(mean, day.mean[t], rtol=1e-9)
        if t == 3:
            break


def test_fits_by_scipy():
    rng = np.random.default_rng(0)
    q = rng.normal([[1.0], [-0.5], [-90.0]], [[0.3], [0.5], [6.0]], (3, 400))
    found = measure._fits(q, rng)
    for k in range(2):
        x, shape = np.exp(q[k]), q[k].std()
        wanted = stats.lognorm.logpdf(x, shape, scale=np.exp(q[k].mean())).mean()
        assert found["lognormal"][k] == pytest.approx(wanted)
        assert found["normal"][k] == pytest.approx(stats.norm.logpdf(x, x.mean(), x.std()).mean())
        assert found["ks_lognormal"][k] == pytest.approx(
            stats.kstest(x, "lognorm", (shape, 0, np.exp(q[k].mean()))).statistic
        )
        assert found["lognormal"][k] > found["normal"][k]
    assert found["ks_rsrp"] == pytest.approx(stats.kstest(q[2], "norm", (q[2].mean(), q[2].std())).statistic)
    natural = np.exp(q[:2])
    law = stats.multivariate_normal(natural.mean(axis=1), np.cov(natural))
    drawn_from = law.rvs(200_000, random_state=1)
    assert found["either_negative"] == pytest.approx((drawn_from < 0).any(axis=1).mean(), rel=0.03)
    assert found["both_negative"] == pytest.approx((drawn_from < 0).all(axis=1).mean(), abs=1e-4)


def test_scores_of_the_truth_and_of_a_shifted_mean():
    inst = instance(0)
    targets = np.repeat(inst.targets[:4].reshape(-1, 9), 16, axis=0)
    cell = np.repeat(np.tile(np.arange(12), 4), 16)
    tested = accuracy.Tested(cell, np.zeros((len(cell), 1)), targets, inst.values[:4].reshape(-1, 3))
    limits = np.quantile(tested.values[:, :2], 0.8, axis=0)
    truth = accuracy._score(inst, tested, targets, limits)
    assert max(truth["mean"]) < 1e-12 and max(truth["std"]) < 1e-12 and max(truth["cell_variance"]) < 1e-20
    wrong = targets.copy()
    wrong[:, 2] += 2.0 / inst.predictor.target_scale[2]  # 2 dB
    found = accuracy._score(inst, tested, wrong, limits)
    assert found["mean"][2] == pytest.approx(2.0) and found["mean"][0] < 1e-12
    assert found["joint_nll"] > truth["joint_nll"] and found["brier"] == pytest.approx(truth["brier"], abs=1e-6)
    # The real frequency of keeping the limits, and its best constant forecast.
    share = truth["kept"]
    assert share == pytest.approx((tested.values[:, :2] <= limits).all(axis=1).mean())
    assert truth["brier"] < share * (1 - share) + 0.02


def test_a_known_target_is_that_of_the_same_period_and_a_missing_one_is_refused():
    targets = np.arange(2 * 3 * 9, dtype=float).reshape(2, 3, 9)
    trained = np.array([[0, 1, 1], [1, 0, 0]])
    found = accuracy._known(targets, trained, np.array([[1, 0], [0, 1]]))
    np.testing.assert_array_equal(found, [targets[0, 1], targets[0, 0], targets[1, 1], targets[1, 0]])
    with pytest.raises(ValueError, match="rows: some to train on of every period"):
        accuracy._known(targets, trained, np.array([[2, 0], [0, 1]]))


def test_the_split_leaks_and_days_held_out_do_not():
    leaky = accuracy.accuracy(seed=0, protocol="leaky", base="paper")
    assert max(leaky["no input, period"]["mean"]) < 1e-9
    error = {name: row["mean"][0] for name, row in leaky.items() if name != "heads"}
    assert error["local"] < error["printed"] < 0.5 * error["global"]
    apart = accuracy.accuracy(seed=0, protocol="one day", base="paper")
    assert "no input, period" not in apart
    assert min(row["mean"][0] for name, row in apart.items() if name != "heads") > 0.7 * apart["global"]["mean"][0]


def test_a_course_counts_steps_that_gain_too_little():
    problem = instance(0).problem()
    found = solver._descend(problem, "printed", "identity", 0, 10)
    lipschitz = 2 * problem.lam * np.linalg.eigvalsh(problem.laplacian)[-1]
    gained = [before - after for before, after in zip(found.between, found.relaxed[1:], strict=True)]
    short = [g < lipschitz / 2 * step**2 - 1e-9 for g, step in zip(gained, found.moved, strict=True)]
    row = solver._course(found, lipschitz)
    assert row["violations"] == pytest.approx(np.mean(short)) and row["violations"] > 0
    assert row["sizes"] == sorted(np.bincount(found.labels).tolist(), reverse=True)
    assert row["clusters"][0] == 12 and row["rises"] == found.rises
