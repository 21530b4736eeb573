"""The NOMA pair (Lin, Wang, Ding; arXiv 2403.03157) against numerical optimisation, and the errata of its formulas."""

import dataclasses
import doctest
import math

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from rangym.envs.physics import energy, pair_upload, sic
from rangym.envs.physics.energy import snr_needed, upload_energy
from rangym.envs.physics.oma import fdma_at_power, fdma_pair, tdma_at_power, tdma_pair
from rangym.envs.physics.sic import PairPower, delivered_bits_per_hz, noma_at_power, noma_pair, printed_lone_power_w

C = 1.1


@pytest.mark.parametrize("module", [energy, sic])
def test_examples_of_the_docstrings(module):
    assert doctest.testmod(module).failed == 0


def random_pairs(rng, count, together=0.1):
    """Gains over three decades, lone and joint times of either order of length; some start together."""
    h1, h2 = 10 ** rng.uniform(0.3, 3.3, (2, count))
    lone = np.where(rng.random(count) < together, 0.0, rng.uniform(0.05, 3.0, count))
    return h1, h2, lone, rng.uniform(0.2, 3.0, count)


def caps(rng, pairs):
    """Caps around the power that a lone upload needs: a share of the pairs is infeasible."""
    h1, h2, lone, joint = pairs
    need = np.maximum((2 ** (C / (lone + joint)) - 1) / h1, (2 ** (C / joint) - 1) / h2)
    return need * 10 ** rng.uniform(-0.05, 0.8, len(need))


def slsqp(h1, h2, lone, joint, cap, early_first, starts):
    """(least energy found, its violation) over P11, P12, P2 from the rate equations; nothing shared with `sic`."""
    scale = 1 / h1 + 1 / h2

    def bits(q):
        q11, q12, q2 = q
        r12 = math.log2(1 + q12 / (1 + q2)) if early_first else math.log2(1 + q12)
        r2 = math.log2(1 + q2) if early_first else math.log2(1 + q2 / (1 + q12))
        return np.array([lone * math.log2(1 + q11) + joint * r12 - C, joint * r2 - C])

    def joules(q):
        return (q[0] * lone / h1 + q[1] * joint / h1 + q[2] * joint / h2) / scale

    top = [None if math.isinf(cap) else cap * h for h in (h1, h1, h2)]
    best = math.inf
    for start in starts:
        found = minimize(
            joules,
            [s if t is None else min(s, t) for s, t in zip(start, top, strict=True)],
            method="SLSQP",
            bounds=[(0.0, t) for t in top],
            constraints={"type": "ineq", "fun": bits},
            options={"maxiter": 200, "ftol": 1e-13},
        )
        if bits(np.maximum(found.x, 0.0)).min() > -1e-7:
            best = min(best, found.fun * scale)
    return best


@pytest.mark.parametrize("early_first", [True, False], ids=["order A", "order B"])
@pytest.mark.parametrize("capped", [False, True], ids=["free", "capped"])
def test_closed_forms_against_slsqp(early_first, capped):
    """Equations (20)-(24), corrected, of both decode orders: 250 pairs each way, 1,000 in all."""
    rng = np.random.default_rng([capped, early_first])
    pairs = random_pairs(rng, 250)
    cap = caps(rng, pairs) if capped else np.full(250, np.inf)
    order = "early_first" if early_first else "late_first"
    each = [noma_pair(*pair, C, top, order) for *pair, top in zip(*pairs, cap, strict=True)]
    mine = PairPower(*(np.array([getattr(pair, f.name) for pair in each]) for f in dataclasses.fields(PairPower)))
    early, late = delivered_bits_per_hz(mine, *pairs)
    ok = mine.feasible
    np.testing.assert_allclose(early[ok], C, rtol=1e-9)
    np.testing.assert_allclose(late[ok], C, rtol=1e-9)
    for power in (mine.lone_w, mine.early_w, mine.late_w):
        assert (power >= 0).all() and (power <= cap * (1 + 1e-12)).all()
    excess = []
    for n in range(250):
        h1, h2, lone, joint = (float(x[n]) for x in pairs)
        g = 2 ** (C / joint)
        starts = [(1.0, g * (g - 1), g * (g - 1)), (5 * g, 0.1, g), (0.1, 3 * g * g, 3 * g * g)]
        reference = slsqp(h1, h2, lone, joint, float(cap[n]), early_first, starts)
        if ok[n]:
            excess.append(mine.energy_j[n] / reference - 1)
        else:
            assert reference == math.inf, f"pair {n}: SLSQP serves what the closed form calls infeasible"
    assert max(excess) < 1e-6
    assert ok.sum() == 250 if not capped else 50 < ok.sum() < 240


