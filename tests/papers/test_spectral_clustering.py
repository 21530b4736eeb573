"""Spectral clustering: affinities by loops, cuts by brute force, the errata on a graph that falls apart."""

import doctest
import itertools

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering as Reference
from sklearn.metrics import adjusted_rand_score

from rangym.policies.algorithms.clusters import spectral
from rangym.policies.algorithms.clusters.dirichlet import class_profiles
from rangym.policies.algorithms.clusters.spectral import affinity, cluster_graph, cluster_points, eigengap


def blobs(rng, centres, number=12, spread=0.15):
    points = np.concatenate([rng.normal(centre, spread, (number, len(centre))) for centre in centres])
    return points, np.repeat(np.arange(len(centres)), number)


def cliques(number=4, size=10):
    return np.kron(np.eye(number), np.ones((size, size)) - np.eye(size)), np.repeat(np.arange(number), size)


def test_doctests():
    assert doctest.testmod(spectral).failed == 0


def test_affinities_by_loops():
    x = np.random.default_rng(0).normal(size=(11, 3))
    distance = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    median = np.median([distance[i, j] ** 2 for i in range(11) for j in range(i)])
    own = [sorted(row)[7] for row in distance]  # the first is the point itself
    for i, j in itertools.permutations(range(11), 2):
        assert affinity(x)[i, j] == pytest.approx(np.exp(-(distance[i, j] ** 2) / median))
        assert affinity(x, "self")[i, j] == pytest.approx(np.exp(-(distance[i, j] ** 2) / (own[i] * own[j])))
    assert not np.diag(affinity(x)).any() and not np.diag(affinity(x, "self")).any()


@pytest.mark.parametrize("kernel", ["gauss", "self"])
def test_users_that_coincide_are_one_cluster(kernel):
    points = np.repeat(np.eye(3), 9, axis=0)
    weights = affinity(points, kernel)
    assert np.isfinite(weights).all()
    found = cluster_points(points, kernel=kernel)
    assert found.num_clusters == 3
    assert adjusted_rand_score(np.repeat(np.arange(3), 9), found.labels) == 1.0


def test_a_graph_that_falls_apart_needs_its_zero_eigenvectors():
    """Erratum E15: kept, they give the components; dropped as printed, the clusters are lost."""
    weights, truth = cliques()
    for laplacian in ("sym", "unnormalised"):
        found = cluster_graph(weights, laplacian=laplacian)
        assert found.num_clusters == 4
        np.testing.assert_allclose(found.eigenvalues[:4], 0.0, atol=1e-12)
        assert adjusted_rand_score(truth, found.labels) == 1.0
        lost = cluster_graph(weights, 4, laplacian=laplacian, drop_zero=True)
        assert adjusted_rand_score(truth, lost.labels) < 0.6


def test_printed_eigengap_is_never_positive():
    values = np.sort(np.random.default_rng(1).random(20))
    assert ((values[:-1] - values[1:]) <= 0).all()
    gaps = {z: values[z] - values[z - 1] for z in range(2, 15)}  # lambda_(z+1) - lambda_z, counted from 1
    assert eigengap(values) == max(gaps, key=gaps.get)


def test_two_clusters_are_the_best_normalised_cut():
    """All 2^(N-1) - 1 cuts of small two-group graphs; the relaxation finds the optimum where the groups are clear."""
    rng = np.random.default_rng(2)
    for _ in range(5):
        points, _ = blobs(rng, [(0, 0), (1.2, 0.4)], number=5, spread=0.2)
        weights = affinity(points)
        degree = weights.sum(axis=1)

        def cut(side, weights=weights, degree=degree):
            between = weights[np.ix_(side, ~side)].sum()
            return between / degree[side].sum() + between / degree[~side].sum()

        sides = [np.array([True, *rest]) for rest in itertools.product([True, False], repeat=9)]
        best = min((side for side in sides if not side.all()), key=cut)
        assert adjusted_rand_score(best, cluster_graph(weights, 2).labels) == 1.0


def test_agrees_with_scikit_learn_where_groups_are_clear():
    points, truth = blobs(np.random.default_rng(3), [(0, 0), (3, 0), (0, 3), (3, 3)])
    weights = affinity(points)
    reference = Reference(4, affinity="precomputed", random_state=0).fit(weights).labels_
    for options in (
        {},
        {"laplacian": "unnormalised"},
        {"rownorm": False},
        {"laplacian": "unnormalised", "drop_zero": True},
    ):
        labels = cluster_graph(weights, 4, **options).labels
        assert adjusted_rand_score(reference, labels) == adjusted_rand_score(truth, labels) == 1.0


def test_embedding_is_made_of_the_laplacians_first_eigenvectors():
    weights = affinity(np.random.default_rng(4).normal(size=(9, 2)))
    root = np.diag(weights.sum(axis=1) ** -0.5)
    matrix = np.eye(9) - root @ weights @ root
    found = cluster_graph(weights, 3, rownorm=False)
    np.testing.assert_allclose(matrix @ found.embedding, found.embedding * found.eigenvalues[:3], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(cluster_graph(weights, 3).embedding, axis=1), 1.0)
    assert (np.diff(found.eigenvalues) >= 0).all()


@pytest.mark.parametrize(("concentration", "least"), [(0.01, 0.93), (0.05, 0.8), (0.5, 0.5)])
def test_dominant_classes_are_found(concentration, least):
    """The specification has .987, .873, .607 (60 users of 200 samples, Z known, mean of 6 seeds)."""
    scores = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        counts = np.stack([rng.multinomial(200, p) for p in rng.dirichlet(np.full(10, concentration), 60)])
        truth = counts.argmax(axis=1)
        found = cluster_points(class_profiles(counts), len(set(truth.tolist())))
        scores.append(adjusted_rand_score(truth, found.labels))
    assert np.mean(scores) > least


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: affinity([[0.0], [np.nan]]), "points: finite"),
        (lambda: affinity([0.0, 1.0]), r"points: shape \(N, F\)"),
        (lambda: affinity([[0.0], [1.0]], "cosine"), "kernel: one of"),
        (lambda: cluster_graph([[0.0, 1.0], [0.5, 0.0]], 1), "weights: a symmetric"),
        (lambda: cluster_graph([[0.0, -1.0], [-1.0, 0.0]], 1), "weights: a symmetric"),
        (lambda: cluster_graph(np.ones((4, 4)), 5), r"num_clusters: 1\.\.4"),
        (lambda: cluster_graph(np.ones((4, 4)), 2, laplacian="random_walk"), "laplacian: one of"),
        (lambda: cluster_graph(np.ones((2, 2))), "eigenvalues: at least 3"),
        (lambda: eigengap([0.0, 0.5, 1.0], 1), "max_clusters: at least 2"),
    ],
)
def test_wrong_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
