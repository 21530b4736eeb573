"""The five terms of (25), accumulation weights and the step condition (arXiv 2203.13950, Section III)."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rangym.envs.learning import convergence as module
from rangym.envs.learning.convergence import (
    LearningConstants,
    accumulated_gradient,
    accumulation_weights,
    convergence_terms,
    corollary_step_size,
    gradient_noise,
    largest_iterations,
    mean_iterations,
    next_gap,
    norm1,
    norm2_squared,
    server_scale,
    step_condition,
)


def test_examples_of_the_docstrings():
    assert doctest.testmod(module).failed == 0


@given(st.integers(1, 40), st.floats(1e-6, 0.9), st.floats(0.0, 1.0))
def test_norms_are_those_of_the_weights(gamma, eta, mu):
    weights = accumulation_weights(gamma, eta, mu)
    assert weights[-1] == 1.0
    assert float(norm1(gamma, eta, mu)) == pytest.approx(np.abs(weights).sum(), rel=1e-10)
    assert float(norm2_squared(gamma, eta, mu)) == pytest.approx((weights**2).sum(), rel=1e-10)


def test_proximal_steps_accumulate_as_in_the_corrected_forms_only():
    """(8) and (9) for every k of gamma proximal steps with arbitrary gradients; the printed ones hold nowhere else."""
    rng = np.random.default_rng(0)
    eta, mu, gamma = 0.1, 0.7, 6
    start, x = rng.normal(size=3), None
    gradients = rng.normal(size=(gamma, 3))
    x = start
    for k in range(1, gamma + 1):
        x = x - eta * (gradients[k - 1] + mu * (x - start))
        weighted = accumulation_weights(k, eta, mu) @ gradients[:k]
        np.testing.assert_allclose(accumulated_gradient(start, x, eta), weighted, rtol=1e-12)
        np.testing.assert_allclose(accumulated_gradient(start, x, eta, "printed"), -weighted, rtol=1e-12)
        printed = accumulation_weights(k, eta, mu, gamma, "printed") @ gradients[:k]
        assert np.allclose(printed, weighted, rtol=1e-12) == (k == gamma)


POINTS = np.array([50.0, 150.0, 40.0, 0.0, 1.0])
GAMMA = np.array([3, 2, 1, 6, 5])
MINIBATCH = np.array([0.5, 0.1, 0.25, 0.05, 0.5])
NOISE = np.array([10.0, 20.0, 30.0, 40.0, 50.0])
"""D = 241; the fourth unit has no data, the last a single point."""


def test_terms_by_hand_without_a_proximal_term():
    constants = LearningConstants(
        step_size=0.1, smoothness=2.0, dissimilarity_offset=0.5, horizon=25, theta_mode="fixed", server_scale=1.5
    )
    got = convergence_terms(POINTS, GAMMA, MINIBATCH, NOISE, np.array(4.0), np.array(0.01), 3.0, constants)
    assert got.server_scale == 1.5
    assert got.xa == pytest.approx(4 * 3 / (1.5 * 0.1 * 25), rel=1e-12)
    assert got.xb == pytest.approx(4 * 4 * 0.01 / (1.5 * 0.1), rel=1e-12)
    # D_i (1/m - 1) v / gamma: 50 x 1 x 10 / 3 + 150 x 9 x 20 / 2 + 40 x 3 x 30 + 0 + 1 x 1 x 50 / 5
    noise = 500 / 3 + 13500 + 3600 + 10
    assert got.xc == pytest.approx(16 * 0.1 * 2 * 1.5 * noise / 241**2, rel=1e-12)
    # (d): gamma (gamma - 1) is 6, 2, 0; the unit without data (30) and that with one point (20) do not count
    assert got.xd == pytest.approx(12 * 0.01 * 4 * 0.5 * 6, rel=1e-12)
    # (e): (1/m - 1) v (gamma - 1)(1 - 1/D_i): 10 x 2 x 49/50 + 180 x 1 x 149/150 + 0
    assert got.xe == pytest.approx(12 * 0.01 * 4 * (19.6 + 178.8) / 241, rel=1e-12)
    assert got.xi == pytest.approx(got.xa + got.xb + got.xc + got.xd + got.xe, rel=1e-15)


def test_terms_by_hand_with_the_effective_scale_and_a_proximal_term():
    """q = 1 - .1 x 5 = .5: ||a||_1 = 1.75, 1.5, 1, and ||a||_2^2 = 1.3125, 1.25, 1 for gamma = 3, 2, 1."""
    constants = LearningConstants(step_size=0.1, proximal=5.0, dissimilarity_offset=0.5, horizon=25)
    points, gamma = POINTS[:3], GAMMA[:3]
    got = convergence_terms(points, gamma, MINIBATCH[:3], NOISE[:3], np.array(4.0), np.array(0.01), 3.0, constants)
    theta = (50 * 1.75 + 150 * 1.5 + 40) / 240
    assert got.server_scale == pytest.approx(theta, rel=1e-12)
    assert got.xa == pytest.approx(12 / (theta * 2.5), rel=1e-12)
    assert got.xb == pytest.approx(0.16 / (theta * 0.1), rel=1e-12)
    noise = 500 * 1.3125 / 1.75**2 + 150 * 180 * 1.25 / 1.5**2 + 40 * 90
    assert got.xc == pytest.approx(1.6 * theta * noise / 240**2, rel=1e-12)
    assert got.xd == pytest.approx(0.06 * max(9 * 0.75 / 1.75, 4 * 0.5 / 1.5), rel=1e-12)
    spread = 10 * 3 * 0.3125 / 1.75 * 49 / 50 + 180 * 2 * 0.25 / 1.5 * 149 / 150
    assert got.xe == pytest.approx(0.12 * spread / 240, rel=1e-12)


def test_leading_axes():
    rng = np.random.default_rng(3)
    points, gamma, minibatch = rng.uniform(0, 99, (4, 3, 5)), rng.integers(1, 7, (4, 3, 5)), rng.uniform(0.1, 1, (3, 5))
    tau, drift, gap = rng.uniform(1, 9, (4, 3)), rng.uniform(0, 1, 3), rng.uniform(1, 3, (4, 1))
    constants = LearningConstants(proximal=0.3)
    many = convergence_terms(points, gamma, minibatch, NOISE, tau, drift, gap, constants)
    for i, j in np.ndindex(4, 3):
        one = convergence_terms(
            points[i, j], gamma[i, j], minibatch[j], NOISE, tau[i, j], drift[j], gap[i, 0], constants
        )
        assert many.xi[i, j] == one.xi
        # Two formulas that sum in orders of their own.
        assert many.server_scale[i, j] == pytest.approx(server_scale(points[i, j], gamma[i, j], constants), rel=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from(["eff", "fixed"]))
def test_full_batches_and_single_steps_leave_no_noise(seed, mode):
    rng = np.random.default_rng(seed)
    points, ones = rng.uniform(0, 50, 6), np.ones(6)
    constants = LearningConstants(theta_mode=mode, proximal=float(rng.uniform(0, 2)))
    got = convergence_terms(points, ones, ones, rng.uniform(1, 9, 6), np.array(2.0), np.array(1e-3), 2.0, constants)
    assert (got.xc, got.xd, got.xe) == (0.0, 0.0, 0.0)


@given(st.integers(0, 2**32 - 1))
def test_under_a_constant_scale_one_iteration_is_never_worse(seed):
    """At equal gamma m, which is all that delays and energies see, terms (c), (d), (e) do not fall with gamma."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 500, 5)
    gamma = rng.integers(1, 7, 5)
    processed = rng.uniform(0.05, 1, 5)  # gamma m
    constants = LearningConstants(theta_mode="fixed", proximal=float(rng.choice([0.0, 0.5, 4.0])))
    args = rng.uniform(1, 9, 5), np.array(1.0), np.array(1e-3), 2.0, constants
    one = convergence_terms(points, np.ones(5), processed, *args)
    more = convergence_terms(points, gamma, processed / gamma, *args)
    for term in ("xc", "xd", "xe"):
        assert getattr(one, term) <= getattr(more, term) * (1 + 1e-12)