def test_noma_is_never_above_optimal_time_division():
    rng = np.random.default_rng(0)
    pairs = random_pairs(rng, 100_000)
    for cap in (np.inf, 0.05):
        noma, tdma = noma_pair(*pairs, C, cap).energy_j, tdma_pair(*pairs, C, cap).energy_j
        served = np.isfinite(tdma)
        assert served.mean() > 0.5
        assert (noma[served] <= tdma[served] * (1 + 1e-9)).all()
        assert tdma[served].sum() > 1.005 * noma[served].sum()  # and it does gain


def test_strongest_first_is_never_beaten_where_it_is_feasible():
    rng = np.random.default_rng(1)
    pairs = random_pairs(rng, 100_000)
    for cap in (np.inf, 0.05):
        best, strong, early = (
            noma_pair(*pairs, C, cap, order=order) for order in ("best", "strong_first", "early_first")
        )
        served = strong.feasible
        assert (strong.energy_j[served] <= best.energy_j[served] * (1 + 1e-12)).all()
        assert best.feasible.sum() >= strong.feasible.sum() >= early.feasible.sum()
    assert best.feasible.sum() > strong.feasible.sum() > early.feasible.sum()


def test_the_restriction_to_stronger_early_users_is_violated_by_half_of_the_pairs_and_costs_energy():
    """Erratum E5, with the gains and times of the paper's scenario."""
    rng = np.random.default_rng(2)
    distance = 600 * np.sqrt(rng.uniform((10 / 600) ** 2, 1, (2, 50_000)))
    h1, h2 = rng.exponential(size=(2, 50_000)) / distance**2 * 1e9
    ready = np.sort(rng.uniform(1.4, 5.5, (2, 50_000)), axis=0)
    args = h1, h2, ready[1] - ready[0], 6.0 - ready[1]
    best, early = (noma_pair(*args, C, order=order).energy_j for order in ("best", "early_first"))
    weaker = h1 < h2
    assert weaker.mean() == pytest.approx(0.5, abs=0.03)
    loss = early[weaker] / best[weaker]
    assert (loss >= 1 - 1e-12).all() and np.median(loss) > 1.02


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_constant_power_over_the_whole_deadline_is_optimal_for_one_order():
    """Any split of a phase into two of different powers, idle parts included, costs at least as much."""
    rng = np.random.default_rng(3)
    h1, h2, lone, joint = pairs = random_pairs(rng, 300_000, together=0.0)
    early_first = h1 >= h2
    best = noma_pair(*pairs, C, order="strong_first").energy_j
    # Random rates in two halves of each phase that deliver exactly c: b bits each, in shares of the phase.
    share = rng.uniform(0, 1, (3, 300_000))  # of the phase: lone, joint; of the early user's bits: lone phase
    # How the bits of r11, r12 and r2 split over the two parts of their phase: near constant rates and far from them.
    bits = np.clip(share[[0, 1, 1]] + rng.normal(size=(3, 300_000)) * rng.choice([0.01, 0.3], 300_000), 0.0, 1.0)
    early_lone = share[2] * C
    total = np.zeros(300_000)
    for part, weight in ((0, share[0]), (1, 1 - share[0])):
        time = lone * weight
        amount = early_lone * (bits[0] if part == 0 else 1 - bits[0])
        total += time * np.expm1(np.log(2) * amount / time) / h1
    for part, weight in ((0, share[1]), (1, 1 - share[1])):
        time = joint * weight
        r12 = (C - early_lone) * (bits[1] if part == 0 else 1 - bits[1]) / time
        r2 = C * (bits[2] if part == 0 else 1 - bits[2]) / time
        q12, q2 = 2**r12 - 1, 2**r2 - 1
        total += time * np.where(early_first, q12 * 2**r2 / h1 + q2 / h2, q12 / h1 + q2 * 2**r12 / h2)
    assert not (best > total * (1 + 1e-12)).any() and (total < best * 1.001).sum() > 100
    shorter = noma_pair(h1, h2, lone, 0.9 * joint, C, order="strong_first").energy_j
    assert (best < shorter).all()


