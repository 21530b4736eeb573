"""CeflOrchestration's rules against decisions worked out by hand."""

import json

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym import policies
from rangym.baselines.cefl_orchestration import AGENTS
from rangym.envs.cefl_orchestration.system import RATES, CeflOrchestration
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.problems.cefl_orchestration import mean_work
from rangym.policies import Knowledge, Task, registry
from rangym.policies.cefl_orchestration.observed import conditions
from rangym.policies.cefl_orchestration.rules import counts_around

ID = "rangym/CeflOrchestration-v0"


def played(word, seed=3, scenario="small", steps=1, **overrides):
    """The environment after some rounds of a policy, and the last round's information."""
    env = gym.make(ID, scenario=scenario, action="native", **overrides).unwrapped
    observation, _ = env.reset(seed=seed)
    policy = policies.make(word) if isinstance(word, str) else word
    policy.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
    for _ in range(steps):
        before = env.trace.slot(env._episode.t + 1)
        observation, _, _, _, info = env.step(policy.act(observation))
    return env, before, info


def test_conditions_are_those_of_the_round():
    env = gym.make(ID, scenario="small").unwrapped
    observation, _ = env.reset(seed=1)
    given, slot = conditions(observation), env.trace.slot(1)
    for field in ("data_points", "drift_per_s", *RATES):
        np.testing.assert_allclose(given[field], slot[field], rtol=2e-6)


