"""CE-FL with FedNova's server scale: majoriser, derivative, search over counts, and the sliced bound under attack."""

import itertools
import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rangym.policies.algorithms.federated.association import AssociationSearch
from rangym.policies.algorithms.federated.cefl_reference import convex_reference, eff_reference
from rangym.policies.algorithms.federated.coefficients import Coefficients, prices
from rangym.policies.algorithms.federated.count_search import CountSearch, counts_around, point_of
from rangym.policies.algorithms.federated.sliced_bound import slice_terms, sliced_bound

instances = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))


def near(decision, moved, rng, count):
    """Random decisions blended with one decision."""
    weight = 10.0 ** rng.uniform(-4, -0.3, (count, 1))
    out = dict(moved)
    for name in ("clock_hz", "points_per_s", "ue_minibatch", "dc_minibatch"):
        out[name] = (1 - weight) * decision[name] + weight * moved[name]
    for name in ("offload_share", "forward_share"):
        out[name] = (1 - weight[:, :, None]) * decision[name] + weight[:, :, None] * moved[name]
    for name in ("aggregator", "ue_to_bs", "bs_to_ue"):
        out[name] = np.broadcast_to(decision[name], moved[name].shape)
    for name in ("ue_iterations", "dc_iterations"):
        out[name] = np.where(rng.uniform(size=moved[name].shape) < 0.7, decision[name], moved[name])
    return out


# The programme around a decision --------------------------------------------------------------------------------------


@pytest.mark.parametrize("learning", ["objective", "gap"])
def test_the_derivative_in_the_servers_scale(learning):
    """Finite differences of J in the constant vartheta, all else kept."""
    rng = np.random.default_rng(1)
    given = instances.problem(4, 3, 2, mode="fixed", server_scale=2.5, learning=learning)
    decision = {k: v[0] for k, v in instances.random_decisions(given, rng, 1, most_iterations=4).items()}
    _, made, terms = given.evaluate(decision)

    def value(scale):
        constants = replace(given.learning_constants, server_scale=scale)
        return float(replace(given, learning_constants=constants).cost(decision))

    numeric = (value(2.5 + 1e-5) - value(2.5 - 1e-5)) / 2e-5
    assert prices(given, 2.5).slope(float(made.delay_s), terms) == pytest.approx(numeric, rel=1e-6)


@pytest.mark.parametrize("counts", [1, 3, (2, 4)])
def test_the_programme_costs_at_its_own_decision_what_the_formulas_say(counts):
    """At a fixed point of the descent, where data and vartheta have settled, majoriser and linearisation are exact."""
    given = instances.problem(6, 3, 3, heavy=True, mode="eff", seed=1)
    coefficients = Coefficients(given)
    iterations = np.repeat(np.array(counts if isinstance(counts, tuple) else (counts, counts), float), [6, 3])
    point = CountSearch(given).common(3)
    for _ in range(60):
        learning = counts_around(coefficients, iterations, point.points, point.scale, point.slope)
        search = AssociationSearch(coefficients, learning, [0])
        settled = search.settled(0, point.decision["ue_to_bs"])
        point = point_of(given, settled.decision)
    assert settled.value == pytest.approx(point.value, rel=1e-3)  # (D - 1)/D of (25)(e) is left out: 1/D of Xe


def test_more_counts_to_choose_from_never_cost_more():
    for seed in range(3):
        given = instances.problem(6, 3, 3, heavy=True, mode="eff", seed=seed)
        search = CountSearch(given)
        common = search.best_common()
        tiers = search.tiers(common)
        single, _ = search.improve(tiers, search.singles(), 1)
        assert common.value >= tiers.value >= single.value
        assert common.value == min(CountSearch(given).common(count).value for count in range(1, 7))
        assert (np.diff(search.history) <= 0).all()


def test_the_search_beats_every_common_count_of_a_brute_force_over_counts_on_a_tiny_round():
    """All 81 counts 1..3 of four units, each with its own descent: none is 2 % better than the search."""
    given = instances.problem(2, 2, 2, heavy=True, mode="eff", seed=2, most_iterations=3)
    search = CountSearch(given)
    start = search.best_common()
    every = [
        search.descend(np.array(counts, dtype=np.float64), start).value
        for counts in itertools.product((1, 2, 3), repeat=4)
    ]
    assert eff_reference(given, sweeps=2).value <= min(every) * 1.02