def test_printed_powers_are_wrong():
    """Errata E1, E2: equation (22) is negative for every input, (23) delivers 3.97 instead of 1.1 bit/Hz."""
    right = noma_pair(50.0, 20.0, 1.0, 2.5, C)
    assert (right.lone_w, right.early_w) == (pytest.approx(0.01092, abs=5e-6), pytest.approx(0.003789, abs=5e-7))
    assert printed_lone_power_w(right.early_w, right.late_w, 50.0, 20.0, C) == pytest.approx(-0.01416, abs=5e-6)
    rng = np.random.default_rng(4)
    p12, p2, h1, h2 = 10 ** rng.uniform(-4, 2, (4, 1000))
    assert (printed_lone_power_w(p12, p2, h1, h2, C) < 0).all()
    printed = noma_pair(50.0, 20.0, 1.0, 2.5, C, form="printed")
    early, late = delivered_bits_per_hz(printed, 50.0, 20.0, 1.0, 2.5)
    assert early == pytest.approx(3.97, abs=0.005) and late == pytest.approx(C)
    assert printed.energy_j > 2 * right.energy_j


def test_the_case_missing_in_the_paper():
    """Erratum E4: for T_2 <= T_d the early user is silent in the joint phase, where it is decoded first."""
    pair = noma_pair(50.0, 20.0, 2.5, 1.0, C, order="early_first")
    assert pair.early_w == 0 and pair.lone_w == pytest.approx((2 ** (C / 2.5) - 1) / 50)
    assert pair.late_w == pytest.approx((2**C - 1) / 20)


def test_optimal_time_division_against_a_line_search():
    rng = np.random.default_rng(5)
    pairs = random_pairs(rng, 60)
    mine = tdma_pair(*pairs, C)
    for n, (h1, h2, lone, joint) in enumerate(zip(*pairs, strict=True)):

        def joules(tau, h1=h1, h2=h2, lone=lone, joint=joint):
            times = lone + tau, joint - tau
            return sum(t * (2 ** min(C / t, 900) - 1) / h for t, h in zip(times, (h1, h2), strict=True))

        found = minimize_scalar(joules, bounds=(1e-9, joint - 1e-9), method="bounded", options={"xatol": 1e-12})
        assert found.fun * (1 - 1e-7) < mine.energy_j[n] < found.fun * (1 + 1e-12)
    equal = tdma_pair(*pairs, C, split="equal")
    assert (mine.energy_j <= equal.energy_j * (1 + 1e-12)).all()
    h1, h2, lone, joint = pairs
    hand = (lone + joint / 2) * (2 ** (C / (lone + joint / 2)) - 1) / h1 + joint / 2 * (2 ** (2 * C / joint) - 1) / h2
    np.testing.assert_allclose(equal.energy_j, hand, rtol=1e-12)


def test_caps_of_time_division_are_exact():
    """With the cap at the equal-split powers, time division is feasible; a cap just below both needs is not."""
    rng = np.random.default_rng(6)
    h1, h2, lone, joint = random_pairs(rng, 2000)
    equal = tdma_pair(h1, h2, lone, joint, C, split="equal")
    cap = np.maximum(equal.early_w, equal.late_w)
    capped = tdma_pair(h1, h2, lone, joint, C, cap)
    assert capped.feasible.all() and (capped.energy_j <= equal.energy_j * (1 + 1e-9)).all()
    assert (np.maximum(capped.early_w, capped.late_w) <= cap * (1 + 1e-9)).all()
    # The least common power that serves both makes their times add up exactly.
    for n in range(50):
        low, high = 0.0, cap[n]
        for _ in range(80):
            p = (low + high) / 2
            need = max(C / math.log2(1 + p * h1[n]), lone[n]) + C / math.log2(1 + p * h2[n])
            low, high = (low, p) if need <= lone[n] + joint[n] else (p, high)
        args = h1[n], h2[n], lone[n], joint[n], C
        assert tdma_pair(*args, high * (1 + 1e-6)).feasible and not tdma_pair(*args, high * (1 - 1e-6)).feasible


