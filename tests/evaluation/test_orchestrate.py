"""Orchestrated trainings: what reaching a target means, savings by hand, chosen rates, resumption and the command."""

import inspect
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rangym.cli import arguments, main
from rangym.envs.cefl_orchestration.training import TrainedRounds
from rangym.envs.errors import WrongValue
from rangym.evaluation.columns import aligned
from rangym.evaluation.episode import Episode, episode_rng
from rangym.evaluation.grid import read
from rangym.evaluation.problems.cefl_orchestration import orchestrate_report, training_study
from rangym.evaluation.problems.cefl_orchestration.orchestrate import best_rates, orchestrate
from rangym.evaluation.problems.cefl_orchestration.orchestrate_report import saving, stored_report, table, text_report
from rangym.evaluation.problems.cefl_orchestration.training_study import Curves, OrchestratedStudy, Reached, train
from rangym.evaluation.statistics import mean_interval
from rangym.policies import make

PUBLISHED = Path(__file__).parents[2] / "evaluation" / "published" / "orchestrated_digits.jsonl"
STUDY = OrchestratedStudy(scenario="small", rounds=12, training={"concentration": 1.0})
FAST = ["--scenario", "small", "--rounds", "8", "--policies", "fednova_dpu,uniform", "--seeds", "0:2"]


@pytest.fixture(scope="module")
def results():
    return orchestrate(
        STUDY,
        policies=["fednova_dpu", "uniform"],
        learning_rates=[0.1, 0.5],
        seeds=range(3),
        tuning_seeds=[10_000, 10_001],
    )


def curves(accuracy, delay=None, energy=None):
    zeros = (0.0,) * len(accuracy)
    return Curves(tuple(accuracy), zeros, zeros, tuple(delay or zeros), tuple(energy or zeros))


def test_a_target_is_reached_where_it_is_kept():
    found = curves([0.1, 0.7, 0.4, 0.6, 0.65, 0.3], delay=[1, 2, 3, 4, 5, 6], energy=[10, 10, 10, 10, 10, 10])
    assert found.to_target(0.6) == Reached(4, 10, 40)
    assert found.to_target(0.6, stay=1) == Reached(2, 3, 20)
    assert found.to_target(0.65) is None and found.to_target(0.65, stay=1) == Reached(2, 3, 20)
    assert curves([0.1, 0.2, 0.9]).to_target(0.9) is None  # nobody knows whether it stays


def test_savings_by_hand():
    """Seeds 0 and 1 in both: 1 - 2/4 = .5 and 1 - 3/2 = -.5; the others do not count."""
    own = {0: Reached(1, 2.0, 10.0), 1: Reached(1, 3.0, 10.0), 2: Reached(1, 1.0, 1.0)}
    other = {0: Reached(1, 4.0, 20.0), 1: Reached(1, 2.0, 40.0), 3: Reached(1, 1.0, 1.0)}
    found = saving(own, other, "delay_s")
    assert found.value == pytest.approx(0.0)
    assert found.half_width == pytest.approx(12.706 * math.sqrt(0.5) / math.sqrt(2), rel=1e-4)  # t of one degree
    assert saving(own, other, "energy_j").value == pytest.approx((0.5 + 0.75) / 2)
    assert saving(own, {7: Reached(1, 1.0, 1.0)}, "delay_s") is None


def test_a_training_is_the_wrapped_environments_own_episode():
    """Played again with the policy inside the loop, and not from stored actions."""
    policy = make("fednova_dpu")
    env = TrainedRounds(STUDY.env(**policy.overrides), concentration=1.0, aggregation="fedavg", learning_rate=0.3)
    steps = [step.metrics for step in Episode(env, policy, episode_rng(policy, 5), seed=5)]
    found = train(STUDY, "fednova_dpu", "fedavg", 0.3, 5)
    for name, metric in (("accuracy", "accuracy"), ("loss", "loss"), ("delay_s", "delay"), ("energy_j", "energy")):
        np.testing.assert_allclose(getattr(found, name), [float(m[metric]) for m in steps], rtol=1e-5)


