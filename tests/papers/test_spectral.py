"""Spectral clustering against populations with known groups."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from rangym.policies.algorithms.dirichlet import hellinger_features, map_features
from rangym.policies.algorithms.spectral import cluster_graph, eigengap, similarity, spectral_clusters


def cliques(count, size):
    """A graph of ``count`` separate complete graphs, with random weights, and its components."""
    rng = np.random.default_rng(0)
    weights = np.zeros((count * size, count * size))
    for c in range(count):
        block = slice(c * size, (c + 1) * size)
        weights[block, block] = rng.uniform(0.5, 1.0, (size, size))
    weights = np.triu(weights, 1)
    return weights + weights.T, np.repeat(np.arange(count), size)


def test_components_of_a_disconnected_graph_are_found_only_with_their_zero_eigenvectors():
    """Erratum E15."""
    weights, truth = cliques(4, 10)
    found = cluster_graph(weights)
    assert found.num_clusters == 4 and (np.abs(found.eigenvalues[:4]) < 1e-12).all()
    assert adjusted_rand_score(truth, found.labels) == 1.0
    dropped = cluster_graph(weights, 4, drop_zero=True)
    assert adjusted_rand_score(truth, dropped.labels) < 0.5


def test_eigengap_by_hand():
    assert eigengap([0.0, 0.1, 0.15, 0.9, 1.0]) == 3
    assert eigengap([0.0, 0.9, 0.96, 1.0]) == 2  # at least two clusters
    assert eigengap([0.0, 0.1, 0.25, 0.3, 0.9]) == 4 and eigengap([0.0, 0.1, 0.25, 0.3, 0.9], most=3) == 2


def test_laplacians_have_the_constant_in_their_kernel():
    weights = similarity(np.random.default_rng(0).normal(size=(12, 3)))
    assert (np.diag(weights) == 0).all() and np.allclose(weights, weights.T)
    for laplacian in ("sym", "unnormalised"):
        values = cluster_graph(weights, 2, laplacian=laplacian).eigenvalues
        assert values[0] == pytest.approx(0.0, abs=1e-12) and values[1] > 1e-3


def population(kind, value, seed):
    """Counts of 60 users with 200 samples in 10 classes, and their groups."""
    rng = np.random.default_rng(seed)
    if kind == "dirichlet":
        shares = rng.dirichlet(np.full(10, value), 60)
        truth = shares.argmax(axis=1)
    else:
        base = rng.dirichlet(np.full(10, value), 5) + 1e-4
        truth = np.repeat(np.arange(5), 12)
        shares = np.array([rng.dirichlet(50 * base[z]) for z in truth])
    return np.array([rng.multinomial(200, p / p.sum()) for p in shares]), truth


@pytest.mark.parametrize(
    "kind, value, kernel, laplacian, normalise, expected",
    [
        ("dirichlet", 0.01, "gauss", "sym", True, 0.987),
        ("dirichlet", 0.05, "gauss", "sym", True, 0.873),
        ("dirichlet", 0.5, "gauss", "sym", True, 0.607),
        ("latent", 0.05, "gauss", "sym", True, 1.000),
        ("latent", 0.5, "gauss", "sym", True, 0.994),
        ("latent", 0.5, "gauss", "unnormalised", False, 0.435),
        ("dirichlet", 0.05, "gauss", "unnormalised", False, 0.158),
    ],
)
def test_agreement_with_the_true_groups(kind, value, kernel, laplacian, normalise, expected):
    """Specification section 4, number of groups known; 6 seeds in the table and here."""
    scores = []
    for seed in range(6):
        counts, truth = population(kind, value, seed)
        z = len(np.unique(truth))
        found = spectral_clusters(map_features(counts), z, kernel, laplacian, normalise)
        scores.append(adjusted_rand_score(truth, found.labels))
    spread = max(3 * 2**0.5 * np.std(scores, ddof=1) / 6**0.5, 0.03)
    assert np.mean(scores) == pytest.approx(expected, abs=spread)


def test_unknown_number_of_clusters_and_local_scales():
    """By the eigengap: gauss .835 (Hellinger .974) at concentration 0.01, local scales 1.0 on latent groups (0.05)."""
    found, hellinger, local = [], [], []
    for seed in range(6):
        counts, truth = population("dirichlet", 0.01, seed)
        found.append(adjusted_rand_score(truth, spectral_clusters(map_features(counts)).labels))
        hellinger.append(adjusted_rand_score(truth, spectral_clusters(hellinger_features(counts)).labels))
        counts, truth = population("latent", 0.05, seed)
        local.append(adjusted_rand_score(truth, spectral_clusters(map_features(counts), kernel="self").labels))
    assert np.mean(found) > 0.6 and np.mean(hellinger) > 0.85 and np.mean(local) > 0.85


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: similarity(np.ones((3, 2)), "rbf"), "kernel: one of .* got 'rbf'"),
        (lambda: similarity(np.ones((1, 2))), "N >= 2 wanted"),
        (lambda: similarity(np.full((3, 2), np.nan)), "finite numbers"),
        (lambda: cluster_graph(np.ones((3, 2))), "symmetric"),
        (lambda: cluster_graph(cliques(2, 3)[0], 9), r"num_clusters: 1..6 wanted, got 9"),
        (lambda: cluster_graph(cliques(2, 3)[0], 2, "normal"), "laplacian: one of .* got 'normal'"),
        (lambda: eigengap([0.0, 1.0]), "at least 3 wanted, got 2"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
