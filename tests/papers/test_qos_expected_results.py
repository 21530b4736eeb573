"""What an independent reference found: orders and gaps of batch clustering, and of policies under drift.

One instance of batch clustering is a day of twelve cells in their sites' groups (lam .002, beta .15, rho .03, 55 raw
features, kernel the mean over the periods). Bands are the reference's, widened by what 12 days of ours spread.
"""

import numpy as np
import pytest

from rangym.envs.learning.gaussians import hellinger_kernel, laplacian
from rangym.envs.learning.heads import statistics_of
from rangym.envs.qos_clustering.calibration import HISTORY
from rangym.envs.qos_clustering.days import history_day
from rangym.envs.qos_clustering.predictor import inputs_of, load
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.statistics import mean_interval
from rangym.policies.algorithms.prediction.bcd import bcd
from rangym.policies.algorithms.prediction.partition import exact_partition, greedy_merge, ifca_partition, partition_of
from rangym.policies.algorithms.prediction.problem import SharingProblem
from rangym.policies.algorithms.prediction.similarity import average_link

DAYS = range(400, 404)


def instance(number):
    """The problem, the kernel and the true groups of a history day."""
    predictor = load("small")
    day, h = history_day(HISTORY, number), predictor.label_delay
    features = predictor.base.raw_features(inputs_of(day)[:-h])
    targets = predictor.scaled_code(day.mean, day.covariance)[h:]
    kernel = hellinger_kernel(day.mean, day.covariance)[:-h].mean(axis=0)
    mean = statistics_of(features, targets[:, :, None]).mean()
    problem = SharingProblem(mean, predictor.head.astype(np.float64), laplacian(kernel), 0.002, 0.15, 0.03)
    return problem, kernel, day.group_weight[0].argmax(axis=1)


@pytest.fixture(scope="module")
def found():
    """Method -> results over the days."""
    results = {}
    for number in DAYS:
        problem, kernel, groups = instance(number)
        ways = {
            "exact": exact_partition(problem),
            "greedy": greedy_merge(problem),
            "random": bcd(problem, start="random", tolerance=0),
            "identity": bcd(problem, tolerance=0),
            "exact heads": bcd(problem, theta="exact", tolerance=0),
            "printed": bcd(problem, form="printed", tolerance=0),
            "ifca": ifca_partition(problem, np.random.default_rng(0)),
            "average link": average_link(problem, kernel),
            "true groups": partition_of(problem, groups),
            "global": partition_of(problem, np.zeros(12, dtype=int)),
            "local": partition_of(problem, np.arange(12)),
        }
        for name, result in ways.items():
            results.setdefault(name, []).append(result)
    return results


def gap(found, name):
    """Mean distance to the exact partition, relative."""
    return np.mean([x.value / best.value - 1 for x, best in zip(found[name], found["exact"], strict=True)])


def test_gaps_to_the_exact_partition(found):
    bands = {
        "greedy": (0, 0.005),
        "random": (0, 0.02),
        "identity": (0, 0.03),
        "exact heads": (0.04, 0.10),
        "printed": (0.02, 0.07),
        "ifca": (0, 0.04),
        "average link": (0.01, 0.04),
        "true groups": (0.005, 0.08),
        "local": (0.05, 0.12),
    }
    for name, (low, high) in bands.items():
        assert low <= gap(found, name) <= high, f"{name}: {gap(found, name):.4f}"
    assert gap(found, "greedy") < gap(found, "random") < gap(found, "printed") < gap(found, "local")
    assert gap(found, "true groups") < gap(found, "global")


def test_only_the_printed_form_rises(found):
    assert not any(x.rises for name in ("random", "identity", "exact heads") for x in found[name])
    assert np.mean([x.rises for x in found["printed"]]) > 3
    for exact, printed in zip(found["identity"], found["printed"], strict=True):
        assert printed.relaxed[-1] > exact.relaxed[-1]


def test_the_relaxed_value_bounds_nothing(found):
    # Hard labels have |A|_* = sum_c sqrt(n_c) > C: F of the best labels is above their own F_orig.
    for best, number in zip(found["exact"], DAYS, strict=True):
        problem, *_ = instance(number)
        assert problem.relaxed(np.eye(best.num_clusters)[best.labels], best.heads) > best.value


def test_few_clusters_are_left(found):
    assert all(3 <= best.num_clusters <= 6 for best in found["exact"])
    assert all(x.clusters[0] == 12 and x.clusters[-1] <= 5 for x in found["identity"])


ORDER = (
    "random",
    "global_frozen",
    "greedy_last_loss",
    "greedy_smoothed",
    "sticky_smoothed:tuned",
    "bayes_filter:tuned",
    "true_groups",
    "hindsight_plan",
)
"""From worst to best on `small`."""


@pytest.fixture(scope="module")
def small():
    return evaluate(ORDER, Benchmark("rangym/QosClustering-v0", "small", range(12))).comparison()


def test_tracking_drift_pays_and_leaves_room(small):
    rewards = {word: small.rewards(small.find(word.partition(":")[0])) for word in ORDER}
    means = [rewards[word].mean() for word in ORDER]
    assert means == sorted(means)
    assert (rewards["hindsight_plan"] <= small.bound()).all()
    assert mean_interval(rewards["true_groups"] - rewards["sticky_smoothed:tuned"]).low > 0.03
    assert mean_interval(rewards["bayes_filter:tuned"] - rewards["sticky_smoothed:tuned"]).low > 0