def test_a_policy_plays_an_episode_once(monkeypatch):
    training_study._played.cache_clear()
    played = []
    monkeypatch.setattr(training_study, "Episode", lambda *a, **k: played.append(a) or Episode(*a, **k))
    for aggregation in ("normalised", "fedavg"):
        for rate in (0.1, 0.2):
            train(STUDY, "uniform", aggregation, rate, 1)
    assert len(played) == 1
    train(STUDY, "uniform", "fedavg", 0.1, 2)
    assert len(played) == 2


def test_policies_of_other_codings_are_trained():
    assert len(train(OrchestratedStudy(scenario="tiny", rounds=2), "random", "normalised", 0.5, 0).accuracy) == 2


def test_rows(results):
    assert not results.problems and not results.torn
    assert len(results.rows) == 3 * 4 and len(results.tuning_rows) == 2 * 4 * 2 and results.computed == 12 + 16
    for row in results.rows:
        assert row["learning_rate"] == results.learning_rates[row["policy"], row["aggregation"]]
        found = Curves.of(row)
        assert len(found.accuracy) == 12 and 0 <= min(found.accuracy) <= max(found.accuracy) <= 1
        assert min(found.delay_s) > 0 and min(found.energy_j) > 0
    # Only the average differs: same traces, same decisions, same delays.
    for policy in ("fednova_dpu", "uniform"):
        by_aggregation = {
            row["aggregation"]: row for row in results.rows if row["seed"] == 1 and row["policy"] == policy
        }
        assert by_aggregation["normalised"]["delay_s"] == by_aggregation["fedavg"]["delay_s"]
        losses = [by_aggregation[name]["loss"] for name in ("normalised", "fedavg")]
        if policy == "uniform":  # equal counts: one average
            np.testing.assert_allclose(*losses, rtol=1e-4)
        else:
            assert np.abs(np.subtract(*losses)).max() > 1e-3


def test_rates_are_those_with_the_best_mean(results):
    assert len(results.learning_rates) == 4
    for (policy, aggregation), rate in results.learning_rates.items():
        means = {
            tried: np.mean(
                [
                    row["accuracy"]
                    for row in results.tuning_rows
                    if (row["policy"], row["aggregation"], row["learning_rate"]) == (policy, aggregation, tried)
                ]
            )
            for tried in (0.1, 0.5)
        }
        assert rate == max(means, key=means.get)
    assert len(results.at_edge) == 4  # of two rates each is at the edge


def test_a_rate_at_which_a_seed_failed_is_no_candidate():
    def row(rate, seed, accuracy):
        given = {"policy": "p", "aggregation": "fedavg", "learning_rate": rate, "seed": seed}
        return {**given, "accuracy": accuracy}

    rows = [row(0.1, 0, [0.5, 0.6]), row(0.1, 1, [0.6]), row(1.0, 0, [0.9, 0.9])]
    assert best_rates(rows) == {("p", "fedavg"): 0.1}


def test_results_do_not_depend_on_what_else_runs(results):
    rate = results.learning_rates["uniform", "fedavg"]
    alone = orchestrate(STUDY, policies=["uniform"], aggregations=["fedavg"], learning_rates=[rate], seeds=[2])
    same = [r for r in results.rows if (r["policy"], r["aggregation"], r["seed"]) == ("uniform", "fedavg", 2)]
    assert [r["key"] for r in alone.rows] == [r["key"] for r in same] and alone.rows[0] == same[0]


