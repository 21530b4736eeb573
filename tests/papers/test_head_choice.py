"""Choosing heads: descent, paths and the bound against brute force; the filter against all paths of concepts."""

import doctest
import itertools

import numpy as np
import pytest

from rangym.envs.learning.heads import least_slot_cost
from rangym.policies.algorithms.prediction import head_choice as h
from rangym.policies.algorithms.prediction import switching_filter
from rangym.policies.algorithms.prediction.switching_filter import SwitchingFilter

WEIGHTS = h.Weights(lam=0.05, beta=0.3, kappa=0.2)
FREE = h.Weights(lam=0.0, beta=0.3, kappa=0.0)


def case(seed, cells=4, heads=3, slots=None):
    rng = np.random.default_rng(seed)
    shape = (cells,) if slots is None else (slots, cells)
    root = rng.normal(size=(*shape, 2))
    kernel = np.exp(-((root[..., :, None, :] - root[..., None, :, :]) ** 2).sum(axis=-1))
    return rng.random((*shape, heads)), kernel, rng.integers(0, heads, cells)


def cost(labels, losses, kernel, before, w):
    """The cost with loops over ordered pairs."""
    n = len(labels)
    total = sum(losses[i, labels[i]] + w.kappa * (labels[i] != before[i]) for i in range(n))
    total += w.lam * sum(kernel[i, j] for i in range(n) for j in range(n) if labels[i] != labels[j])
    return total + w.beta * len(set(labels))


@pytest.mark.parametrize("module", [h, switching_filter])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


def test_descent_ends_where_no_cell_gains_and_is_exact_without_cut_and_migrations():
    exact = 0
    for seed in range(200):
        losses, kernel, before = case(seed)
        found = h.choose_heads(losses, kernel, before, WEIGHTS)
        value = cost(found, losses, kernel, before, WEIGHTS)
        assert h.slot_cost(found, losses, kernel, before, WEIGHTS) == pytest.approx(value, rel=1e-12)
        for i, c in itertools.product(range(4), range(3)):
            moved = found.copy()
            moved[i] = c
            assert cost(moved, losses, kernel, before, WEIGHTS) >= value - 1e-9
        every = list(itertools.product(range(3), repeat=4))
        best = min(cost(x, losses, kernel, before, WEIGHTS) for x in every)
        assert value >= best - 1e-12
        exact += value < best + 1e-9
        free = h.choose_heads(losses, kernel, before, FREE)
        assert cost(free, losses, kernel, before, FREE) == pytest.approx(
            min(cost(x, losses, kernel, before, FREE) for x in every), rel=1e-12
        )
        shifted = h.choose_heads(losses + np.arange(4)[:, None], kernel, before, WEIGHTS)
        assert (shifted == found).all()
    assert exact > 180


def test_many_heads_start_from_a_few_labellings():
    losses, kernel, before = case(1, cells=9, heads=11)
    for w in (WEIGHTS, h.Weights(0.0, 0.0, 0.0), h.Weights(0.0, 100.0, 0.0), h.Weights(0.0, 0.0, 100.0)):
        found = h.choose_heads(losses, kernel, before, w)
        value = cost(found, losses, kernel, before, w)
        starts = [losses.argmin(axis=1), before, *(np.full(9, c) for c in range(11))]
        assert value <= min(cost(x, losses, kernel, before, w) for x in starts) + 1e-12
    assert (h.choose_heads(losses, kernel, before, h.Weights(0.0, 0.0, 0.0)) == losses.argmin(axis=1)).all()
    assert (h.choose_heads(losses, kernel, before, h.Weights(0.0, 0.0, 100.0)) == before).all()


def test_the_path_of_one_cell_is_the_best_of_all():
    for seed in range(30):
        losses, kernel, _ = case(seed, cells=1, heads=3, slots=6)
        w = h.Weights(0.0, 0.1, 0.35)
        found = h.plan_heads(losses, kernel, w)

        def price(path, losses=losses, kernel=kernel, w=w):
            before = [[0], *([c] for c in path[:-1])]
            return sum(cost([c], losses[t], kernel[t], before[t], w) for t, c in enumerate(path))

        best = min(price(path) for path in itertools.product(range(3), repeat=6))
        assert found.converged and found.cost == pytest.approx(best, rel=1e-12)
        assert price(found.labels[:, 0]) == pytest.approx(best, rel=1e-12)


def test_no_cell_has_a_better_path_given_the_others():
    for seed in range(10):
        losses, kernel, before = case(seed, cells=3, heads=2, slots=4)

        def price(labels, losses=losses, kernel=kernel, before=before):
            previous = [before, *labels[:-1]]
            return sum(cost(labels[t], losses[t], kernel[t], previous[t], WEIGHTS) for t in range(4))

        found = h.plan_heads(losses, kernel, WEIGHTS, before=before)
        assert found.cost == pytest.approx(price(found.labels), rel=1e-12)
        for i, path in itertools.product(range(3), itertools.product(range(2), repeat=4)):
            other = found.labels.copy()
            other[:, i] = path
            assert price(other) >= found.cost - 1e-9
        every = itertools.product(range(2), repeat=12)
        assert found.cost >= min(price(np.reshape(x, (4, 3))) for x in every) - 1e-9


