"""Heads: losses from rows, gradients by finite differences, ridge by an ordinary least-squares solver."""

import doctest

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from rangym.envs.learning import heads as h

CELLS, ROWS, P, M, C = 5, 30, 6, 4, 3


def instance(seed=0):
    rng = np.random.default_rng(seed)
    phi, y = rng.normal(size=(CELLS, ROWS, P)), rng.normal(size=(CELLS, ROWS, M))
    return rng, phi, y, h.statistics_of(phi, y), rng.normal(size=(C, P, M)), rng.normal(size=(P, M))


def loss_by_rows(phi, y, theta, start=None, rho=0.0):
    total = np.mean([np.sum((x @ theta - t) ** 2) for x, t in zip(phi, y, strict=True)])
    if start is not None:
        total += rho * np.sum((theta - start) ** 2)
    return total / y.shape[-1]


def test_doctests():
    assert doctest.testmod(h).failed == 0


def test_losses_from_sums_are_losses_of_the_rows():
    _, phi, y, stats, heads, start = instance()
    table, with_ridge = h.losses(stats, heads), h.losses(stats, heads, start, 0.3)
    for i in range(CELLS):
        for c in range(C):
            assert table[i, c] == pytest.approx(loss_by_rows(phi[i], y[i], heads[c]), rel=1e-12)
            assert with_ridge[i, c] == pytest.approx(loss_by_rows(phi[i], y[i], heads[c], start, 0.3), rel=1e-12)
    np.testing.assert_allclose(h.row_losses(phi, y, heads), table, rtol=1e-12)


def test_one_target_for_all_rows_of_a_cell():
    _, phi, y, _, heads, _ = instance(1)
    one = y[:, :1]
    repeated = np.repeat(one, ROWS, axis=1)
    for short, long in ((h.statistics_of(phi, one), h.statistics_of(phi, repeated)),):
        np.testing.assert_allclose(short.cross, long.cross, atol=1e-14)
        np.testing.assert_allclose(short.power, long.power)
    np.testing.assert_allclose(h.row_losses(phi, one, heads), h.losses(h.statistics_of(phi, one), heads), rtol=1e-11)


def test_statistics_of_ragged_cells():
    rng = np.random.default_rng(2)
    cell = rng.permutation(np.repeat(np.arange(CELLS), [3, 9, 1, 20, 7]))
    phi, y = rng.normal(size=(len(cell), P)), rng.normal(size=(len(cell), M))
    stats = h.statistics_by_cell(phi, y, cell)
    for i in range(CELLS):
        rows = cell == i
        np.testing.assert_allclose(stats.gram[i], np.mean([np.outer(x, x) for x in phi[rows]], axis=0))
        np.testing.assert_allclose(
            stats.cross[i], np.mean([np.outer(a, b) for a, b in zip(phi[rows], y[rows], strict=True)], axis=0)
        )
        assert stats.power[i] == pytest.approx((y[rows] ** 2).sum(axis=1).mean())


def test_gradient_by_finite_differences():
    rng, _, _, stats, heads, start = instance(3)
    weights = rng.dirichlet(np.ones(C), CELLS)

    def objective(flat):
        return (weights * h.losses(stats, flat.reshape(heads.shape), start, 0.2)).sum()

    numeric = approx_fprime(heads.ravel(), objective, 1e-6).reshape(heads.shape)
    np.testing.assert_allclose(h.gradients(stats, weights, heads, start, 0.2), numeric, rtol=1e-4, atol=1e-5)


def test_ridge_heads_solve_the_stacked_least_squares_problem():
    rng, phi, y, stats, _, start = instance(4)
    weights, rho = rng.dirichlet(np.ones(C), CELLS), 0.2
    found = h.ridge_heads(stats, weights, start, rho)
    for c in range(C):
        root = np.sqrt(np.repeat(weights[:, c], ROWS) / ROWS)[:, None]
        pull = np.sqrt(rho * weights[:, c].sum())
        rows = np.concatenate([root * phi.reshape(-1, P), pull * np.eye(P)])
        targets = np.concatenate([root * y.reshape(-1, M), pull * start])
        np.testing.assert_allclose(found[c], np.linalg.lstsq(rows, targets, rcond=None)[0], atol=1e-10)
    assert np.abs(h.gradients(stats, weights, found, start, rho)).max() < 1e-13


def test_a_head_without_members_keeps_its_matrix():
    _, _, _, stats, heads, start = instance(5)
    weights = h.members([0, 0, 2, 2, 0], C)
    assert (h.ridge_heads(stats, weights, start, 0.1, heads)[1] == heads[1]).all()
    assert (h.ridge_heads(stats, weights, start, 0.1)[1] == start).all()


