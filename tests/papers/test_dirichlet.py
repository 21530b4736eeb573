"""The Dirichlet-multinomial fits: gradient, the maximum that does not exist, and the ones that do."""

import doctest
import itertools
import math
import warnings

import numpy as np
import pytest

from rangym.policies.algorithms import dirichlet
from rangym.policies.algorithms.dirichlet import (
    NoMaximumWarning,
    fit_map,
    fit_population,
    gradient,
    hellinger_features,
    log_likelihood,
    map_features,
    supremum,
)

COUNTS = np.array([12, 0, 5, 0, 0, 3, 0, 0, 0, 80])


def test_example_of_the_docstring():
    assert doctest.testmod(dirichlet).failed == 0


def test_likelihood_is_a_probability():
    """Times the multinomial coefficient it sums to 1 over all count vectors of 5 samples in 3 classes."""
    alpha, total = np.array([0.3, 1.7, 4.0]), 0.0
    for n in itertools.product(range(6), repeat=3):
        if sum(n) == 5:
            ways = math.factorial(5) / math.prod(math.factorial(k) for k in n)
            total += ways * math.exp(log_likelihood(alpha, n))
    assert total == pytest.approx(1.0, rel=1e-12)


def test_gradient_against_finite_differences():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(50, [0.1, 0.2, 0.3, 0.4], size=6)
    alpha, step = rng.uniform(0.2, 6, 4), 1e-6
    for j in range(4):
        up, down = alpha.copy(), alpha.copy()
        up[j], down[j] = up[j] + step, down[j] - step
        numeric = (log_likelihood(up, counts) - log_likelihood(down, counts)) / (2 * step)
        assert gradient(alpha, counts)[j] == pytest.approx(numeric, abs=2e-5)


def test_one_vector_has_a_supremum_and_no_maximum():
    """Specification section 4: L along alpha = s n/V climbs to -68.793 and never reaches it."""
    assert supremum(COUNTS) == pytest.approx(-68.79298, abs=1e-5)
    expected = {1: -77.846, 10: -72.803, 100: -69.858, 1e3: -68.936, 1e4: -68.808, 1e6: -68.793}
    some = COUNTS > 0
    values = [log_likelihood(s * COUNTS[some] / 100, COUNTS[some]) for s in expected]
    np.testing.assert_allclose(values, list(expected.values()), atol=6e-4)
    assert (np.diff(values) > 0).all() and max(values) < supremum(COUNTS)


def test_huge_concentrations_do_not_pass_the_supremum():
    """Differences of log-gamma cancel there and report L = 0."""
    some = COUNTS[COUNTS > 0]
    for scale in (1e8, 1e12, 1.8e18):
        assert log_likelihood(scale * some / 100, some) == pytest.approx(supremum(some), abs=1e-4)


def test_maximum_likelihood_of_one_vector_warns_and_says_why():
    with pytest.warns(NoMaximumWarning, match="one count vector has none.*Use fit_map"):
        assert not fit_population(COUNTS).converged
    rng = np.random.default_rng(1)
    batches = rng.multinomial(32, np.full(10, 0.1), size=10)  # one user's mini-batches are not over-dispersed
    with pytest.warns(NoMaximumWarning, match="scatter no more than multinomial"):
        for seed in range(20):
            fit_population(np.random.default_rng(seed).multinomial(32, np.full(10, 0.1), size=10))
    assert batches.shape == (10, 10)


@pytest.mark.parametrize("true, expected, spread", [(0.05, 0.0504, 0.0061), (0.5, 0.540, 0.054), (5.0, 5.07, 0.46)])
def test_population_fit_recovers_the_concentration(true, expected, spread):
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(12):
            rng = np.random.default_rng(seed)
            shares = rng.dirichlet(np.full(10, true), 30)
            counts = np.array([rng.multinomial(200, p) for p in shares])
            fit = fit_population(counts)
            assert np.abs(gradient(fit.alpha[fit.alpha > 0], counts[:, fit.alpha > 0]) * fit.alpha.max()).max() < 1e-2
            fits.append(fit.alpha.mean())
    assert np.mean(fits) == pytest.approx(expected, abs=3 * spread / 12**0.5 + 3 * np.std(fits) / 12**0.5)


def test_map_fit_is_unique_and_stationary(monkeypatch):
    fit = fit_map(COUNTS)
    slope = gradient(fit.alpha, COUNTS) + 0.5 / fit.alpha - 0.1
    assert np.abs(slope * fit.alpha).max() < 1e-5 and fit.converged
    for start in (0.01, 1.0, 300.0):
        again = dirichlet._climb(
            np.full(10, start),
            lambda a: log_likelihood(a, COUNTS) + (0.5 * np.log(a) - 0.1 * a).sum(),
            lambda a: gradient(a, COUNTS) + 0.5 / a - 0.1,
        )
        np.testing.assert_allclose(again.alpha, fit.alpha, rtol=1e-4)


def test_features_are_shares_and_their_roots():
    shares = map_features([COUNTS, COUNTS[::-1]])
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(shares[0], shares[1][::-1], rtol=1e-4)
    np.testing.assert_allclose(hellinger_features(COUNTS)[0], np.sqrt(COUNTS / 100))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: log_likelihood([1.0, -1.0], [1, 2]), "alpha: 2 finite numbers above 0 wanted"),
        (lambda: log_likelihood([1.0], [1, 2]), "alpha: 2 finite numbers above 0 wanted"),
        (lambda: fit_map([1.5, 2]), "counts: whole numbers of at least 0 wanted"),
        (lambda: fit_map([-1, 2]), "counts: whole numbers of at least 0 wanted"),
        (lambda: fit_map([]), r"counts: \(C,\) or \(users, C\) wanted"),
        (lambda: fit_map([1, 2], rate=0.0), "shape, rate: numbers above 0 wanted"),
        (lambda: fit_population([0, 0]), "at least one sample wanted, got none"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
