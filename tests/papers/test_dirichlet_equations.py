"""Dirichlet-multinomial: exact rational arithmetic, finite differences, and estimates that exist or do not."""

import doctest
import itertools
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import betaln
from scipy.stats import dirichlet_multinomial

from rangym.policies.algorithms.clusters import dirichlet
from rangym.policies.algorithms.clusters.dirichlet import (
    NoMaximumWarning,
    class_profiles,
    fit_map,
    fit_mle,
    gradient,
    log_likelihood,
    supremum,
)

COUNTS = np.array([12, 0, 5, 0, 0, 3, 0, 0, 0, 80])


def rising(a, n):
    return math.prod((a + k for k in range(n)), start=Fraction(1))


def probability(alpha, n):
    """Exact probability of one sequence with counts n: the Polya urn, draw by draw."""
    return math.prod((rising(a, k) for a, k in zip(alpha, n, strict=True)), start=Fraction(1)) / rising(
        sum(alpha), sum(n)
    )


def test_doctests():
    assert doctest.testmod(dirichlet).failed == 0


def test_likelihood_is_the_urns_exact_probability():
    alpha = [Fraction(3, 2), Fraction(1, 4), Fraction(2)]
    for n in itertools.product(range(5), repeat=3):
        if sum(n):
            exact = probability(alpha, n)
            assert log_likelihood([float(a) for a in alpha], n) == pytest.approx(math.log(exact), rel=1e-12)


def test_probabilities_of_all_counts_sum_to_one():
    def coefficient(n):
        return math.factorial(sum(n)) / math.prod(math.factorial(k) for k in n)

    alpha = np.array([0.3, 1.7, 0.9])
    counts = [n for n in itertools.product(range(7), repeat=3) if sum(n) == 6]
    total = sum(coefficient(n) * math.exp(log_likelihood(alpha, n)) for n in counts)
    assert total == pytest.approx(1.0, rel=1e-12)


def test_likelihood_is_scipys_up_to_the_coefficient():
    rng = np.random.default_rng(1)
    for _ in range(20):
        alpha, n = rng.gamma(1.0, 2.0, 6), rng.integers(0, 40, 6)
        coefficient = math.lgamma(n.sum() + 1) - sum(math.lgamma(k + 1) for k in n)
        expected = dirichlet_multinomial.logpmf(n, alpha, n.sum()) - coefficient
        assert log_likelihood(alpha, n) == pytest.approx(expected, rel=1e-10)


def test_several_vectors_add_up():
    rng = np.random.default_rng(2)
    alpha, n = rng.gamma(1.0, 1.0, 4), rng.integers(1, 9, (5, 4))
    assert log_likelihood(alpha, n) == pytest.approx(sum(log_likelihood(alpha, row) for row in n))
    np.testing.assert_allclose(gradient(alpha, n), sum(gradient(alpha, row) for row in n))


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_gradient_by_central_differences(scale):
    rng = np.random.default_rng(3)
    alpha, n = scale * rng.uniform(0.5, 2.0, 5), rng.integers(0, 50, (3, 5))
    step = 1e-5 * scale
    for j, unit in enumerate(np.eye(5)):
        numeric = (log_likelihood(alpha + step * unit, n) - log_likelihood(alpha - step * unit, n)) / (2 * step)
        assert gradient(alpha, n)[j] == pytest.approx(numeric, rel=1e-5, abs=1e-7)


def test_one_vector_rises_to_the_supremum_and_never_beyond():
    assert supremum(COUNTS) == pytest.approx(-68.79298, abs=5e-6)
    shares = np.maximum(COUNTS / COUNTS.sum(), 1e-300)
    values = [log_likelihood(s * shares, COUNTS) for s in (1, 10, 100, 1e3, 1e4, 1e6, 1e10, 1e15, 1e18)]
    np.testing.assert_allclose(values[:6], [-77.846, -72.803, -69.858, -68.936, -68.808, -68.793], atol=5e-4)
    assert (np.diff(values) > -1e-9).all()
    assert max(values) <= supremum(COUNTS) + 1e-9  # differences of lnGamma reach 0 here, far above


