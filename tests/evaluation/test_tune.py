"""Tuning: on tuning seeds only, the best of the grid, kept where evaluate finds it."""

import dataclasses
import json
import math

import gymnasium as gym
import pytest

from rangym import policies
from rangym.envs.params import ranges
from rangym.envs.registration import OURS
from rangym.evaluation import Benchmark, cards, evaluate
from rangym.evaluation.episode import make_env
from rangym.evaluation.protocol import TUNING_SEEDS, parse_seeds
from rangym.evaluation.tune import BUDGET, SEEDS, at_edge, save, tune
from rangym.policies import registry, words

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
    assert (tuning.at_edge == ["offset_db"]) == (best == 0)  # nothing lies beyond 15 dB
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


@pytest.mark.parametrize(
    ("grid", "best", "found"),
    [
        ({"offset_db": [0, 3, 6]}, {"offset_db": 3}, []),
        ({"offset_db": [0, 3, 6]}, {"offset_db": 0}, ["offset_db"]),
        ({"offset_db": [0, 3, 15]}, {"offset_db": 15}, []),  # the standard's own end
        ({"offset_db": [3], "time_to_trigger": [1, 2]}, {"offset_db": 3, "time_to_trigger": 1}, []),
        ({"time_to_trigger": [1, 2]}, {"time_to_trigger": 2}, ["time_to_trigger"]),
    ],
)
def test_an_edge_is_the_end_of_a_grid_but_not_of_the_range(grid, best, found):
    assert at_edge("a3", grid, best) == found


def test_an_edge_is_looked_for_among_numbers():
    grid = {"meta_step": ["theory", 0.1, 1, 3], "form": ["corrected", "gamma"]}
    assert at_edge("lda", grid, {"meta_step": 3, "form": "gamma"}) == ["meta_step"]
    assert at_edge("lda", grid, {"meta_step": "theory", "form": "gamma"}) == []


EFFORT = {"count", "evaluations", "every", "kicks", "nodes", "rounds", "sites_per_axis", "steps", "sweeps"}
"""Options that buy computing time."""
SAME = {"hysteresis_db"}
"""Adds to A3's ``offset_db`` and does nothing else."""
UNUSED = {"mpc_oracle": {"alpha"}}
"""The oracle sees the way ahead and estimates no velocities."""
OWN_BUDGET = {"tuned_constant", "fednova_dpu"}
"""4,000 evaluations on 20 tuning seeds: `best_constants`; and means of the reference's own decisions: `mean_work`."""

RUNS_AWAY = {("wkhm", "small"): ["p", "q"]}
"""WKHM gains for ever as p falls and q grows, the less of the harmonic mean is left of it: .02 from q = 256 to 4096."""


def tunable(policy):
    """The options that the budget is for: numbers that change what is decided, not what it costs."""
    made = registry.make(policy)
    return {
        name
        for name, allowed in ranges(made).items()
        if allowed.kind in (int, float)
        and allowed.is_used(made)
        and name not in EFFORT | SAME | UNUSED.get(policy, set())
    }


def test_published_tables_share_one_budget():
    """In what README shows every policy with options has been tuned on the same seeds, within the budget, and no
    optimum stands on an edge of its grid."""
    wanting, tuned = [], 0
    for table in cards.benchmarks("published"):
        stored = registry._stored(f"rangym.policies.{OURS[table.env_id][0]}")
        for word in table.chosen():
            policy, options = words.parse(word).name, words.parse(word).options
            if options or registry.entry(policy).role == "agent" or policy in OWN_BUDGET:
                continue
            where = f"{policy} on {table.scenario} of {table.env_id}"
            if table.scenario not in registry.tuned(policy):
                wanting += [where] if tunable(policy) else []
                continue
            if isinstance(stored[policy], str):  # it shares the options of one that has a budget of its own
                assert stored[policy] in OWN_BUDGET
                continue
            tuned += 1
            entry = stored[policy][table.scenario]
            grid = entry["grid"]
            assert tunable(policy) <= grid.keys(), where
            assert math.prod(len(values) for values in grid.values()) <= BUDGET, where
            assert parse_seeds(entry["seeds"]) == tuple(SEEDS), where
            assert at_edge(policy, grid, entry["options"]) == RUNS_AWAY.get((policy, table.scenario), []), where
    assert wanting == [] and tuned >= 15


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
