"""The reproduction of CE-FL: what its measures compute, against second derivations, and how its claims are judged."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from rangym.envs.cefl_orchestration.training import TrainedRounds
from rangym.envs.learning.convergence import LearningConstants
from rangym.evaluation.episode import make_env
from rangym.evaluation.papers.ce_fl import (
    PAPER,
    bound_check,
    claims_training,
    jobs,
    measure,
    printed,
    settings,
    solver,
    theory,
)
from rangym.evaluation.papers.ce_fl.claims_rounds import Selection, round_claims
from rangym.evaluation.papers.ce_fl.jobs import DRIFTS, FIXED, WEIGHTS
from rangym.evaluation.papers.ce_fl.judgements import equality, excess, falling, never, rising
from rangym.evaluation.papers.ce_fl.training import ENV_ID, training
from rangym.evaluation.papers.rows import Rows, job
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, REPRODUCED, UNDECIDED


def round_of(reading="literal", seed=0):
    return settings.rounds_of(settings.system_of(reading, seed, 1), seed)[0]


# Judgements -----------------------------------------------------------------------------------------------------------


def test_curves_rise_only_where_every_step_of_most_seeds_does():
    curve = np.array([[1.0, 2.0, 3.0], [1.1, 2.0, 3.2], [1.0, 2.1, 3.1]])
    assert rising("x", curve).verdict == REPRODUCED and falling("x", curve).verdict == NOT_REPRODUCED
    assert falling("x", -curve).verdict == REPRODUCED
    dented = curve.copy()
    dented[:, 1] = [0.9, 2.0, 0.8]
    assert rising("x", dented).verdict == UNDECIDED  # one seed of three rises
    dented[:, 1] = [0.8, 0.9, 0.8]
    assert rising("x", dented).verdict == NOT_REPRODUCED


def test_equalities_limits_and_excesses():
    assert equality("x", [1e-15, 2e-13], "error").verdict == REPRODUCED
    assert equality("x", [1e-15, 2e-12], "error").verdict == NOT_REPRODUCED
    assert never("x", [0.0, 0.0, 0.0], "steps").verdict == REPRODUCED
    assert never("x", [0.0, 0.0, 0.01], "steps").verdict == NOT_REPRODUCED
    reference = np.array([100.0, 120.0, 90.0])
    assert excess("x", 1.02 * reference, reference).verdict == REPRODUCED  # within 3 %
    worse = excess("x", 1.10 * reference, reference)
    assert worse.verdict == NOT_REPRODUCED and worse.measured.startswith("10 % [10, 10]")


def test_a_target_is_paid_for_until_it_holds_for_two_rounds():
    run = {"delay": [1.0] * 5, "energy": [2e3] * 5, "accuracy": {"default": [0.5, 0.8, 0.7, 0.8, 0.9]}}
    rows = Rows.of([{**job("training", reading="literal", method="ce_fl", seed=0), **run}])
    delay, energy = (claims_training.spent(rows, what, "CE-FL", 0.75, "literal") for what in ("delay", "energy"))
    assert delay.tolist() == [4.0] and energy.tolist() == [8.0]  # 0.8 in the second round does not stay
    assert claims_training.spent(rows, "delay", "CE-FL", 0.5, "literal").tolist() == [1.0]
    assert np.isnan(claims_training.spent(rows, "delay", "CE-FL", 0.85, "literal")).all()  # one round is not enough


def test_one_of_the_printed_savings_does_not_follow_from_its_table():
    claim = claims_training._arithmetic()
    assert claim.measured == "23 of 24; 1 - 4912.5 / 6433.8 = 23.6 %, printed 23.7 %"
    assert claim.verdict == NOT_REPRODUCED
    assert 1 - printed.ENERGY_KJ["F-MNIST"]["CE-FL"][1] / printed.ENERGY_KJ["F-MNIST"]["FedNova"][1] == pytest.approx(
        printed.SAVINGS["energy"]["F-MNIST"]["FedNova"][1] / 100, abs=5e-4
    )


def made_rows():
    """Two networks of four rounds in every reading: DC 0 or 1 is best, DC 1 has most data, DC 2 the best rates."""

    def made(best, data):
        return {
            "cost": [float(dc != best) for dc in range(3)],
            "delay": [2.0 + (dc != best) for dc in range(3)],
            "energy": [10.0 + 3.0 * (dc != best) for dc in range(3)],
            "gap": [0.0] * 3,
            "data": [1.0, data, 1.0],
            "rate": [1.0, 1.0, 2.0],
        }

    def row(seed):
        return {"rounds": [made(0, 2.0), made(1, 8.0), made(0, 2.0), made(seed, 2.0)]}

    rows = []
    for seed in range(2):
        for reading in FIXED:
            rows.append({**job("aggregators", reading=reading, links="independent", seed=seed), **row(seed)})
        rows.append({**job("aggregators", reading="literal", links="correlated", seed=seed), **row(seed)})
        for reading in FIXED:
            lines = {"delay": list(range(len(DRIFTS), 0, -1)), "clock_hz": [1e9 * n for n in range(len(DRIFTS))]}
            rows.append({**job("drift", reading=reading, seed=seed), **lines})
            curve = [0.1 * n + 0.01 * seed for n in range(len(WEIGHTS))]
            rows.append({**job("weight", reading=reading, seed=seed), **dict.fromkeys(("all", "ues", "dcs"), curve),
                         "energy": curve})  # fmt: skip
    return Rows.of(rows)


def test_claims_on_aggregators_follow_the_rows():
    rows = made_rows()
    s = Selection(rows, "literal")
    assert s.chosen.tolist() == [[0, 1, 0, 0], [0, 1, 0, 1]]
    assert (s.data_greedy == 1).all() and (s.rate_greedy == 2).all()
    assert s.under(s.delay, s.data_greedy).tolist() == [2.75, 2.5]
    assert s.shares[0, 1].tolist() == [0.1, 0.8, 0.1]
    found = {claim.statement: claim for claim in round_claims(rows)}
    differs = next(c for name, c in found.items() if name.startswith("CE-FL's aggregator differs"))
    assert differs.measured.startswith("0.625 [")
    skewed = next(c for name, c in found.items() if name.startswith("... and agrees"))
    assert skewed.measured.startswith("1 against 0.167, difference 0.833 [")  # 0 and 1 of the three other rounds
    saved = found["CE-FL's choice has less delay than the aggregator of the best rates"]
    assert saved.measured == "3 against 2 s, difference 1 s [1, 1]" and saved.verdict == REPRODUCED
    assert found["The more drift, the shorter the rounds"].verdict == REPRODUCED


# Rounds ---------------------------------------------------------------------------------------------------------------


def test_links_with_a_memory_keep_their_mean_and_spread():
    rates = np.exp(np.random.default_rng(0).normal(2.0, 0.5, (20_000, 3)))
    logs = np.log(settings._with_memory(rates))
    np.testing.assert_allclose(logs.mean(axis=0), 2.0, atol=0.05)
    np.testing.assert_allclose(logs.std(axis=0), 0.5, rtol=0.05)
    for link in logs.T:
        assert np.corrcoef(link[1:], link[:-1])[0, 1] == pytest.approx(settings.LINK_MEMORY, abs=0.02)


def test_a_round_with_all_ues_is_itself_and_fewer_ues_are_its_first():
    problem = round_of("congested")
    decision = settings.best(problem).decision
    whole = measure.restricted(problem, np.arange(20))
    assert float(whole.cost(decision)) == pytest.approx(float(problem.cost(decision)), rel=1e-12)
    some = measure.restricted(problem, np.array([0, 1, 7]))
    assert some.shape == (3, 10, 5)
    np.testing.assert_array_equal(some.conditions["uplink_bps"], problem.conditions["uplink_bps"][[0, 1, 7]])
    assert some.gradient_noise[3:] == pytest.approx(problem.gradient_noise[[0, 1, 7]].mean())


def test_nested_sizes_have_as_many_ues_in_every_sub_network(monkeypatch):
    kept = []
    monkeypatch.setattr(measure, "restricted", lambda problem, ues: kept.append(ues) or problem)
    monkeypatch.setattr(measure, "best", lambda problem: dataclasses.make_dataclass("S", ["value"])(1.0))
    measure.sizes(ues=[10, 15, 30], rounds=1, seed=0)
    assert [len(ues) for ues in kept] == [10, 15, 30]
    assert np.bincount(kept[0] * 5 // 30).tolist() == [2] * 5 and set(kept[0]) < set(kept[1]) < set(kept[2])


def test_energy_of_the_vectors_by_hand():
    problem = round_of()
    decision = settings.best(problem).decision
    net, given, a = problem.network, problem.conditions, int(decision["aggregator"])
    hops = relays = 0.0
    for ue, station in enumerate(decision["ue_to_bs"]):
        hops += net.model_bits / given["uplink_bps"][ue, station] * net.ue_power_w[ue, station]
        relays += net.model_bits / given["backhaul_bps"][station, a] * net.backhaul_power_w[station, a]
    once = sum(
        net.model_bits / given["backhaul_bps"][b, a] * net.backhaul_power_w[b, a] for b in set(decision["ue_to_bs"])
    )
    found = measure.upload_energies(problem, decision, "per_ue")
    assert found["relay"] == pytest.approx(relays) and found["upload"] == pytest.approx(hops + relays)
    assert measure.upload_energies(problem, decision, "once")["relay"] == pytest.approx(once)


def test_the_best_round_without_offloading_by_a_search_over_its_delay():
    """At given integers and one step, UEs meet only in the delay: for each of them the best clock and mini-batch."""
    problem = round_of()
    row = measure.offloading(reading="literal", seed=0)
    assert row["left"] < 1e-6 and row["without"]["offloaded"] == 0.0
    dear = dataclasses.replace(problem.network, point_bits=measure.NO_OFFLOADING * problem.network.point_bits)
    d = dict(settings.best(dataclasses.replace(problem, network=dear)).decision)
    d["offload_share"] = np.zeros_like(d["offload_share"])
    made = problem.evaluate(d)[1]
    net, points = problem.network, problem.conditions["data_points"]
    total, c = points.sum(), problem.learning_constants
    noise = 16 * c.step_size * c.smoothness * points * problem.gradient_noise[:20] / total**2 * problem.learning_weight

    def cost(delay):
        """J of the UEs' own terms and of the delay where the aggregation ends at ``delay``."""
        price = problem.delay_weight + 4 * problem.learning_weight * problem.drift_per_s / c.step_size
        value = price * delay
        for ue in range(20):
            left, cycles = delay - made.ue_upload_s[ue], net.cycles_per_point[ue] * points[ue]
            most = min(1.0, problem.clock_high_hz[ue] * left / cycles)
            if most < problem.least_minibatch:
                return np.inf

            def own(m, ue=ue, left=left, cycles=cycles):
                clock = max(cycles * m / left, problem.clock_low_hz[ue])
                energy = cycles * m * clock**2 * net.capacitance[ue] / 2
                return noise[ue] * (1 / m - 1) + problem.energy_weight * energy

            value += minimize_scalar(own, bounds=(problem.least_minibatch, most), method="bounded").fun
        return value

    delays = np.linspace(float(made.ue_upload_s.max()), 20.0, 400)[1:]
    least = min(delays, key=cost)
    best = minimize_scalar(cost, bounds=(least - 0.05, least + 0.05), method="bounded", options={"xatol": 1e-7})
    assert cost(float(made.aggregation_s)) <= best.fun * (1 + 1e-4)
    assert float(made.aggregation_s) == pytest.approx(best.x, rel=0.02)