def test_a_one_class_vector_is_flat():
    alpha = np.array([2.0, 1e-12, 1e-12])
    values = [log_likelihood(alpha * [s, 1, 1], [30, 0, 0]) for s in (0.01, 1, 100)]
    np.testing.assert_allclose(values, 0.0, atol=1e-8)


def test_the_missing_mle_is_explained():
    with pytest.warns(NoMaximumWarning, match=r"one count vector has no maximum-likelihood alpha.*-68\.793.*fit_map"):
        fit = fit_mle(COUNTS)
    assert supremum(COUNTS) - 0.01 < fit.value < supremum(COUNTS)
    assert fit.value == log_likelihood(fit.alpha, COUNTS)
    np.testing.assert_allclose(fit.shares, COUNTS / COUNTS.sum(), rtol=1e-9, atol=1e-9)
    assert fit.at_bound.all() and not fit.converged
    # Ten times as far out it is larger still: this is no maximum.
    assert fit.value < log_likelihood(10.0 * fit.alpha, COUNTS) < supremum(COUNTS)


@pytest.mark.parametrize("counts", [[30, 0, 0], [1, 0], [3, 3], [10_000, 1, 0, 70_000]])
def test_one_vector_never_has_an_mle(counts):
    with pytest.warns(NoMaximumWarning, match="infinity"):
        fit = fit_mle(counts)
    assert fit.value <= supremum(counts)
    np.testing.assert_allclose(fit.shares, np.divide(counts, sum(counts)), atol=1e-9)


def test_vectors_of_one_class_each_push_alpha_to_zero():
    """In the limit the first sample decides a vector: two of three vectors are of class 0."""
    counts = np.array([[5, 0], [7, 0], [0, 3]])
    with pytest.warns(NoMaximumWarning, match="s -> 0"):
        fit = fit_mle(counts)
    limit = 2 * math.log(2 / 3) + math.log(1 / 3)
    assert limit - 1e-3 < fit.value < limit
    np.testing.assert_allclose(fit.shares, [2 / 3, 1 / 3])
    best = max(
        log_likelihood([s * p, s * (1 - p)], counts) for s in 10.0 ** np.arange(-8, 6) for p in np.linspace(0.01, 0.99)
    )
    assert best < limit


def test_whether_several_vectors_have_an_mle_is_told_by_exhaustion():
    """Grids over shares and scale, for pairs and triples of small vectors: is any alpha above the multinomial limit?

    The last two have a maximum, although the likelihood also rises locally to that limit.
    """
    scale, rng, told = np.exp(np.linspace(-9, 11, 60)), np.random.default_rng(6), {True: 0, False: 0}
    drawn = [rng.integers(0, 6, (rng.integers(2, 4), 2)) for _ in range(60)]
    for counts in [*drawn, np.array([[0, 2], [3, 0], [4, 5]]), np.array([[0, 1], [0, 1], [7, 2]])]:
        total = counts.sum(axis=0)
        if (counts.sum(axis=1) == 0).any() or (total == 0).any() or ((counts > 0).sum(axis=1) == 1).all():
            continue
        shares = np.append(np.linspace(0.01, 0.99, 99), total[0] / total.sum())[:, None]
        grid = sum(
            betaln(shares * scale + x, (1 - shares) * scale + y) - betaln(shares * scale, (1 - shares) * scale)
            for x, y in counts
        )
        limit = float((total * np.log(total / total.sum())).sum())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit = fit_mle(counts)
        assert bool(caught) != (grid.max() > limit + 1e-6), counts
        told[bool(caught)] += 1
        if not caught:
            assert fit.converged and fit.value >= grid.max() - 1e-9
    assert min(told.values()) >= 5


def test_mini_batches_of_one_user_are_told_to_be_too_alike():
    rng = np.random.default_rng(4)
    told = 0
    for _ in range(10):
        batches = rng.multinomial(32, rng.dirichlet(np.full(5, 1.0)), 10)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit_mle(batches)
        told += any(issubclass(w.category, NoMaximumWarning) for w in caught)
    assert told >= 5  # the specification counts 5 of 20 finite


