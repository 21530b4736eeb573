"""The exact assignment against brute force and against a linear assignment on replicated slots."""

import doctest
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from rangym.envs.cell_association.system import load_cost
from rangym.policies.algorithms.association import assignment
from rangym.policies.algorithms.association.assignment import optimal_assignment


def objective(value, phi, cell):
    loads = [sum(c == j for c in cell) for j in range(len(value[0]))]
    return sum(value[i][c] for i, c in enumerate(cell)) - sum(phi[y] for y in loads)


def brute_force(value, phi):
    ues, cells = np.shape(value)
    return max(objective(value, phi, cell) for cell in product(range(cells), repeat=ues))


def replicated_slots(value, phi):
    """The k-th user of a cell costs phi(k) - phi(k - 1): by convexity an assignment onto I copies a cell."""
    ues, cells = value.shape
    table = (value[:, :, None] - np.diff(phi)[None, None, :]).reshape(ues, cells * ues)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return table[rows, columns].sum()


def entropy_table(ues):
    return [0.0] + [y * np.log10(y) for y in range(1, ues + 1)]


@pytest.mark.parametrize("seed", range(80))
def test_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    ues, cells = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    tied = seed % 3 == 0  # integer values: many equal optima
    value = rng.integers(0, 3, (ues, cells)).astype(float) if tied else rng.normal(0, 0.7, (ues, cells))
    phi = entropy_table(ues) if seed % 2 else np.cumsum(np.sort(rng.normal(0, 1, ues + 1)))
    found = optimal_assignment(value, phi)
    assert found.value == pytest.approx(brute_force(value, phi), abs=1e-10)
    assert found.value == pytest.approx(objective(value, phi, found.cell), abs=1e-12)
    assert found.bound == pytest.approx(found.value, abs=1e-10)
    np.testing.assert_array_equal(found.load, np.bincount(found.cell, minlength=cells))


@pytest.mark.parametrize("seed", range(20))
def test_equals_the_linear_assignment_on_replicated_slots(seed):
    rng = np.random.default_rng(seed)
    ues, cells = int(rng.integers(20, 70)), int(rng.integers(3, 12))
    near = rng.normal(0, 1, cells) + rng.normal(0, 0.3, (ues, cells))  # most users like the same cells
    value = near if seed % 2 else rng.uniform(0, 2, (ues, cells))
    found = optimal_assignment(value, start=rng.integers(0, cells, ues))
    assert found.value == pytest.approx(replicated_slots(value, np.array(entropy_table(ues))), abs=1e-9)


def test_cycles_are_needed():
    """Best response alone stops short on these instances, so the test above would catch a missing cycle step."""
    rng = np.random.default_rng(0)
    cycles = [optimal_assignment(rng.uniform(0, 2, (200, 12))).cycles for _ in range(5)]
    assert max(cycles) > 0


def test_a_large_instance_is_proved_by_its_prices():
    value = np.random.default_rng(1).normal(0, 0.5, (1000, 25))
    found = optimal_assignment(value)
    best_alternative = (value - found.price).max(axis=1)
    chosen = (value - found.price)[np.arange(1000), found.cell]
    assert (best_alternative - chosen).max() < 1e-9  # no user wants to move at these prices
    phi = np.array(entropy_table(1000))
    y = np.arange(1001)
    loads_at_prices = (found.price[:, None] * y - phi).max(axis=1)
    dual = best_alternative.sum() + loads_at_prices.sum()
    assert found.bound == pytest.approx(dual, abs=1e-9)
    assert found.value == pytest.approx(dual, abs=1e-9)


def test_everybody_alike():
    """Equal users and cells: loads as even as possible."""
    found = optimal_assignment(np.zeros((11, 4)))
    assert sorted(found.load.tolist()) == [2, 3, 3, 3]