# Theory ---------------------------------------------------------------------------------------------------------------


def test_fixed_points_of_quadratic_clients_by_running_them():
    found = theory.normalisation(seed=3)["distance"]["0.1"]
    rng = np.random.default_rng(3)
    weights = rng.dirichlet(np.full(6, 5.0))
    curvature, centre = rng.uniform(0.2, 1.0, (6, 4)), rng.normal(size=(6, 4))
    optimum = (weights[:, None] * curvature * centre).sum(axis=0) / (weights[:, None] * curvature).sum(axis=0)
    for name, normalise in (("normalised", True), ("plain", False)):
        x = np.zeros(4)
        for _ in range(4000):
            change = np.zeros(4)
            for i in range(6):
                local = x
                for _ in range(i + 1):
                    local = local - 0.1 * curvature[i] * (local - centre[i])
                change += weights[i] * (x - local) / ((i + 1) if normalise else 1)
            x = x - change
        assert np.linalg.norm(x - optimum) == pytest.approx(found[name], rel=1e-6)


def test_terms_of_the_corollary_by_hand():
    found = theory.corollary_terms(LearningConstants(), 25, 4.0, 100, 3)
    eta = (25 / 400) ** 0.5
    noise = 7.5e3 / 0.05
    assert found == pytest.approx(
        [8 / (eta * 100), 16 * noise * eta, 12 * noise * 3 * eta**2, 12 * 0.2 * 9 * eta**2], rel=1e-12
    )