def test_uniform():
    env, slot, info = played("uniform")
    d, p, net = env.decision, env.system.params, env.system.network
    np.testing.assert_allclose(d["offload_share"], 0.25, rtol=1e-12)
    np.testing.assert_allclose(d["forward_share"], 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(d["clock_hz"] ** 2, 0.2e9 * net.max_clock_hz, rtol=1e-12)
    np.testing.assert_allclose(d["points_per_s"] / net.federated.machine_points_per_s, (2 / 3) ** 0.5, rtol=1e-12)
    assert (d["ue_iterations"] == 2).all() and (d["dc_iterations"] == 2).all() and d["aggregator"] == 0
    np.testing.assert_allclose(d["ue_minibatch"], p.min_minibatch**0.5, rtol=1e-12)
    np.testing.assert_array_equal(d["ue_to_bs"], slot["uplink_bps"].argmax(axis=1))
    np.testing.assert_array_equal(d["bs_to_ue"], slot["downlink_bps"].argmax(axis=0))
    assert info["metrics"]["projected"] == 0


def test_a_constant_is_its_compact_action():
    action = tuple(np.random.default_rng(0).uniform(-1, 1, 45).astype(np.float32).tolist())
    env, _, info = played(policies.make("tuned_constant", constant=action))
    twin = gym.make(ID, scenario="small", action="compact").unwrapped
    twin.reset(seed=3)
    *_, other = twin.step(np.array(action, np.float32))
    assert info["metrics"]["J"] == pytest.approx(other["metrics"]["J"], rel=1e-5)
    _, _, zero = played("tuned_constant")
    twin.reset(seed=3)
    *_, other = twin.step(np.zeros(45, np.float32))
    assert zero["metrics"]["J"] == pytest.approx(other["metrics"]["J"], rel=1e-5)


@pytest.mark.parametrize("scenario", ["small", "small_gap"])
def test_the_look_up_takes_the_best_aggregator_of_the_round(scenario):
    for seed in range(4):
        fixed = [played(f"fixed_aggregator:dc={s}", seed, scenario)[2]["metrics"]["J"] for s in range(3)]
        env, _, info = played("tuned_constant:aggregator=lookup", seed, scenario)
        assert info["metrics"]["J"] == pytest.approx(min(fixed), rel=1e-9)
        assert env.decision["aggregator"] == np.argmin(fixed)


def test_greedy_rules():
    data, rate = [], []
    for seed in range(8):
        env, slot, _ = played("data_greedy", seed)
        points = slot["data_points"]
        data.append(int(env.decision["aggregator"]))
        assert data[-1] == np.argmax([points[:2].sum(), points[2:4].sum(), points[4:].sum()])
        env, slot, _ = played("rate_greedy", seed)
        mean = [
            np.mean(
                [max(1 / (1 / up[b] + 1 / slot["backhaul_bps"][b, s]) for b in range(3)) for up in slot["uplink_bps"]]
            )
            for s in range(3)
        ]
        rate.append(int(env.decision["aggregator"]))
        assert rate[-1] == np.argmax(mean)
        path = 1 / slot["uplink_bps"] + 1 / slot["backhaul_bps"][:, rate[-1]]
        np.testing.assert_array_equal(env.decision["ue_to_bs"], path.argmin(axis=1))
    assert len(set(data)) > 1 and len(set(rate)) > 1


def test_no_offloading():
    env, slot, info = played("no_offloading")
    assert (env.decision["offload_share"] == 0).all() and info["metrics"]["offloaded_share"] == 0
    assert info["metrics"]["energy_ue_data_j"] == info["metrics"]["energy_dc_compute_j"] == 0


@pytest.mark.parametrize("name, share", [("fednova_ue", 0.0), ("fednova_dpu", 0.5)])
def test_fednova(name, share):
    env, slot, info = played(f"{name}:aggregator=2", scenario="paper", steps=3)
    d, net = env.decision, env.system.network
    assert info["metrics"]["offloaded_share"] == pytest.approx(share, abs=1e-12)
    for n in range(20):
        own = [2 * (n // 4), 2 * (n // 4) + 1]
        np.testing.assert_allclose(d["offload_share"][n, own], share / 2)
        assert d["offload_share"][n].sum() == pytest.approx(share)
    for b in range(10):
        assert d["forward_share"][b, b // 2] == 1
    np.testing.assert_allclose(d["clock_hz"], (0.2e9 + net.max_clock_hz) / 2, rtol=1e-12)
    np.testing.assert_allclose(d["points_per_s"], net.federated.machine_points_per_s / 2, rtol=1e-12)
    np.testing.assert_allclose(d["ue_minibatch"], 0.2, rtol=1e-12)
    counts = np.concatenate([d["ue_iterations"], d["dc_iterations"]])
    assert set(counts) == {1, 2, 3} and d["aggregator"] == 2


@pytest.mark.parametrize("mean", [1.17, 1.5, 2.0, 2.64, 3.5, 4.4, 5.9])
def test_counts_are_whole_differ_and_keep_their_mean(mean):
    """Against numbers drawn and rounded one by one."""
    rng, most, number = np.random.default_rng(0), 6, 400_000
    counts = counts_around(mean, most, rng.random(number))
    assert set(counts) <= set(range(1, most + 1)) and len(set(counts)) > 1
    assert counts.mean() == pytest.approx(mean, abs=4 * counts.std() / number**0.5)
    width = min(mean - 1, most - mean)
    rounded = np.floor(rng.uniform(mean - width, mean + width, number) + rng.random(number))
    shares = [[(drawn == k).mean() for k in range(1, most + 1)] for drawn in (counts, rounded)]
    np.testing.assert_allclose(*shares, atol=6 * (0.25 / number) ** 0.5)


def test_counts_at_the_ends_and_of_the_default_mean():
    drawn = np.random.default_rng(1).random(1000)
    assert (counts_around(1.0, 6, drawn) == 1).all() and (counts_around(6.0, 6, drawn) == 6).all()
    assert (counts_around(2.0, 1, drawn) == 1).all()
    np.testing.assert_array_equal(counts_around(2.0, 6, drawn), np.round(1 + 2 * drawn))  # quarter, half, quarter


@pytest.mark.parametrize("scenario", ["tiny", "small_fixed"])
def test_fednova_is_tuned_to_the_mean_work_of_the_convex_reference(scenario):
    """The stored options are the means of its evaluation on the tuning seeds, and the benchmark runs them."""
    seeds = range(10_000, 10_006)
    found = evaluate(["convex_reference"], Benchmark(ID, scenario, seeds, any_seed=True), bounds=False).comparison()
    rows = found.rows["convex_reference"].values()
    means = {name: np.mean([row["metrics"][name] for row in rows]) for name in ("iterations", "minibatch_share")}
    for name in ("fednova_ue", "fednova_dpu"):
        tuned = policies.make(f"{name}:tuned", scenario=scenario)
        assert tuned.mean_iterations == pytest.approx(means["iterations"], rel=5e-3)
        assert tuned.mean_minibatch == pytest.approx(means["minibatch_share"], rel=5e-3)
        assert tuned.aggregator == 0
        assert f"{name}:tuned" in Benchmark(ID, scenario, [0]).chosen()


def test_the_command_of_the_tuned_options_adds_them_to_a_file(tmp_path, capsys):
    file = tmp_path / "tuned.json"
    file.write_text('{"fednova_dpu": {"small": {}}, "fednova_ue": "fednova_dpu"}')
    mean_work.main(["--scenarios", "tiny", "--episodes", "2", "--rounds", "1", "--save", str(file)])
    kept = json.loads(file.read_text())
    assert kept["fednova_dpu"].keys() == {"small", "tiny"} and kept["fednova_ue"] == "fednova_dpu"
    entry, first = kept["fednova_dpu"]["tiny"], []
    for seed in (10_000, 10_001):
        first.append(played("convex_reference", seed, "tiny")[2]["metrics"])
    assert entry["options"]["mean_iterations"] == pytest.approx(np.mean([m["iterations"] for m in first]), rel=5e-3)
    assert entry["options"]["mean_minibatch"] == pytest.approx(np.mean([m["minibatch_share"] for m in first]), rel=5e-3)
    assert entry["seeds"] == "10000:10002" and entry["command"].endswith(f"--rounds 1 --save {file}")
    assert str(entry["options"]) in capsys.readouterr().out


def test_every_scenario_has_a_tuned_fednova():
    assert registry.tuned("fednova_dpu").keys() == CeflOrchestration.scenarios.keys()


def test_fednova_with_one_iteration_draws_no_other():
    env, _, _ = played("fednova_dpu:mean_iterations=1", scenario="paper")
    assert (env.decision["ue_iterations"] == 1).all()
    env, _, _ = played("fednova_dpu:mean_iterations=50", scenario="paper")
    assert env.decision["ue_iterations"].max() == 6


@pytest.mark.parametrize("size", [(7, 4, 3), (1, 1, 1), (3, 1, 4), (2, 5, 3), (6, 2, 3)])
def test_every_rule_at_any_size(size):
    overrides = dict(zip(("num_ues", "num_bss", "num_dcs"), size, strict=True))
    for name in sorted(set(policies.names(ID)) - set(AGENTS)):  # agents are trained for one size
        env = gym.make(ID, scenario="tiny", **overrides, **policies.entry(name).overrides).unwrapped
        observation, _ = env.reset(seed=0)
        policy = policies.make(name, **({"steps": 5} if name.startswith("primal_dual") else {}))
        policy.reset(Task.of(env, Knowledge.MODEL), np.random.default_rng(0))
        for _ in range(2):
            action = policy.act(observation)
            assert env.action_space.contains(action)
            observation, _, _, _, info = env.step(action)
            assert info["metrics"]["projected"] == 0 or name == "random"


def mean_j(word, scenario="small", **overrides):
    """Mean J over the first rounds of an episode."""
    benchmark = Benchmark(ID, scenario, [0], {"horizon": 3, **overrides})
    found = evaluate([word], benchmark, bounds=False).comparison()
    return -100.0 * float(found.rewards(next(iter(found.rows))).mean())


def test_local_search_starts_from_the_look_up_and_goes_down():
    look_up = mean_j("tuned_constant:constant=small,aggregator=lookup")
    few, many = (mean_j(f"local_search:constant=small,evaluations={n}") for n in (300, 3000))
    assert mean_j("convex_reference") < many < few <= look_up * (1 + 1e-9)


def test_local_search_reports_its_evaluations():
    found = evaluate(["local_search:evaluations=200"], Benchmark(ID, "tiny", [0]), bounds=False).comparison()
    (row,) = found.rows["local_search:evaluations=200"].values()
    assert 2 <= row["metrics"]["evaluations"] <= 200


def test_a_rule_with_the_rest_optimised_is_between_its_constant_and_the_free_reference():
    least = mean_j("convex_reference", "small_fixed")
    for rule in ("data_greedy", "rate_greedy", "fixed_aggregator"):
        constant, convex = (mean_j(f"{rule}:{rest}", "small_fixed") for rest in ("constant=small_fixed", "rest=convex"))
        assert least * (1 - 1e-6) <= convex < constant


def test_a_price_on_the_gap_pays_where_the_gap_moves_and_is_ignored_elsewhere():
    moving = {"reward": "gap", "initial_gap": 3.0, "horizon": 6}
    myopic = mean_j("convex_reference", "tiny", **moving)
    assert mean_j("priced:price=3", "tiny", **moving) < myopic
    assert mean_j("priced:price=0", "tiny", **moving) == pytest.approx(myopic, rel=1e-12)
    assert mean_j("priced:price=3", "tiny") == mean_j("convex_reference", "tiny")


def test_the_distributed_solver_in_both_forms():
    least, polished = mean_j("convex_reference", "tiny"), mean_j("primal_dual:steps=60,polish=True", "tiny")
    central, decentral = mean_j("primal_dual:steps=60", "tiny"), mean_j("primal_dual_consensus:steps=60", "tiny")
    assert least <= polished * (1 + 1e-6) and polished <= central < mean_j("uniform", "tiny")
    assert decentral < mean_j("uniform", "tiny")
    assert mean_j("primal_dual_consensus:steps=60,rounds=1", "tiny") != decentral


REFUSED = {
    "unknown constant": ({"constant": "smal"}, "tuned_constant", "constant: one of .* did you mean 'small'"),
    "constant of another scenario": ({"constant": "paper"}, "data_greedy", "constant: 45 numbers wanted, got 150"),
    "search without a budget": ({"evaluations": 2}, "local_search", "evaluations: at least one for each of 3 DCs"),
    "negative price": ({"price": -0.5}, "priced", "price: a number of at least 0 wanted"),
    "more iterations than allowed": ({"count": 7}, "primal_dual", "count: at most max_iterations = 6 wanted"),
    "no rounds": ({"rounds": 0}, "primal_dual_consensus", "rounds: an integer of at least 1"),
    "unknown rest": ({"rest": "konvex"}, "data_greedy", "rest: one of .* did you mean 'convex'"),
    "constant of another size": ({"constant": (0.0,) * 44}, "tuned_constant", "constant: 45 numbers wanted, got 44"),
    "no such constant": ({"constant": "smal"}, "tuned_constant", "constant: .* got 'smal'; did you mean 'small'"),
    "constant outside": ({"constant": (2.0,)}, "tuned_constant", "constant: .* of at most 1 wanted"),
    "unknown aggregator": ({"aggregator": "look"}, "tuned_constant", "aggregator: one of .* did you mean 'lookup'"),
    "no such DC": ({"dc": 3}, "fixed_aggregator", r"dc: one of 0..2 wanted, got 3"),
    "no such aggregator": ({"aggregator": 3}, "fednova_ue", r"aggregator: one of 0..2 wanted, got 3"),
    "empty mini-batch": ({"mean_minibatch": 0.0}, "fednova_dpu", "mean_minibatch: a number above 0"),
    "half an iteration": ({"mean_iterations": 0.5}, "fednova_dpu", "mean_iterations: a number of at least 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_options(name):
    options, policy, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        played(policies.make(policy, **options))
