"""The front function on arrays of one's own."""

import doctest

import numpy as np
import pytest

from rangym.policies.algorithms.prediction import sharing
from rangym.policies.algorithms.prediction.sharing import METHODS, share_predictors


def rows(seed=0, cells=6, number=40, noise=0.1):
    rng = np.random.default_rng(seed)
    law = rng.normal(size=(2, 3, 2))
    cell = rng.permutation(np.repeat([f"cell {i}" for i in range(cells)], number))
    group = np.array([int(name[-1]) % 2 for name in cell])
    features = np.concatenate([rng.normal(size=(len(cell), 2)), np.ones((len(cell), 1))], axis=1)
    targets = np.einsum("rp,rpm->rm", features, law[group]) + noise * rng.normal(size=(len(cell), 2))
    return features, targets, cell


def test_doctests():
    assert doctest.testmod(sharing).failed == 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_returns_what_it_says(method):
    features, targets, cell = rows()
    found = share_predictors(features, targets, cell, method, local_search=False)
    assert found.cells.tolist() == [f"cell {i}" for i in range(6)]
    assert found.value == pytest.approx(found.problem.original(found.labels))
    assert found.num_clusters == len(set(found.labels)) and found.method == method
    assert (found.course is not None) == method.startswith("bcd")
    polished = share_predictors(features, targets, cell, method, local_search=True)
    assert polished.value <= found.value + 1e-12
    best = share_predictors(features, targets, cell, "exact")
    assert best.value <= polished.value + 1e-12 and best.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_predictions_are_those_of_the_cells_own_cluster():
    features, targets, cell = rows()
    found = share_predictors(features, targets, cell, "exact", rho=1e-6)
    predicted = found.predict(features, cell)
    for name in found.cells:
        mine = cell == name
        head = found.heads[found.labels[found.cells.tolist().index(name)]]
        np.testing.assert_allclose(predicted[mine], features[mine] @ head)
    assert np.std(predicted - targets) < 0.12
    with pytest.raises(ValueError, match="cell: one of"):
        found.predict(features[:1], ["cell 9"])


def test_the_kernel_may_be_given_or_left_out():
    features, targets, cell = rows()
    free = share_predictors(features, targets, cell, "exact", kernel=None, lam=0.0)
    given = share_predictors(features, targets, cell, "exact", kernel=np.full((6, 6), 0.5) + 0.5 * np.eye(6), lam=0.1)
    assert free.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert given.value == pytest.approx(given.problem.original(given.labels))
    heavy = share_predictors(features, targets, cell, "exact", kernel=np.ones((6, 6)), lam=10.0)
    assert heavy.num_clusters == 1  # the cut alone holds everything together


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "kmeans"}, "method: one of"),
        ({"kernel": "features"}, "kernel: 'targets'"),
        ({"kernel": None}, "kernel: similarities"),
        ({"kernel": None, "lam": 0.0, "method": "spectral"}, "kernel: similarities"),
        ({"beta": -0.1}, "beta:"),
        ({"rho": 0.0}, "rho:"),
        ({"start": np.zeros((2, 2))}, "start: shape"),
        ({"targets": np.ones((3, 2))}, "same R"),
        ({"cell": np.zeros(240, int)}, "at least two cells"),
        ({"cell": np.arange(240)}, "rows a cell"),
    ],
)
def test_refusals(change, message):
    features, targets, cell = rows()
    with pytest.raises(ValueError, match=message):
        share_predictors(**{"features": features, "targets": targets, "cell": cell, **change})