def test_constants_of_ridge_regression_by_brute_force():
    rng = np.random.default_rng(5)
    data = bound_check._Regression.draw(rng)
    x, t = rng.normal(size=bound_check.FEATURES), 2
    slope = [(data.loss(t, x + step) - data.loss(t, x - step)) / 2e-5 for step in 1e-5 * np.eye(bound_check.FEATURES)]
    np.testing.assert_allclose(data.gradients(t, x).mean(axis=0), slope, rtol=1e-6)
    everything = np.arange(bound_check.SAMPLES)
    np.testing.assert_allclose(data.gradient(t, 1, x, everything), data.gradients(t, x)[1])
    least = min(minimize(lambda z, t=t: data.loss(t, z), x, tol=1e-12).fun for t in range(bound_check.ROUNDS + 1))
    assert data.least_loss == pytest.approx(least, rel=1e-9)
    theta = data.variability([(t, x)])
    for i in range(bound_check.CLIENTS):
        gradient = [data.gradient(t, i, x, np.array([v])) for v in everything]
        point = np.column_stack([data.u[i], data.y[t, i]])
        ratio = max(
            np.linalg.norm(gradient[v] - gradient[w]) / np.linalg.norm(point[v] - point[w])
            for v in everything
            for w in range(v)
        )
        assert theta[i] == pytest.approx(ratio, rel=1e-9)
    pairs = rng.normal(size=(50, 2, bound_check.FEATURES))
    for one, other in pairs:
        apart = np.linalg.norm(data.gradients(t, one) - data.gradients(t, other), axis=1)
        assert (apart <= data.smoothness * np.linalg.norm(one - other) * (1 + 1e-12)).all()


