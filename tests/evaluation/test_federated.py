"""Federated studies: who takes part, who is averaged, how rates are chosen, resumption and the command."""

import inspect
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rangym.cli import main
from rangym.envs.errors import WrongValue
from rangym.evaluation.columns import aligned
from rangym.evaluation.grid import read
from rangym.evaluation.problems.noma_allocation import federated_report
from rangym.evaluation.problems.noma_allocation import federated_training as fl
from rangym.evaluation.problems.noma_allocation.federated import best_rates, federated
from rangym.evaluation.problems.noma_allocation.federated_report import stored_report, table, text_report
from rangym.evaluation.problems.noma_allocation.federated_training import (
    ALL_SERVED,
    METHODS,
    Allocation,
    FederatedStudy,
    allocations,
    draw_participants,
    shared_clusters,
    uploads,
)

PUBLISHED = Path(__file__).parents[2] / "evaluation" / "published" / "federated_digits.jsonl"
SMALL = FederatedStudy(num_ues=12, participants=6, rounds=12, hidden=(8,), num_clusters=3)
FAST = [
    "--users",
    "12",
    "--participants",
    "6",
    "--rounds",
    "10",
    "--clusters",
    "3",
    "--alpha",
    "0.05",
    "--seeds",
    "0:2",
]


@pytest.fixture(scope="module")
def results():
    return federated(
        SMALL,
        concentrations=[0.05],
        allocations=allocations([ALL_SERVED, "random_fixed"], ["noma", "oma_opt"]),
        learning_rates=[0.1, 0.3],
        seeds=range(2),
        tuning_seeds=[10_000, 10_001],
    )


def test_participants_follow_cluster_sizes():
    clusters = np.repeat([0, 1, 2, 3], [50, 30, 19, 1])
    chosen = draw_participants(clusters, 20, 400, np.random.default_rng(0))
    taken = np.stack([chosen[:, clusters == z].sum(axis=1) for z in range(4)])
    assert (taken.T == [10, 6, 3, 1]).all()  # 10, 6, 3.8, .2, and at least one of each
    share = chosen[:, :50].mean(axis=0)
    assert share.min() > 0.1 and share.max() < 0.3  # 10 of 50, each as likely


def test_participants_never_exceed_a_cluster():
    chosen = draw_participants(np.array([0, 0, 1, 2]), 4, 3, np.random.default_rng(0))
    assert chosen.all()


def test_random_clusters_have_the_same_sizes():
    by_counts = np.repeat([0, 1, 2], [8, 3, 1])
    shuffled = shared_clusters("random_clusters", by_counts, np.random.default_rng(0))
    assert np.bincount(shuffled).tolist() == [8, 3, 1] and (shuffled != by_counts).any()
    assert not shared_clusters("fedavg", by_counts, np.random.default_rng(0)).any()
    assert shared_clusters("cfl", by_counts, np.random.default_rng(0)) is by_counts


def test_only_participants_are_served_and_the_environment_says_who():
    env = SMALL.env()
    env.reset(seed=3)
    chosen = draw_participants(np.zeros(12, dtype=int), 6, 14, np.random.default_rng(0))
    trace = type(env.trace)(env.trace.constants, {**env.trace.slots, "scheduled": chosen})
    everybody, energy = uploads(SMALL, Allocation(), trace, 3)
    np.testing.assert_array_equal(everybody, chosen[1:-1])
    assert energy == 0.0
    counts = {}
    for name in ("random_fixed", "mba_kkt"):
        served, energy = uploads(SMALL, Allocation(name), trace, 3)
        assert not (served & ~chosen[1:-1]).any()
        assert energy > 0
        counts[name] = served.sum()
    # Places for all six: matching and power control serve most of them, random pairs at full power about half.
    assert counts["random_fixed"] < counts["mba_kkt"] <= chosen[1:-1].sum()


def test_users_that_are_not_served_are_not_averaged(monkeypatch):
    seen = []
    monkeypatch.setattr(fl, "uploads", lambda study, *_: (np.eye(study.rounds, 12, dtype=bool), 0.5))
    train = fl.FederatedTraining.round
    monkeypatch.setattr(
        fl.FederatedTraining, "round", lambda self, clients: (seen.append(list(clients)), train(self, clients))
    )
    found = federated(SMALL, methods=["cfl"], concentrations=[0.5], learning_rates=[0.1], seeds=[0])
    assert not found.problems
    assert seen == [[i] for i in range(12)]
    assert found.rows[0]["served"] == 1.0 and found.rows[0]["energy_tx_j"] == 0.5


