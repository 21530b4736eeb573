"""Tuning: on tuning seeds only, the best of the grid, kept where evaluate finds it."""

import pytest

from rangym.evaluation import Protocol, evaluate, runner
from rangym.evaluation.protocol import TUNING_SEEDS, parse_seeds
from rangym.evaluation.tune import save, tune
from rangym.policies import registry
from rangym.policies.registry import CELL

GRID = {"offset_db": [0, 3, 40]}  # 40 dB: never hand over


def search(**more):
    return tune("a3", CELL, "tiny", GRID, seeds=range(10_000, 10_006), overrides={"handover_weight": 200.0}, **more)


def test_the_best_options_are_those_of_the_best_mean():
    tuning = search()
    rewards = {}
    for offset in GRID["offset_db"]:
        protocol = Protocol(CELL, "tiny", range(10_000, 10_006), {"handover_weight": 200.0}, allow_any_seed=True)
        results = evaluate([f"a3:offset_db={offset}"], protocol, bounds=False)
        rewards[offset] = results.rewards(f"a3:offset_db={offset}").mean()
    best = max(rewards, key=rewards.get)
    assert tuning.options == {"offset_db": best}
    assert tuning.score == pytest.approx(rewards[best], rel=1e-12)
    assert len({round(r, 9) for r in rewards.values()}) == 3  # the grid does tell them apart
    assert (tuning.at_edge == ["offset_db"]) == (best in (0, 40))
    assert {row["seed_range"] for row in tuning.results.episodes} == {"tuning"}


def test_saved_options_are_used_by_evaluate(tmp_path, monkeypatch):
    file = tmp_path / "tuned.json"
    tuning = search()
    save(tuning, "rangym tune a3 ...", file)
    monkeypatch.setattr(runner, "TUNED", file)
    assert runner.resolve("a3", CELL, "tiny") == ("a3", dict(tuning.options))
    assert runner.resolve("a3:default", CELL, "tiny") == ("a3", {})
    kept = runner.tuned(file)["a3"][CELL]["tiny"]
    assert kept["seeds"] == "10000:10006" and kept["grid"] == GRID and kept["command"] == "rangym tune a3 ..."


def test_shipped_options_are_what_they_say():
    """Every entry of tuned.json names a policy, a scenario and options that exist, tuned on tuning seeds by a grid
    that holds them; and the file alone changes what evaluate does."""
    kept = runner.tuned()
    assert kept
    for policy, by_env in kept.items():
        for env_id, by_scenario in by_env.items():
            for scenario, entry in by_scenario.items():
                assert scenario in runner.make_env(env_id, "tiny", {}).system.scenarios
                registry.make(policy, **entry["options"])
                assert runner.resolve(policy, env_id, scenario) == (policy, entry["options"])
                assert all(entry["options"][key] in values for key, values in entry["grid"].items())
                assert set(parse_seeds(entry["seeds"])) <= set(TUNING_SEEDS)
                assert entry["command"].startswith(f"rangym tune {policy}")


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