def test_flows_are_the_decisions_they_come_from():
    problem, rng = round_of(), np.random.default_rng(0)
    flow = theory._random_flows(problem, rng)
    decision = theory._from_flows(problem, flow)
    fixed = {name: settings.best(problem).decision[name] for name in ("aggregator", "ue_to_bs", "bs_to_ue")}
    made = problem.evaluate({**{n: v[0] for n, v in decision.items()}, **fixed})[1]
    np.testing.assert_allclose(made.forwarded_points, flow["forwarded"][0], rtol=1e-9)
    np.testing.assert_allclose(made.ue_compute_s, flow["time"][0], rtol=1e-9)
    np.testing.assert_allclose(made.dc_compute_s, flow["dc_time"][0], rtol=1e-9)
    assert (decision["ue_minibatch"] <= 1 + 1e-12).all() and (decision["clock_hz"] > 0).all()
    assert (decision["points_per_s"] <= problem.network.machine_points_per_s * (1 + 1e-12)).all()


# Solvers --------------------------------------------------------------------------------------------------------------


def test_the_surrogate_of_integrality_against_a_search():
    rng, curvature = np.random.default_rng(1), solver.CURVATURE

    def surrogate(shares, at):
        change = shares - at
        return (at * (1 - at)).sum() + (1 - 2 * at) @ change + curvature / 2 * change @ change

    for _ in range(5):
        at = rng.dirichlet(np.ones(4))
        points = np.vstack([rng.dirichlet(np.full(4, 0.3), 20_000), np.eye(4)])
        least = solver.least_surrogate(at)
        assert least <= min(surrogate(p, at) for p in points[-2000:]) + 1e-12
        assert least > 0.0  # no point of the simplex is allowed
    assert solver.least_surrogate(np.eye(4)[2]) == pytest.approx(0.0, abs=1e-12)  # a binary point allows itself only