def test_without_any_upload_nothing_is_learned(monkeypatch):
    monkeypatch.setattr(fl, "uploads", lambda study, *_: (np.zeros((study.rounds, 12), dtype=bool), 0.0))
    found = federated(SMALL, concentrations=[0.5], learning_rates=[0.1], seeds=[0])
    curves = {row["method"]: row["overall_curve"] for row in found.rows}
    assert all(curve == curves["fedavg"] for curve in curves.values())  # all still share the initial model


def test_rows(results):
    assert not results.problems and not results.torn
    assert len(results.rows) == 2 * 3 * 3  # seeds, methods, allocations: everybody needs no access
    assert len(results.tuning_rows) == 2 * 3 * 2 and results.computed == 18 + 12
    for row in results.rows:
        assert row["num_clusters"] == (1 if row["method"] == "fedavg" else 3)
        assert row["learning_rate"] == results.learning_rates[row["method"], 0.05]
        assert 0 <= row["personal"] <= 1 and 0 <= row["overall"] <= 1
        everybody = row["allocation"]["policy"] == ALL_SERVED
        assert row["served"] == 6 if everybody else 0 < row["served"] < 6
        assert (row["energy_tx_j"] == 0) == everybody
    served = {
        access: np.mean([r["served"] for r in results.rows if r["allocation"]["access"] == access])
        for access in ("noma", "oma_opt")
    }
    assert served["noma"] > served["oma_opt"]


def test_rates_are_those_with_the_best_mean(results):
    for method in METHODS:
        means = {
            rate: np.mean(
                [r["personal"] for r in results.tuning_rows if (r["method"], r["learning_rate"]) == (method, rate)]
            )
            for rate in (0.1, 0.3)
        }
        assert results.learning_rates[method, 0.05] == max(means, key=means.get)
    assert len(results.at_edge) == 3  # of two rates each is at the edge


def test_a_rate_at_which_a_seed_failed_is_no_candidate():
    def row(rate, seed, personal):
        return {"method": "cfl", "concentration": 1.0, "learning_rate": rate, "seed": seed, "personal": personal}

    rows = [row(0.1, 0, 0.5), row(0.1, 1, 0.6), row(1.0, 0, 0.9)]
    assert best_rates(rows) == {("cfl", 1.0): 0.1}


def test_results_do_not_depend_on_what_else_runs(results):
    alone = federated(SMALL, methods=["cfl"], concentrations=[0.05], learning_rates=[0.3], seeds=[1])
    tuned = federated(SMALL, concentrations=[0.05, 0.5], learning_rates=[0.3], seeds=[0, 1])
    same = [r for r in tuned.rows if (r["method"], r["seed"], r["concentration"]) == ("cfl", 1, 0.05)]
    assert alone.rows[0]["personal"] == same[0]["personal"] and alone.rows[0]["key"] == same[0]["key"]


def test_table(results):
    text = text_report(results.rows, results.tuning_rows)
    heading = "digits, 12 users, 6 in each of 12 rounds, scenario tight, clusters: 3, 2 seeds (0..1)"
    assert heading in " ".join(text.split())
    chosen = {(*pair, rate) for pair, rate in results.learning_rates.items()}
    cells = table(list(results.rows), chosen)
    assert len(cells) == 9
    assert [cell[1] for cell in cells[::3]] == ["all_served", "random_fixed, noma", "random_fixed, oma_opt"]
    for cell in cells:
        own = [
            r
            for r in results.rows
            if r["method"] == cell[2]
            and cell[1].startswith(r["allocation"]["policy"])
            and (cell[1] == ALL_SERVED or cell[1].endswith(r["allocation"]["access"]))
        ]
        assert cell[3].endswith("*")
        assert float(cell[7].split()[0]) == pytest.approx(np.mean([r["personal"] for r in own]), abs=6e-4)
        base = [
            r["personal"] for r in results.rows if r["method"] == "fedavg" and r["allocation"] == own[0]["allocation"]
        ]
        if cell[2] == "fedavg":
            assert cell[9] == ""
        else:
            gap = np.mean([r["personal"] for r in own]) - np.mean(base)
            assert float(cell[9].split()[0]) == pytest.approx(gap, abs=6e-4)