def test_one_cell_and_one_user():
    assert optimal_assignment(np.ones((3, 1))).value == pytest.approx(3 - 3 * np.log10(3))
    single = optimal_assignment([[1.0, 3.0, 2.0]])
    assert (single.cell.tolist(), single.value) == ([1], 3.0)


matrices = st.integers(1, 12).flatmap(
    lambda i: st.integers(1, 5).flatmap(
        lambda j: st.lists(st.lists(st.floats(-5, 5), min_size=j, max_size=j), min_size=i, max_size=i)
    )
)


@settings(max_examples=60, deadline=None)
@given(matrices, st.floats(-3, 3), st.randoms(use_true_random=False))
def test_properties(value, shift, random):
    value = np.array(value)
    ues, cells = value.shape
    found = optimal_assignment(value)
    # A random start, a constant per user and an order of users change nothing but the constant.
    start = np.array([random.randrange(cells) for _ in range(ues)])
    assert optimal_assignment(value, start=start).value == pytest.approx(found.value, abs=1e-8)
    assert optimal_assignment(value + shift).value == pytest.approx(found.value + ues * shift, abs=1e-8)
    order = random.sample(range(ues), ues)
    assert optimal_assignment(value[order]).value == pytest.approx(found.value, abs=1e-8)
    # No assignment exceeds the bound, and random ones stay at or below the optimum.
    other = [random.randrange(cells) for _ in range(ues)]
    assert objective(value, entropy_table(ues), other) <= found.value + 1e-9
    assert found.bound == pytest.approx(found.value, abs=1e-8)


def test_inputs_stay_untouched():
    value, start = np.random.default_rng(0).normal(size=(30, 4)), np.zeros(30, dtype=np.int64)
    before = value.copy()
    optimal_assignment(value, start=start)
    np.testing.assert_array_equal(value, before)
    assert not start.any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(value=np.zeros(3)), r"\(I, J\) array"),
        (dict(value=np.zeros((0, 3))), r"\(I, J\) array"),
        (dict(value=[[np.nan, 1.0]]), "finite"),
        (dict(value=[[np.inf, 1.0]]), "finite"),
        (dict(value=np.zeros((2, 2)), load_cost=[0.0, 1.0]), "3 entries"),
        (dict(value=np.zeros((2, 2)), load_cost=[0.0, 1.0, 1.5]), "convex"),
        (dict(value=np.zeros((2, 2)), load_cost=[0.0, 1.0, np.inf]), "finite"),
        (dict(value=np.zeros((2, 2)), start=[0, 2]), "cells 0..1"),
        (dict(value=np.zeros((2, 2)), start=[0.0, 1.0]), "cells 0..1"),
        (dict(value=np.zeros((2, 2)), start=[0]), r"\(2,\) cells"),
    ],
)
def test_bad_input_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        optimal_assignment(**arguments)


def test_the_iteration_cap_raises(monkeypatch):
    monkeypatch.setattr(assignment, "MAX_CYCLES_PER_UE", 0)
    with pytest.raises(RuntimeError, match="without an optimum"):
        optimal_assignment(np.zeros((2, 2)))


def test_the_default_table_is_the_environments():
    np.testing.assert_allclose(load_cost(40), entropy_table(40), atol=1e-12)


def test_the_docstring_is_true():
    assert doctest.testmod(assignment).failed == 0


@pytest.mark.parametrize("seed", range(10))
def test_the_dual_value_is_a_bound_at_any_price(seed):
    rng = np.random.default_rng(seed)
    ues, cells = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    value, price, phi = rng.normal(size=(ues, cells)), rng.normal(0, 1, cells), np.array(entropy_table(ues))
    load = rng.integers(0, ues + 1, cells)  # where the search for the best loads begins
    expected = (value - price).max(axis=1).sum() + sum(max(p * y - phi[y] for y in range(ues + 1)) for p in price)
    assert assignment.dual_value(value, phi, load, price) == pytest.approx(expected, abs=1e-12)
    assert expected >= brute_force(value, phi) - 1e-12
