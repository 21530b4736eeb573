"""Matching of users to sub-channels: exact solvers against brute force, heuristics against the exact optimum."""

import dataclasses
import doctest
from itertools import combinations, permutations

import numpy as np
import pytest

from rangym.envs.noma_allocation.params import SCENARIOS
from rangym.envs.noma_allocation.scenario import sample
from rangym.envs.physics.pair_upload import ACCESS, pair_upload
from rangym.policies.algorithms.pairing import exact as matching_exact
from rangym.policies.algorithms.pairing import matching, pair_costs
from rangym.policies.algorithms.pairing.exact import (
    column_generation,
    flat_matching,
    max_gain_matching,
    milp_matching,
    subset_dp,
)
from rangym.policies.algorithms.pairing.matching import (
    RULES,
    alternating_hungarian,
    iterated_local_search,
    matching_of,
    random_places,
    swap_matching,
)
from rangym.policies.algorithms.pairing.pair_costs import matching_cost, pair_energy_table, upload_costs
from rangym.policies.algorithms.pairing.pairing_kernels import pair_cost


def instance(scenario, users, channels, seed, capped=True, offload_s=None, **options):
    """One round's costs, and its generator for what follows."""
    flat = {"fading": options.pop("fading")} if "fading" in options else {}
    p = dataclasses.replace(SCENARIOS[scenario], num_ues=users, num_subchannels=channels, horizon=1, **flat)
    rng = np.random.default_rng(seed)
    slot = sample(p, rng).slot(1)
    training = slot["training_time_s"] if offload_s is None else np.full(users, p.deadline_s - offload_s)
    limits = {"max_power_w": p.max_power_w} if capped else {}
    given = {"bits_per_hz": p.bits_per_hz, "deadline_s": p.deadline_s, **limits, **options}
    return upload_costs(slot["gain"], training, **given), rng


def brute_force(costs):
    """The least cost over all sets of at most two users on each sub-channel, from `pair_upload` and nothing else."""
    users, channels = costs.num_ues, costs.gain.shape[1]
    rho = costs.drop[0]

    def cost(members, k):
        if not members:
            return 0.0
        i, j = members[0], members[-1]
        done = pair_upload(
            costs.gain[[i, j], k],
            costs.window_s[[i, j]],
            [True, len(members) == 2],
            costs.bits_per_hz,
            costs.max_power_w,
            rho,
        )
        return done.energy_j.sum() + rho * (len(members) - done.served.sum())

    table = {(m, k): cost(m, k) for n in range(3) for m in combinations(range(users), n) for k in range(channels)}

    def best(left, k):
        if k == channels:
            return rho * len(left)
        options = [m for n in range(3) for m in combinations(sorted(left), n)]
        return min(table[m, k] + best(left - set(m), k + 1) for m in options)

    return best(frozenset(range(users)), 0)


@pytest.mark.parametrize("module", [pair_costs, matching, matching_exact])
def test_examples_of_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0 and found.failed == 0


@pytest.mark.parametrize("users, channels", [(6, 3), (5, 3), (4, 3), (7, 3), (8, 3), (1, 2), (2, 1)])
def test_exact_solvers_equal_brute_force(users, channels):
    for seed in range(3):
        costs, _ = instance("tight", users, channels, seed)
        want = brute_force(costs)
        for solve in (subset_dp, milp_matching, column_generation):
            found = solve(costs)
            assert found.cost == pytest.approx(want, rel=1e-9), solve.__name__
            assert matching_cost(costs, found.subchannel) == pytest.approx(want, rel=1e-9)
            assert want * (1 - 2e-7) <= found.bound <= want * (1 + 1e-9)


@pytest.mark.parametrize("scenario", ["tight", "urban", "paper"])
def test_exact_solvers_agree_on_ten_users(scenario):
    for seed in range(4):
        costs, _ = instance(scenario, 10, 5, seed)
        want = subset_dp(costs).cost
        assert milp_matching(costs).cost == pytest.approx(want, rel=1e-8)
        assert column_generation(costs, seed).cost == pytest.approx(want, rel=1e-8)


def test_flat_fading_is_a_perfect_matching():
    for seed in range(10):
        costs, _ = instance("paper", 10, 5, seed, fading="flat", drop_cost_j=1e3)
        assert flat_matching(costs).cost == pytest.approx(subset_dp(costs).cost, rel=1e-9)
    with pytest.raises(ValueError, match="gains equal on all sub-channels wanted"):
        flat_matching(instance("paper", 10, 5, 0)[0])


def test_the_bound_holds_wherever_column_generation_stops():
    for seed in range(5):
        costs, _ = instance("tight", 12, 6, seed)
        optimum = subset_dp(costs).cost
        bounds = [column_generation(costs, max_rounds=rounds, prove=False).bound for rounds in (1, 2, 100)]
        assert all(b <= optimum * (1 + 1e-9) for b in bounds)
        assert bounds[-1] > 0.97 * optimum