def test_fednova_takes_the_mean_work_of_another_policy():
    found = orchestrate(
        STUDY,
        policies=["fednova_dpu", "fednova_ue:mean_iterations=3", "uniform"],
        aggregations=["fedavg"],
        learning_rates=[0.5],
        seeds=[0],
        tuning_seeds=[10_000],
        match="uniform",
    )
    share = round(float(np.sqrt(0.05)), 3)
    words = [policy for policy, _ in found.learning_rates]
    assert words == [
        f"fednova_dpu:mean_iterations=2.0,mean_minibatch={share}",
        f"fednova_ue:mean_iterations=3,mean_minibatch={share}",
        "uniform",
    ]
    assert not found.problems and found.computed == 1 + 3


def test_a_policy_to_match_that_fails_says_so(monkeypatch):
    def broken(**job):
        raise RuntimeError("no solution")

    monkeypatch.setattr("rangym.evaluation.problems.cefl_orchestration.orchestrate.work_row", broken)
    with pytest.raises(WrongValue, match="match: a policy that plays wanted, got uniform, seed 10000: .*no solution"):
        orchestrate(STUDY, policies=["uniform"], learning_rates=[0.5], seeds=[0], match="uniform")


def test_table(results):
    text = text_report(results.rows, results.tuning_rows, [0.3, 0.99], list(results.learning_rates))
    assert "scenario small, 12 rounds, concentration=1.0, 3 seeds (0..2)" in text
    runs = {}
    for row in results.rows:
        runs.setdefault((row["policy"], row["aggregation"], row["learning_rate"]), {})[row["seed"]] = Curves.of(row)
    cells = table(runs, dict(results.learning_rates), [0.3, 0.99])
    assert [cell[0] for cell in cells] == ["30%"] * 4 + ["99%"] * 4
    assert cells[0][-2:] == ["", ""] and all(cell[-1] for cell in cells[1:4])
    first = {seed: found.to_target(0.3) for seed, found in next(iter(runs.values())).items()}
    for cell, own in zip(cells[:4], runs.values(), strict=True):
        reached = {seed: found.to_target(0.3) for seed, found in own.items()}
        got = [r.delay_s for r in reached.values() if r]
        assert cell[4] == f"{len(got)}/3" and cell[3].endswith("*")
        assert float(cell[6].split()[0]) == pytest.approx(np.mean(got), abs=0.06)
        both = [s for s in reached if reached[s] and first[s]]
        if cell[-1]:
            ratio = [1 - first[s].energy_j / reached[s].energy_j for s in both]
            assert float(cell[-1].split()[0]) == pytest.approx(100 * np.mean(ratio), abs=0.06)
            half = 100 * mean_interval(ratio).half_width
            assert float(cell[-1].split()[1].removeprefix("+-")) == pytest.approx(half, abs=0.06)
    assert [cell[4:8] for cell in cells[4:]] == [["0/3", "-", "-", "-"]] * 4
    assert [cell[-1] for cell in cells[5:]] == ["-"] * 3


def test_command_without_options_asks_for_the_functions_defaults(monkeypatch):
    asked = {}

    def recorded(study, **options):
        asked.update(options, study=study)
        raise WrongValue("enough")

    recorded.__signature__ = inspect.signature(orchestrate)
    monkeypatch.setattr("rangym.evaluation.problems.cefl_orchestration.orchestrate.orchestrate", recorded)
    assert main(["orchestrate"]) == 2
    assert asked.pop("study") == OrchestratedStudy()
    for name, value in asked.items():
        default = recorded.__signature__.parameters[name].default
        assert value == default if default is None or isinstance(default, int) else list(value) == list(default), name
    assert len(asked) == len(recorded.__signature__.parameters) - 1


