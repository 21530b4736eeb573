"""LDA (Kalntis et al., Algorithm 1): every equation against hand computation, brute force or Monte Carlo."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rangym.policies.algorithms.association import lda_kernels as kernels
from rangym.policies.algorithms.association.lda import (
    initial_weights,
    theory_constants,
    utility_gradient,
)

reference = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("lda_reference.py"))))
LN10 = math.log(10)


def one_hot(cell, cells):
    return np.eye(cells)[np.asarray(cell)]


# Constants ------------------------------------------------------------------------------------------------------------


def test_initial_weights_are_the_harmonic_ones_and_sum_to_one():
    np.testing.assert_allclose(initial_weights(3), [2 / 3, 2 / 9, 1 / 9], rtol=1e-15)
    for k in range(1, 40):
        assert initial_weights(k).sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(
    ("form", "fastest", "beta"),
    # D = 14.1421, G = 45.3564. printed: D_A = D, G_A = G, nu = 1297.01^2 * 14.2671 = 2.40008e7;
    # with gamma: D_A = 282.843, G_A = 907.127, nu = 1565.71^2 * 282.968 = 6.93685e8; T (G^2 + 2 G_A) = 1.93573e7.
    [("printed", 0.55237, 2.8866e-6), ("gamma", 8.22873, 5.3695e-7), ("corrected", 0.411437, 5.3695e-7)],
)
def test_constants_of_the_static_scenario(form, fastest, beta):
    """K, theta_k and beta = 1/sqrt(T nu) at I = 100, J = 10, T = 5000, gamma = 20, a_max = 1."""
    found = theory_constants(100, 10, 5000, 1.0, 20.0, form)
    assert len(found.steps) == 8  # ceil(log2 sqrt(10001)) + 1 = ceil(6.644) + 1
    assert found.steps[-1] == pytest.approx(fastest, rel=1e-4)
    np.testing.assert_allclose(found.steps[1:] / found.steps[:-1], 2.0)
    assert found.meta_step == pytest.approx(beta, rel=1e-4)


def test_forms_differ_where_the_errata_say():
    """a_max enters `printed` without gamma; `corrected` differs from `gamma` by D/D_A in theta alone."""
    at = {form: theory_constants(30, 5, 700, 0.25, 8.0, form) for form in ("printed", "gamma", "corrected")}
    assert at["printed"].steps.tolist() == theory_constants(30, 5, 700, 0.25, 3.0, "printed").steps.tolist()
    np.testing.assert_allclose(at["gamma"].steps / at["corrected"].steps, 8.0 * math.sqrt(0.25))  # D_A/D
    assert at["gamma"].meta_step == at["corrected"].meta_step
    unit = [theory_constants(30, 5, 700, 1.0, 1.0, form) for form in at]  # gamma = a_max = 1: all agree
    for other in unit[1:]:
        np.testing.assert_allclose(other.steps, unit[0].steps)
        assert other.meta_step == pytest.approx(unit[0].meta_step)


def test_forms_without_a_handover_cost():
    assert theory_constants(30, 5, 700, 0.25, 0.0, "corrected").steps[0] > 0
    with pytest.raises(ValueError, match="corrected"):
        theory_constants(30, 5, 700, 0.25, 0.0, "gamma")
    with pytest.raises(ValueError, match="corrected"):
        theory_constants(30, 5, 700, 0.0, 20.0, "printed")


def test_steps_above_two_ln10_over_J_oscillate_at_balanced_load():
    """The load's deviation from balance is multiplied by 1 - theta J/ln 10 a slot."""
    ues, cells = 60, 5
    for factor, settles in ((0.9, True), (1.1, False)):
        x = np.full((ues, 1, cells), 1 / cells, np.float32)
        x[:, 0, 0] += 0.004
        x[:, 0, 1] -= 0.004
        zero = np.zeros((ues, cells))
        for _ in range(20):
            q = utility_gradient(zero, x[:, 0].sum(axis=0, dtype=np.float64))
            after = x.copy()
            kernels.update_experts(x, after, q, x[:, 0].copy(), zero, np.array([factor * 2 * LN10 / cells]))
            x = after
        deviation = abs(x[:, 0, 0].mean() - 1 / cells)
        assert deviation < 0.001 if settles else deviation > 0.02


# Gradient and projection ----------------------------------------------------------------------------------------------


def test_gradient_is_the_derivative_of_the_relaxed_utility():
    """dg/dx_ij = log10 c_ij - log10 y_j - 1/ln 10 by central differences of sum x log c - sum y log y."""
    rng = np.random.default_rng(1)
    log_rate, x = rng.normal(1, 0.5, (12, 4)), rng.dirichlet(np.ones(4), 12)

    def g(x):
        y = x.sum(axis=0)
        return (x * log_rate).sum() - (y * np.log10(y)).sum()

    found = utility_gradient(log_rate, x.sum(axis=0))
    for i, j in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i, j] = 1e-5
        assert found[i, j] == pytest.approx((g(x + step) - g(x - step)) / 2e-5, abs=1e-7)


