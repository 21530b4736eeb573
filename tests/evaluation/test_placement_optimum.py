"""Bounds of NodePlacement: no placement exceeds them, and tiny instances are solved."""

import itertools
import json

import numpy as np
import pytest

from rangym.evaluation.bounds import bound
from rangym.evaluation.problems.node_placement import optimum as placement_optimum
from rangym.evaluation.problems.node_placement.optimum import BEST_KNOWN, certify
from rangym.evaluation.runner import make_env

ID = "rangym/NodePlacement-v0"


def drawn(scenario, seed=0, **overrides):
    env = make_env(ID, scenario, overrides)
    env.reset(seed=seed)
    return env.system, env.trace


def tiny(seed, reward):
    system, trace = drawn("static_uniform", seed, num_ues=8, num_nodes=2, reward=reward)
    return system, trace.slots["user_position_m"][1]


@pytest.mark.parametrize("association", ["hard", "soft"])
@pytest.mark.parametrize("cap", [7.4, None])
def test_no_placement_exceeds_the_certified_bound(association, cap):
    rng = np.random.default_rng(0)
    for reward in ("proportional_fair", "mean_rate") if cap else ("proportional_fair",):
        overrides = dict(association=association, max_spectral_efficiency=cap, reward=reward, num_ues=20, num_nodes=4)
        system, trace = drawn("static_grid", **overrides)
        users = trace.slots["user_position_m"][1]
        found = bound(system, trace)
        assert found.kind == "certified"
        random = rng.uniform(0, 100, (2000, 4, 2))
        heads = users[np.array(list(itertools.combinations(range(20), 4))[::10])]
        for nodes in (random, heads):
            assert system.utility(users, nodes).max() <= found.value


def test_the_bound_is_reached_by_equal_loads_at_the_cap():
    """Two far pairs of users under two nodes: every rate is W cap / 2, and the bound says so."""
    system, _ = drawn("static_uniform", num_ues=4, num_nodes=2, side_m=2000.0)
    nodes = np.array([[10.0, 10.0], [1990.0, 1990.0]])
    users = np.repeat(nodes, 2, axis=0)
    assert float(system.utility(users, nodes)) == pytest.approx(np.log(2 * 20 * 7.4 / 4), rel=1e-12)
    _, trace = drawn("static_uniform", num_ues=4, num_nodes=2, side_m=2000.0)
    assert bound(system, trace).value == pytest.approx(np.log(74.0))


def test_lowest_sinr_has_no_bound():
    assert bound(*drawn("small", reward="min_sinr")).kind == "none"


@pytest.mark.parametrize("reward", ["proportional_fair", "min_sinr"])
def test_bound_over_a_box_holds_for_every_placement_in_it(reward):
    rng = np.random.default_rng(1)
    system, users = tiny(0, reward)
    for _ in range(200):
        corner, size = rng.uniform(0, 90, (1, 2, 2)), rng.uniform(0, 1, (1, 2, 2)) * 10 ** rng.uniform(-1, 1.5)
        high = np.minimum(corner + size, 100.0)
        top = placement_optimum._upper(system, users, corner, high)[0]
        inside = corner + (high - corner) * rng.random((100, 2, 2))
        edges = corner + (high - corner) * rng.integers(0, 2, (50, 2, 2))
        assert max(system.utility(users, inside).max(), system.utility(users, edges).max()) <= top + 1e-12


@pytest.mark.parametrize("reward, gap", [("proportional_fair", 0.03), ("min_sinr", 0.3)])
def test_tiny_instances_are_solved_to_the_gap(reward, gap):
    rng = np.random.default_rng(2)
    for seed in range(4):
        system, users = tiny(seed, reward)
        found = certify(system, users, gap)
        assert found.closed and found.upper - found.lower <= gap + 1e-12
        assert float(system.utility(users, found.node_position_m)) == pytest.approx(found.lower)
        assert system.utility(users, rng.uniform(0, 100, (100_000, 2, 2))).max() <= found.upper
        finer = certify(system, users, gap / 3)
        assert found.lower <= finer.upper and finer.lower <= found.upper


def test_an_unfinished_proof_says_so():
    system, users = tiny(0, "proportional_fair")
    found = certify(system, users, 1e-6, max_boxes=20_000)
    assert not found.closed and found.upper > found.lower + 1e-6


def test_search_comes_within_the_gap_of_the_proof():
    system, users = tiny(1, "proportional_fair")
    place = placement_optimum.search(system, users, np.random.default_rng(0), restarts=2, evaluations=1500)
    proof = certify(system, users, 0.01)
    assert proof.lower - 0.02 <= float(system.utility(users, place)) <= proof.upper


def test_wrong_systems_are_refused():
    system, trace = drawn("static_uniform")
    with pytest.raises(ValueError, match="two nodes, hard association .* got 9 nodes"):
        certify(system, trace.slots["user_position_m"][1], 0.1)
    with pytest.raises(ValueError, match="gap: a positive number wanted, got 0"):
        certify(*tiny(0, "min_sinr"), 0)


def test_stored_placements_reach_what_is_stored_and_stay_below_the_bound():
    stored = json.loads(BEST_KNOWN.read_text(encoding="utf-8"))["placements"].values()
    assert len(stored) >= 8
    for entry in stored:
        system, trace = drawn(entry["scenario"], entry["seed"])
        found = bound(system, trace)
        assert found.lower == pytest.approx(entry["utility"], abs=1e-8)
        assert found.lower <= found.value
        assert entry["command"].startswith("python -m rangym.evaluation.problems.node_placement.optimum")


def test_policies_are_compared_with_what_is_stored(capsys):
    placement_optimum.main(["--scenarios", "static_uniform", "--seeds", "0,1", "--compare", "k_means", "random"])
    printed = capsys.readouterr().out
    shares = placement_optimum.share_of_best_known(["k_means", "random"], "static_uniform", [0, 1])
    assert f"k_means                          {100 * shares['k_means']:6.1f}" in printed
    assert 0.3 < shares["random"] < shares["k_means"] <= 1.0 + 1e-9
    assert 0.3 < shares["bound"] <= 1.0
    system, trace = drawn("static_uniform", 0)
    alone = placement_optimum.share_of_best_known(["k_means"], "static_uniform", [0])["bound"]
    found = bound(system, trace)
    assert alone == pytest.approx(np.exp(found.lower - found.value))
    with pytest.raises(ValueError, match="such with a stored placement wanted, got .9999."):
        placement_optimum.share_of_best_known(["k_means"], "static_uniform", [9999])


def test_best_known_is_asked_for_one_slot_scenarios_only():
    assert bound(*drawn("small")).lower is None
    assert bound(*drawn("static_uniform", 9_999)).lower is None
    assert bound(*drawn("static_uniform", 0)).lower is not None
    assert bound(*drawn("static_uniform", 0, movement_weight=0.01)).lower is None


def test_the_command_stores_the_placement_and_keeps_the_better_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(placement_optimum, "BEST_KNOWN", tmp_path / "best.json")
    arguments = ["--scenarios", "static_grid", "--seeds", "3", "--restarts", "1", "--evaluations"]
    placement_optimum.main([*arguments, "300"])
    first = json.loads((tmp_path / "best.json").read_text())["placements"]
    placement_optimum.main([*arguments, "20"])
    second = json.loads((tmp_path / "best.json").read_text())["placements"]
    (before,), (after,) = first.values(), second.values()
    assert after["utility"] >= before["utility"] and after["seed"] == 3
    assert "static_grid seed 3" in capsys.readouterr().out