def test_printed_steps_leave_the_constraints_and_the_safeguarded_do_not():
    row = solver.algorithm(seed=0)
    assert row["lambda 0.5"]["violation"] > 1e-6 and row["lambda 0.03"]["raised"] > 0.0
    assert row["safeguarded"]["raised"] == 0.0
    assert row["bound"] <= row["optimum"] <= row["same_integers"] <= row["safeguarded"]["value"]


# Trainings ------------------------------------------------------------------------------------------------------------


def test_a_training_is_that_of_the_wrapped_environment():
    trained = {"a": {}, "b": {"aggregation": "fedavg"}}
    row = training(reading="literal", method="six_steps", options={}, trained=trained, rounds=3, seed=4)
    assert row["iterations"] == 6.0 and len(row["delay"]) == 3
    again = training(reading="literal", method="six_steps", options={}, trained={"b": trained["b"]}, rounds=3, seed=4)
    assert again["accuracy"]["b"] == row["accuracy"]["b"] != row["accuracy"]["a"]
    scenario, own = settings.READINGS["literal"]
    env = TrainedRounds(make_env(ENV_ID, scenario, {**own, "network_seed": 4, "horizon": 3, "action": "native"}))
    env.reset(seed=4)
    action = np.zeros(env.action_space.shape)
    assert env.step(action)[-1]["metrics"]["accuracy"] != row["accuracy"]["a"][0]  # another decision, another model


def test_later_jobs_take_what_earlier_rows_found():
    plan = PAPER.plans["quick"]
    made = [
        {**wanted, "accuracy": {mu: [0.5, 0.7 if mu == "0.1" else 0.6] for mu in wanted["trained"]}}
        for wanted in jobs.trials(plan, Rows({}))
    ]
    assert {row["seed"] for row in made} == {10_000} and set(made[0]["trained"]) == {"0", "0.01", "0.1", "1"}
    trained = list(jobs.trainings(plan, Rows.of(made)))
    assert {wanted["trained"]["chosen"]["proximal"] for wanted in trained} == {0.1}
    assert {wanted["seed"] for wanted in trained} == set(range(plan.learning_seeds))
    made += [{**wanted, "minibatch": 0.2 + 0.01 * wanted["seed"], "iterations": 1.5} for wanted in trained]
    compared = list(jobs.baselines(plan, Rows.of(made)))
    assert {(wanted["options"]["mean_minibatch"], wanted["options"]["mean_iterations"]) for wanted in compared} == {
        (0.21, 1.5)
    }
    assert {wanted["method"] for wanted in compared} == {"fednova_dpu", "fednova_ue"}
