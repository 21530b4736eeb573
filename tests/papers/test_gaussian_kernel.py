"""Gaussians of KPIs: the kernel against its definition, scores against scipy, quadrature and sampling."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from rangym.envs.learning import gaussians as g


def random_gaussians(rng, *shape, d=3, spread=1.0):
    factor = np.tril(rng.normal(size=(*shape, d, d)))
    index = np.arange(d)
    factor[..., index, index] = np.exp(0.4 * factor[..., index, index])
    return spread * rng.normal(size=(*shape, d)), factor @ np.swapaxes(factor, -1, -2)


def bhattacharyya(mean_a, cov_a, mean_b, cov_b):
    """exp(-D_B) with D_B = d' M^-1 d / 8 + ln(det M / sqrt(det S_a det S_b)) / 2, by inverse and determinants."""
    middle = (cov_a + cov_b) / 2
    d = mean_a - mean_b
    distance = d @ np.linalg.inv(middle) @ d / 8
    distance += np.log(np.linalg.det(middle) / np.sqrt(np.linalg.det(cov_a) * np.linalg.det(cov_b))) / 2
    return np.exp(-distance)


def test_doctests():
    assert doctest.testmod(g).failed == 0


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_kernel_is_the_bhattacharyya_coefficient(d):
    mean, cov = random_gaussians(np.random.default_rng(d), 40, d=d)
    kernel = g.hellinger_kernel(mean, cov)
    wanted = [[bhattacharyya(mean[i], cov[i], mean[j], cov[j]) for j in range(40)] for i in range(40)]
    np.testing.assert_allclose(kernel, wanted, rtol=1e-12)


def test_kernel_is_the_overlap_integral_of_the_root_densities():
    mean, cov = random_gaussians(np.random.default_rng(0), 2, d=1)
    a, b = (stats.norm(mean[i, 0], np.sqrt(cov[i, 0, 0])) for i in range(2))
    overlap, _ = integrate.quad(lambda x: np.sqrt(a.pdf(x) * b.pdf(x)), -20, 20, epsabs=1e-12)
    assert g.hellinger_kernel(mean, cov)[0, 1] == pytest.approx(overlap, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.sampled_from([0.01, 1.0, 10.0]))
def test_kernel_is_positive_semidefinite_and_one_at_equality_only(seed, cells, spread):
    mean, cov = random_gaussians(np.random.default_rng(seed), cells, spread=spread)
    kernel = g.hellinger_kernel(mean, cov)
    assert np.linalg.eigvalsh(kernel).min() > -1e-12
    assert (kernel == kernel.T).all() and (np.diag(kernel) == 1).all() and (kernel >= 0).all()
    assert (kernel[~np.eye(cells, dtype=bool)] < 1).all()
    mean[0], cov[0] = mean[1], cov[1]
    assert g.hellinger_kernel(mean, cov)[0, 1] == pytest.approx(1, abs=1e-12)  # rounding of det, by condition
    assert np.linalg.eigvalsh(g.laplacian(kernel)).min() > -1e-12


def test_kernel_of_periods_is_the_kernel_of_each():
    mean, cov = random_gaussians(np.random.default_rng(1), 5, 20)
    kernels = g.hellinger_kernel(mean, cov)
    assert kernels.shape == (5, 20, 20)
    for t in range(5):
        assert (kernels[t] == g.hellinger_kernel(mean[t], cov[t])).all()
    np.testing.assert_allclose(g.laplacian(kernels).mean(axis=0), g.laplacian(kernels.mean(axis=0)), atol=1e-14)


def test_printed_kernel_is_e_for_equal_gaussians():
    mean, cov = random_gaussians(np.random.default_rng(2), 6)
    printed = g.hellinger_kernel(mean, cov, form="printed")
    assert printed[3, 3] == pytest.approx(np.e) and (printed >= 1).all()
    np.testing.assert_allclose(np.log(printed), g.hellinger_kernel(mean, cov), rtol=1e-13)


def test_cut_penalty_is_the_kernel_between_clusters():
    rng = np.random.default_rng(3)
    kernel = g.hellinger_kernel(*random_gaussians(rng, 9))
    labels = rng.integers(0, 3, 9)
    a = np.eye(3)[labels]
    between = sum(kernel[i, j] for i in range(9) for j in range(9) if labels[i] != labels[j])
    assert np.trace(a.T @ g.laplacian(kernel) @ a) == pytest.approx(between, rel=1e-12)
    assert np.ones(9) @ g.laplacian(kernel) @ np.ones(9) == pytest.approx(0, abs=1e-12)


def test_code_of_three_by_hand():
    factor = np.array([[2.0, 0, 0], [0.3, 0.5, 0], [-1.0, 0.25, 4.0]])
    code = g.encode([7.0, 8.0, 9.0], factor @ factor.T)
    wanted = [7, 8, 9, np.log(2), 0.3, np.log(0.5), -1, 0.25, np.log(4)]
    np.testing.assert_allclose(code, wanted, rtol=1e-14)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_decoding_inverts_encoding(d):
    mean, cov = random_gaussians(np.random.default_rng(d), 4, 30, d=d)
    back = g.decode(g.encode(mean, cov))
    np.testing.assert_allclose(back[0], mean)
    np.testing.assert_allclose(back[1], cov, rtol=1e-12, atol=1e-13)


def test_any_code_is_a_definite_covariance():
    _, cov = g.decode(np.random.default_rng(0).normal(scale=1.5, size=(2000, 9)))
    assert (np.linalg.eigvalsh(cov) > 0).all()