def test_ifca_finds_planted_heads_and_never_ends_above_one_head():
    rng = np.random.default_rng(6)
    true = rng.normal(size=(2, P, M))
    groups = np.array([0, 1, 0, 1, 1, 0, 0])
    phi = rng.normal(size=(7, 40, P))
    y = phi @ true[groups] + 0.01 * rng.normal(size=(7, 40, M))
    stats = h.statistics_of(phi, y)
    found = h.ifca(stats, 2, np.zeros((P, M)), 1e-6, rng)
    assert found.converged and ((found.labels == found.labels[0]) == (groups == groups[0])).all()
    np.testing.assert_allclose(found.heads[found.labels[0]], true[0], atol=0.02)
    single = h.ifca(stats, 1, np.zeros((P, M)), 1e-6, rng)
    assert found.value < single.value
    np.testing.assert_allclose(single.heads, h.ridge_heads(stats, np.ones((7, 1)), np.zeros((P, M)), 1e-6))
    assert found.value == pytest.approx(h.losses(stats, found.heads)[np.arange(7), found.labels].sum())


def test_adaptation_is_the_recursion_written_out():
    rng, phi, y, _, heads, _ = instance(7)
    prior, eta, pull = np.eye(P) + 0.1, 0.05, 0.3
    memory = h.initial_memory(heads, prior)
    np.testing.assert_allclose(h.adapted_heads(memory, prior, heads, pull), heads, rtol=1e-9)
    gram, cross = memory.gram.copy(), memory.cross.copy()
    for step in range(4):
        labels = np.random.default_rng(step).integers(0, C - 1, CELLS)  # nobody on the last head
        memory = h.remember(memory, h.statistics_of(phi, y), h.members(labels, C), eta)
        for c in range(C - 1):
            if not (chosen := np.flatnonzero(labels == c)).size:
                continue
            w = 1 - (1 - eta) ** len(chosen)
            gram[c] = (1 - w) * gram[c] + w * np.mean([phi[i].T @ phi[i] / ROWS for i in chosen], axis=0)
            cross[c] = (1 - w) * cross[c] + w * np.mean([phi[i].T @ y[i] / ROWS for i in chosen], axis=0)
    np.testing.assert_allclose(memory.gram, gram, rtol=1e-12)
    np.testing.assert_allclose(memory.cross, cross, rtol=1e-12, atol=1e-13)
    found = h.adapted_heads(memory, prior, heads, pull)
    np.testing.assert_allclose(
        found[0], np.linalg.solve(gram[0] + pull * prior, cross[0] + pull * prior @ heads[0]), rtol=1e-10
    )
    np.testing.assert_allclose(found[-1], heads[-1], rtol=1e-9)


def test_adaptation_forgets_the_start_without_pull():
    rng, phi, y, stats, heads, _ = instance(8)
    memory = h.initial_memory(heads, np.eye(P))
    for _ in range(400):
        memory = h.remember(memory, stats, h.members(np.zeros(CELLS, int), C), 0.02)
    plain = np.linalg.lstsq(phi.reshape(-1, P), y.reshape(-1, M), rcond=None)[0]
    np.testing.assert_allclose(h.adapted_heads(memory, np.eye(P), heads, 0.0)[0], plain, atol=1e-10)


def test_lanes_are_bit_equal_to_one_lane():
    rng = np.random.default_rng(9)
    lanes = 6
    phi, y = rng.normal(size=(lanes, CELLS, ROWS, P)), rng.normal(size=(lanes, CELLS, 1, M))
    heads, prior = rng.normal(size=(lanes, C, P, M)), np.eye(P)
    membership = h.members(rng.integers(0, C, (lanes, CELLS)), C)

    def run(part):
        stats = h.statistics_of(phi[part], y[part])
        memory = h.remember(h.initial_memory(heads[part], prior), stats, membership[part], 0.01)
        adapted = h.adapted_heads(memory, prior, heads[part], 0.3)
        return adapted, h.losses(stats, adapted), h.row_losses(phi[part], y[part], adapted)

    together = run(slice(None))
    for lane in range(lanes):
        for many, one in zip(together, run(slice(lane, lane + 1)), strict=True):
            assert (many[lane] == one[0]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: h.statistics_of(np.ones((2, 3, 4)), np.ones((2, 2, 1))), "targets: shape"),
        (lambda: h.statistics_of(np.ones((2, 0, 4)), np.ones((2, 0, 1))), "at least one row"),
        (lambda: h.statistics_of(np.full((2, 3, 4), np.nan), np.ones((2, 3, 1))), "finite"),
        (lambda: h.statistics_by_cell(np.ones((3, 2)), np.ones((3, 1)), [0, 2, 2]), "got none for 1"),
        (lambda: h.statistics_by_cell(np.ones((3, 2)), np.ones((3, 1)), [0.0, 1.0, 1.0]), "cell: integers"),
        (lambda: h.statistics_by_cell(np.ones((3, 2)), np.ones((2, 1)), [0, 1, 1]), "same R"),
        (lambda: h.members([0, 3], 3), "labels: integers in 0..2"),
        (lambda: h.ridge_heads(instance()[3], np.ones((CELLS, 1)), np.zeros((P, M)), 0.0), "rho:"),
        (lambda: h.ridge_heads(instance()[3], np.ones((2, 1)), np.zeros((P, M)), 0.1), "weights: shape"),
        (lambda: h.ifca(instance()[3], 6, np.zeros((P, M)), 0.1, np.random.default_rng(0)), "num_heads: 1..5"),
        (lambda: h.ifca(instance()[3], 2, np.zeros((P, M)), 0.1, np.random.default_rng(0), restarts=0), "restarts:"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