def test_frequency_division_by_hand():
    """Half the band and half the noise: E = (T/2) (2^(2c/T) - 1)/h for each user."""
    pair = fdma_pair(50.0, 20.0, 1.0, 2.5, C)
    assert pair.early_j == pytest.approx(1.75 * (2 ** (C / 1.75) - 1) / 50)
    assert pair.late_j == pytest.approx(1.25 * (2 ** (C / 1.25) - 1) / 20)
    # Power and rate: 0.5 log2(1 + 2 P h) over T seconds is c.
    assert 3.5 * 0.5 * math.log2(1 + 2 * pair.early_w * 50) == pytest.approx(C)
    assert not fdma_pair(50.0, 20.0, 1.0, 2.5, C, pair.late_w * 0.999).feasible
    assert fdma_pair(50.0, 20.0, 1.0, 2.5, C, pair.late_w * 1.001).feasible


def simulate(rates, starts, powers, deadline, step=1e-4):
    """Two users by small steps: ``rates(active)`` gives bit/s/Hz of both; a user stops once its bits are out."""
    sent, stop, joules = np.zeros(2), np.array([deadline, deadline]), np.zeros(2)
    time = 0.0
    while time < deadline - step / 2:
        active = (sent < C) & (np.asarray(starts) <= time + step / 2)
        sent = sent + np.where(active, rates(active), 0.0) * step
        joules = joules + active * powers * step
        time += step
        stop = np.where(active & (sent >= C), time, stop)
    return sent >= C, stop, joules


@pytest.mark.parametrize("seed", range(12))
def test_given_powers_against_a_simulation_in_small_steps(seed):
    rng = np.random.default_rng(seed)
    h = 10 ** rng.uniform(0.5, 2, 2)
    powers = np.array([0.1, 0.1]) * 10 ** rng.uniform(-0.5, 0.5, 2)
    lone, joint = rng.uniform(0.0, 0.6), rng.uniform(0.2, 1.2)
    strong = int(h[1] > h[0])

    def rates(active):
        snr = powers * h * active
        noise = np.ones(2)
        noise[strong] += snr[1 - strong]
        return np.log2(1 + snr / noise)

    done, stop, _ = simulate(rates, (0.0, lone), powers, lone + joint)
    run = noma_at_power(*h, lone, joint, C, *powers)
    assert [bool(run.early_done), bool(run.late_done)] == done.tolist()
    np.testing.assert_allclose([run.stop_early_s, run.stop_late_s], stop, atol=5e-4)


def test_given_powers_in_time_and_frequency_division_by_hand():
    # 0.1 W: rates log2(6) and log2(3); 1.1 bit/Hz take 0.4255 s and 0.6940 s.
    run, start = tdma_at_power(50.0, 20.0, 0.2, 0.8, C, 0.1, 0.1)
    assert run.early_done and run.stop_early_s == pytest.approx(C / math.log2(6)) == pytest.approx(start)
    assert not run.late_done and run.stop_late_s == 1.0  # 0.4255 + 0.6940 > 1.0
    run, _ = tdma_at_power(50.0, 20.0, 0.2, 0.2, C, 0.1, 0.1)
    assert not run.early_done and run.stop_early_s == pytest.approx(0.3)  # until lone + joint/2
    run = fdma_at_power(50.0, 20.0, 0.2, 0.8, C, 0.1, 0.1)
    assert run.early_done and run.stop_early_s == pytest.approx(2 * C / math.log2(1 + 10))
    assert not run.late_done


def test_more_power_than_needed_makes_fixed_power_meet_the_deadline_too():
    """The optimal powers, held constant, are a fixed-power upload that just meets the deadline when alone."""
    power = snr_needed(C, 0.7) / 50.0
    run = noma_at_power(50.0, 20.0, 0.0, 0.7, C, power * (1 + 1e-9), 0.0)
    assert run.early_done and run.stop_early_s == pytest.approx(0.7)
    assert not run.late_done
    assert upload_energy(C, 0.7) / 50.0 == pytest.approx(power * 0.7)


