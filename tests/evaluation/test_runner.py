"""evaluate(): pairing, independence, resumption, refusals."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from rangym.envs.core import Trace
from rangym.envs.errors import WrongValue
from rangym.evaluation import Benchmark, Results, cards, evaluate, identity
from rangym.evaluation.bounds import Bound
from rangym.evaluation.episode import make_env
from rangym.evaluation.protocol import parse_seeds, plain_values, seed_range, training_seeds
from rangym.policies import registry
from rangym.policies.base import Knowledge, Policy, Random
from rangym.policies.registry import Entry

CELL = "rangym/CellAssociation-v0"

SEEN: list[tuple[str, Trace]] = []


@dataclass(eq=False)
class Spy(Policy):
    """Keeps the trace that it is granted."""

    knowledge = Knowledge.ORACLE
    who: str = "spy"
    fail_on: float = -1.0

    def reset(self, task, rng):
        SEEN.append((self.who, task.trace))
        self._random = Random()
        self._random.reset(task, rng)

    def act(self, observation):
        if self.fail_on == 0:
            raise RuntimeError("planted")
        return self._random.act(observation)


class Wary(Policy):
    """Checks what an observation policy is told."""

    def reset(self, task, rng):
        if task.trace is not None or task.system is not None:
            raise RuntimeError("told too much")
        self._space = task.action_space

    def act(self, observation):
        return np.zeros(self._space.shape, dtype=np.int64)


class Half(Policy):
    """Forgets to act."""

    def reset(self, task, rng):
        pass


def test_a_file_that_is_not_ours_is_not_written_to(tmp_path):
    file = tmp_path / "script.py"
    file.write_text("print('mine')\n")
    with pytest.raises(ValueError, match="out: a file of results, or a new one, wanted, got .*script.py"):
        evaluate(["random"], benchmark(), out=file)
    assert file.read_text() == "print('mine')\n"
    file.write_bytes(b'{"key": "torn by a ki')  # but a first row that was torn is ours
    assert evaluate(["random"], benchmark([0]), out=file, bounds=False).computed == 1


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setitem(registry._NAMED, "spy", (CELL, Entry(f"{__name__}:Spy", "oracle")))
    monkeypatch.setitem(registry._NAMED, "wary", (CELL, Entry(f"{__name__}:Wary", "heuristic")))
    SEEN.clear()


def benchmark(seeds=range(3), **overrides):
    return Benchmark(CELL, "tiny", seeds, overrides)


def test_all_policies_see_the_trace_of_the_seed(planted):
    evaluate(["spy:who=a", "spy:who=b"], benchmark(), bounds=False)
    traces = {name: [trace for who, trace in SEEN if who == name] for name in "ab"}
    fresh = make_env(CELL, "tiny", {})
    for seed, (a, b) in enumerate(zip(traces["a"], traces["b"], strict=True)):
        fresh.reset(seed=seed)
        for field, values in fresh.trace.slots.items():
            np.testing.assert_array_equal(values, a.slots[field])
            np.testing.assert_array_equal(values, b.slots[field])
    assert not np.array_equal(traces["a"][0].slots["sinr_db"], traces["a"][1].slots["sinr_db"])


def test_rows_do_not_depend_on_the_other_policies_nor_on_workers():
    alone = evaluate(["random"], benchmark(), bounds=False).rewards("random")
    among = evaluate(["max_sinr", "random"], benchmark(range(3)[::-1]), bounds=False, workers=2).rewards("random")
    np.testing.assert_array_equal(alone, among)


def test_row_agrees_with_an_episode_walked_by_hand():
    results = evaluate(["max_sinr"], benchmark([5]), bounds=False)
    env = make_env(CELL, "tiny", {})
    observation, _ = env.reset(seed=5)
    rewards, handovers, ping_pongs, ended = [], 0, 0, False
    while not ended:
        observation, reward, terminated, truncated, info = env.step(observation["sinr_db"].argmax(axis=1))
        rewards.append(reward)
        handovers += info["metrics"]["handovers"]
        ping_pongs += info["metrics"]["ping_pongs"]
        ended = terminated or truncated
    (row,) = results.episodes
    assert row["horizon"] == len(rewards) == 20
    assert row["reward"] == pytest.approx(np.mean(rewards), rel=1e-12)
    assert sum(row["terms"].values()) == pytest.approx(row["reward"], rel=1e-12)
    assert row["metrics"]["handovers"] == pytest.approx(handovers / 20)
    assert row["metrics"]["ping_pong"] == pytest.approx(ping_pongs / handovers)
    assert (row["seed_range"], row["knowledge"], row["role"]) == ("evaluation", "observation", "heuristic")


def test_observation_policies_are_told_the_spaces_only(planted):
    assert evaluate(["wary"], benchmark(), bounds=False).problems == ()


def test_a_second_call_adds_no_row_and_changed_arguments_do(tmp_path):
    out = tmp_path / "x.jsonl"
    first = evaluate(["max_sinr", "random"], benchmark(), bounds=False, out=out)
    written = out.read_bytes()
    again = evaluate(["random", "max_sinr"], benchmark(), bounds=False, out=out)
    assert (first.computed, again.computed) == (6, 0)
    assert out.read_bytes() == written
    np.testing.assert_array_equal(first.rewards("random"), again.rewards("random"))
    assert evaluate(["random"], benchmark(range(4)), bounds=False, out=out).computed == 1
    assert evaluate(["random"], benchmark(handover_weight=2.0), bounds=False, out=out).computed == 3
    assert len(Results.load(out).comparisons) == 2


def test_changed_code_is_run_again(tmp_path, monkeypatch):
    out = tmp_path / "x.jsonl"
    evaluate(["random"], benchmark(), bounds=False, out=out)
    monkeypatch.setattr(identity, "code_of", lambda *parts: "edited")
    assert evaluate(["random"], benchmark(), bounds=False, out=out).computed == 3
    assert Results.load(out).comparison().seeds == (0, 1, 2)


def test_a_failing_job_is_reported_and_loses_no_other(planted, tmp_path):
    out = tmp_path / "x.jsonl"
    results = evaluate(["spy:fail_on=0", "random"], benchmark(), bounds=False, out=out)
    assert len(results.rewards("random")) == 3
    (problem,) = results.problems
    assert "spy:fail_on=0, tiny, seed 0, 1, 2" in problem and "RuntimeError: planted" in problem
    assert evaluate(["spy:fail_on=0", "random"], benchmark(), bounds=False, out=out).computed == 3  # errors again


def test_tuned_options_are_asked_for_and_shown(planted, monkeypatch):
    monkeypatch.setattr(registry, "tuned", lambda name: {"tiny": {"who": "tuned"}} if name == "spy" else {})
    results = evaluate(["spy", "spy:tuned", "spy:who=own"], benchmark([0]), bounds=False)
    assert list(results.comparison().rows) == ["spy", "spy:who=tuned", "spy:who=own"]
    assert [name for name, _ in SEEN] == ["spy", "tuned", "own"]
    with pytest.raises(ValueError, match=r"a scenario with stored options \(tiny\) wanted, got 'small'"):
        evaluate(["spy:tuned"], Benchmark(CELL, "small"))


def test_a_policy_above_a_certified_bound_is_an_error(monkeypatch):
    reached = evaluate(["max_sinr"], benchmark([0]), bounds=False).rewards("max_sinr")[0]

    def problems(value, kind):
        monkeypatch.setattr(cards, "bound", lambda system, trace: Bound(value, kind, "planted"))
        return evaluate(["max_sinr"], benchmark([0])).problems

    (message,) = problems(reached - 1e-8 * abs(reached), "certified")
    assert "max_sinr" in message and "certified" in message
    assert problems(reached - 1e-10 * abs(reached), "certified") == ()
    assert problems(reached - 1.0, "best known") == ()


@pytest.mark.parametrize(
    ("seed", "name"),
    [(0, "evaluation"), (9_999, "evaluation"), (10_000, "tuning"), (19_999, "tuning"), (20_000, "training of agent 0")]
    + [(20_999, "training of agent 0"), (21_000, "training of agent 1")],
)
def test_seed_ranges(seed, name):
    assert seed_range(seed) == name


def test_training_ranges_are_disjoint_from_each_other_and_the_rest():
    ranges = [range(0, 10_000), range(10_000, 20_000), *(training_seeds(k) for k in range(4))]
    assert len(set().union(*ranges)) == sum(map(len, ranges))


def test_seeds_in_words():
    assert parse_seeds("0:3,7") == (0, 1, 2, 7)


@pytest.mark.parametrize(
    ("word", "name", "scenario", "says"),
    [
        ("fixed_aggregator:dc=3", "CeflOrchestration", "tiny", "dc: one of 0..1 wanted, got 3"),
        ("tuned_constant:constant=paper", "CeflOrchestration", "tiny", "constant: .* numbers wanted"),
        ("local_online", "QosClustering", "small", "local_online: heads that adapt"),
        ("ppo_cells", "QosClustering", "tiny", "ppo_cells: trained on 'small' for"),
    ],
)
def test_what_the_scenario_does_not_allow_is_refused_before_any_trace(word, name, scenario, says, monkeypatch):
    monkeypatch.setattr("rangym.evaluation.runner.run_grid", lambda *_, **__: pytest.fail("jobs were started"))
    with pytest.raises(ValueError, match=says):
        evaluate(["random", word], Benchmark(f"rangym/{name}-v0", scenario, [0]))


def test_a_table_of_all_policies_shows_what_one_of_them_refuses():
    results = evaluate(None, Benchmark("rangym/QosClustering-v0", "tiny", [0]))
    assert results.episodes and any("trained on 'small'" in problem for problem in results.problems)


def test_rows_and_overrides_are_jsons_own_types():
    given = {"a": np.float64(2), "b": (np.arange(2), True), "c": {"d": None, "e": np.bool_(False)}}
    assert plain_values(given, "row") == {"a": 2.0, "b": [[0, 1], True], "c": {"d": None, "e": False}}
    for bad in (math.nan, np.array([1.0, -np.inf])):
        with pytest.raises(WrongValue, match="row: c: d: plain values .* wanted, got"):
            plain_values({"c": {"d": bad}}, "row")
    gaps = plain_values({"c": {"d": math.nan}, "e": np.array([1.0, -np.inf])}, "row", gaps=True)
    assert gaps == {"c": {"d": None}, "e": [1.0, None]}
    with pytest.raises(WrongValue, match="row: f"):  # no gap: it is no number at all
        plain_values({"f": object()}, "row", gaps=True)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: benchmark([10_000]), "kept for tuning"),
        (lambda: benchmark([20_500]), "training of agent 0"),
        (lambda: benchmark([-1]), "at least 0"),
        (lambda: benchmark([1.5]), "integers"),
        (lambda: benchmark([3, 3]), "once"),
        (lambda: benchmark([]), "at least one seed"),
        (lambda: evaluate(["random"], Benchmark("rangym/CellAssociation", "tiny")), "did you mean"),
        (lambda: Benchmark(CELL, "tiny", overrides={"map": object()}), "plain values"),
        (lambda: evaluate([], benchmark()), "at least one policy"),
        (lambda: evaluate(["random"], "tiny"), "benchmark: a Benchmark wanted, got str"),
        (lambda: benchmark(3), "seeds: a range or list of integers wanted, got 3"),
        (lambda: Benchmark(CELL, "tiny", overrides=["x"]), "overrides: a dictionary wanted, got .'x'"),
        (lambda: evaluate(["random"], benchmark(), workers=1.5), "workers"),
        (lambda: evaluate(["nomodule:Mine"], benchmark()), "there is no module 'nomodule'"),
        (lambda: evaluate([Wary], benchmark()), r"got Wary; Wary\(\) is one"),
        (lambda: evaluate([f"{__name__}:Half"], benchmark()), "Half does not define act"),
        (lambda: evaluate(["maxsinr"], benchmark()), "did you mean 'max_sinr'"),
        (lambda: evaluate(["max_sinr:offset=3"], benchmark()), "unknown option 'offset'"),
        (lambda: evaluate(["max_sinr:"], benchmark()), "NAME:tuned"),
        (lambda: evaluate(["max_sinr"], Benchmark(CELL, "smal")), "did you mean 'small'"),
        (lambda: evaluate(["max_sinr"], benchmark(num_user=3)), "did you mean 'num_ues'"),
        (lambda: evaluate(["max_sinr"], benchmark(num_ues=0)), "num_ues"),
        (lambda: evaluate(["max_sinr"], benchmark(), workers=0), "workers"),
        (lambda: Results.load("no/such/file.jsonl"), "no such results file"),
        (lambda: parse_seeds("a:b"), "FIRST:END"),
        (lambda: parse_seeds("5:5"), "at least one"),
        (lambda: training_seeds(-1), "training seed"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()
