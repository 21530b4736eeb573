"""WKHM, the harmonic family and the clusterings against their equations, written out once more in plain NumPy."""

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.physics import power_law
from rangym.policies.algorithms.placement import clustering, estimators
from rangym.policies.algorithms.placement import harmonic as harmonic_module
from rangym.policies.algorithms.placement import wkhm as wkhm_module
from rangym.policies.algorithms.placement.ascent import HarmonicObjective
from rangym.policies.algorithms.placement.clustering import (
    capacitated_assignment,
    constrained_k_means,
    gaussian_mixture,
    k_centers,
    k_means,
    k_means_lanes,
)
from rangym.policies.algorithms.placement.harmonic import harmonic, k_harmonic_means
from rangym.policies.algorithms.placement.harmonic_kernels import BLOCK, CORRECTED, FAIR, FROZEN, PRINTED
from rangym.policies.algorithms.placement.wkhm import wkhm


def squares(x, m, eps):
    return ((x[:, None] - m) ** 2).sum(axis=2) + eps


def signal(x, m, p, q, eps):
    """L of equation (3) with the weights of (4)."""
    s = squares(x, m, eps)
    a = s ** (-q / 2)
    w = a / a.sum(axis=1, keepdims=True)
    return (w * s ** (-p / 2)).sum()


def printed_weights(x, m, p, q, eps):
    """The paper's B, as printed after equation (4)."""
    s = squares(x, m, eps)
    a, c = s ** (-q / 2), s ** (-p / 2)
    w = a / a.sum(axis=1, keepdims=True)
    return w * ((p + q) * c - q * (w * c).sum(axis=1, keepdims=True) / s)


def fair_utility(x, m, alpha, gamma, eps):
    power = (squares(x, m, eps) ** (-gamma / 2)).sum(axis=1)
    return np.log(power).sum() if alpha == 1 else (power ** (1 - alpha) / (1 - alpha)).sum()


def central_difference(f, m, h):
    gradient = np.empty_like(m)
    for index in np.ndindex(m.shape):
        up, down = m.copy(), m.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = (f(up) - f(down)) / (2 * h)
    return gradient


def random_case(rng):
    users, nodes = int(rng.integers(3, 40)), int(rng.integers(1, 6))
    nodes = min(users, nodes)
    side = 10 ** rng.uniform(-1, 2)
    eps = side**2 * 10 ** rng.uniform(-3, 0)
    return side * rng.random((users, 2)), side * rng.random((nodes, 2)), side, eps


def test_corrected_gradient_equals_finite_differences():
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(300):
        x, m, side, eps = random_case(rng)
        p, q = rng.choice([1.0, 1.5, 2.0, 2.7, 3.0, 4.0]), rng.choice([1.0, 2.0, 3.3, 4.0, 5.0])
        value, direction, *_ = HarmonicObjective(x, eps, CORRECTED, p, q, 1.0).at(m)
        assert value == pytest.approx(signal(x, m, p, q, eps), rel=1e-12)
        # Richardson's extrapolation: error O(h^4), where plain central differences stop at 1e-7.
        f, h = lambda n, x=x, p=p, q=q, eps=eps: signal(x, n, p, q, eps), 2e-3 * np.sqrt(eps)
        expected = (4 * central_difference(f, m, h / 2) - central_difference(f, m, h)) / 3
        worst = max(worst, np.abs(direction - expected).max() / np.abs(expected).max())
    assert worst < 1e-6


def test_fair_gradient_equals_finite_differences():
    rng = np.random.default_rng(1)
    for _ in range(100):
        x, m, side, eps = random_case(rng)
        alpha, gamma = rng.choice([0.0, 0.5, 1.0, 2.0]), rng.choice([2.0, 3.0, 3.5, 4.0])
        value, direction, total, magnitude = HarmonicObjective(x, eps, FAIR, alpha, gamma, gamma).at(m)
        assert value == pytest.approx(fair_utility(x, m, alpha, gamma, eps), rel=1e-10)
        f, h = lambda n, x=x, a=alpha, g=gamma, e=eps: fair_utility(x, n, a, g, e), 2e-3 * np.sqrt(eps)
        expected = (4 * central_difference(f, m, h / 2) - central_difference(f, m, h)) / 3
        np.testing.assert_allclose(gamma * direction, expected, atol=1e-6 * np.abs(expected).max())
        np.testing.assert_array_equal(total, magnitude)


