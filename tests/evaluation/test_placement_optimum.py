"""Bounds of NodePlacement: no placement exceeds them, and tiny instances are solved."""

import itertools
import json
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.physics.units import linear_to_db
from rangym.evaluation.cards import bound
from rangym.evaluation.episode import make_env
from rangym.evaluation.problems.node_placement import best_placements
from rangym.evaluation.problems.node_placement.optimum import BEST_KNOWN

ID = "rangym/NodePlacement-v0"


BOXES_AT_ONCE = 4096


@dataclass(frozen=True)
class Certificate:
    """The optimum of one slot lies in [lower, upper].

    ``node_position_m`` (2, 2) reaches ``lower``; ``closed`` if upper - lower came below the gap wanted; ``boxes`` were
    examined. Computed in double precision, without outward rounding.
    """

    lower: float
    upper: float
    closed: bool
    node_position_m: NDArray
    boxes: int


def certify(system: NodePlacement, user_m: NDArray, gap: float, max_boxes: int = 4_000_000) -> Certificate:
    """Branch and bound over the places of two nodes, for rewards ``proportional_fair`` and ``min_sinr``.

    A box of placements is an interval for every node coordinate, so every squared distance lies in an interval too.
    Where a user can be at node l at all (its nearest distance to l is not beyond its farthest to the other), its SINR
    there is at most P(nearest to l) / (1 + P(farthest from the other)). The load term sum_l N_l ln N_l is convex in
    N_1, and N_1 lies between the users who must be at node 1 and those who can.
    """
    p = system.params
    if p.num_nodes != 2 or p.association != "hard" or p.reward not in ("proportional_fair", "min_sinr"):
        raise ValueError(
            "system: two nodes, hard association and reward proportional_fair or min_sinr wanted, got "
            f"{p.num_nodes} nodes, {p.association}, {p.reward}"
        )
    if not gap > 0:
        raise ValueError(f"gap: a positive number wanted, got {gap!r}")
    low, high = np.zeros((1, 2, 2)), np.full((1, 2, 2), p.side_m)
    upper = _upper(system, user_m, low, high)
    best, value, examined = low[0], -np.inf, 1
    while len(upper):
        # The most promising boxes are halved along their longest side.
        first = np.argsort(-upper)[:BOXES_AT_ONCE]
        a, b = low[first].reshape(-1, 4), high[first].reshape(-1, 4)
        axis, row = (b - a).argmax(axis=1), np.arange(len(a))
        middle = (a[row, axis] + b[row, axis]) / 2.0
        left, right = b.copy(), a.copy()
        left[row, axis], right[row, axis] = middle, middle
        new_low = np.concatenate([a, right]).reshape(-1, 2, 2)
        new_high = np.concatenate([left, b]).reshape(-1, 2, 2)
        keep = new_low[:, 0, 0] <= new_high[:, 1, 0]  # the nodes are alike: the first one is not to the right
        new_low, new_high = new_low[keep], new_high[keep]
        centre = (new_low + new_high) / 2.0
        values = system.utility(user_m, centre)
        examined += len(new_low)
        if values.max() > value:
            best, value = centre[values.argmax()], float(values.max())
        low = np.concatenate([np.delete(low, first, axis=0), new_low])
        high = np.concatenate([np.delete(high, first, axis=0), new_high])
        upper = np.concatenate([np.delete(upper, first), _upper(system, user_m, new_low, new_high)])
        open_ = upper > value + gap
        if not open_.any() or examined >= max_boxes:
            break
        low, high, upper = low[open_], high[open_], upper[open_]
    top = max(float(upper.max()), value) if open_.any() else value + gap
    return Certificate(value, top, not open_.any(), best, examined)


