"""Convex reference of CE-FL: conic form, bound and association, each against an independent computation."""

import itertools
import runpy
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import clarabel
import numpy as np
import pytest
from scipy import sparse

from rangym.policies.algorithms.federated import conic_program
from rangym.policies.algorithms.federated.association import AssociationSearch
from rangym.policies.algorithms.federated.cefl_reference import fixed_reference
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.conic_program import DUAL_MARGIN, ConicShape, SolverError, conic_shape
from rangym.policies.algorithms.federated.count_search import plain_counts
from rangym.policies.algorithms.federated.downlink import optimal_downlink

HERE = Path(__file__)
instances = SimpleNamespace(**runpy.run_path(str(HERE.with_name("cefl_instances.py"))))
SIZES = [(2, 2, 2, True), (6, 3, 3, True), (6, 3, 3, False), (5, 1, 1, False), (1, 2, 1, True), (4, 3, 2, True)]
VARIED = dict(energy_weights=(0.5, 2.0, 1.5, 0.7, 3.0, 0.2), server_scale=1.7, least_minibatch=0.2)


def search_of(given, aggregators=None):
    coefficients = Coefficients(given)
    counts = plain_counts(
        coefficients, np.ones(coefficients.ues + coefficients.centres), given.learning_constants.server_scale
    )
    return AssociationSearch(coefficients, counts, aggregators or list(range(coefficients.centres)))


# The programme --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
@pytest.mark.parametrize("size", SIZES)
def test_conic_form_equals_cvxpy(size, bs_energy):
    pytest.importorskip("cvxpy")
    oracle = SimpleNamespace(**runpy.run_path(str(HERE.with_name("cefl_oracle.py"))))
    for seed, more in ((0, {}), (1, VARIED)):
        given = instances.problem(*size, seed=seed, bs_energy=bs_energy, **more)
        for aggregator in range(size[2]):
            search = search_of(given, [aggregator])
            received = search.reception[aggregator].value
            root = search._node(aggregator, *search._choices(aggregator))
            expected = oracle.relaxed_value(given, aggregator)
            assert root.bound - received == pytest.approx(expected, rel=2e-6)  # the oracle errs by 1e-6
            ue_to_bs = np.random.default_rng(seed).integers(0, size[1], size[0])
            settled = search.settled(aggregator, ue_to_bs)
            assert settled.value - received == pytest.approx(
                oracle.relaxed_value(given, aggregator, ue_to_bs), rel=2e-6
            )


def test_the_bound_stays_below_what_a_tighter_solve_finds(monkeypatch):
    """The dual objective alone is above the optimum at times; the bound never is."""
    tighter = []

    def recorded(self, numbers, prices):
        solution = real(self, numbers, prices)
        matrix, right = self.matrices(numbers)
        settings = clarabel.DefaultSettings()
        settings.verbose = settings.presolve_enable = False
        settings.tol_feas = settings.tol_gap_abs = settings.tol_gap_rel = 1e-10
        nothing = sparse.csc_matrix((self.width, self.width))
        found = clarabel.DefaultSolver(nothing, self.cost(prices), matrix, right, self.cones, settings).solve()
        if found.status == clarabel.SolverStatus.Solved:
            tighter.append((found.obj_val, solution))
        return solution

    real = ConicShape.solve
    monkeypatch.setattr(ConicShape, "solve", recorded)
    for seed in range(4):
        fixed_reference(instances.problem(6, 3, 3, heavy=True, seed=seed))
        fixed_reference(instances.problem(20, 10, 5, seed=seed))
    assert len(tighter) > 20
    for optimum, solution in tighter:
        assert solution.bound < optimum * (1 - DUAL_MARGIN / 2)
        assert solution.bound > optimum * (1 - 20 * DUAL_MARGIN)


def test_a_programme_without_a_solution_raises():
    shape = conic_shape(2, 1, 1, 1, False, False)
    coefficients = Coefficients(instances.problem(2, 1, 1))
    search = search_of(coefficients.problem)
    numbers = search._numbers | dict(allowed=np.ones((2, 1)), path_time=np.ones((2, 1)), centre_time=np.zeros(1))
    with pytest.raises(SolverError, match="Solved"):
        shape.solve(numbers | {"points": np.array([-1.0, 1.0])}, search._prices | {"I": 1.0})