@pytest.mark.parametrize("eta, mu, scale", [(0.05, 0, 1), (0.1, 0, 1), (0.5, 0, 1), (0.01, 0, 2), (0.05, 3, 1)])
def test_largest_iterations_by_trial(eta, mu, scale):
    constants = LearningConstants(step_size=eta, proximal=mu, dissimilarity_scale=scale)
    gamma = largest_iterations(constants)
    weights = [accumulation_weights(g, eta, mu).sum() for g in range(1, gamma + 2)]
    left = [4 * eta**2 * g**2 * (w - 1) / w for g, w in enumerate(weights, start=1)]
    right = 1 / (2 * scale**2 + 1)
    assert all(x <= right for x in left[:-1]) and left[-1] > right
    np.testing.assert_allclose(step_condition(np.arange(1, gamma + 2), constants), np.array(left) - right, atol=1e-12)


def test_one_iteration_always_keeps_the_step_condition():
    assert step_condition(1, LearningConstants(step_size=50.0, smoothness=9.0)) < 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.0, 2.0))
def test_with_equal_counts_the_normalised_step_is_plain_averaging(seed, gamma, mu):
    """FedNova's step (11), x - vartheta eta sum p_i d_i, with d_i = (x - x_i) / (eta ||a_i||_1)."""
    rng = np.random.default_rng(seed)
    constants = LearningConstants(proximal=mu)
    points, start, local = rng.uniform(1, 9, 5), rng.normal(size=3), rng.normal(size=(5, 3))
    counts = np.full(5, gamma)
    share = points / points.sum()
    direction = accumulated_gradient(start, local, 0.05) / norm1(counts, 0.05, mu)[:, None]
    moved = start - server_scale(points, counts, constants) * 0.05 * (share @ direction)
    np.testing.assert_allclose(moved, share @ local, rtol=1e-9, atol=1e-12)


