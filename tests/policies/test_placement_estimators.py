"""The scikit-learn estimators pass scikit-learn's own contract."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rangym.policies.algorithms.placement.estimators import HarmonicMeans, WeightedKHarmonicMeans
from rangym.policies.algorithms.placement.wkhm import wkhm


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([WeightedKHarmonicMeans(), HarmonicMeans()])  # no expected failure
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_estimator_ends_where_the_function_does():
    X = np.random.default_rng(0).random((60, 2))
    fitted = WeightedKHarmonicMeans(3, eps=0.05, random_state=1).fit(X)
    again = wkhm(X, fitted.cluster_centers_, eps=0.05)
    np.testing.assert_allclose(again.position, fitted.cluster_centers_, atol=1e-4)
    assert fitted.objective_ == pytest.approx(again.value, rel=1e-6)
    np.testing.assert_array_equal(fitted.labels_, fitted.predict(X))


@pytest.mark.parametrize("clusters", [0, 11])
def test_wrong_number_of_clusters_is_refused(clusters):
    with pytest.raises(ValueError, match=f"n_clusters: 1 to n_samples=10 wanted, got {clusters}"):
        HarmonicMeans(clusters).fit(np.zeros((10, 2)))
