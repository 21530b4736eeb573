"""The compiled loops of pairs against the specification, a number at a time, to 4 units in the last place."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rangym.envs.physics import pair_kernels as kernels
from rangym.envs.physics.energy import snr_needed
from rangym.envs.physics.oma import fdma_pair, tdma_pair
from rangym.envs.physics.pair_upload import ACCESS, pair_upload
from rangym.envs.physics.sic import noma_pair

C, UNITS = 1.1, 4
PLACES = {"tight": (0.8, 20.0, 0.2), "paper": (6.0, 1e5, 0.1), "urban": (6.0, 20.0, 0.2)}
"""Deadline, mean gain far away and cap of a scenario."""


REFERENCE = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("pair_reference.py"))))


def assert_close(found, wanted, units=UNITS, scale=None):
    """Equal to some units in the last place, of ``wanted`` or of ``scale``; infinite and zero where wanted."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    np.testing.assert_array_equal(np.isinf(found), np.isinf(wanted))
    finite = np.isfinite(wanted)
    size = np.spacing(np.abs(wanted if scale is None else scale)[finite])
    off = np.abs(found[finite] - wanted[finite]) / size
    assert off.max(initial=0) <= units, f"{off.max()} units"


def links(rng, place, count):
    """Gains of both users, T_d (some 0) and T_2 (some none) as they are in a scenario."""
    deadline, gain, cap = PLACES[place]
    h = gain * rng.exponential(size=(2, count)) * rng.uniform(0.05, 1, (2, count)) ** -1.5
    ready = np.sort(deadline * rng.uniform(0.2, 1.05, (2, count)), axis=0)
    ready[1] = np.where(rng.random(count) < 0.1, ready[0], ready[1])
    return (*h, ready[1] - ready[0], deadline - ready[1]), cap