def test_likelihoods_against_scipy():
    rng = np.random.default_rng(4)
    mean, cov = random_gaussians(rng, 8)
    values = rng.normal(size=(5, 8, 3))
    joint, marginal = g.joint_nll(values, mean, cov), g.marginal_nll(values, mean, cov)
    for i in range(8):
        np.testing.assert_allclose(joint[:, i], -stats.multivariate_normal(mean[i], cov[i]).logpdf(values[:, i]))
        deviation = np.sqrt(np.diag(cov[i]))
        np.testing.assert_allclose(marginal[:, i], -stats.norm(mean[i], deviation).logpdf(values[:, i]))
    diagonal = cov * np.eye(3)
    np.testing.assert_allclose(g.joint_nll(values, mean, diagonal), marginal.sum(axis=-1))


def test_quantiles_and_lognormal_moments_against_scipy():
    mean, cov = random_gaussians(np.random.default_rng(5), 8)
    found = g.quantiles([0.05, 0.5, 0.8], mean, cov)
    deviation = np.sqrt(np.diagonal(cov, axis1=1, axis2=2))
    np.testing.assert_allclose(found, stats.norm(mean, deviation).ppf(np.array([0.05, 0.5, 0.8])[:, None, None]))
    moment, std = g.lognormal_moments(mean, deviation**2)
    reference = stats.lognorm(s=deviation, scale=np.exp(mean))
    np.testing.assert_allclose(moment, reference.mean(), rtol=1e-12)
    np.testing.assert_allclose(std, reference.std(), rtol=1e-9)


def test_joint_probability_against_scipy():
    rng = np.random.default_rng(6)
    mean, cov = random_gaussians(rng, 200)
    limits = rng.normal(scale=2, size=(200, 2))
    limits[:5] = mean[:5, :2]
    limits[5:10, 0] = mean[5:10, 0]
    found = g.joint_probability(limits, mean, cov)
    wanted = [stats.multivariate_normal(m[:2], c[:2, :2]).cdf(x) for m, c, x in zip(mean, cov, limits, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=2e-8)


@pytest.mark.parametrize("rho", [-0.999, -0.5, 0.0, 0.7, 0.999])
def test_joint_probability_by_quadrature_and_at_the_edges(rho):
    cov = np.array([[1.0, rho], [rho, 1.0]])
    for a, b in ((0.3, -1.1), (-2.0, -2.0), (1.5, 0.2), (0.0, 0.4)):
        wanted, _ = integrate.quad(
            lambda x: stats.norm.pdf(x) * stats.norm.cdf((b - rho * x) / np.sqrt(1 - rho**2)),  # noqa: B023
            -12, a, epsabs=1e-13, limit=400, points=[min(b / rho, a)] if rho else None,
        )  # fmt: skip
        assert g.joint_probability([a, b], [0, 0], cov) == pytest.approx(wanted, abs=1e-10)
    assert g.joint_probability([0, 0], [0, 0], cov) == pytest.approx(0.25 + np.arcsin(rho) / (2 * np.pi), abs=1e-14)
    assert g.joint_probability([np.inf, 0.4], [0, 0], cov) == pytest.approx(stats.norm.cdf(0.4), abs=1e-14)
    assert g.joint_probability([-np.inf, 0.4], [0, 0], cov) == 0


def test_joint_probability_coverage_and_crps_by_sampling():
    rng = np.random.default_rng(7)
    mean, cov = random_gaussians(rng)
    values = rng.multivariate_normal(mean, cov, 200_000)
    limits = mean[:2] + 0.3
    error = 4 / np.sqrt(len(values))
    assert g.joint_probability(limits, mean, cov) == pytest.approx(
        (values[:, :2] <= limits).all(axis=1).mean(), abs=error
    )
    for level in (0.5, 0.9):
        np.testing.assert_allclose(g.coverage(values, mean, cov, level), level, atol=error)
    assert (g.coverage(values, mean, cov / 4, 0.9) < 0.65).all()  # too sure of itself: 2 Phi(.8224) - 1 = .589
    # CRPS = E|X - x| - E|X - X'| / 2 with X, X' from the prediction.
    other = rng.permutation(values)
    x = mean + np.array([1.0, -0.5, 0.0])
    sampled = np.abs(values - x).mean(axis=0) - np.abs(values - other).mean(axis=0) / 2
    np.testing.assert_allclose(g.crps(x, mean, cov), sampled, atol=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: g.check_gaussians([0, 0], [[1, 2], [2, 1]]), "indefinite"),
        (lambda: g.check_gaussians([0, 0], [[1, 1], [1, 1]]), "singular"),
        (lambda: g.check_gaussians([0, 0], [[0, 0], [0, 1]]), "singular"),
        (lambda: g.check_gaussians([0, 0], [[-1, 0], [0, -1]]), "indefinite"),
        (lambda: g.check_gaussians([0, 0], [[1, 0.5], [0.4, 1]]), "not symmetric"),
        (lambda: g.check_gaussians([0, np.nan], np.eye(2)), "mean: finite"),
        (lambda: g.check_gaussians([0, 0], np.eye(3)), r"covariance: shape \(2, 2\)"),
        (lambda: g.hellinger_kernel([[0.0]], [[[1.0]]], form="exact"), "form: one of"),
        (lambda: g.hellinger_kernel([0.0], [[1.0]]), "at least one cell"),
        (lambda: g.decode(np.zeros(8)), "code:"),
        (lambda: g.coverage([0.0], [0.0], [[1.0]], level=95), "level:"),
        (lambda: g.quantiles([0.0], [0.0], [[1.0]]), "level:"),
        (lambda: g.joint_probability([0.0], [0.0], [[1.0]]), "two KPIs"),
        (lambda: g.joint_nll([np.nan], [0.0], [[1.0]]), "values: finite"),
        (lambda: g.laplacian(np.zeros((2, 3))), "kernel: shape"),
        (lambda: g.lognormal_moments(0.0, -1.0), "variance:"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