def test_what_is_almost_solved_makes_a_decision_and_proves_nothing(monkeypatch):
    given = instances.problem(6, 3, 3, True, seed=1)
    exact, settings = fixed_reference(given), conic_program._settings.__wrapped__(1e-8)  # its own

    def impatient(regularization):
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-30  # never reached: it ends AlmostSolved
        return settings

    monkeypatch.setattr(conic_program, "_settings", impatient)
    almost = fixed_reference(given)
    assert almost.value == pytest.approx(exact.value, rel=1e-4) and almost.bound == -np.inf
    with pytest.raises(SolverError, match="AlmostSolved"):
        search_of(given).relaxed_bound(0)


@pytest.mark.parametrize("slower", [1e-3, 1e3])
@pytest.mark.parametrize("size", [(6, 3, 3, True), (20, 10, 5, False)])
def test_the_unit_of_time_changes_nothing(size, slower):
    """All that takes a second takes ``slower`` seconds, with the same energies and a price of delay to match."""
    given = instances.problem(*size, seed=2)
    network, old = given.network, given.conditions
    powers = {f.name: getattr(network, f.name) / slower for f in fields(network) if f.name.endswith("_power_w")}
    scaled = replace(
        given,
        network=replace(
            network,
            **powers,
            capacitance=network.capacitance * slower**2,
            machine_points_per_s=network.machine_points_per_s / slower,
        ),
        conditions={k: v if k == "data_points" else np.asarray(v) / slower for k, v in old.items()},
        clock_low_hz=given.clock_low_hz / slower,
        clock_high_hz=given.clock_high_hz / slower,
        drift_per_s=given.drift_per_s / slower,
        delay_weight=given.delay_weight / slower,
    )
    plain, slow = fixed_reference(given), fixed_reference(scaled)
    assert scaled.cost(plain.decision | speeds(plain.decision, 1 / slower)) == pytest.approx(plain.value, rel=1e-12)
    assert slow.value == pytest.approx(plain.value, rel=1e-7) and slow.bound == pytest.approx(plain.bound, rel=1e-7)


def speeds(decision, factor):
    return {name: decision[name] * factor for name in ("clock_hz", "points_per_s")}


# The decision and the bound -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
@pytest.mark.parametrize("size", [*SIZES, (20, 10, 5, False), (20, 10, 5, True)])
def test_the_decision_costs_by_the_formulas_what_the_programme_says(size, bs_energy):
    given = instances.problem(*size, seed=3, bs_energy=bs_energy)
    search = search_of(given)
    found = search.run(0, 1e-6)
    assert float(given.cost(found.decision)) == pytest.approx(found.value, rel=1e-7)
    solution = fixed_reference(given)
    assert solution.value == float(given.cost(solution.decision))
    assert solution.bound <= solution.value
    assert solution.violations < 1e-9


@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
@pytest.mark.parametrize("size", [(2, 2, 2, True), (3, 2, 1, False), (4, 1, 3, True), (6, 3, 3, True)])
def test_no_random_decision_is_below_the_bound(size, bs_energy):
    rng = np.random.default_rng(11)
    for seed in range(3):
        given = instances.problem(*size, seed=seed, bs_energy=bs_energy)
        solution = fixed_reference(given)
        values = given.cost(instances.random_decisions(given, rng, 2000, most_iterations=3))
        assert np.isfinite(values).all()
        assert values.min() >= solution.bound


def test_no_step_away_from_the_reference_is_below_the_bound():
    """Random decisions are far from the optimum; blends of them with the reference are not."""
    rng = np.random.default_rng(5)
    for seed in range(4):
        given = instances.problem(6, 3, 3, heavy=True, seed=seed)
        solution = fixed_reference(given, node_limit=50, tolerance=1e-7)
        moved = instances.random_decisions(given, rng, 3000)
        weight = 10.0 ** rng.uniform(-5, -0.5, (3000, 1))
        for name in ("clock_hz", "points_per_s", "ue_minibatch", "dc_minibatch"):
            kept = np.where(rng.uniform(size=(3000, 1)) < 0.5, 0.0, weight)
            moved[name] = (1 - kept) * solution.decision[name] + kept * moved[name]
        for name in ("offload_share", "forward_share"):
            kept = np.where(rng.uniform(size=(3000, 1)) < 0.5, 0.0, weight)[:, :, None]
            moved[name] = (1 - kept) * solution.decision[name] + kept * moved[name]
        for name in ("aggregator", "ue_to_bs", "bs_to_ue"):
            moved[name] = np.broadcast_to(solution.decision[name], moved[name].shape)
        values = given.cost(moved)
        assert values.min() >= solution.bound
        assert values.min() < solution.value * 1.001  # the attack comes close