def test_command_resumes_and_shows(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    call = ["orchestrate", *FAST, "--rates", "0.5", "--match", "uniform", "--target", "0.2,0.3", "--out", str(out)]
    assert main(call) == 0
    first = capsys.readouterr().out
    assert (
        "11 runs done" in first and "fednova_dpu:mean_iterations=2.0" in first
    )  # three of them say how `uniform` works
    lines = out.read_text().splitlines()
    out.write_text("\n".join(lines[:7]) + "\n" + lines[7][:30])  # killed while it wrote the eighth row
    assert main(call) == 0
    again = capsys.readouterr()
    assert "4 runs done" in again.out and "are no rows of this command" in again.err
    assert again.out.split("\n\n")[1:3] == first.split("\n\n")[1:3]
    assert main(["orchestrate", "--show", str(out), "--target", "0.2,0.3"]) == 0
    assert capsys.readouterr().out.split("\n\n")[1:3] == first.split("\n\n")[1:3]
    assert len(read(out).rows) == 11


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["orchestrate", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("\\\n", "").split())
    assert "--policies convex_reference,fednova_dpu --aggregation normalised,fedavg" in shown


def test_words_of_policies_keep_their_options():
    assert arguments.policy_words("a:x=1,y=(2, 3),b , my.module:Mine:z=4,w='5,6'") == [
        "a:x=1,y=(2, 3)",
        "b",
        "my.module:Mine:z=4,w='5,6'",
    ]


def test_published_tables_are_what_the_rows_say(monkeypatch):
    monkeypatch.setattr(orchestrate_report, "aligned", partial(aligned, width=200))  # pages are wider than terminals
    stored = read(PUBLISHED)
    assert not stored.torn and not stored.errors
    groups = {}
    for row in stored.rows.values():
        if row["seed_range"] == "evaluation":
            key = {name: row[name] for name in ("study", "policy", "aggregation", "learning_rate")}
            groups.setdefault(json.dumps(key, sort_keys=True), set()).add(row["seed"])
    assert groups and min(map(len, groups.values())) >= 10
    page = PUBLISHED.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    lines = {" ".join(line.split()) for line in page if line.startswith("    ") and "%" in line}
    assert len(lines) >= 24
    assert lines <= {" ".join(line.split()) for line in stored_report(stored).splitlines()}


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--policies", "convex_referenc"], "did you mean 'convex_reference'"),
        (["--policies", "max_sinr"], "'max_sinr' is for rangym/CellAssociation-v0"),
        (["--policies", "fednova_ue,fednova_ue"], "policies: each once"),
        (["--policies", "fednova_ue:mean_iteration=2"], "did you mean 'mean_iterations'"),
        (["--policies", ","], "policies: at least one"),
        (["--aggregation", "fedavgg"], "aggregation: one of ['normalised', 'fedavg'] wanted, got 'fedavgg'; did you"),
        (["--target", "70"], "targets: accuracies above 0 and of at most 1 wanted, got 70.0"),
        (["--target", "high"], "--target: numbers"),
        (["--rates", "0"], "learning_rate: a number above 0"),
        (["--rates", "0.5,0.5"], "learning_rates: each once"),
        (["--seeds", "10000"], "seeds: 10000 is kept for tuning"),
        (["--tuning-seeds", "0:2"], "tuning_seeds: 10000"),
        (["--rounds", "1"], "rounds: an integer of at least 2"),
        (["--scenario", "papr"], "did you mean 'paper'"),
        (["--set", "horizon=5"], "overrides: 'horizon' follows from the study"),
        (["--set", "num_ue=5"], "did you mean 'num_ues'"),
        (["--training", "learning_rate=1"], "training: 'learning_rate' is what the trainings of a study differ in"),
        (["--training", "concentratio=1"], "did you mean 'concentration'"),
        (["--data", "cifar"], "did you mean 'cifar10'"),
        (["--data", "cifar10"], "path: the folder with data_batch_1.bin"),
        (["--data", "cifar10", "--data-path", "no/such"], "no/such: cifar10 needs data_batch_1.bin"),
        (["--match", "lda"], "'lda' is for rangym/CellAssociation-v0"),
        (["--show", "no/such.jsonl"], "--show: no/such.jsonl"),
    ],
)
def test_wrong_calls_give_one_line_and_exit_2(argv, says, capsys):
    assert main(["orchestrate", *argv]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and "Traceback" not in error