@pytest.mark.parametrize("p, q", [(2.0, 4.0), (3.0, 2.0), (1.0, 1.0), (2.5, 3.5), (8.0, 20.0)])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("users", [5, BLOCK, BLOCK + 1])
def test_one_pass_equals_the_equations_in_every_form(p, q, dims, users):
    rng = np.random.default_rng(2)
    x, m, eps = rng.random((users, dims)), rng.random((4, dims)), 0.01
    s = squares(x, m, eps)
    a, c = s ** (-q / 2), s ** (-p / 2)
    w = a / a.sum(axis=1, keepdims=True)
    mean = (w * c).sum(axis=1, keepdims=True)
    weights = {
        CORRECTED: w / s * ((p + q) * c - q * mean),
        PRINTED: printed_weights(x, m, p, q, eps),
        FROZEN: w * c / s,
    }
    for form, b in weights.items():
        value, direction, total, magnitude = HarmonicObjective(x, eps, form, p, q, 1.0).at(m)
        scale = np.abs(b).sum(axis=0)
        assert value == pytest.approx(mean.sum(), rel=1e-12)
        np.testing.assert_allclose(magnitude, scale, rtol=1e-11)
        np.testing.assert_allclose(total, b.sum(axis=0), atol=1e-11 * scale.max())
        expected = (b[:, :, None] * (x[:, None] - m)).sum(axis=0)
        np.testing.assert_allclose(direction, expected, atol=1e-11 * scale.max())


def test_float32_users_cost_only_their_own_rounding():
    rng = np.random.default_rng(3)
    x, m = 100 * rng.random((5000, 2)), 100 * rng.random((20, 2))
    exact = HarmonicObjective(x.astype(np.float32).astype(float), 9.0, CORRECTED, 2.0, 4.0, 1.0).at(m)
    single = HarmonicObjective(x.astype(np.float32), 9.0, CORRECTED, 2.0, 4.0, 1.0).at(m)
    for a, b in zip(exact, single, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max())


def test_safeguarded_form_never_goes_down():
    rng = np.random.default_rng(4)
    for _ in range(500):
        x, m, side, eps = random_case(rng)
        p, q = rng.choice([1.0, 2.0, 3.0, 3.5]), rng.choice([0.5, 2.0, 4.0])
        found = wkhm(x, m, p, q, eps * 10 ** rng.uniform(-6, 0), area=(0.0, side), max_iterations=40)
        assert (np.diff(found.history) >= 0).all()
        assert found.value == found.history[-1] and len(found.history) == found.iterations + 1
        assert found.position.min() >= 0 and found.position.max() <= side


def test_safeguarded_form_ends_in_a_stationary_point():
    rng = np.random.default_rng(5)
    for _ in range(20):
        x, m = 100 * rng.random((60, 2)), 100 * rng.random((5, 2))
        found = wkhm(x, m, area=(0.0, 100.0), max_iterations=3000)
        assert found.converged
        _, direction, _, magnitude = HarmonicObjective(x, 9.0, CORRECTED, 2.0, 4.0, 1.0).at(found.position)
        residual = np.clip(found.position + direction / magnitude[:, None], 0, 100) - found.position
        assert np.abs(residual).max() < 2e-4


def test_corrected_form_does_not_depend_on_the_unit_of_length_and_printed_does():
    rng = np.random.default_rng(6)
    x, m = 100 * rng.random((50, 2)), 100 * rng.random((4, 2))
    shift = {}
    for form in ("corrected", "printed"):
        metres = wkhm(x, m, eps=1.0, form=form, max_iterations=1).position
        kilometres = 1000 * wkhm(x / 1000, m / 1000, eps=1e-6, form=form, max_iterations=1).position
        shift[form] = np.abs(metres - kilometres).max()
    assert shift["corrected"] < 1e-9
    assert shift["printed"] > 1.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_permuting_users_or_nodes_permutes_the_result(seed):
    rng = np.random.default_rng(seed)
    x, m = rng.random((30, 2)), rng.random((4, 2))
    users, nodes = rng.permutation(30), rng.permutation(4)
    plain = wkhm(x, m, eps=0.05, max_iterations=5).position
    mixed = wkhm(x[users], m[nodes], eps=0.05, max_iterations=5).position
    np.testing.assert_allclose(mixed, plain[nodes], atol=1e-9)


def test_printed_update_is_the_papers():
    rng = np.random.default_rng(7)
    x, m = 100 * rng.random((40, 2)), 100 * rng.random((4, 2))
    b = printed_weights(x, m, 2.0, 4.0, 4.0)
    expected = (b[:, :, None] * x[:, None]).sum(axis=0) / b.sum(axis=0)[:, None]
    np.testing.assert_allclose(wkhm(x, m, 2, 4, 4.0, form="printed", max_iterations=1).position, expected, rtol=1e-8)


@pytest.mark.parametrize("form", ["printed", "corrected"])
def test_counterexample_to_monotone_descent(form):
    """Theorem 1 of the paper: one user, one node; the objective rises to eps^(-p/2), from 1 to a million."""
    found = wkhm([[0.0]], [[1.0]], p=2, q=4, eps=1e-6, form=form, area=(-1.0, 2.0))
    assert found.position.item() == pytest.approx(0.0, abs=1e-9)
    assert found.history[0] == pytest.approx(1 / (1 + 1e-6))
    assert found.value == pytest.approx(1e6, rel=1e-6)


