"""Block coordinate descent: gradients, a plain second implementation, monotone where it is proved, not as printed."""

import doctest
import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from rangym.policies.algorithms.prediction import bcd as module
from rangym.policies.algorithms.prediction.bcd import THETA_STEPS, assign, assignment_gradient, bcd
from rangym.policies.algorithms.prediction.nuclear_prox import project_rows
from rangym.policies.algorithms.prediction.problem import relaxed_value

instance = runpy.run_path(str(Path(__file__).with_name("sharing_instances.py")))["instance"]


def test_doctests():
    assert doctest.testmod(module).failed == 0


def test_gradient_of_the_assignment_by_finite_differences():
    rng = np.random.default_rng(0)
    prob, *_ = instance(0)
    a, table = rng.dirichlet(np.ones(4), 8), rng.random((8, 4))

    def smooth(flat):
        return relaxed_value(flat.reshape(8, 4), table, prob.laplacian, 0.3, 0.0)

    numeric = approx_fprime(a.ravel(), smooth, 1e-6).reshape(8, 4)
    np.testing.assert_allclose(assignment_gradient(a, table, prob.laplacian, 0.3), numeric, atol=1e-5)


def test_relaxed_objective_written_out():
    prob, _, kernel, features, targets = instance(1, cells=5)
    rng = np.random.default_rng(1)
    a, heads = rng.dirichlet(np.ones(3), 5), rng.normal(size=(3, *prob.start.shape))
    total = prob.beta * np.linalg.svd(a, compute_uv=False).sum()
    for i in range(5):
        for c in range(3):
            error = ((features[i] @ heads[c] - targets[i]) ** 2).sum(axis=1).mean()
            total += a[i, c] * (error + prob.rho * ((heads[c] - prob.start) ** 2).sum()) / targets.shape[-1]
        total += prob.lam / 2 * sum(kernel[i, j] * ((a[i] - a[j]) ** 2).sum() for j in range(5))
    assert prob.relaxed(a, heads) == pytest.approx(total, rel=1e-12)


def plain_descent(setting, a, theta, iterations):
    """The same method with loops, full decompositions and Dykstra's splitting as first written."""
    prob, _, _, features, targets = setting
    m, rho, lam, beta = prob.start.shape[1], prob.rho, prob.lam, prob.beta
    cells, count = a.shape
    gram = np.array([x.T @ x / len(x) for x in features])
    cross = np.array([x.T @ y / len(x) for x, y in zip(features, targets, strict=True)])
    eye = np.eye(gram.shape[1])
    metric = gram.mean(axis=0) + rho * eye if theta == "preconditioned" else eye
    heads = [prob.start.copy() for _ in range(count)]
    lipschitz = max(2 * lam * np.linalg.eigvalsh(prob.laplacian).max(), 1e-3)
    course = []
    for _ in range(iterations):
        for c in range(count):
            hessian = sum(a[i, c] * (gram[i] + rho * eye) for i in range(cells))
            pull = sum(a[i, c] * (cross[i] + rho * prob.start) for i in range(cells))
            if a[:, c].sum() <= 1e-6:
                continue
            if theta == "exact":
                heads[c] = np.linalg.solve(hessian, pull)
            else:
                step = 2 / m * np.linalg.eigvals(np.linalg.solve(metric, hessian)).real.max()
                heads[c] = heads[c] - np.linalg.solve(metric, 2 / m * (hessian @ heads[c] - pull)) / step
        table = np.array(
            [
                [
                    (((x @ h - y) ** 2).sum(axis=1).mean() + rho * ((h - prob.start) ** 2).sum()) / m
                    for h in heads
                ]
                for x, y in zip(features, targets, strict=True)
            ]
        )  # fmt: skip
        z = a - (table + 2 * lam * prob.laplacian @ a) / lipschitz
        x, p, q = z.copy(), np.zeros_like(z), np.zeros_like(z)
        for _ in range(5000):
            u, s, v = np.linalg.svd(x + p, full_matrices=False)
            y = u @ np.diag(np.maximum(s - beta / lipschitz, 0)) @ v
            p, v = x + p - y, y + q
            x = project_rows(v)
            q = v - x
        a = x
        cut = lam * np.trace(a.T @ prob.laplacian @ a)
        course.append((a * table).sum() + cut + beta * np.linalg.svd(a, compute_uv=False).sum())
    return a, np.array(heads), np.array(course)


@pytest.mark.parametrize("theta", THETA_STEPS)
def test_descent_is_the_plain_one(theta):
    setting = instance(2, cells=6, rows=8)
    start = project_rows(1 / 4 + 0.3 * np.random.default_rng(2).normal(size=(6, 4)))
    found = bcd(setting[0], 4, start=start, theta=theta, iterations=6, tolerance=0)
    a, heads, course = plain_descent(setting, start, theta, 6)
    np.testing.assert_allclose(found.relaxed[1:], course, rtol=1e-8)
    np.testing.assert_allclose(found.assignment, a, atol=1e-5)
    np.testing.assert_allclose(found.slot_heads, heads, atol=1e-5)


@pytest.mark.parametrize("theta", THETA_STEPS)
def test_exact_prox_never_rises_and_falls_by_the_lemma(theta):
    for seed in range(50):
        lam = float(np.random.default_rng(seed).choice([0.002, 0.01, 0.05]))
        prob, *_ = instance(seed, lam=lam)
        found = bcd(prob, 5, start="random", restarts=1, seed=seed, theta=theta, iterations=40, tolerance=0)
        assert found.rises == 0 and np.diff(found.relaxed).max() < 1e-9
        assert (found.between <= found.relaxed[:-1] + 1e-9).all()
        lipschitz = 2 * lam * np.linalg.eigvalsh(prob.laplacian).max()
        fall = found.between - found.relaxed[1:]
        assert (fall >= lipschitz / 2 * found.moved**2 - 1e-9).all()