@pytest.mark.parametrize("true", [0.05, 0.5, 5.0])
def test_population_mle_finds_alpha_without_a_warning(true):
    """300 users of 200 samples."""
    rng = np.random.default_rng(5)
    counts = np.stack([rng.multinomial(200, p) for p in rng.dirichlet(np.full(10, true), 300)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = fit_mle(counts)
    assert fit.converged
    assert fit.alpha.mean() == pytest.approx(true, rel=0.1)
    # Steps either way along each alpha_j lose likelihood.
    for j, unit in enumerate(np.eye(10)):
        for factor in (0.97, 1.03):
            assert log_likelihood(fit.alpha * np.where(unit, factor, 1.0), counts) < fit.value, j


def test_map_is_the_maximum_from_any_start():
    """Another search (derivative-free, three starts) finds the same maximum of likelihood and Gamma prior."""
    n, shape, rate = np.array([7, 0, 3]), 1.5, 0.1

    def negative(x):
        a = np.exp(x)
        urn = sum(math.lgamma(v + k) - math.lgamma(v) for v, k in zip(a, n, strict=True))
        urn += math.lgamma(a.sum()) - math.lgamma(a.sum() + n.sum())
        return -(urn + ((shape - 1) * x - rate * a).sum())

    fit = fit_map(n, shape=shape, rate=rate)
    for start in ([-2.0, -2.0, -2.0], [2.0, 0.0, -1.0], [3.0, 3.0, 3.0]):
        options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 5000, "maxfev": 5000}
        found = minimize(negative, start, method="Nelder-Mead", options=options)
        np.testing.assert_allclose(fit.alpha, np.exp(found.x), rtol=1e-4)
        assert fit.value == pytest.approx(-found.fun, abs=1e-9)
    assert fit.converged and not fit.at_bound.any()


def test_an_absent_class_is_at_the_lower_bound_where_nothing_holds_it_up():
    """Its alpha_j only lowers likelihood and exponential prior; the search does not have to walk there."""
    for fit in (fit_map(COUNTS, shape=1.0), fit_mle([[5, 0, 2], [1, 0, 9], [0, 0, 4]])):
        absent = fit.alpha == fit.alpha.min()
        assert fit.converged and fit.at_bound.tolist() == absent.tolist()
        np.testing.assert_allclose(fit.alpha[absent], np.exp(-12), rtol=1e-9)
    assert not fit_map(COUNTS).at_bound.any()


def test_map_follows_the_prior_without_information():
    """One sample says next to nothing about a class it is not in: there the prior's mode, (shape - 1) / rate."""
    fit = fit_map([1, 0, 0], shape=3.0, rate=2.0)
    np.testing.assert_allclose(fit.alpha[1:], 1.0, rtol=0.2)
    assert fit.alpha[0] > fit.alpha[1] == pytest.approx(fit.alpha[2], rel=1e-4)


def test_profiles():
    n = np.array([[30, 10, 0], [0, 0, 40]])
    hellinger = class_profiles(n, "hellinger")
    np.testing.assert_allclose(hellinger, [[0.75**0.5, 0.5, 0], [0, 0, 1]])
    shares = class_profiles(n)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shares.argmax(axis=1).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: log_likelihood([1.0, 0.0], [1, 2]), "alpha: positive"),
        (lambda: log_likelihood([1.0, np.nan], [1, 2]), "alpha: positive"),
        (lambda: log_likelihood([1.0], [1, 2]), r"alpha: shape \(2,\)"),
        (lambda: gradient([1.0, 1.0], [1, -2]), "counts: whole numbers"),
        (lambda: fit_map([1.5, 2]), "counts: whole numbers"),
        (lambda: fit_map([np.nan, 2]), "counts: whole numbers"),
        (lambda: fit_map([[1, 2], [0, 0]]), "vector 1 has none"),
        (lambda: fit_map([3]), "C >= 2 classes"),
        (lambda: fit_map([3, 1], rate=0.0), "rate: a positive number"),
        (lambda: fit_map([3, 0], shape=0.5), "shape: a number of at least 1"),
        (lambda: class_profiles([[3, 1]], "shares"), "feature: one of"),
        (lambda: supremum([[3, 1], [1, 1]]), "one count vector"),
    ],
)
def test_wrong_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