def test_gradient_at_an_empty_cell_is_that_of_its_first_ue():
    """At y_j = 0 the gradient takes y = 1, so log10 y_j = 0: the discrete marginal of the first UE, up to 1/ln 10."""
    found = utility_gradient(np.zeros((1, 2)), np.array([0.0, 10.0]))
    np.testing.assert_allclose(found, [[-1 / LN10, -1 - 1 / LN10]], rtol=1e-14)  # a logarithm: not the last bit


@given(
    arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 30)), elements=st.floats(-20, 20, width=32)),
    st.integers(0, 2**32 - 1),
)
def test_projection_agrees_with_sorting_and_meets_the_optimality_conditions(v, seed):
    start = (np.random.default_rng(seed).random(v.shape) < 0.4).astype(np.float32)
    start[:, 0] = np.maximum(start[:, 0], start.max(axis=1) == 0)  # any non-empty set
    x = kernels.project_rows(v, start).astype(np.float64)
    tol = 4e-7 * (1 + np.abs(v).max())  # single precision
    np.testing.assert_allclose(x, reference.project(v.astype(np.float64)), atol=tol)
    assert (x >= 0).all()
    np.testing.assert_allclose(x.sum(axis=1), 1, atol=tol * v.shape[1])
    for row, value in zip(x, v.astype(np.float64), strict=True):  # v - x is tau on the support, below tau elsewhere
        tau = (value - row)[row > 0]
        assert np.ptp(tau) < tol and (value[row == 0] <= tau.mean() + tol).all()


def test_projection_to_single_precision_at_the_gradients_scale():
    rng = np.random.default_rng(2)
    v = (rng.dirichlet(np.full(25, 0.2), 4000) + rng.normal(0, 0.1, (4000, 25))).astype(np.float32)
    start = (rng.random(v.shape) < 0.2).astype(np.float32)
    start[:, 3] = 1
    np.testing.assert_allclose(
        kernels.project_rows(v, start), reference.project(v.astype(np.float64)), atol=1e-6, rtol=0
    )


def test_projection_of_values_beyond_single_precision_is_a_vertex():
    v = np.array([[1e9, -1e9, 0.0], [3e38, 3e38, -3e38]], np.float32)
    np.testing.assert_array_equal(kernels.project_rows(v, np.ones_like(v)), [[1, 0, 0], [1, 0, 0]])


def test_one_update_is_the_papers_steps_4_and_6():
    """<q, x^k - z>, ||d||_A^2 and the weighted L1 norm of d, then Proj(x^k + theta_k q), all in float64."""
    rng = np.random.default_rng(3)
    ues, experts, cells = 40, 5, 7
    x = rng.dirichlet(np.full(cells, 0.3), (ues, experts)).astype(np.float32)
    old = rng.dirichlet(np.full(cells, 0.3), (ues, experts)).astype(np.float32)
    z = rng.dirichlet(np.ones(cells), ues).astype(np.float32)
    q, a, theta = rng.normal(1, 0.4, (ues, cells)), rng.random((ues, cells)), 0.02 * 2.0 ** np.arange(experts)
    x64, d = x.astype(np.float64), x.astype(np.float64) - old
    wanted = np.stack(
        [
            np.einsum("ij,ikj->k", q, x64 - z[:, None]),
            np.einsum("ij,ikj->k", a, d**2),
            np.einsum("ij,ikj->k", a, np.abs(d)),
        ],
        axis=1,
    )
    after = old.copy()
    sums = kernels.update_experts(x, after, q, z, a, theta)
    np.testing.assert_allclose(sums, wanted, atol=2e-5)
    np.testing.assert_allclose(after, reference.project(x64 + theta[:, None] * q[:, None]), atol=1e-6)


# Rounding -------------------------------------------------------------------------------------------------------------


def path_of_mixtures(slots, cells, rng):
    """Mixtures that jump, stay, and lose support, (slots, J) float32."""
    laws = rng.dirichlet(np.full(cells, 0.7), slots).astype(np.float32)
    laws[3] = laws[2]
    laws[4] = one_hot(1, cells)
    laws[5] = one_hot(2, cells)
    return laws


def test_coupled_rounding_keeps_the_marginals_and_hands_over_with_probability_tv():
    """P(x_t = j) = x^m_j(t) for all t and P(HO) = TV(x^m(t-1), x^m(t)), over 40,000 independent UEs."""
    rng = np.random.default_rng(4)
    ues, cells = 40_000, 5
    laws = path_of_mixtures(8, cells, rng)
    cell = kernels.round_inverse(np.broadcast_to(laws[0], (ues, cells)).copy(), rng.random(ues))
    for p, q in zip(laws, laws[1:], strict=False):
        p_all, q_all = (np.broadcast_to(row, (ues, cells)).copy() for row in (p, q))
        new = kernels.round_coupled(p_all, q_all, cell, rng.random((ues, 2)))
        tv = np.maximum(q.astype(float) - p, 0).sum()
        np.testing.assert_allclose(np.bincount(new, minlength=cells) / ues, q, atol=4 * math.sqrt(0.25 / ues))
        assert (new != cell).mean() == pytest.approx(tv, abs=4 * math.sqrt(0.25 / ues))
        if tv == 0:
            np.testing.assert_array_equal(new, cell)
        cell = new