def test_command_without_options_asks_for_the_functions_defaults(monkeypatch):
    asked = {}

    def recorded(study, **options):
        asked.update(options, study=study)
        raise WrongValue("enough")

    recorded.__signature__ = inspect.signature(federated)
    monkeypatch.setattr("rangym.evaluation.problems.noma_allocation.federated.federated", recorded)
    assert main(["federated"]) == 2
    assert asked.pop("study") == FederatedStudy()
    for name, value in asked.items():
        default = recorded.__signature__.parameters[name].default
        assert value == default if default is None or isinstance(default, int) else list(value) == list(default), name
    assert len(asked) == len(recorded.__signature__.parameters) - 1


def test_command_resumes_and_shows(tmp_path, capsys):
    out = tmp_path / "rows.jsonl"
    call = ["federated", *FAST, "--rates", "0.1", "--out", str(out)]
    assert main(call) == 0
    first = capsys.readouterr().out
    assert "6 runs done" in first and "random_clusters" in first
    lines = out.read_text().splitlines()
    out.write_text("\n".join(lines[:4]) + "\n" + lines[4][:30])  # killed while it wrote the fifth row
    assert main(call) == 0
    again = capsys.readouterr()
    assert "2 runs done" in again.out and "are no rows of this command" in again.err
    assert again.out.split("\n\n")[1] == first.split("\n\n")[1]
    assert main(["federated", "--show", str(out)]) == 0
    assert capsys.readouterr().out.split("\n\n")[1] == first.split("\n\n")[1]
    assert len(read(out).rows) == 6


def test_published_rows_are_complete(monkeypatch):
    monkeypatch.setattr(federated_report, "aligned", partial(aligned, width=200))  # pages are wider than terminals
    stored = read(PUBLISHED)
    assert not stored.torn and not stored.errors
    assert {row["method"] for row in stored.rows.values()} == set(METHODS)
    groups = {}
    for row in stored.rows.values():
        if row["seed_range"] == "evaluation":
            key = {name: row[name] for name in ("study", "method", "concentration", "allocation", "learning_rate")}
            groups.setdefault(json.dumps(key, sort_keys=True), set()).add(row["seed"])
    assert min(map(len, groups.values())) >= 5
    # Every table of the page beside the rows is what the rows say.
    page = PUBLISHED.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    lines = {line.strip() for line in page if line.startswith("    0")}
    assert len(lines) > 80
    printed = {" ".join(line.split()) for line in stored_report(stored).splitlines()}
    assert {" ".join(line.split()) for line in lines} <= printed
    # So is every number of three digits, and every share, in the sentences around them.
    sentences = " ".join(line for line in page if not line.startswith("    "))
    quoted = set(re.findall(r"[ (](\.\d{3})\b", sentences)) - {".001"}
    shares = {f"{share}%" for share in re.findall(r"\b(\d\d)(?: %| to)", sentences)} - {"50%"}
    tables = " ".join(lines)
    assert len(quoted) >= 4 and len(shares) >= 6
    assert all(f" 0{number}" in tables for number in quoted) and all(share in tables for share in shares)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--methods", "fedprox"], "method: one of"),
        (["--methods", ","], "methods: at least one"),
        (["--uploads", "mba_ktk"], "did you mean 'mba_kkt'"),
        (["--uploads", "max_sinr"], "policy: one of"),
        (["--uploads", "mba_kkt", "--access", "tdma"], "access: one of"),
        (["--alpha", "0"], "concentrations: positive numbers"),
        (["--alpha", "low"], "--alpha: numbers"),
        (["--rates", "-1"], "learning_rates: positive numbers"),
        (["--seeds", "10000"], "seeds: evaluation seeds"),
        (["--rates", "0.1,0.2", "--tuning-seeds", "0:2"], "tuning_seeds: 10000"),
        (["--participants", "101"], "participants: at most num_ues = 100"),
        (["--participants", "4", "--clusters", "5"], "num_clusters: 1..4"),
        (["--rounds", "0"], "rounds: an integer of at least 1"),
        (["--set", "num_ues=5"], "'num_ues' follows from the study"),
        (["--set", "access=fdma"], "'access' follows from the study"),
        (["--set", "num_subchannel=5"], "did you mean 'num_subchannels'"),
        (["--scenario", "tigth"], "did you mean 'tight'"),
        (["--data", "mnist"], "path: the folder with train-images-idx3-ubyte"),
        (["--data", "mnist", "--data-path", "no/such"], "no/such: mnist needs train-images-idx3-ubyte"),
        (["--show", "no/such.jsonl"], "--show: no/such.jsonl"),
    ],
)
def test_wrong_calls_give_one_line_and_exit_2(argv, says, capsys):
    assert main(["federated", *argv]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and "Traceback" not in error