def test_no_run_shows_the_claimed_descent():
    rng = np.random.default_rng(8)
    for _ in range(20):
        x, m = 100 * rng.random((50, 2)), 100 * rng.random((5, 2))
        found = wkhm(x, m, p=2, q=4, eps=1e-6, form="printed", max_iterations=100)
        assert found.value > found.history[0]
        assert not (np.diff(found.history) <= 0).all()


def test_small_eps_puts_every_node_on_a_users_head():
    rng = np.random.default_rng(9)
    for _ in range(20):
        x, m = 100 * rng.random((100, 2)), 100 * rng.random((9, 2))
        found = wkhm(x, m, eps=1e-6, area=(0.0, 100.0))
        assert np.sqrt(squares(x, found.position, 0).min(axis=0)).max() < 1e-2


@pytest.mark.parametrize("gamma", [2.0, 3.0, 4.0])
def test_plain_harmonic_step_is_monotone_in_the_proved_range(gamma):
    rng = np.random.default_rng(10)
    for alpha in (0.0, 0.5, 1.0, 1.0 + 1.0 / gamma, 1.0 + 2.0 / gamma):
        for _ in range(10):
            x, m, side, eps = random_case(rng)
            found = harmonic(x, m, alpha, gamma, eps, step="plain", max_iterations=60)
            slack = 1e-13 * np.abs(found.history[:-1])
            assert (np.diff(found.history) >= -slack).all()


def test_beyond_the_proved_range_the_plain_step_falls_and_the_others_do_not():
    rng = np.random.default_rng(11)
    falls = {"plain": 0, "damped": 0, "safe": 0}
    for _ in range(30):
        x, m = 100 * rng.random((50, 2)), 100 * rng.random((5, 2))
        for step in falls:
            found = harmonic(x, m, 2.0, 4.0, 1e-2, step=step, max_iterations=60)
            falls[step] += int((np.diff(found.history) < -1e-13 * np.abs(found.history[:-1])).sum())
    assert falls["plain"] > 0
    assert falls["damped"] == falls["safe"] == 0


def test_khm_with_p_2_is_fuzzy_c_means_with_fuzzifier_2():
    rng = np.random.default_rng(12)
    for _ in range(10):
        x, m = 100 * rng.random((60, 2)), 100 * rng.random((5, 2))
        found = k_harmonic_means(x, m, p=2.0, eps=1e-9, max_iterations=30)
        for _ in range(30):  # Bezdek: u = 1 / sum_j (d_l / d_j)^2, centres weighted with u^2
            squared = squares(x, m, 1e-9)
            u = 1.0 / (squared[:, :, None] / squared[:, None, :]).sum(axis=2)
            m = (u**2).T @ x / (u**2).sum(axis=0)[:, None]
        np.testing.assert_allclose(found.position, m, atol=1e-9)
        assert (np.diff(found.history) <= 1e-9).all()
        assert found.value == pytest.approx((5 / (1 / squares(x, found.position, 1e-9)).sum(axis=1)).sum())


