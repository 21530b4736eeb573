"""What the reproduction of "Smooth Handovers" measures, and the walk on which all players are measured at once."""

import math

import numpy as np
import pytest

from rangym.envs.cell_association import stream
from rangym.envs.trace import StreamedTrace
from rangym.evaluation.episode import make_env
from rangym.evaluation.papers.smooth_handovers import PAPER, jobs, measure
from rangym.evaluation.papers.smooth_handovers.claims_synthetic import crossing_slot
from rangym.policies import registry
from rangym.policies.base import Task

# What is measured -----------------------------------------------------------------------------------------------------


def test_crossing_is_for_good():
    slots = np.array([10, 20, 30, 40])
    zero = np.zeros(4)
    assert crossing_slot(slots, np.array([1.0, 1.0, 1.0, 1.0]), zero) == 10
    assert crossing_slot(slots, np.array([-1.0, 1.0, 2.0, 3.0]), zero) == 20
    assert crossing_slot(slots, np.array([1.0, -1.0, 2.0, 3.0]), zero) == 30  # ahead too early does not count
    assert crossing_slot(slots, np.array([-1.0, 0.0, 0.0, 3.0]), zero) == 40  # a tie is not ahead
    assert crossing_slot(slots, np.array([1.0, 2.0, 3.0, -1.0]), zero) is None


def test_checkpoints_are_even_and_end_with_the_episode():
    assert measure.checkpoints(7).tolist() == [1, 2, 3, 4, 5, 6, 7]
    kept = measure.checkpoints(5000)
    assert len(kept) == 200 and set(np.diff(kept)) == {25} and kept[-1] == 5000


def test_relaxed_values_of_vertices_are_those_of_the_environment():
    env = make_env("rangym/CellAssociation-v0", "mobility", {"num_ues": 9, "num_cells": 5, "horizon": 12})
    env.reset(seed=3)
    trace, rng, previous = env.trace, np.random.default_rng(0), None
    for t in range(1, 13):
        action = rng.integers(3, size=9)  # cells 3 and 4 stay empty
        metrics = env.step(action)[4]["metrics"]
        vertex, slot = np.eye(5)[action], trace.slot(t)
        rate = slot["bandwidth_mhz"] * np.log2(1 + 10 ** (slot["sinr_db"].astype(float) / 10))
        assert measure.relaxed_utility(vertex, np.log10(rate)) == pytest.approx(metrics["g"], rel=1e-9)
        if previous is not None:
            h = measure.relaxed_handover(vertex, previous, slot["handover_delay"], 20.0)
            assert h == pytest.approx(metrics["h"], rel=1e-6)
            assert h < 0
        previous = vertex


def test_relaxed_values_by_hand():
    mixture, log_rate = np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[2.0, 1.0], [1.0, 3.0]])
    loads = 1.5 * math.log10(1.5) + 0.5 * math.log10(0.5)
    assert measure.relaxed_utility(mixture, log_rate) == pytest.approx(2.5 - loads)
    before, delay = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.4, 0.8], [9.0, 9.0]])
    assert measure.relaxed_handover(mixture, before, delay, 3.0) == pytest.approx(-3 * math.sqrt(0.25 * 1.2))


def test_the_mixture_of_the_policy_is_what_it_samples_from():
    env = make_env("rangym/CellAssociation-v0", "static", {"num_ues": 30, "num_cells": 3, "horizon": 50})
    observation, _ = env.reset(seed=0)
    policy = registry.make("lda:rounding=argmax")
    with pytest.raises(RuntimeError, match="before the first act"):
        _ = policy.mixture
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    for _ in range(20):
        action = policy.act(observation)
        np.testing.assert_allclose(policy.mixture.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_array_equal(policy.mixture.argmax(axis=1), action)
        observation, *_ = env.step(action)


def test_any_policy_can_be_the_forecaster():
    """The exact optimum lifts LDA once the meta step is large enough to follow it; random cells do not."""
    overrides = {"num_ues": 20, "num_cells": 6, "horizon": 80, "handover_weight": 0.5}
    env = make_env("rangym/CellAssociation-v0", "mobility", overrides)
    env.reset(seed=1)
    trace, g = env.trace, {}
    for forecaster in (None, "slot_optimum", "random"):
        options = dict(meta_step=0.5, fair_surrogate=True)
        policy = registry.make("lda", forecaster=forecaster and registry.make(forecaster), **options)
        observation, _ = env.reset(options={"trace": trace})
        policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
        g[forecaster] = 0.0
        for _ in range(80):
            observation, _, _, _, info = env.step(policy.act(observation))
            g[forecaster] += info["metrics"]["g"] / 80
    assert g["slot_optimum"] > g[None] + 0.5
    assert abs(g["random"] - g[None]) < 0.25


def test_other_handover_costs_are_refused():
    arguments = dict(scenario="tiny", overrides={"handover_cost": "sum"}, gamma=1.0, policy="max_sinr", seed=0)
    with pytest.raises(ValueError, match="'norm' wanted, got 'sum'"):
        measure.episode(**arguments)


# One walk for all players ---------------------------------------------------------------------------------------------

WALK = dict(scenario="mobility", overrides={"num_ues": 7, "num_cells": 5, "horizon": 40}, seed=4)


@pytest.fixture
def streamed(monkeypatch):
    """Every episode is drawn in blocks of three slots; the list of the walks through them, whose length counts."""
    begun = []
    draw = stream._Blocks.__call__
    monkeypatch.setattr(stream, "WHOLE_ENTRIES", 0)
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 3 * 7 * 5)
    monkeypatch.setattr(stream._Blocks, "__call__", lambda blocks: begun.append(blocks) or draw(blocks))
    return begun


