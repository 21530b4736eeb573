"""evaluate(): pairing, independence, resumption, refusals."""

import json
from dataclasses import dataclass

import numpy as np
import pytest

from rangym.envs.core import Trace
from rangym.evaluation import Protocol, Results, evaluate, runner
from rangym.evaluation.protocol import parse_seeds, seed_range, training_seeds
from rangym.policies import registry
from rangym.policies.base import Knowledge, Policy, Random
from rangym.policies.registry import CELL, Entry

SEEN: list[tuple[str, Trace]] = []


class Spy(Policy):
    """Keeps the trace that it is granted."""

    knowledge = Knowledge.ORACLE

    def __init__(self, name: str = "spy", fail_on: float = -1.0):
        self.name, self.fail_on = name, fail_on

    def reset(self, task, rng):
        SEEN.append((self.name, task.trace))
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


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setitem(registry.ENTRIES, "spy", Entry(f"{__name__}:Spy", CELL, "oracle", "test"))
    monkeypatch.setitem(registry.ENTRIES, "wary", Entry(f"{__name__}:Wary", CELL, "heuristic", "test"))
    SEEN.clear()


def protocol(seeds=range(3), **overrides):
    return Protocol(CELL, "tiny", seeds, overrides)


def test_all_policies_see_the_trace_of_the_seed(planted):
    evaluate(["spy:name=a", "spy:name=b"], protocol(), bounds=False)
    traces = {name: [trace for who, trace in SEEN if who == name] for name in "ab"}
    fresh = runner.make_env(CELL, "tiny", {})
    for seed, (a, b) in enumerate(zip(traces["a"], traces["b"], strict=True)):
        fresh.reset(seed=seed)
        for field, values in fresh.trace.slots.items():
            np.testing.assert_array_equal(values, a.slots[field])
            np.testing.assert_array_equal(values, b.slots[field])
    assert not np.array_equal(traces["a"][0].slots["sinr_db"], traces["a"][1].slots["sinr_db"])


def test_rows_do_not_depend_on_the_other_policies_nor_on_workers():
    alone = evaluate(["random"], protocol(), bounds=False).rewards("random")
    among = evaluate(["max_sinr", "random"], protocol(range(3)[::-1]), bounds=False, workers=2).rewards("random")
    np.testing.assert_array_equal(alone, among)


def test_row_agrees_with_an_episode_walked_by_hand():
    results = evaluate(["max_sinr"], protocol([5]), bounds=False)
    env = runner.make_env(CELL, "tiny", {})
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
    assert evaluate(["wary"], protocol(), bounds=False).problems == ()


def test_a_second_call_adds_no_row_and_changed_arguments_do(tmp_path):
    out = tmp_path / "x.jsonl"
    first = evaluate(["max_sinr", "random"], protocol(), bounds=False, out=out)
    written = out.read_bytes()
    again = evaluate(["random", "max_sinr"], protocol(), bounds=False, out=out)
    assert (first.computed, again.computed) == (6, 0)
    assert out.read_bytes() == written
    np.testing.assert_array_equal(first.rewards("random"), again.rewards("random"))
    assert evaluate(["random"], protocol(range(4)), bounds=False, out=out).computed == 1
    assert evaluate(["random"], protocol(handover_weight=2.0), bounds=False, out=out).computed == 3
    assert len(Results.load(out).comparisons) == 2


def test_changed_code_is_run_again(tmp_path, monkeypatch):
    out = tmp_path / "x.jsonl"
    evaluate(["random"], protocol(), bounds=False, out=out)
    monkeypatch.setattr(runner, "source_hash", lambda: "edited")
    assert evaluate(["random"], protocol(), bounds=False, out=out).computed == 3
    assert Results.load(out).comparison().seeds == (0, 1, 2)


def test_a_failing_cell_is_reported_and_loses_no_other(planted, tmp_path):
    out = tmp_path / "x.jsonl"
    results = evaluate(["spy:fail_on=0", "random"], protocol(), bounds=False, out=out)
    assert len(results.rewards("random")) == 3
    (problem,) = results.problems
    assert "spy:fail_on=0, tiny, seed 0, 1, 2" in problem and "RuntimeError: planted" in problem
    assert evaluate(["spy:fail_on=0", "random"], protocol(), bounds=False, out=out).computed == 3  # errors again


def test_tuned_options_are_used_shown_and_switched_off(planted, tmp_path, monkeypatch):
    file = tmp_path / "tuned.json"
    file.write_text(json.dumps({"spy": {CELL: {"tiny": {"options": {"name": "tuned"}}}}}))
    monkeypatch.setattr(runner, "TUNED", file)
    results = evaluate(["spy", "spy:default", "spy:name=own"], protocol([0]), bounds=False)
    assert list(results.comparison().rows) == ["spy:name=tuned", "spy", "spy:name=own"]
    assert [name for name, _ in SEEN] == ["tuned", "spy", "own"]
    assert runner.resolve("spy", CELL, "small") == ("spy", {})


@dataclass
class FakeBound:
    value: float
    kind: str
    what: str = "planted"
    lower: float | None = None


def test_a_policy_above_a_certified_bound_is_an_error(monkeypatch):
    import sys
    import types

    reached = evaluate(["max_sinr"], protocol([0]), bounds=False).rewards("max_sinr")[0]
    module = types.ModuleType("rangym.evaluation.bounds")
    monkeypatch.setitem(sys.modules, "rangym.evaluation.bounds", module)

    def problems(value, kind):
        module.bound = lambda system, trace: FakeBound(value, kind)
        return evaluate(["max_sinr"], protocol([0])).problems

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
    ("call", "says"),
    [
        (lambda: protocol([10_000]), "kept for tuning"),
        (lambda: protocol([20_500]), "training of agent 0"),
        (lambda: protocol([-1]), "at least 0"),
        (lambda: protocol([1.5]), "integers"),
        (lambda: protocol([3, 3]), "once"),
        (lambda: protocol([]), "at least one seed"),
        (lambda: Protocol("rangym/CellAssociation", "tiny"), "did you mean"),
        (lambda: Protocol(CELL, "tiny", overrides={"map": object()}), "plain values"),
        (lambda: evaluate([], protocol()), "at least one policy"),
        (lambda: evaluate(["maxsinr"], protocol()), "did you mean 'max_sinr'"),
        (lambda: evaluate(["max_sinr:offset=3"], protocol()), "unknown option 'offset'"),
        (lambda: evaluate(["max_sinr:"], protocol()), "max_sinr:default"),
        (lambda: evaluate(["max_sinr"], Protocol(CELL, "smal")), "did you mean 'small'"),
        (lambda: evaluate(["max_sinr"], protocol(num_user=3)), "did you mean 'num_ues'"),
        (lambda: evaluate(["max_sinr"], protocol(num_ues=0)), "num_ues"),
        (lambda: evaluate(["max_sinr"], protocol(), workers=0), "workers"),
        (lambda: Results.load("no/such/file.jsonl"), "no such results file"),
        (lambda: parse_seeds("a:b"), "FIRST:END"),
        (lambda: parse_seeds("5:5"), "at least one"),
        (lambda: training_seeds(-1), "training seed"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()