def test_printed_forms():
    assert gradient_noise(3.0, 2.0) == 36.0
    assert gradient_noise(3.0, 2.0, "printed") == 12.0
    counts = np.array([[1, 2, 3], [2, 4, 6]])
    assert mean_iterations(counts) == 3.0
    assert mean_iterations(counts, "printed") == 18.0
    # The corrected gamma-bar makes the step fall as 1 / sqrt T, the printed one as 1 / T.
    for form, ratio in (("corrected", 10.0), ("printed", 100.0)):
        steps = [corollary_step_size(3, mean_iterations(np.full((t, 3), 2), form), t) for t in (10, 1000)]
        assert steps[0] / steps[1] == pytest.approx(ratio, rel=1e-12)


def test_next_gap_by_hand():
    constants = LearningConstants(step_size=0.1, smoothness=2.0, dissimilarity_offset=0.5, theta_mode="fixed")
    tau, drift = np.array([4.0, 400.0, 0.0]), np.array([0.01, 1.0, 0.0])
    shape = (3, 5)
    terms = convergence_terms(
        np.broadcast_to(POINTS, shape), np.broadcast_to(GAMMA, shape), MINIBATCH, NOISE, tau, drift, 3.0, constants
    )
    noise = float(terms.xc[0] + terms.xd[0] + terms.xe[0])
    got = next_gap(np.array([3.0, 3.0, 1e-3]), terms, tau, drift, 0.8, 0.1)
    assert got[0] == pytest.approx(3 * (1 - 0.8 * 0.1 / 2) + 0.04 + 0.1 / 4 * noise, rel=1e-12)
    assert got[1] == 10.0
    full = convergence_terms(POINTS, np.ones(5), np.ones(5), NOISE, np.array(0.0), np.array(0.0), 3.0, constants)
    assert next_gap(np.array(1e-3), full, np.array(0.0), np.array(0.0), 0.8, 0.1) == pytest.approx(1e-3, rel=1e-12)
    beyond = next_gap(np.array(5.0), full, np.array(0.0), np.array(0.0), 2.0, 50.0)  # a step beyond 2 / nu
    assert beyond == pytest.approx(1e-3, rel=1e-12)