def test_a_walk_has_the_numbers_of_its_players_alone(streamed):
    """Also of LDA with a forecaster of its own in place of the player that is asked once for all."""
    players = list(jobs.players(20.0))
    played = measure.walk(**WALK, gamma=20.0, players=players)["played"]
    assert len(players) == len(played) == 20
    for policy, forecaster in players:
        if forecaster != jobs.RANDOM:  # whose draws are its own here, and part of LDA's own there
            alone = measure.play("mobility", WALK["overrides"], 20.0, [(policy, forecaster)], WALK["seed"])[0].means()
            assert played[measure.player_name(policy, forecaster)] == alone


def test_a_walk_draws_its_episode_once(streamed, monkeypatch):
    def refuse(trace):
        raise AssertionError("the whole episode is in memory")

    monkeypatch.setattr(StreamedTrace, "materialise", refuse)
    measure.walk(**WALK, gamma=20.0, players=list(jobs.players(20.0)))
    (drawn_by_the_seed,) = streamed
    assert drawn_by_the_seed.params.horizon == 40


def test_a_forecaster_that_plays_proposes_what_it_does():
    done = {"random": np.arange(3)}
    echo = measure.Echo(done, "random")
    assert echo.act({}) is done["random"]
    done["random"] = np.array([2, 0, 1])
    assert echo.act({}).tolist() == [2, 0, 1]


def test_rules_do_not_know_gamma_and_pay_in_proportion_to_it():
    rules = [(policy, None) for policy in (*jobs.PREVIOUS.values(), jobs.RANDOM)]
    low, high = (measure.walk(**WALK, gamma=gamma, players=rules)["played"] for gamma in (5.0, 20.0))
    for policy, _ in rules:
        assert low[policy]["g"] == high[policy]["g"] and low[policy]["handovers"] == high[policy]["handovers"] > 0
        assert high[policy]["h"] == pytest.approx(4 * low[policy]["h"], rel=1e-12)
        assert high[policy]["f"] == pytest.approx(high[policy]["g"] + high[policy]["h"], rel=1e-12)


def test_who_plays_the_stand_in():
    """Every policy that the paper compares, and its 2-norm, under both gammas of its experiment."""
    for gamma in jobs.REAL_GAMMAS:
        found = [measure.player_name(*player) for player in jobs.players(gamma)]
        assert len(found) == len(set(found))
        assert {jobs.LITERAL.policy, jobs.euclidean(jobs.LITERAL.policy), jobs.MAX_SINR, jobs.RANDOM} <= set(found)
        assert found.index(jobs.STICKY) < min(i for i, name in enumerate(found) if " with " in name)
    assert [policy for policy, _ in jobs.players(100.0)] == [source.policy for source in jobs.ROUNDED]


def test_the_full_run_is_of_the_papers_size():
    plan = PAPER.plans["full"]
    params = make_env("rangym/CellAssociation-v0", jobs.STAND_IN, plan.mobility).system.params
    assert (params.num_ues, params.num_cells, params.horizon, params.handover_weight) == (1000, 25, 10_000, 20.0)
    assert stream.is_streamed(params) and plan.mobility_seeds >= 5
    assert " (1000 UEs, 25 cells, T = 10000, " in " ".join(jobs.setting(plan))
