"""Partitions of the cells: the exact one against brute force, the others never below it."""

import doctest
import itertools
import runpy
from pathlib import Path

import numpy as np
import pytest

from rangym.policies.algorithms.prediction import communication, partition, problem, similarity
from rangym.policies.algorithms.prediction.bcd import THETA_STEPS, bcd
from rangym.policies.algorithms.prediction.partition import cheapest_partition, exact_partition, polish, subset_costs

instance = runpy.run_path(str(Path(__file__).with_name("sharing_instances.py")))["instance"]


def partitions(items):
    """All partitions of a list into blocks."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for k, block in enumerate(smaller):
            yield [*smaller[:k], [first, *block], *smaller[k + 1 :]]


def cost_from_rows(cells, setting, lam, beta, rho):
    """A cluster's share of F_orig by least squares on its rows and a double loop over the kernel."""
    prob, _, kernel, features, targets = setting
    rows, (p, m) = features.shape[1], prob.start.shape
    stacked = np.concatenate([*(features[i] / np.sqrt(rows) for i in cells), np.sqrt(rho * len(cells)) * np.eye(p)])
    wanted = np.concatenate([*(targets[i] / np.sqrt(rows) for i in cells), np.sqrt(rho * len(cells)) * prob.start])
    theta = np.linalg.lstsq(stacked, wanted, rcond=None)[0]
    cut = sum(kernel[i, j] for i in cells for j in range(len(kernel)) if j not in cells)
    return ((stacked @ theta - wanted) ** 2).sum() / m + lam * cut + beta


@pytest.mark.parametrize("module", [communication, partition, problem])
def test_doctests(module):
    assert doctest.testmod(module).failed == 0


def test_the_dynamic_programme_is_the_best_of_877_partitions():
    rng = np.random.default_rng(0)
    every = list(partitions(list(range(7))))
    assert len(every) == 877
    for kind in range(6):
        costs = rng.normal(size=128) if kind % 2 else rng.random(128) ** 3
        costs[0] = 0.0
        value = [sum(costs[sum(1 << i for i in block)] for block in blocks) for blocks in every]
        found, labels = cheapest_partition(costs)
        assert found == pytest.approx(min(value), abs=1e-12)
        blocks = [np.flatnonzero(labels == c) for c in range(labels.max() + 1)]
        assert sum(costs[(1 << b).sum()] for b in blocks) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("price", [0.001, 0.01, 0.1, 1.0, 10.0])
def test_the_exact_partition_is_the_best_of_all_labels(price):
    setting = instance(3, cells=6, beta=price, lam=0.01)
    prob = setting[0]
    share = {
        frozenset(cells): cost_from_rows(cells, setting, prob.lam, prob.beta, prob.rho)
        for size in range(1, 7)
        for cells in itertools.combinations(range(6), size)
    }
    best = min(
        sum(share[frozenset(i for i in range(6) if labels[i] == c)] for c in set(labels))
        for labels in itertools.product(range(6), repeat=6)
    )
    found = exact_partition(prob)
    assert found.value == pytest.approx(best, rel=1e-10)
    table = subset_costs(prob)
    for cells, cost in share.items():
        assert table[sum(1 << i for i in cells)] == pytest.approx(cost, rel=1e-9)


def test_value_is_the_objective_written_out():
    setting = instance(4)
    prob, kernel = setting[0], setting[2]
    labels = np.array([2, 0, 2, 5, 0, 2, 5, 0])
    found = partition.partition_of(prob, labels)
    assert found.labels.tolist() == [0, 1, 0, 2, 1, 0, 2, 1]
    loss = prob.losses(found.heads)[np.arange(8), found.labels].sum()
    cut = sum(kernel[i, j] for i in range(8) for j in range(8) if labels[i] != labels[j])
    assert found.value == pytest.approx(loss + prob.lam * cut + 3 * prob.beta, rel=1e-12)