def test_no_labels_are_below_the_subset_bound():
    every = list(itertools.product(range(3), repeat=6))
    for seed in range(500):
        losses, kernel, before = case(seed, cells=6, heads=3)
        bound = least_slot_cost(losses[None], 0.3)[0]
        labels = np.array(every)
        loss = losses[np.arange(6), labels].sum(axis=1)
        used = (labels[:, :, None] == np.arange(3)).any(axis=1).sum(axis=1)
        apart = labels[:, :, None] != labels[:, None, :]
        full = loss + 0.3 * used + 0.05 * (apart * kernel).sum(axis=(1, 2)) + 0.2 * (labels != before).sum(axis=1)
        assert bound <= full.min() + 1e-12
        assert bound == pytest.approx((loss + 0.3 * used).min(), rel=1e-12)


def test_the_bound_with_equal_and_with_many_heads():
    losses, *_ = case(3, cells=6, heads=4, slots=5)
    doubled = np.concatenate([losses, losses, losses, losses, losses], axis=2)
    np.testing.assert_allclose(least_slot_cost(doubled, 0.2), least_slot_cost(losses, 0.2))
    many, *_ = case(4, cells=6, heads=17, slots=5)
    loose, tight = least_slot_cost(many, 0.2), least_slot_cost(many[:, :, :16], 0.2)
    np.testing.assert_allclose(loose, many.min(axis=2).sum(axis=1) + 0.2)
    assert (loose <= tight).all()


def test_clusters_are_matched_to_the_slots_of_least_loss():
    rng = np.random.default_rng(5)
    for _ in range(20):
        labels, losses = rng.integers(0, 3, 8), rng.normal(size=(8, 5))
        found = h.match_clusters(labels, losses, [1, 2, 3, 4])
        total = losses[np.arange(8), found].sum()
        assert len(set(found)) == len(set(labels)) and not (found == 0).any()
        for chosen in itertools.permutations([1, 2, 3, 4], 3):
            assert total <= losses[np.arange(8), np.array(chosen)[labels]].sum() + 1e-12


def test_the_filter_is_the_sum_over_all_paths_of_concepts():
    rng = np.random.default_rng(6)
    mean, cov = rng.normal(size=(3, 2)), np.stack([np.eye(2) * s for s in (0.5, 1.0, 2.0)])
    law = SwitchingFilter(mean, cov, hold=4.0, power=0.7)
    seen = rng.normal(size=(4, 1, 2))
    belief = law.start(1)
    for x in seen:
        belief = law.update(belief, x)

    def density(x, g):
        d = x - mean[g]
        value = np.exp(-0.5 * d @ np.linalg.inv(cov[g]) @ d) / (2 * np.pi * np.sqrt(np.linalg.det(cov[g])))
        return value**0.7

    stay = 1 - 1 / 4
    weight = np.zeros(3)
    for path in itertools.product(range(3), repeat=5):  # the first before anything is seen
        p = 1 / 3
        for t in range(4):
            p *= (stay * (path[t] == path[t + 1]) + (1 - stay) / 3) * density(seen[t, 0], path[t + 1])
        weight[path[-1]] += p
    np.testing.assert_allclose(belief[0], weight / weight.sum(), rtol=1e-10)
    twice = law.ahead(law.ahead(belief))
    np.testing.assert_allclose(law.ahead(belief, 2), twice, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: h.Weights(-1.0, 0.0, 0.0), "lam:"),
        (lambda: h.Weights(0.0, np.nan, 0.0), "beta:"),
        (lambda: h.choose_heads(np.ones((2, 2)), np.ones((3, 3)), [0, 0], FREE), "losses:"),
        (lambda: h.choose_heads([[np.nan, 1.0]], [[1.0]], [0], FREE), "losses: finite"),
        (lambda: h.plan_heads(np.ones((2, 2)), np.ones((2, 2)), FREE), "losses: finite"),
        (lambda: least_slot_cost(np.ones((2, 2)), 0.1), "losses: finite"),
        (lambda: least_slot_cost(np.ones((1, 2, 2)), -0.1), "beta:"),
        (lambda: h.match_clusters([0, 1, 2], np.ones((3, 3)), [1, 2]), "labels: at most 2"),
        (lambda: SwitchingFilter(np.zeros((1, 1)), np.ones((1, 1, 1)), 0.5, 1.0), "hold:"),
        (lambda: SwitchingFilter(np.zeros((1, 1)), np.ones((1, 1, 1)), 5.0, 0.0), "power:"),
        (lambda: SwitchingFilter(np.zeros((1, 1)), np.zeros((1, 1, 1)), 5.0, 1.0), "covariance:"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