@pytest.mark.parametrize("learning", ["objective", "gap"])
def test_the_decision_keeps_its_ranges_and_costs_what_is_said(learning):
    for seed in range(2):
        given = instances.problem(6, 3, 3, heavy=True, mode="eff", seed=seed, learning=learning)
        solution = convex_reference(given)
        assert solution.value == float(given.cost(solution.decision))
        assert solution.violations < 1e-9
        assert solution.bound == -np.inf
        rng = np.random.default_rng(seed)
        moved = instances.random_decisions(given, rng, 2000, most_iterations=6)
        assert given.cost(moved).min() > solution.value
        assert given.cost(near(solution.decision, moved, rng, 2000)).min() > solution.value * 0.99


# The bound ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
@pytest.mark.parametrize("size", [(2, 2, 2, True), (3, 1, 2, False), (6, 3, 3, True)])
def test_no_decision_is_below_the_sliced_bound(size, bs_energy):
    rng = np.random.default_rng(3)
    for seed in range(2):
        given = instances.problem(*size, seed=seed, mode="eff", bs_energy=bs_energy)
        solution = eff_reference(given, slices=10)
        assert solution.bound <= solution.value
        assert solution.gap < 0.3
        moved = instances.random_decisions(given, rng, 3000, most_iterations=6)
        assert given.cost(moved).min() >= solution.bound
        assert given.cost(near(solution.decision, moved, rng, 3000)).min() >= solution.bound


def test_each_slice_bounds_the_decisions_in_it_and_aggregators_count():
    rng = np.random.default_rng(4)
    given = instances.problem(2, 2, 2, heavy=True, mode="eff", seed=5)
    coefficients = Coefficients(given)
    solution = eff_reference(given)
    moved = instances.random_decisions(given, rng, 6000, most_iterations=6)
    moved = {k: np.concatenate([v, near(solution.decision, moved, rng, 6000)[k]]) for k, v in moved.items()}
    value, _, terms = given.evaluate(moved)
    ends = np.linspace(1, 6, 11)
    seen = 0
    for low, high in itertools.pairwise(ends):
        search = AssociationSearch(coefficients, slice_terms(coefficients, low, high), [0, 1])
        for aggregator in (0, 1):
            inside = (terms.server_scale >= low) & (terms.server_scale <= high) & (moved["aggregator"] == aggregator)
            seen += inside.sum()
            assert (value[inside] >= search.relaxed_bound(aggregator)).all()
    assert seen > 6000


def test_units_of_one_point_and_many_iterations_do_not_break_the_bound():
    """(25)(d) leaves units of one point or less out, so vartheta may be high and Xd low."""
    rng = np.random.default_rng(6)
    given = instances.problem(2, 1, 1, mode="eff", seed=0, dissimilarity_offset=50.0, drift_per_s=0.0, gap=10.0)
    given = replace(given, conditions=given.conditions | {"data_points": np.array([1.0, 4.0])})
    bound = sliced_bound(given, 10)
    moved = instances.random_decisions(given, rng, 4000, most_iterations=6)
    moved["ue_iterations"] = np.where(rng.uniform(size=(4000, 2)) < 0.5, [6.0, 1.0], moved["ue_iterations"])
    assert given.cost(moved).min() >= bound


def test_more_slices_give_a_tighter_bound():
    given = instances.problem(6, 3, 3, heavy=True, mode="eff", seed=2)
    bounds = [sliced_bound(given, slices) for slices in (1, 5, 10, 20)]
    assert (np.diff(bounds) > 0).all()


def test_no_bound_is_claimed_where_its_assumptions_fail():
    proximal = instances.problem(2, 2, 2, mode="eff", proximal=0.1)
    assert sliced_bound(proximal) == -np.inf
    assert sliced_bound(instances.problem(2, 2, 2, mode="eff", learning="gap")) == -np.inf
    with pytest.raises(ValueError, match="theta_mode: 'eff' wanted"):
        sliced_bound(instances.problem(2, 2, 2))
    with pytest.raises(ValueError, match="slices: at least 1"):
        sliced_bound(instances.problem(2, 2, 2, mode="eff"), 0)