def others(prob, kernel, targets, seed):
    """Every method but the exact one."""
    yield "greedy", partition.greedy_merge(prob)
    yield "ifca", partition.ifca_partition(prob, np.random.default_rng(seed), restarts=2)
    yield "average link", similarity.average_link(prob, kernel)
    for theta in THETA_STEPS:
        yield theta, bcd(prob, theta=theta, iterations=15)
    yield "printed", bcd(prob, form="printed", iterations=15)
    yield "random start", bcd(prob, start="random", restarts=2, iterations=15, polish=True)
    if seed % 10 == 0:  # scikit-learn takes its time
        yield "spectral", similarity.spectral(prob, kernel)
        yield "k-means", similarity.k_means(prob, targets.mean(axis=1))


def test_nothing_is_below_the_exact_partition():
    gaps = {}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        prob, _, kernel, _, targets = instance(
            seed,
            cells=int(rng.integers(2, 9)),
            beta=float(rng.choice([0.02, 0.15, 0.6])),
            lam=0.0 if seed % 20 == 0 else float(rng.choice([0.002, 0.01])),
        )
        best = exact_partition(prob)
        for name, found in others(prob, kernel, targets, seed):
            assert found.value == pytest.approx(prob.original(found.labels), rel=1e-12)
            assert found.value >= best.value * (1 - 1e-12), name
            gaps.setdefault(name, []).append(found.value / best.value - 1)
    assert len(gaps) == 10 and np.mean(gaps["greedy"]) < 0.01


def test_local_search_ends_where_no_merger_and_no_move_helps():
    for seed in range(20):
        prob, *_ = instance(seed)
        start = np.random.default_rng(seed).integers(0, 5, 8)
        found = polish(prob, start)
        assert found.value <= prob.original(start) + 1e-12
        for i, c in itertools.product(range(8), range(found.num_clusters + 1)):
            moved = found.labels.copy()
            moved[i] = c
            assert prob.original(moved) >= found.value - 1e-9
        for a, b in itertools.combinations(range(found.num_clusters), 2):
            assert prob.original(np.where(found.labels == b, a, found.labels)) >= found.value - 1e-9


def test_planted_groups_are_found_where_the_noise_is_small():
    prob, groups, *_ = instance(5, cells=12, noise=0.02, groups=3, rows=30)
    same = groups[:, None] == groups
    for found in (
        exact_partition(prob),
        partition.greedy_merge(prob),
        partition.ifca_partition(prob, np.random.default_rng(0)),
        polish(prob, np.arange(12)),
    ):
        assert ((found.labels[:, None] == found.labels) == same).all()


def test_traffic_of_the_paper():
    assert 12 * 1548 * communication.BYTES == 74_304  # the paper's uplink leaves out the rows of the assignment
    assert communication.sharing_traffic(12, 4, 1548).up == 74_304 + 12 * 4 * 4
    assert communication.model_traffic(12, 108_172).up / 74_304 == pytest.approx(69.9, abs=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exact_partition(instance(0, cells=15)[0]), "cells: at most 14"),
        (lambda: cheapest_partition(np.zeros(6)), "costs: 2\\^N entries"),
        (lambda: cheapest_partition([0.0, np.nan]), "costs: numbers"),
        (lambda: polish(instance(0)[0], [0, 1]), "labels: shape"),
        (lambda: similarity.average_link(instance(0)[0], np.ones((3, 3))), "kernel: a symmetric"),
        (lambda: similarity.spectral(instance(0)[0], instance(0)[2], max_clusters=0), "max_clusters: 1..8"),
        (lambda: similarity.k_means(instance(0)[0], np.ones((3, 2))), "points: finite"),
        (lambda: instance(0, beta=-1.0), "beta: a number of at least 0"),
        (lambda: instance(0, lam=np.nan), "lam: a number of at least 0"),
        (lambda: instance(0, rho=0.0), "rho:"),
        (lambda: instance(0, cells=1), "at least two cells"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()
