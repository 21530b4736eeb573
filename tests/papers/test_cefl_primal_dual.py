"""Primal-dual solver of CE-FL at the paper's size: its cost, its projection, free integers, and rounds of averaging."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

from rangym.policies.algorithms.federated import relaxed_round
from rangym.policies.algorithms.federated.cefl_reference import fixed_reference
from rangym.policies.algorithms.federated.coefficients import Coefficients
from rangym.policies.algorithms.federated.consensus import (
    consensus_graph,
    consensus_weights,
    rounds_matrix,
)
from rangym.policies.algorithms.federated.primal_dual import Centralised, primal_dual
from rangym.policies.algorithms.federated.relaxed_round import Integers, RelaxedRound, simplex_rows

instances = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))


def graph(ues, stations, centres):
    ue, bs = instances.homes(ues, centres), instances.homes(stations, centres)
    return consensus_graph(ue, ue[:, None] == bs, bs[:, None] == np.arange(centres))


def integers_of(solution):
    d = solution.decision
    return Integers(int(d["aggregator"]), d["ue_to_bs"], d["bs_to_ue"])


@pytest.mark.parametrize("mode, count", [("fixed", 1), ("eff", 3)])
def test_with_integers_and_sharp_maxima_it_is_the_cost(mode, count, monkeypatch):
    monkeypatch.setattr(relaxed_round, "SHARPNESS", 1e6)
    rng = np.random.default_rng(3)
    given = instances.problem(5, 3, 3, heavy=True, mode=mode)
    model = RelaxedRound(Coefficients(given), count)
    integers = Integers(1, rng.integers(0, 3, 5), rng.integers(0, 3, 5))
    w = model.with_delays(model.start(integers))
    assert model.evaluate(model.layout.spread(w)).objective == pytest.approx(
        float(given.cost(model.decision(w))), rel=1e-6
    )


def test_projection_onto_the_simplex_is_the_nearest_point():
    rng = np.random.default_rng(1)
    values, capped = rng.normal(0.3, 0.6, (200, 4)), rng.uniform(size=200) < 0.5
    found = simplex_rows(values, capped)
    assert (found >= 0).all() and (found.sum(axis=1) <= 1 + 1e-12).all()
    np.testing.assert_allclose(found[~capped].sum(axis=1), 1.0, atol=1e-12)
    for row, cap, point in zip(values[:30], capped, found, strict=False):
        sums = {"type": "ineq" if cap else "eq", "fun": lambda x: 1.0 - x.sum()}
        other = minimize(
            lambda x, row=row: ((x - row) ** 2).sum(),
            np.full(4, 0.25),
            bounds=[(0, 1)] * 4,
            constraints=sums,
            tol=1e-13,
        )
        np.testing.assert_allclose(point, other.x, atol=1e-5)


def moved_integers(printed):
    """In how many of 100 binary starts any integer differs after ten steps with free integers."""
    rng, moved = np.random.default_rng(4), 0
    for seed in range(100):
        model = RelaxedRound(Coefficients(instances.problem(3, 2, 2, heavy=True, seed=seed)), 1)
        integers = Integers(int(rng.integers(2)), rng.integers(0, 2, 3), rng.integers(0, 2, 3))
        start = model.start(integers)
        model.time_scale = float(start[[model.layout.central["A"][0], model.layout.central["R"][0]]].sum())
        solver = Centralised(model, model.with_delays(start), keep_integers=False, printed=printed)
        for _ in range(10):
            solver.step(0.0, 60)
        d = model.decision(solver.central)
        same = d["aggregator"] == integers.aggregator
        same &= (d["ue_to_bs"] == integers.ue_to_bs).all() and (d["bs_to_ue"] == integers.bs_to_ue).all()
        moved += not same
    return moved


def test_printed_integrality_moves_no_integer_in_100_starts():
    assert moved_integers(printed=True) == 0
    assert moved_integers(printed=False) > 50  # without it they do move


def test_decentralised_excess_falls_with_the_rounds_of_averaging():
    excess = {10: [], 70: []}
    weights = consensus_weights(graph(20, 10, 5))
    for seed in range(3):
        given = instances.problem(20, 10, 5, seed=seed, network_seed=seed)
        reference = fixed_reference(given)
        for rounds, values in excess.items():
            averaging = rounds_matrix(weights, rounds)
            solution = primal_dual(given, integers_of(reference), averaging, steps=50)
            assert reference.bound <= solution.value and solution.violations < 1e-9
            values.append(solution.value / reference.value - 1.0)
    assert np.mean(excess[70]) < np.mean(excess[10])
    assert np.mean(excess[70]) < 0.05