def _upper(system: NodePlacement, user_m: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """Upper bound (B,) of the utility over boxes ``low, high`` (B, 2, 2)."""
    p, users = system.params, len(user_m)
    below, above = low[:, :, None] - user_m, user_m - high[:, :, None]  # (B, 2, N, 2)
    near = (np.maximum(np.maximum(below, above), 0.0) ** 2).sum(axis=-1)
    far = (np.maximum(-below, -above) ** 2).sum(axis=-1)
    strongest, weakest = _snr_at(system, near), _snr_at(system, far)
    sinr = strongest / (1.0 + weakest[:, ::-1])
    possible = near <= far[:, ::-1]
    if p.reward == "min_sinr":
        return linear_to_db(np.where(possible, sinr, 0.0).max(axis=1).min(axis=1))
    shannon = np.log2(1.0 + sinr)
    efficiency = shannon if p.max_spectral_efficiency is None else np.minimum(shannon, p.max_spectral_efficiency)
    best = np.where(possible, efficiency, 0.0).max(axis=1)
    certain = ~possible[:, ::-1]
    fewest, most = certain[:, 0].sum(axis=1), users - certain[:, 1].sum(axis=1)
    # Real loads halve the users best; clipping keeps the convex function's minimum over the interval.
    one = np.clip(users / 2.0, fewest, most)
    load = _x_log_x(one) + _x_log_x(users - one)
    return np.log(best).mean(axis=1) + np.log(p.bandwidth_mhz) - load / users


def _snr_at(system: NodePlacement, squared_m2: NDArray) -> NDArray:
    """Linear SNR at squared distances: the radio model, asked along a line."""
    origin, along = np.zeros((1, 2)), np.zeros((squared_m2.size, 2))
    along[:, 0] = np.sqrt(squared_m2).ravel()
    return system.radio.snr(along, origin)[0].reshape(squared_m2.shape)


def _x_log_x(x: NDArray) -> NDArray:
    return x * np.log(np.maximum(x, 1e-300))


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
        top = _upper(system, users, corner, high)[0]
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
    place = best_placements.search(system, users, np.random.default_rng(0), restarts=2, evaluations=1500)
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
        assert entry["command"].startswith("python -m rangym.evaluation.problems.node_placement.best_placements")


def test_policies_are_compared_with_what_is_stored(capsys):
    best_placements.main(["--scenarios", "static_uniform", "--seeds", "0,1", "--compare", "k_means", "random"])
    printed = capsys.readouterr().out
    shares = best_placements.share_of_best_known(["k_means", "random"], "static_uniform", [0, 1])
    assert f"k_means                          {100 * shares['k_means']:6.1f}" in printed
    assert 0.3 < shares["random"] < shares["k_means"] <= 1.0 + 1e-9
    assert 0.3 < shares["bound"] <= 1.0
    system, trace = drawn("static_uniform", 0)
    alone = best_placements.share_of_best_known(["k_means"], "static_uniform", [0])["bound"]
    found = bound(system, trace)
    assert alone == pytest.approx(np.exp(found.lower - found.value))
    with pytest.raises(ValueError, match="such with a stored placement wanted, got .9999."):
        best_placements.share_of_best_known(["k_means"], "static_uniform", [9999])


def test_best_known_is_asked_for_one_slot_scenarios_only():
    assert bound(*drawn("small")).lower is None
    assert bound(*drawn("static_uniform", 9_999)).lower is None
    assert bound(*drawn("static_uniform", 0)).lower is not None
    assert bound(*drawn("static_uniform", 0, movement_weight=0.01)).lower is None


def test_the_command_stores_the_placement_and_keeps_the_better_one(tmp_path, capsys):
    arguments = [
        "--out",
        str(tmp_path / "best.json"),
        "--scenarios",
        "static_grid",
        "--seeds",
        "3",
        "--restarts",
        "1",
        "--evaluations",
    ]
    best_placements.main([*arguments, "300"])
    first = json.loads((tmp_path / "best.json").read_text())["placements"]
    best_placements.main([*arguments, "20"])
    second = json.loads((tmp_path / "best.json").read_text())["placements"]
    (before,), (after,) = first.values(), second.values()
    assert after["utility"] >= before["utility"] and after["seed"] == 3
    assert "static_grid seed 3" in capsys.readouterr().out