def test_capacitated_assignment_equals_brute_force():
    rng = np.random.default_rng(13)
    for _ in range(40):
        n, k = int(rng.integers(3, 8)), int(rng.integers(1, 4))
        k = min(k, n)
        least = int(rng.integers(0, n // k + 1))
        most = int(rng.integers(-(-n // k), n + 1))
        cost = rng.random((n, k))
        best = min(
            cost[np.arange(n), list(label)].sum()
            for label in itertools.product(range(k), repeat=n)
            if all(least <= label.count(c) <= most for c in range(k))
        )
        label = capacitated_assignment(cost, least, most)
        count = np.bincount(label, minlength=k)
        assert count.min() >= least and count.max() <= most
        assert cost[np.arange(n), label].sum() == pytest.approx(best, abs=1e-12)


def test_constrained_k_means_balances_and_never_gets_worse():
    rng = np.random.default_rng(14)
    x, m = 100 * rng.random((100, 2)) ** 3, 100 * rng.random((9, 2))
    found = constrained_k_means(x, m)
    assert sorted(np.bincount(found.label)) == [11] * 8 + [12]
    assert found.converged and (np.diff(found.history) <= 1e-9).all()


def test_k_means_is_lloyds_and_an_empty_cluster_keeps_its_node():
    rng = np.random.default_rng(15)
    x = rng.random((40, 2))
    m = np.concatenate([rng.random((3, 2)), [[50.0, 50.0]]])
    found = k_means(x, m)
    np.testing.assert_array_equal(found.position[3], [50.0, 50.0])
    label = squares(x, found.position, 0).argmin(axis=1)
    for k in range(3):
        np.testing.assert_allclose(found.position[k], x[label == k].mean(axis=0))
    assert found.converged and (np.diff(found.history) <= 1e-12).all()


@pytest.mark.parametrize("max_iterations", [0, 1, 2, 300])
def test_k_means_of_many_lanes_is_that_of_each(max_iterations):
    """Bit for bit: lanes that rest early, empty clusters, ties between nodes, and lanes stopped by the cap."""
    rng = np.random.default_rng(17)
    x = np.concatenate([rng.random((6, 25, 2)), rng.integers(0, 3, (6, 25, 2))])
    m = np.concatenate([rng.random((6, 4, 2)), rng.integers(-1, 3, (6, 4, 2))])
    ones = [k_means(users, start, max_iterations=max_iterations) for users, start in zip(x, m, strict=True)]
    found = k_means_lanes(x, m, max_iterations=max_iterations)
    np.testing.assert_array_equal(found, [one.position for one in ones])
    assert len({one.iterations for one in ones}) > 2 or max_iterations < 3
    assert all(one.converged for one in ones) == (max_iterations == 300)


def test_k_centers_is_within_twice_the_optimum():
    rng = np.random.default_rng(16)
    for _ in range(20):
        x = rng.random((9, 2))
        found = k_centers(x, x[:3])
        distance = np.sqrt(squares(x, found.position, 0))
        assert found.value == pytest.approx(distance.min(axis=1).max())
        # Centres at users are within twice the best centres anywhere, and so is the best of them.
        best = min(np.sqrt(squares(x, x[list(c)], 0)).min(axis=1).max() for c in itertools.combinations(range(9), 3))
        assert found.value <= 2 * best + 1e-12
        assert (squares(x, found.position, 0).min(axis=0) == 0).all()


def test_mixture_finds_separate_clusters_and_leaves_the_global_generator_alone():
    rng = np.random.default_rng(17)
    centres = np.array([[10.0, 10.0], [90.0, 20.0], [50.0, 80.0]])
    x = np.concatenate([c + 2 * rng.standard_normal((40, 2)) for c in centres])
    np.random.seed(1)  # noqa: NPY002 (what is tested is that nobody touches it)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    found = gaussian_mixture(x, centres + 10)
    np.testing.assert_allclose(found.position, centres, atol=1.5)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


X, M = np.zeros((4, 2)) + np.arange(4)[:, None], np.array([[0.5, 0.5], [2.0, 2.0]])
NAN = np.array([[np.nan, 0.0], [1.0, 1.0]])
WRONG = {
    "NaN users": (lambda: wkhm(NAN, M), "users: finite positions wanted"),
    "NaN nodes": (lambda: k_means(X, NAN), "nodes: finite positions wanted"),
    "more nodes than users": (lambda: harmonic(X, np.zeros((5, 2))), "at most one a user wanted, got 5 for 4 users"),
    "no node": (lambda: wkhm(X, np.zeros((0, 2))), r"at least one node wanted, got shape \(0, 2\)"),
    "no user": (lambda: k_means(np.zeros((0, 2)), M), r"at least one user wanted, got shape \(0, 2\)"),
    "other dimension": (lambda: k_centers(X, np.zeros((2, 3))), r"a \(K, 2\) array"),
    "negative p": (lambda: wkhm(X, M, p=-1), "p: a positive number wanted, got -1"),
    "zero eps": (lambda: wkhm(X, M, eps=0.0), "eps: a positive number wanted, got 0.0"),
    "NaN gamma": (lambda: harmonic(X, M, gamma=np.nan), "gamma: a positive number wanted, got nan"),
    "negative alpha": (lambda: harmonic(X, M, alpha=-0.1), "alpha: a number of at least 0 wanted, got -0.1"),
    "unknown form": (lambda: wkhm(X, M, form="literal"), r"form: one of \['corrected', 'printed', 'frozen'\]"),
    "unknown step": (lambda: harmonic(X, M, step="big"), r"step: one of \['safe', 'plain', 'damped'\] wanted"),
    "node outside": (lambda: wkhm(X, M, area=(0.0, 1.0)), "start: nodes inside .* for node 1"),
    "area upside down": (lambda: wkhm(X, M, area=(1.0, 0.0)), "area: corners low < high wanted"),
    "loads impossible": (lambda: constrained_k_means(X, M, (3, 4)), "load_range: .* K N_min <= 4 <= K N_max wanted"),
}


@pytest.mark.parametrize("call, message", WRONG.values(), ids=WRONG)
def test_bad_input_says_what_was_wanted(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("module", [wkhm_module, harmonic_module, clustering, estimators, power_law])
def test_docstring_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0