def test_pair_upload_is_the_best_of_both_one_and_none():
    rng = np.random.default_rng(8)
    gain = 10 ** rng.uniform(1, 3, (4000, 2))
    window = np.maximum(rng.uniform(-0.05, 0.7, (4000, 2)), -0.01)
    present = rng.random((4000, 2)) < 0.85
    cap, rho = 0.2, 0.16
    done = pair_upload.pair_upload(gain, window, present, C, cap, rho)
    cost = done.energy_j.sum(1) + rho * (present & ~done.served).sum(1)
    assert not (done.served & ~present).any() and not (done.energy_j[~done.served]).any()
    for n in range(4000):
        options = [rho * present[n].sum()]
        for i in range(2):
            t, h = window[n, i], gain[n, i]
            if present[n, i] and t > 0.01 and (2 ** (C / t) - 1) / h <= cap:
                options.append(t * (2 ** (C / t) - 1) / h + rho * present[n, 1 - i])
        if present[n].all() and window[n].min() > 0:
            early = int(window[n, 1] > window[n, 0])
            late = 1 - early
            both = noma_pair(gain[n, early], gain[n, late], window[n, early] - window[n, late], window[n, late], C, cap)
            options.append(float(both.energy_j))
        assert cost[n] == pytest.approx(min(options), rel=1e-12)
    both = done.served.all(1)
    assert ((done.decoded_first >= 0) == both).all() and 0.05 < both.mean() < 0.95


def test_turning_a_pair_around_turns_everything_around():
    rng = np.random.default_rng(9)
    gain, window = 10 ** rng.uniform(0.3, 2, (500, 2)), rng.uniform(0.1, 0.7, (500, 2))
    present = rng.random((500, 2)) < 0.8
    for access in pair_upload.ACCESS:
        for power in (None, np.full((500, 2), 0.2)):
            one = pair_upload.pair_upload(gain, window, present, C, 0.2, 0.16, access, power)
            other = pair_upload.pair_upload(
                gain[:, ::-1], window[:, ::-1], present[:, ::-1], C, 0.2, 0.16, access, power
            )
            for field in ("energy_j", "served", "power_w", "start_s", "stop_s"):
                np.testing.assert_array_equal(getattr(one, field), getattr(other, field)[:, ::-1])
            first = other.decoded_first
            np.testing.assert_array_equal(one.decoded_first, np.where(first >= 0, 1 - first, -1))


BAD = {
    "zero gain": (lambda: noma_pair(0.0, 1.0, 1.0, 1.0, C), "gain_early: finite gains above 0 wanted, got 0.0"),
    "NaN gain": (lambda: noma_pair(1.0, np.nan, 1.0, 1.0, C), "gain_late: .* got nan"),
    "late before early": (lambda: noma_pair(1.0, 1.0, -1.0, 1.0, C), "lone_s: at least 0 s wanted"),
    "no bits": (lambda: noma_pair(1.0, 1.0, 1.0, 1.0, 0.0), "bits_per_hz: .* got 0.0"),
    "negative power": (lambda: noma_pair(1.0, 1.0, 1.0, 1.0, C, -1.0), "max_power_w: above 0 W wanted, got -1.0"),
    "unknown order": (lambda: noma_pair(1.0, 1.0, 1.0, 1.0, C, order="weak"), "order: one of .* got 'weak'"),
    "unknown form": (lambda: noma_pair(1.0, 1.0, 1.0, 1.0, C, form="paper"), "form: one of .* got 'paper'"),
    "unknown split": (lambda: tdma_pair(1.0, 1.0, 1.0, 1.0, C, split="fair"), "split: .* got 'fair'"),
    "unknown access": (
        lambda: pair_upload.pair_upload([1.0, 1.0], [1.0, 1.0], [True, True], C, 1.0, 1.0, "cdma"),
        "access: one of .* got 'cdma'",
    ),
}


@pytest.mark.parametrize("call, message", BAD.values(), ids=BAD)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_no_time_left_is_infeasible_not_an_error():
    pair = noma_pair(50.0, 20.0, 1.0, -0.1, C)
    assert not pair.feasible and pair.energy_j == np.inf and pair.late_w == 0