def test_coupled_rounding_costs_the_weighted_l1_norm():
    """Mode `sum`: E sum of (a_old + a_new) over handovers = sum a |x^m(t) - x^m(t-1)| exactly."""
    rng = np.random.default_rng(5)
    ues, cells = 60_000, 4
    p, q = rng.dirichlet(np.ones(cells), 2).astype(np.float32)
    a = np.array([0.1, 0.4, 0.9, 0.2])
    rows = [np.broadcast_to(row, (ues, cells)).copy() for row in (p, q)]
    old = kernels.round_inverse(rows[0], rng.random(ues))
    new = kernels.round_coupled(*rows, old, rng.random((ues, 2)))
    paid = np.where(new != old, a[old] + a[new], 0.0)
    relaxed = (a * np.abs(q.astype(float) - p)).sum()
    assert paid.mean() == pytest.approx(relaxed, abs=4 * paid.std() / math.sqrt(ues))


def test_independent_rounding_hands_over_even_when_the_mixture_stands_still():
    """E #HO = sum_i (1 - <p_i, q_i>), positive for q = p fractional; coupled rounding makes none."""
    rng = np.random.default_rng(6)
    ues, cells = 60_000, 4
    p, q = rng.dirichlet(np.ones(cells), 2).astype(np.float32)
    for after in (q, p):
        before_all, after_all = (np.broadcast_to(row, (ues, cells)).copy() for row in (p, after))
        old = kernels.round_inverse(before_all, rng.random(ues))
        new = kernels.round_inverse(after_all, rng.random(ues))
        assert (new != old).mean() == pytest.approx(1 - float(p @ after), abs=4 * math.sqrt(0.25 / ues))
    same = kernels.round_coupled(before_all, before_all, old, rng.random((ues, 2)))
    np.testing.assert_array_equal(same, old)


def test_coupled_rounding_edge_cases():
    """TV = 0 keeps; p_o = 0 moves unless q_o > 0; an empty excess draws from q."""
    half, first = np.array([[0.5, 0.5, 0.0]], np.float32), np.array([[1.0, 0.0, 0.0]], np.float32)
    for u in (0.0, 0.3, 0.999999):
        both = np.array([[u, u]])
        assert kernels.round_coupled(half, half, np.array([1]), both) == [1]
        assert kernels.round_coupled(first, half, np.array([1]), both) == [1]  # p_o = 0 < q_o
        assert kernels.round_coupled(half, half, np.array([2]), both) == [int(u >= 0.5)]  # p_o = q_o = 0, no excess
        assert kernels.round_coupled(half, first, np.array([1]), both) == [0]
        assert kernels.round_coupled(half, first, np.array([0]), both) == [0]


def test_inverse_rounding_never_takes_a_cell_without_mass():
    law = np.array([[0.0, 0.25, 0.0, 0.75, 0.0]], np.float32)
    for u, cell in ((0.0, 1), (0.2499, 1), (0.2501, 3), (1 - 2**-53, 3)):
        assert kernels.round_inverse(law, np.array([u])) == [cell]


def test_rounding_gap_of_the_utility():
    """0 <= g(x^m) - E g(x) <= (J - 1)/ln 10 for UEs rounded independently, near half of it; not growing with I."""
    rng = np.random.default_rng(20)
    cells = 8
    for ues in (60, 600):
        mixture = rng.dirichlet(np.ones(cells), ues).astype(np.float32)
        log_rate = rng.normal(1, 0.3, (ues, cells))
        draws = []
        for _ in range(2000):
            cell = kernels.round_inverse(mixture, rng.random(ues))
            y = np.bincount(cell, minlength=cells)
            draws.append(log_rate[np.arange(ues), cell].sum() - (y * np.log10(np.maximum(y, 1))).sum())
        y = mixture.sum(axis=0, dtype=float)
        gap = (mixture * log_rate).sum() - (y * np.log10(y)).sum() - np.mean(draws)
        error = 4 * np.std(draws) / math.sqrt(len(draws))
        assert -error <= gap <= (cells - 1) / LN10 + error
        # E y ln(y/mu) is Var(y)/(2 mu) to second order, with Var(y_j) = sum_i x_ij (1 - x_ij).
        half = ((mixture * (1.0 - mixture)).sum(axis=0) / (2 * y)).sum() / LN10
        assert gap == pytest.approx(half, abs=error + 0.1 * half)