@pytest.mark.parametrize("scenario", ["tight", "urban", "paper"])
def test_kernel_equals_the_array_formulas(scenario):
    """All pairs of 30 users and dummies, on-the-fly costs against the table made by `pair_upload`."""
    costs, _ = instance(scenario, 30, 16, 5)
    table = pair_costs._table(
        costs.gain, costs.window_s, costs.drop, costs.bits_per_hz, costs.max_power_w, costs.drop[0], "noma", False
    )
    first, second = np.triu_indices(32, 1)
    both = table[first, second] + table[second, first]
    np.testing.assert_allclose(pair_energy_table(costs), both, rtol=1e-11, atol=1e-18)
    for i, j, k in [(0, 1, 2), (5, 31, 7), (31, 5, 7), (30, 31, 0)]:
        np.testing.assert_allclose(pair_cost(costs, i, j, k), (table[i, j, k], table[j, i, k]), rtol=1e-11, atol=1e-18)


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("fixed", [False, True])
def test_no_cost_is_below_the_one_that_refuses_exchanges_unseen(access, fixed):
    costs, _ = instance("tight", 14, 8, 1, access=access, fixed_power=fixed)
    for i in range(16):
        for j in range(16):
            for k in range(8) if i != j else ():
                assert pair_cost(costs, i, j, k)[0] >= costs.least[i, k] * (1 - 1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("users, channels", [(10, 5), (9, 5), (13, 5)])
def test_swap_matching_ends_where_no_exchange_counts(rule, users, channels):
    """Stability, checked from the definition for every pair of users."""
    costs, rng = instance("tight", users, channels, users)
    place = random_places(costs, rng)
    start = matching_of(costs, place).cost
    found = swap_matching(costs, place, rule)
    assert found.cost <= start
    size = len(costs.drop)
    seats = np.concatenate([found.subchannel, np.full(size - users, -1)])
    for k in range(channels):  # dummies fill the free places
        free = np.flatnonzero(seats == -1)
        seats[free[: 2 - (seats == k).sum()]] = k
    seats[seats == -1] = channels

    def each(seats):
        """Cost of every user, and of every sub-channel."""
        own = costs.drop.copy()
        for k in range(channels):
            i, j = np.flatnonzero(seats == k)
            own[i], own[j] = pair_cost(costs, i, j, k)
        return own, np.array([own[seats == k].sum() for k in range(channels + 1)])

    before, totals = each(seats)
    for m, j in combinations(range(size), 2):
        if seats[m] == seats[j]:
            continue
        changed = seats.copy()
        changed[m], changed[j] = seats[j], seats[m]
        after, new_totals = each(changed)
        counts = new_totals.sum() < totals.sum() * (1 - 1e-11)
        if rule in ("2es", "users"):
            counts = counts and after[m] <= before[m] and after[j] <= before[j]
        if rule in ("2es", "subchannels"):
            pair = [seats[m], seats[j]]
            counts = counts and (new_totals[pair] <= totals[pair]).all()
        assert not counts, (m, j)


def test_a_hungarian_step_is_the_best_of_its_neighbourhood():
    """First step: the users of the even places stay, the others are permuted; K! = 120 by enumeration."""
    costs, rng = instance("tight", 10, 5, 3)
    place = random_places(costs, rng)
    one = alternating_hungarian(costs, place, rng, max_steps=1).cost
    pairs = place.reshape(5, 2)
    every = [
        matching_of(costs, np.stack([pairs[:, 0], pairs[list(order), 1]], axis=1).reshape(-1)).cost
        for order in permutations(range(5))
    ]
    assert one == pytest.approx(min(every), rel=1e-12)


def mean_quality(scenario, users, count, **options):
    """Mean over instances of optimum / cost, without caps as in the specification's table."""
    ratio = {name: [] for name in ("2es", "sum", "ils0", "ils10")}
    for seed in range(count):
        costs, rng = instance(scenario, users, users // 2, seed, capped=False, **options)
        place = random_places(costs, rng)
        best = subset_dp(costs).cost
        found = {"2es": swap_matching(costs, place, "2es"), "sum": swap_matching(costs, place)}
        found |= {f"ils{n}": iterated_local_search(costs, place, rng, n) for n in (0, 10)}
        for name, result in found.items():
            ratio[name].append(best / result.cost)
    return {name: (np.mean(r), np.std(r, ddof=1) / len(r) ** 0.5) for name, r in ratio.items()}


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"offload_s": 0.2}, {"2es": 0.42, "sum": 0.970, "ils0": 0.992, "ils10": 1.0}),
        ({}, {"2es": 0.59, "sum": 0.963, "ils0": 0.992, "ils10": 0.9999}),
        ({"fading": "flat"}, {"2es": 0.984, "sum": 0.9999, "ils0": 1.0, "ils10": 1.0}),
        ({"fading": "flat", "offload_s": 0.2}, {"2es": 0.744, "sum": 1.0, "ils0": 1.0, "ils10": 1.0}),
    ],
    ids=["equal times", "heterogeneous", "flat", "flat, equal times"],
)
def test_quality_of_the_heuristics_on_ten_users(options, expected):
    """Specification section 3: within 3 combined standard errors (both tables have 200 instances), or 3 %."""
    for name, (mean, error) in mean_quality("paper", 10, 200, **options).items():
        assert mean == pytest.approx(expected[name], abs=max(3 * 2**0.5 * error, 0.03 * expected[name])), name


