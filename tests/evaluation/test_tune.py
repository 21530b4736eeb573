"""Tuning: on tuning seeds only, the best of the grid, kept where evaluate finds it."""

import dataclasses
import json
import math

import gymnasium as gym
import pytest

from rangym import policies
from rangym.envs.registration import OURS
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.cards import benchmarks
from rangym.evaluation.episode import make_env
from rangym.evaluation.protocol import TUNING_SEEDS, parse_seeds
from rangym.evaluation.tune import BUDGET, edges, save, tune
from rangym.policies import registry

CELL = "rangym/CellAssociation-v0"

GRID = {"offset_db": [0, 3, 15]}


def search(**more):
    return tune("a3", CELL, "tiny", GRID, seeds=range(10_000, 10_006), overrides={"handover_weight": 200.0}, **more)


def test_the_best_options_are_those_of_the_best_mean():
    tuning = search()
    rewards = {}
    for offset in GRID["offset_db"]:
        benchmark = Benchmark(CELL, "tiny", range(10_000, 10_006), {"handover_weight": 200.0}, any_seed=True)
        results = evaluate([f"a3:offset_db={offset}"], benchmark, bounds=False)
        rewards[offset] = results.rewards("a3").mean()
    best = max(rewards, key=rewards.get)
    assert tuning.options == {"offset_db": best}
    assert tuning.score == pytest.approx(rewards[best], rel=1e-12)
    assert len({round(r, 9) for r in rewards.values()}) == 3  # the grid does tell them apart
    assert (tuning.at_edge == ["offset_db"]) == (best in (0, 15))
    assert {row["seed_range"] for row in tuning.results.episodes} == {"tuning"}


def test_saved_options_keep_how_they_were_found(tmp_path):
    file = tmp_path / "tuned.json"
    tuning = search()
    save(tuning, "rangym tune a3 ...", file)
    kept = json.loads(file.read_text())["a3"]["tiny"]
    assert kept["options"] == tuning.options
    assert kept["seeds"] == "10000:10006" and kept["grid"] == GRID and kept["command"] == "rangym tune a3 ..."
    save(dataclasses.replace(tuning, scenario="small"), "again", file)
    assert json.loads(file.read_text())["a3"].keys() == {"tiny", "small"}


def test_a_bare_name_means_the_constructors_defaults_everywhere():
    assert policies.make("a3").offset_db == 3.0
    stored = registry.tuned("a3")["small"]
    assert {key: getattr(policies.make("a3:tuned", scenario="small"), key) for key in stored} == stored
    env = gym.make(CELL, scenario="small")
    assert policies.bind("a3", env).offset_db == 3.0
    assert policies.bind("a3:tuned", env).offset_db == stored["offset_db"]
    assert list(evaluate(["a3"], Benchmark(CELL, "small", [0]), bounds=False).comparison().rows) == ["a3"]


def test_shipped_options_are_what_they_say():
    """Every entry of a tuned.json names a policy, a scenario and options that exist, tuned on tuning seeds by a grid
    that holds them."""
    found = 0
    for env_id in OURS:
        scenarios = make_env(env_id, "tiny").system.scenarios
        for policy, by_scenario in registry._stored(f"rangym.policies.{OURS[env_id][0]}").items():
            assert policy in registry.names(env_id)
            if isinstance(by_scenario, str):  # the name of a policy whose options it shares
                assert registry.tuned(policy) == registry.tuned(by_scenario) != {}
                continue
            for scenario, entry in by_scenario.items():
                assert scenario in scenarios
                tuned = registry.make(f"{policy}:tuned", scenario=scenario)
                assert all(getattr(tuned, key) == value for key, value in entry["options"].items())
                assert all(entry["options"][key] in values for key, values in entry.get("grid", {}).items())
                assert set(parse_seeds(entry["seeds"])) <= set(TUNING_SEEDS)
                searched = "grid" not in entry
                assert entry["command"].startswith("python -m rangym." if searched else f"rangym tune {policy}")
                found += 1
    assert found >= 17


ENDS = {("a3", "time_to_trigger"): 1}
"""Best values that are the end of what the option allows."""
RUNS_AWAY = {("wkhm", "small"): ["p", "q"]}
"""WKHM is the better the less of the harmonic mean is left of it: smaller p and larger q gain for ever."""


def test_published_options_were_found_within_the_budget_and_inside_their_grids():
    tables = [(t.env_id, t.scenario) for t in benchmarks("published")]
    grids = 0
    for env_id, scenario in tables:
        for policy, by_scenario in registry._stored(f"rangym.policies.{OURS[env_id][0]}").items():
            entry = {} if isinstance(by_scenario, str) else by_scenario.get(scenario, {})
            if "grid" not in entry:  # shared with another policy, or searched by a command of its own
                continue
            assert math.prod(map(len, entry["grid"].values())) <= BUDGET
            assert len(parse_seeds(entry["seeds"])) == 16, (policy, scenario)
            at_edge = edges(entry["grid"], entry["options"])
            at_edge = [key for key in at_edge if ENDS.get((policy, key)) != entry["options"][key]]
            assert at_edge == RUNS_AWAY.get((policy, scenario), []), (policy, scenario)
            grids += 1
    assert grids >= 17


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: tune("a3", CELL, "tiny", GRID, seeds=range(3)), "tuning seeds"),
        (lambda: tune("a3", CELL, "tiny", {}), "at least one value"),
        (lambda: tune("a3:offset_db=3", CELL, "tiny", GRID), "fixes it"),
        (lambda: tune("a4", CELL, "tiny", GRID), "a3"),
        (lambda: tune("a3", CELL, "tiny", {"offset": [1]}), "did you mean 'offset_db'"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()