def test_the_printed_form_rises():
    rises = {"weighted": 0, "mean": 0}
    for seed in range(50):
        prob, *_ = instance(seed, lam=0.01)
        for aggregation in rises:
            found = bcd(prob, form="printed", aggregation=aggregation, iterations=40, tolerance=0)
            rises[aggregation] += found.rises
    assert rises["weighted"] > 0 and rises["mean"] > 0


def test_the_residual_vanishes_with_the_exact_prox_but_not_as_printed():
    stuck = 0
    for seed in range(8):
        prob, *_ = instance(seed, lam=0.01, beta=0.6)
        start = project_rows(0.2 + 0.3 * np.random.default_rng(3).normal(size=(8, 5)))
        exact, printed = (
            bcd(prob, 5, start=start, iterations=400, tolerance=0, form=form) for form in ("corrected", "printed")
        )
        assert exact.residual[-1] < 1e-6 * exact.residual[0]
        stuck += printed.residual[-1] > 0.1 * printed.residual[0]
    assert stuck >= 2


def test_plain_mean_over_members_is_its_own_formula():
    prob, *_ = instance(4, cells=6)
    a = project_rows(1 / 3 + 0.3 * np.random.default_rng(4).normal(size=(6, 3)))
    rng = np.random.default_rng(5)
    heads = rng.normal(size=(3, *prob.start.shape))
    found = module._Descent(prob, "gradient", "printed", "mean").head_step(a, heads)
    m = prob.start.shape[1]
    for c in range(3):
        chosen = np.flatnonzero(a.argmax(axis=1) == c)
        if not len(chosen):
            assert (found[c] == heads[c]).all()
            continue
        curvature = sum(a[i, c] * (prob.statistics.gram[i] + prob.rho * np.eye(len(prob.start))) for i in range(6))
        step = m / 2 / np.linalg.eigvalsh(curvature).max()
        local = [
            heads[c]
            - step * a[i, c] * 2 / m
            * (prob.statistics.gram[i] @ heads[c] - prob.statistics.cross[i] + prob.rho * (heads[c] - prob.start))
            for i in chosen
        ]  # fmt: skip
        np.testing.assert_allclose(found[c], np.mean(local, axis=0), atol=1e-12)


def test_uniform_start_is_a_fixed_point():
    prob, *_ = instance(5)
    found = bcd(prob, 3, start=np.full((8, 3), 1 / 3), iterations=20, tolerance=0)
    np.testing.assert_allclose(found.assignment, 1 / 3, atol=1e-9)
    assert found.relaxed[-1] == pytest.approx(prob.relaxed(np.full((8, 3), 1 / 3), found.slot_heads))


def test_course_and_final_labels_agree():
    prob, *_ = instance(6)
    found = bcd(prob, start="random", restarts=3)
    assert len(found.relaxed) == len(found.original) == len(found.clusters) == found.iterations + 1
    assert found.value == found.original[-1] == pytest.approx(prob.original(found.labels))
    assert found.clusters[-1] == len(found.heads) == len(set(found.labels))
    assert found.value <= min(bcd(prob, start=a).value for a in module._starts("random", (8, 8), 3, 0)) + 1e-12
    # Up 8 (15 + 8) and down 8 x 15 + 64 numbers of four bytes while all eight slots have weight.
    assert found.bytes[0] == 4 * (8 * (15 + 8) + 8 * 15 + 64)
    better = bcd(prob, start="random", restarts=3, polish=True)
    assert better.value <= found.value + 1e-12 and better.value == pytest.approx(prob.original(better.labels))


def test_assignment_under_given_losses_is_that_of_cvxpy():
    cp = pytest.importorskip("cvxpy")
    pytest.importorskip("clarabel")
    rng = np.random.default_rng(7)
    for lam, beta in ((0.05, 0.1), (0.01, 0.4)):
        prob, *_ = instance(7)
        table = rng.random((8, 4))
        found = assign(table, prob.laplacian, lam, beta, iterations=20_000)
        a = cp.Variable((8, 4))
        root = np.linalg.cholesky(prob.laplacian + 1e-12 * np.eye(8)).T
        objective = cp.sum(cp.multiply(a, table)) + lam * cp.sum_squares(root @ a) + beta * cp.normNuc(a)
        value = cp.Problem(cp.Minimize(objective), [a >= 0, cp.sum(a, axis=1) == 1]).solve(solver=cp.CLARABEL)
        assert found.converged and found.value == pytest.approx(value, rel=1e-6)
        other = assign(table, prob.laplacian, lam, beta, start=np.full((8, 4), 0.25), iterations=20_000)
        assert other.value == pytest.approx(found.value, rel=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theta": "newton"}, "theta: one of"),
        ({"form": "exact"}, "form: one of"),
        ({"aggregation": "median"}, "aggregation: one of"),
        ({"aggregation": "mean", "theta": "exact"}, "theta:"),
        ({"start": "uniform"}, "start: a matrix or one of"),
        ({"num_heads": 3}, "start: 'random'"),
        ({"start": np.full((8, 8), 0.2)}, "start: rows of at least 0 and of sum 1, on the simplex, wanted, got"),
        ({"start": np.eye(3)}, "start: shape"),
        ({"start": np.full((8, 8), np.nan)}, "start: rows of at least 0 and of sum 1, on the simplex, wanted, got"),
        ({"iterations": 0}, "iterations"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        bcd(instance(0)[0], **options)
