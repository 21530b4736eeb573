"""The proximal step: against cvxpy, against its dual, projection and thresholding by second methods."""

import doctest
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from rangym.policies.algorithms.prediction import nuclear_prox as n


def random_case(rng):
    shape = rng.integers(2, 21), rng.integers(2, 13)
    z = rng.choice([1.0, 3.0]) * rng.dirichlet(np.ones(shape[1]), shape[0]) + rng.choice([0.1, 1.0]) * rng.normal(
        size=shape
    )
    return z, float(rng.choice([0.01, 0.1, 0.5, 1.0, 3.0]))


def test_doctests():
    assert doctest.testmod(n).failed == 0


@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 20), st.sampled_from([0.01, 1.0, 100.0]))
def test_projection_by_root_finding(seed, rows, columns, scale):
    x = scale * np.random.default_rng(seed).normal(size=(rows, columns))
    found = n.project_rows(x)
    for row, projected in zip(x, found, strict=True):
        level = brentq(lambda t, row=row: np.maximum(row - t, 0).sum() - 1, row.min() - 2, row.max(), xtol=1e-14)
        np.testing.assert_allclose(projected, np.maximum(row - level, 0), atol=1e-10 * max(scale, 1))
    np.testing.assert_allclose(n.project_rows(found), found, atol=1e-13)


def test_projection_of_equal_and_of_huge_entries():
    np.testing.assert_allclose(n.project_rows(np.full((2, 4), 7.0)), 0.25)
    assert n.project_rows([[1e9, 0.0]]).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("shape", [(12, 12), (40, 7), (7, 40), (1, 5), (5, 1)])
def test_thresholding_full_and_by_gram_is_the_formula(shape):
    x = np.random.default_rng(0).normal(size=shape)
    u, s, v = np.linalg.svd(x, full_matrices=False)
    for t in (0.01, 0.5, 2.0, 100.0):
        wanted = u @ np.diag(np.maximum(s - t, 0)) @ v
        for gram in (True, False, None):
            np.testing.assert_allclose(n.svt(x, t, gram=gram), wanted, atol=1e-12)


def test_a_threshold_too_small_for_the_gram_matrix():
    u, v = (np.linalg.qr(np.random.default_rng(k).normal(size=(6, 6)))[0] for k in (1, 2))
    x = u @ np.diag([1e6, 1e3, 1.0, 1e-3, 1e-6, 1e-9]) @ v
    s = np.linalg.svd(n.svt(x, 5e-4), compute_uv=False)
    np.testing.assert_allclose(s[3], 5e-4, rtol=1e-5)  # 1e-3 survives although 1e-9 of the largest


def test_nuclear_norm_of_hard_labels_is_the_sum_of_roots():
    sizes = [5, 4, 2, 1]
    a = np.repeat(np.eye(4), sizes, axis=0)
    assert n.nuclear_norm(a) == pytest.approx(np.sqrt(sizes).sum()) and n.nuclear_norm(a) > 4
    assert n.nuclear_norm(np.full((12, 4), 0.25)) == pytest.approx(np.sqrt(12 / 4))  # the least there is


def test_prox_is_that_of_cvxpy():
    cp = pytest.importorskip("cvxpy")
    pytest.importorskip("clarabel")
    rng = np.random.default_rng(1)
    for _ in range(200):
        z, t = random_case(rng)
        ours = n.prox(z, t, tolerance=1e-12)
        x = cp.Variable(z.shape)
        objective = 0.5 * cp.sum_squares(x - z) + t * cp.normNuc(x)
        problem = cp.Problem(cp.Minimize(objective), [x >= 0, cp.sum(x, axis=1) == 1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it says that it does not reach these tolerances
            problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
        theirs = n.project_rows(x.value)
        value, best = n.step_value(theirs, z, t), n.step_value(ours.matrix, z, t)
        assert ours.converged and best <= value * (1 + 1e-12)
        assert dual_value(ours.multiplier, z, t) == pytest.approx(best, rel=1e-10)  # none is lower by more
        # The objective curves by 1: theirs is as far off as its excess says, and rounding hides 1e-15 of it.
        excess = max(value - best, 0) + 1e-15 * best
        np.testing.assert_allclose(ours.matrix, theirs, rtol=0, atol=1e-7 + np.sqrt(2 * excess))


def dual_value(q, z, t):
    """(|Z|^2 - |Z - Q - W|^2) / 2 - sum_i max_c Q_ic, W the part of Z - Q with singular values up to t."""
    u, s, v = np.linalg.svd(z - q, full_matrices=False)
    w = u @ np.diag(np.minimum(s, t)) @ v
    return 0.5 * ((z**2).sum() - ((z - q - w) ** 2).sum()) - q.max(axis=1).sum()


@pytest.mark.parametrize("shape", [(20, 12), (3, 40), (300, 10)])
def test_prox_is_proved_by_its_dual(shape):
    rng = np.random.default_rng(2)
    for _ in range(60):
        z, t = random_case(rng)
        z = rng.normal(size=shape) if shape != (20, 12) else z
        found = n.prox(z, t, tolerance=1e-11)
        assert (found.matrix >= 0).all()
        np.testing.assert_allclose(found.matrix.sum(axis=1), 1, atol=1e-12)
        gap = n.step_value(found.matrix, z, t) - dual_value(found.multiplier, z, t)
        assert -1e-11 * (z**2).sum() < gap < 1e-10 * max(1.0, (z**2).sum())


def test_a_near_multiplier_saves_sweeps_and_changes_nothing():
    rng = np.random.default_rng(3)
    cold = warm = 0
    for _ in range(50):
        z, t = random_case(rng)
        nearby = z + 0.01 * rng.normal(size=z.shape)
        first = n.prox(z, t, tolerance=1e-10)
        again, plain = n.prox(nearby, t, multiplier=first.multiplier), n.prox(nearby, t)
        np.testing.assert_allclose(again.matrix, plain.matrix, atol=1e-8)
        cold, warm = cold + plain.sweeps, warm + again.sweeps
    assert warm < 0.9 * cold


def test_thresholding_then_projecting_is_not_the_proximal_step():
    rng = np.random.default_rng(4)
    excess = []
    for _ in range(100):
        z, t = random_case(rng)
        best = n.step_value(n.prox(z, t).matrix, z, t)
        excess.append(n.step_value(n.svt_then_project(z, t), z, t) / best - 1)
    assert min(excess) > -1e-9 and np.mean(excess) > 1e-3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: n.prox(np.ones(3), 1.0), r"matrix: shape \(N, C\)"),
        (lambda: n.prox([[np.nan, 1.0]], 1.0), "matrix: finite"),
        (lambda: n.prox(np.eye(2), -1.0), "threshold:"),
        (lambda: n.svt(np.eye(2), np.nan), "threshold:"),
        (lambda: n.prox(np.eye(2), 1.0, multiplier=np.eye(3)), "multiplier: shape"),
        (lambda: n.prox(np.eye(2), 1.0, tolerance=0.0), "tolerance:"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