def test_local_search_comes_within_half_a_percent_at_twenty_users():
    gaps = []
    for seed in range(8):
        costs, rng = instance("tight", 20, 10, seed)
        found = iterated_local_search(costs, random_places(costs, rng), rng, 20)
        gaps.append(found.cost / column_generation(costs, seed).cost - 1)
    assert np.mean(gaps) < 0.005 and min(gaps) > -1e-8


@pytest.mark.slow
def test_local_search_comes_within_half_a_percent_of_the_bound_at_two_hundred_users():
    gaps = []
    for seed in range(3):
        costs, rng = instance("urban", 200, 100, seed)
        found = iterated_local_search(costs, random_places(costs, rng), rng, 20)
        gaps.append(found.cost / column_generation(costs, prove=False).bound - 1)
    assert np.mean(gaps) < 0.005 and min(gaps) > -1e-9


def test_a_great_drop_cost_serves_as_many_users_as_possible():
    more = 0
    for seed in range(20):
        costs, _ = instance("tight", 8, 4, seed)
        great, _ = instance("tight", 8, 4, seed, drop_cost_j=1e3)
        found = subset_dp(costs)
        own = [pair_cost(costs, *np.flatnonzero(found.subchannel == k), k) for k in range(4)]
        dropped = np.isclose(own, costs.drop[0]).sum()
        assert subset_dp(great).cost // 1e3 <= dropped
        more += subset_dp(great).cost // 1e3 < dropped
    assert more > 0


def test_max_gain_is_the_best_sum_of_decibels():
    rng = np.random.default_rng(0)
    snr_db = rng.normal(10, 8, (4, 2))
    found = max_gain_matching(snr_db, 2)
    every = [p for p in permutations([0, 0, 1, 1])]
    assert snr_db[np.arange(4), found].sum() == pytest.approx(max(snr_db[np.arange(4), list(p)].sum() for p in every))


GAIN, TIMES, GIVEN = np.ones((4, 2)), np.full(4, 0.1), {"bits_per_hz": 1.1, "deadline_s": 0.8, "max_power_w": 1.0}
BAD = {
    "no users": (lambda: upload_costs(np.ones((0, 2)), [], **GIVEN), r"gain: an \(N, K\) array .* got shape \(0, 2\)"),
    "zero gain": (lambda: upload_costs(np.zeros((4, 2)), TIMES, **GIVEN), "gain: finite numbers above 0 .* got 0.0"),
    "NaN gain": (lambda: upload_costs(np.full((4, 2), np.nan), TIMES, **GIVEN), "gain: .* got nan"),
    "times of others": (lambda: upload_costs(GAIN, TIMES[:3], **GIVEN), "training_time_s: 4 finite times"),
    "negative time": (lambda: upload_costs(GAIN, -TIMES, **GIVEN), "training_time_s: .* at least 0 s wanted"),
    "no deadline": (lambda: upload_costs(GAIN, TIMES, **{**GIVEN, "deadline_s": 0.0}), "deadline_s: .* got 0.0"),
    "no power": (lambda: upload_costs(GAIN, TIMES, **{**GIVEN, "max_power_w": 0.0}), "max_power_w: .* got 0.0"),
    "unknown access": (lambda: upload_costs(GAIN, TIMES, **GIVEN, access="cdma"), "access: one of .* got 'cdma'"),
    "unknown rule": (
        lambda: swap_matching(upload_costs(GAIN, TIMES, **GIVEN), np.arange(4), "1es"),
        "rule: one of .* got '1es'",
    ),
    "no permutation": (
        lambda: swap_matching(upload_costs(GAIN, TIMES, **GIVEN), np.zeros(4)),
        "place: a permutation of 0..3 wanted",
    ),
    "negative kicks": (
        lambda: iterated_local_search(
            upload_costs(GAIN, TIMES, **GIVEN), np.arange(4), np.random.default_rng(0), kicks=-1
        ),
        "kicks: an integer of at least 0 wanted, got -1",
    ),
    "too many for the DP": (
        lambda: subset_dp(upload_costs(np.ones((21, 2)), np.full(21, 0.1), **GIVEN)),
        "at most 20 users and places wanted, got 21",
    ),
    "three on a sub-channel": (
        lambda: matching_cost(upload_costs(GAIN, TIMES, **GIVEN), [0, 0, 0, 1]),
        "at most two users on each wanted, got 3 on 0",
    ),
}


@pytest.mark.parametrize("call, message", BAD.values(), ids=BAD)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_user_whose_training_outlasts_the_deadline_is_dropped():
    costs = upload_costs(np.full((3, 2), 50.0), [0.1, 0.9, 0.8], **GIVEN)
    found = subset_dp(costs)
    alone = 0.7 * (2 ** (1.1 / 0.7) - 1) / 50
    assert found.cost == pytest.approx(alone + 2 * 0.8)