def test_single_iterations_are_optimal_under_a_constant_scale():
    """More iterations at the same samples never cost less."""
    rng = np.random.default_rng(2)
    given = instances.problem(6, 3, 3, heavy=True)
    one = instances.random_decisions(given, rng, 500)
    more = one | {"ue_iterations": one["ue_iterations"] + 1, "dc_iterations": one["dc_iterations"] + 1}
    for name in ("ue_minibatch", "dc_minibatch"):
        more[name] = one[name] / 2.0
    wide = replace(given, least_minibatch=0.02)
    assert (wide.cost(more) >= wide.cost(one) - 1e-9).all()


# Associations ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bs_energy", ["per_ue", "once"])
def test_association_and_aggregator_by_brute_force_on_three_ues(bs_energy):
    branched = 0
    for seed in range(6):
        weights = (1.0, 1.0, 1.0, 1.0, 4.0, 1.0)
        given = instances.problem(3, 3, 2, heavy=True, seed=seed, bs_energy=bs_energy, energy_weights=weights)
        solution = fixed_reference(given, node_limit=100, tolerance=1e-7)
        branched += solution.iterations > 3
        search = search_of(given)
        every = [
            search.settled(a, np.array(stations)).value
            for a in range(2)
            for stations in itertools.product(range(3), repeat=3)
        ]
        assert solution.value == pytest.approx(min(every), rel=1e-6)
        assert solution.gap < 5e-7
    assert branched  # some instance needed more than its roots


def test_downlink_by_brute_force():
    def price(chosen, transfer, arrival, floor, delay_price, energy_price):
        radius = np.zeros(len(transfer))
        np.maximum.at(radius, chosen, transfer[chosen, np.arange(len(chosen))])
        return delay_price * max(floor, (arrival + radius).max()) + energy_price @ radius

    rng = np.random.default_rng(8)
    for _ in range(40):
        stations, ues = (int(n) for n in rng.integers(1, 6, 2))
        energy_price = rng.uniform(0, 1, stations) * rng.integers(0, 2, stations)
        given = (rng.exponential(size=(stations, ues)), rng.exponential(0.3, stations), rng.exponential(0.5))
        given += (rng.uniform(0, 2), energy_price)
        found = optimal_downlink(*given)
        every = [price(np.array(c), *given) for c in itertools.product(range(stations), repeat=ues)]
        assert found.value == pytest.approx(min(every), rel=1e-12)
        assert price(found.base_station, *given) == pytest.approx(found.value, rel=1e-12)


def test_gaps_of_light_and_heavy_rounds():
    for seed in range(3):
        assert fixed_reference(instances.problem(20, 10, 5, seed=seed)).gap <= 6e-4
        heavy = instances.problem(20, 10, 5, heavy=True, seed=seed)
        assert fixed_reference(heavy, node_limit=60, tolerance=1e-3).gap <= 1e-3


def test_restricted_aggregators_cost_no_less_than_the_free_choice():
    given = instances.problem(6, 3, 3, heavy=True, seed=1)
    free = fixed_reference(given)
    each = [fixed_reference(given, aggregators=[a]) for a in range(3)]
    assert [int(s.decision["aggregator"]) for s in each] == [0, 1, 2]
    assert free.value == min(s.value for s in each)
    assert free.bound == pytest.approx(min(s.bound for s in each), rel=1e-9)


# Bad input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c | {"uplink_bps": -np.asarray(c["uplink_bps"])}, "uplink_bps"),
        (lambda c: c | {"data_points": np.zeros(3)}, "data_points"),
        (lambda c: c | {"backhaul_bps": np.full((2, 2), np.nan)}, "backhaul_bps"),
        (lambda c: c | {"dc_to_bs_bps": np.ones((3, 2))}, "dc_to_bs_bps"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(change, message):
    given = instances.problem(3, 2, 2)
    with pytest.raises(ValueError, match=message):
        replace(given, conditions=change(given.conditions))


def test_unknown_words_are_refused():
    given = instances.problem(3, 2, 2)
    with pytest.raises(ValueError, match="bs_energy.*per_ue.*got 'perue'"):
        replace(given, bs_energy="perue")
    with pytest.raises(ValueError, match="theta_mode: 'fixed' wanted"):
        fixed_reference(instances.problem(3, 2, 2, mode="eff"))
