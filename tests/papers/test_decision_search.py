"""Coordinate search on batches, against problems with known optima."""

import numpy as np
import pytest

from rangym.policies.algorithms.federated.decision_search import decision_search


@pytest.mark.parametrize("seed", range(5))
def test_the_minimum_of_a_coupled_quadratic_in_a_box(seed):
    rng = np.random.default_rng(seed)
    root = np.eye(6) + 0.2 * rng.normal(size=(6, 6))
    centre = rng.uniform(-1.3, 1.3, 6)
    found = decision_search(lambda x: (((x - centre) @ root) ** 2).sum(axis=1), rng.uniform(-1, 1, (2, 6)), 20_000)
    assert found.converged and (abs(found.vector) <= 1.0).all()
    # No point of a fine cloud around it is better, and neither is the projected gradient zero by chance.
    cloud = np.clip(found.vector + 0.02 * rng.normal(size=(20_000, 6)), -1, 1)
    assert (((cloud - centre) @ root) ** 2).sum(axis=1).min() > found.value - 1e-3


def test_steps_and_choices_are_searched_too():
    def cost(x):  # a count 1..6 rounded from the first entry, a choice by the larger of two scores
        count, choice = np.round(3.5 + 2.5 * x[:, 0]), x[:, 1:].argmax(axis=1)
        return (count - 5.0) ** 2 + np.array([2.0, 0.0])[choice]

    found = decision_search(cost, [[0.0, 0.2, 0.0]], 2000)
    assert found.value == 0.0


def test_a_local_minimum_is_left_from_another_start():
    def cost(x):
        return np.minimum((x[:, 0] + 0.8) ** 2 + 0.5, (x[:, 0] - 0.8) ** 2)

    assert decision_search(cost, [[-1.0]], 500).value == pytest.approx(0.5, abs=1e-4)
    assert decision_search(cost, [[-1.0], [0.5]], 500).value == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("budget", [3, 10, 57, 400])
def test_the_budget_is_kept_and_counted(budget):
    seen = []

    def cost(x):
        seen.append(len(x))
        return (x**2).sum(axis=1)

    found = decision_search(cost, np.full((3, 4), 0.7), budget)
    assert sum(seen) == found.evaluations <= budget
    assert (np.diff(found.history) <= 0).all() and found.history[-1] == found.value


@pytest.mark.parametrize(
    "starts, budget, message",
    [([0.0, 1.0], 10, r"starts: vectors \(k, n\)"), (np.zeros((3, 2)), 2, "evaluations: at least one for each of 3")],
)
def test_wrong_calls(starts, budget, message):
    with pytest.raises(ValueError, match=message):
        decision_search(lambda x: x.sum(axis=1), starts, budget)