@pytest.mark.parametrize("capped", [False, True], ids=["free", "capped"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("order", ["early_first", "late_first", "best", "strong_first"])
def test_pairs_are_the_specifications(place, order, capped):
    rng = np.random.default_rng([len(place), len(order), capped])
    link, cap = links(rng, place, 4000)
    cap = cap if capped else math.inf
    found = noma_pair(*link, C, cap, order)
    if order == "strong_first":
        one, other = ((noma_pair(*link, C, cap, name)) for name in ("early_first", "late_first"))
        np.testing.assert_array_equal(found.energy_j, np.where(link[0] >= link[1], one.energy_j, other.energy_j))
        return
    served, orders = 0, set()
    wanted, first = np.full((4000, 5), [0, 0, 0, math.inf, math.inf]), np.ones(4000, bool)
    for n, row in enumerate(zip(*link, strict=True)):
        row = tuple(map(float, row))
        if order == "best":
            pair, first[n] = REFERENCE.best(*row, C, cap)
        else:
            pair = (REFERENCE.order_a if order == "early_first" else REFERENCE.order_b)(*row, C, cap)
            first[n] = order == "early_first"
        if pair is not None:
            wanted[n] = pair
            served += 1
            orders.add(bool(first[n]))
    assert 300 < served < 4000 and (len(orders) == 2 or order != "best")
    np.testing.assert_array_equal(found.early_first, first)
    for name, column in zip(("early_j", "late_j", "lone_w", "late_w"), (3, 4, 0, 2), strict=True):
        assert_close(getattr(found, name), wanted[:, column])
    # P12 is the difference of two water levels, and rounds as they do.
    level = np.maximum(wanted[:, 1], (snr_needed(C, link[3]) + 1) / link[0])
    assert_close(found.early_w, wanted[:, 1], scale=np.where(np.isfinite(level), level, 1.0))


def test_the_cap_of_the_lone_power_binds_first_when_the_late_user_is_decoded_first():
    """Without caps P11 = P12 + P2 wherever both phases are used; so no other cap can bind where this one does not."""
    rng = np.random.default_rng(7)
    link = *10 ** rng.uniform(0, 3, (2, 3000)), *10 ** rng.uniform(-1.5, 0.3, (2, 3000))
    found = noma_pair(*link, C, order="late_first")
    used = found.early_w > 1e-9 * found.lone_w
    assert 1000 < used.sum() < 3000
    np.testing.assert_allclose(found.lone_w[used], (found.early_w + found.late_w)[used], rtol=1e-12)


@pytest.mark.parametrize("access", ACCESS)
@pytest.mark.parametrize("place", PLACES)
def test_uploads_are_the_least_of_four_costs(place, access):
    rng = np.random.default_rng(len(place) + len(access))
    (h1, h2, lone, joint), cap = links(rng, place, 1500)
    deadline = PLACES[place][0]
    gain, window = np.stack([h1, h2], -1), np.stack([lone + joint, joint], -1)
    swap = rng.random(1500) < 0.5
    gain, window = (np.where(swap[:, None], x[:, ::-1], x) for x in (gain, window))
    present, rho = rng.random((1500, 2)) < 0.85, cap * deadline
    done = pair_upload(gain, window, present, C, cap, rho, access)
    seen = set()
    for n in range(1500):
        energy, served, power, first = REFERENCE.upload(
            gain[n],
            window[n],
            present[n],
            C,
            cap,
            rho,
            lambda e, late, n=n: both(access, gain[n], window[n], e, late, cap),
        )
        assert done.served[n].tolist() == served and done.decoded_first[n] == first
        assert_close(done.energy_j[n], energy)
        scale = np.maximum(np.abs(power), np.max(power))
        assert_close(done.power_w[n], power, scale=scale)
        seen.add((tuple(served), first >= 0))
    assert {s for s, _ in seen} == {(True, True), (True, False), (False, True), (False, False)}
    assert ((True, True), access == "noma") in seen


def both(access, gain, window, early, late, cap):
    """What `REFERENCE.upload` asks for; time and frequency division are `oma`'s."""
    link = float(gain[early]), float(gain[late]), float(window[early] - window[late]), float(window[late])
    if access == "noma":
        pair, first = REFERENCE.best(*link, C, cap)
        if pair is None:
            return None
        return (pair.early_j, pair.late_j), ([pair.lone_w, pair.early_w], [0.0, pair.late_w]), first
    if access == "fdma":
        pair = fdma_pair(*link, C, cap)
        power = [pair.early_w, pair.early_w], [0.0, pair.late_w]
    else:
        pair = tdma_pair(*link, C, cap, split="optimal" if access == "oma_opt" else "equal")
        power = [pair.early_w, 0.0], [pair.late_w, 0.0]
    return ((pair.early_j, pair.late_j), power, None) if pair.feasible else None


def test_a_kernel_gives_a_pair_the_same_bits_in_any_company():
    rng = np.random.default_rng(3)
    (h1, h2, lone, joint), cap = links(rng, "tight", 300)
    gain, window = np.stack([h1, h2], -1), np.stack([lone + joint, joint], -1)
    present = rng.random((300, 2)) < 0.9
    whole = pair_upload(gain, window, present, C, cap, 0.16)
    for part in (slice(0, 1), slice(1, 18), slice(18, 300)):
        some = pair_upload(gain[part], window[part], present[part], C, cap, 0.16)
        for name, values in vars(some).items():
            np.testing.assert_array_equal(values, getattr(whole, name)[part])


def test_what_is_no_gain_or_time_is_refused():
    for gain, window in (([1.0, 0.0], [1.0, 1.0]), ([math.nan, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, math.nan])):
        with pytest.raises(ValueError, match="gain, window_s: finite gains above 0 and numbers of seconds wanted"):
            pair_upload(gain, window, [True, True], C, 1.0, 1.0)
    with pytest.raises(ValueError, match="bits_per_hz: a finite number above 0 wanted, got -1.0"):
        pair_upload([1.0, 1.0], [1.0, 1.0], [True, True], -1.0, 1.0, 1.0)


def test_needed_snr_by_hand():
    assert kernels.snr_needed(2.0, 1.0) == 3.0 and kernels.snr_needed(2.0, 0.0) == math.inf
    assert kernels.snr_needed(2.0, -1.0) == math.inf and kernels.snr_needed(1.0, 1e-3) < math.inf
    assert kernels.snr_needed(1.001, 1e-3) == math.inf
    found = snr_needed(np.array([[1.0], [2.0]]), np.array([1.0, 0.5, 0.0]))
    assert_close(found, [[1.0, 3.0, math.inf], [3.0, 15.0, math.inf]])
