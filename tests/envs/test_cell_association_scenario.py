"""CellAssociation's synthetic laws: what is drawn, from which ranges, and that a lane is a lane."""

import dataclasses
import hashlib
import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from rangym.envs.cell_association import layout, scenario
from rangym.envs.cell_association.params import SCENARIOS, CellAssociationParams
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.trace import Trace


def params(name: str, **overrides) -> CellAssociationParams:
    return dataclasses.replace(SCENARIOS[name], **overrides)


def generators(count: int, first: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng(first + b) for b in range(count)]


def sample(p: CellAssociationParams, seed: int = 0) -> Trace:
    return CellAssociation(p).sample(np.random.default_rng(seed))


CASES = {
    "tiny": params("tiny"),
    "small": params("small", horizon=30),
    "grid": params("desk", num_ues=7, num_cells=9, horizon=12),
    "waypoint": params("small", motion="random_waypoint", horizon=30),
    "standing": params("tiny", motion="static"),
    "one_slot": params("tiny", horizon=1, num_ues=1),
    "varying": params("tiny", delay_variation=0.4),
    "static": params("static", horizon=9, num_ues=6),
    "urban": params("urban", horizon=30),
    "urban_fresh": params("urban", horizon=13, map_seed=None, grid_m=20.0, slot_samples=3),
    "urban_waypoint": params("urban", horizon=13, motion="random_waypoint", slot_samples=1),
    "urban_standing": params("urban", horizon=7, motion="static", num_ues=3),
    "volatile": params("volatile", horizon=13, num_ues=6),
    "volatile_varying": params("volatile", horizon=13, num_ues=6, delay_variation=0.2, block_slots=3),
}


def assert_equal(a: Trace, b: Trace) -> None:
    assert a.constants.keys() == b.constants.keys() and a.slots.keys() == b.slots.keys()
    for f, values in {**a.constants, **a.slots}.items():
        other = {**b.constants, **b.slots}[f]
        assert values.dtype == other.dtype and np.array_equal(values, other), f


@pytest.mark.parametrize("case", CASES)
def test_a_trace_is_one_the_system_accepts(case):
    system = CellAssociation(CASES[case])
    trace = system.sample(np.random.default_rng(0))
    trace.check(system.shapes, system.reveal, system.horizon)
    system.check_trace(trace)
    assert trace.slots["sinr_db"].dtype == trace.slots["user_position_m"].dtype == np.float32
    assert ((trace.slots["user_position_m"] >= 0) & (trace.slots["user_position_m"] <= system.params.side_m)).all()
    assert (
        (trace.constants["cell_position_m"] >= 0) & (trace.constants["cell_position_m"] <= system.params.side_m)
    ).all()


@pytest.mark.parametrize("lanes", [2, 19])
@pytest.mark.parametrize("case", CASES)
def test_a_lane_of_many_has_the_bits_of_a_lane_alone(case, lanes):
    stacked = scenario.sample_lanes(CASES[case], generators(lanes))
    for b in {0, 1, lanes - 1}:
        assert_equal(stacked.lane(b), scenario.sample_lanes(CASES[case], generators(1, b)).lane(0))


@pytest.mark.parametrize("case", ["grid", "waypoint", "varying", "urban", "urban_fresh"])
def test_blocks_of_lanes_never_change_a_bit(case, monkeypatch):
    p = CASES[case]
    whole = scenario.sample_lanes(p, generators(5))
    per_ue = (p.horizon + 2) * p.num_cells
    for entries in (1, 2 * per_ue * p.num_ues, 3 * per_ue * p.num_ues):
        monkeypatch.setattr(scenario, "PIECE_ENTRIES", entries)
        assert_equal(whole, scenario.sample_lanes(p, generators(5)))


@pytest.mark.parametrize("case", CASES)
def test_other_seeds_give_other_traces(case):
    first, second = sample(CASES[case], 1), sample(CASES[case], 2)
    assert not np.array_equal(first.slots["sinr_db"], second.slots["sinr_db"])
    later = np.random.default_rng(1)
    scenario.sample_lanes(CASES[case], [later])
    assert not np.array_equal(
        first.slots["sinr_db"], scenario.sample_lanes(CASES[case], [later]).slots["sinr_db"][:, 0]
    )


def digest(name: str) -> str:
    trace = sample(dataclasses.replace(SCENARIOS[name], horizon=11), 42)
    parts = [np.ascontiguousarray(v).tobytes() for v in (*trace.constants.values(), *trace.slots.values())]
    return hashlib.sha256(b"".join(parts)).hexdigest()


@pytest.mark.undisturbed
def test_a_seed_means_the_same_trace_in_another_process():
    names = ["small", "tiny", "volatile", "static"]
    program = (
        "import dataclasses, hashlib, numpy as np\n"
        "from rangym.envs.cell_association.system import CellAssociation\n"
        f"for name in {names}:\n"
        "    p = dataclasses.replace(CellAssociation.scenarios[name], horizon=11)\n"
        "    t = CellAssociation(p).sample(np.random.default_rng(42))\n"
        "    parts = [np.ascontiguousarray(v).tobytes() for v in (*t.constants.values(), *t.slots.values())]\n"
        "    print(hashlib.sha256(b''.join(parts)).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [digest(name) for name in names]


# --- static and volatile ---------------------------------------------------------------------------------------------


def test_static_never_changes_and_takes_no_memory_per_slot():
    trace = sample(params("static"))
    sinr = trace.slots["sinr_db"]
    assert sinr.shape == (5002, 100, 10) and sinr.strides[0] == 0
    assert trace.slots["user_position_m"].strides[0] == 0
    assert np.array_equal(sinr[0], sinr[-1])
    assert 10 <= sinr.min() < 10.2 and 29.8 < sinr.max() <= 30
    assert sinr[0].mean() == pytest.approx(20.0, abs=4 * 20 / math.sqrt(12 * 1000))


def test_volatile_changes_after_every_block():
    sinr = sample(params("volatile", horizon=23)).slots["sinr_db"]
    changed = np.flatnonzero((sinr[1:] != sinr[:-1]).any(axis=(1, 2))) + 1
    assert changed.tolist() == [1, 6, 11, 16, 21]
    for t in changed:
        assert (sinr[t] != sinr[t - 1]).mean() > 0.99
    assert 10 <= sinr.min() and sinr.max() <= 30


def test_iid_constants_come_from_their_ranges():
    trace = scenario.sample_lanes(params("static", horizon=1), generators(60))
    widths, counts = np.unique(trace.constants["bandwidth_mhz"], return_counts=True)
    assert widths.tolist() == [5.0, 10.0, 15.0, 20.0]
    assert (np.abs(counts - 150) < 4 * math.sqrt(600 * 3 / 16)).all()
    delay = trace.constants["handover_delay"]
    assert 0 < delay.min() < 1e-3 and 0.999 < delay.max() <= 1
    assert delay.mean() == pytest.approx(0.5, abs=4 / math.sqrt(12 * delay.size))


def test_iid_sinr_respects_the_clip():
    sinr = sample(params("static", horizon=1, sinr_ceiling_db=18.0)).slots["sinr_db"]
    assert sinr.max() == 18.0


def test_iid_positions_are_a_circle_of_cells_around_the_ues():
    p = params("static", side_m=200.0)
    cells, ues = layout.nominal_positions(p)
    cell_radius, ue_radius = (np.linalg.norm(x - 100.0, axis=1) for x in (cells, ues))
    assert cell_radius == pytest.approx(np.full(10, 90.0))
    assert ue_radius.max() < 70.0
    assert len(np.unique(ues.round(3), axis=0)) == 100


# --- the network of the mobility law ---------------------------------------------------------------------------------


def test_layers_of_the_paper():
    assert layout.layer_counts(25) == (5, 5, 6, 5, 2, 2)


@pytest.mark.parametrize("cells", range(2, 60))
def test_layer_counts_add_up_and_are_within_one_of_their_shares(cells):
    counts = layout.layer_counts(cells)
    assert sum(counts) == cells
    for layer, count in zip(layout.LAYERS, counts, strict=True):
        assert abs(count - layer.share * cells) <= 1 + 1e-9
    extra = [count - math.floor(layer.share * cells + 1e-9) for layer, count in zip(layout.LAYERS, counts, strict=True)]
    assert extra == sorted(extra, reverse=True)  # the remainder goes to the first layers


def test_cells_have_the_bandwidth_and_rat_of_their_layer_in_random_order():
    p = params("mobility", num_ues=1, horizon=1)
    networks = [sample(p, seed).constants for seed in range(4)]
    for constants in networks:
        pairs = sorted(zip(constants["cell_rat"].tolist(), constants["bandwidth_mhz"].tolist(), strict=True))
        assert pairs == sorted(
            [(5, 20.0)] * 5 + [(4, 20.0)] * 5 + [(4, 15.0)] * 6 + [(4, 10.0)] * 5 + [(3, 5.0)] * 2 + [(2, 5.0)] * 2
        )
    orders = {tuple(c["cell_rat"].tolist()) for c in networks}
    assert len(orders) == 4


def test_sites_stand_near_their_grid_points():
    side, cells = 1500.0, 7
    step = side / 3
    grid = np.array([((k % 3 + 0.5) * step, (k // 3 + 0.5) * step) for k in range(cells)])
    shifts = (layout.grid_sites(cells, side, generators(200)) - grid) / step
    assert np.abs(shifts).max() <= 0.15 and np.abs(shifts).max() > 0.149
    assert shifts.std() == pytest.approx(0.3 / math.sqrt(12), rel=0.05)


@pytest.mark.parametrize("cells", [5, 6, 12, 30, 200])
def test_no_row_of_sites_stays_empty(cells):
    """Where the square grid would leave its last row empty: rows of equally many sites, or one more."""
    rows, side = math.ceil(math.sqrt(cells)) - 1, 1000.0
    sites = layout.grid_sites(cells, side, generators(1))[0]
    row = (sites[:, 1] / (side / rows)).astype(int)
    counts = np.bincount(row)
    assert len(counts) == rows and set(counts) <= {cells // rows, cells // rows + 1}
    for r in range(rows):
        x = np.sort(sites[row == r, 0]) * counts[r] / side - (np.arange(counts[r]) + 0.5)
        assert np.abs(x).max() <= 0.15


def test_a_city_has_the_density_of_mobility_and_no_weak_border():
    p = SCENARIOS["city"]
    assert (p.num_ues, p.num_cells, p.horizon, p.handover_cost) == (10_000, 200, 1000, "norm")
    spacing = [math.sqrt(q.side_m**2 / q.num_cells) for q in (p, SCENARIOS["mobility"])]
    assert spacing[0] == pytest.approx(spacing[1], rel=0.01)
    trace = CellAssociation(p).sample(np.random.default_rng(0))
    first = trace.slot(0)
    best, position = first["sinr_db"].max(axis=1), first["user_position_m"]
    edge = (np.minimum(position, p.side_m - position) < 200.0).any(axis=1)
    assert np.quantile(best, 0.05) > 5.0 and np.median(best[edge]) > np.median(best) - 1.0


def test_small_has_its_fixed_layout():
    p = SCENARIOS["small"]
    constants = sample(p).constants
    assert constants["cell_position_m"] == pytest.approx(800 * np.array([s[:2] for s in p.sites]))
    assert constants["bandwidth_mhz"].tolist() == [10.0, 10.0, 20.0, 20.0, 20.0, 20.0]
    assert constants["cell_rat"].tolist() == [4, 4, 5, 5, 5, 5]


def test_devices_are_mixed_80_10_10_with_their_delays():
    n = 40_000
    device, delay = (of_lanes[0] for of_lanes in layout.draw_devices(n, generators(1)))
    for kind, (share, low, high) in enumerate([(0.8, 50, 62), (0.1, 50, 100), (0.1, 50, 96)]):
        mine = delay[device == kind]
        assert len(mine) / n == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / n))
        assert low <= mine.min() and mine.max() <= high
        assert mine.mean() == pytest.approx((low + high) / 2, abs=4 * (high - low) / math.sqrt(12 * len(mine)))


def test_delays_by_rat():
    """Both ends add up to the handover's delay (erratum E16): d within 4G and 5G, U[..] to 3G or 2G."""
    rat = np.array([5, 3, 4, 2, 4])
    delay_ms = np.linspace(50.0, 100.0, 2000)
    weight = layout.draw_delay_weights(delay_ms[None], rat[None], 1.0, generators(1))[0]
    assert 1e3 * (weight[:, 0] + weight[:, 4]) == pytest.approx(delay_ms)
    for cell, (low, high) in ((1, (400, 950)), (3, (750, 1100))):
        total_ms = 1e3 * (weight[:, cell] + weight[:, 2])
        assert low <= total_ms.min() < low + 2 and high - 2 < total_ms.max() <= high
        assert total_ms.mean() == pytest.approx((low + high) / 2, rel=0.02)


def test_delay_weights_scale_with_the_slot_and_stay_within_their_limits():
    rat, delay_ms = np.array([5, 2]), np.array([50.0, 62.0])
    short = layout.draw_delay_weights(delay_ms[None], rat[None], 0.1, generators(1))[0]
    assert short[:, 0] == pytest.approx([0.25, 0.31])
    assert ((short[:, 1] >= (750 - 31) / 100) & (short[:, 1] <= (1100 - 25) / 100)).all()  # 2G: seven slots and more
    assert layout.draw_delay_weights(delay_ms[None], rat[None], 60.0, generators(1)).min() == 1e-3


def test_no_delay_is_cut_and_the_box_holds_the_largest():
    """In slots of .1 s every delay counts ten times as many, with 3G and 2G cells and without."""
    for name, largest in (("desk", (1100 - 25) / 100), ("small", 2.0)):
        one, tenth = (CellAssociation(params(name, horizon=1, num_ues=500, slot_s=s)) for s in (1.0, 0.1))
        assert one.observation_space["handover_delay"].high.max() == 2.0
        assert tenth.observation_space["handover_delay"].high.max() == pytest.approx(largest)
        slow, fast = (s.sample(np.random.default_rng(0)).constants["handover_delay"] for s in (one, tenth))
        assert fast == pytest.approx(10 * slow) and fast.max() <= largest
        tenth.check_trace(tenth.sample(np.random.default_rng(0)))
    assert fast.max() < 2.0 < CellAssociation(params("desk", slot_s=0.1)).delay_bound


def test_delays_that_vary_have_their_mean_and_deviation():
    p = params("small", delay_variation=0.3, horizon=3000)
    varying, constant = sample(p), sample(dataclasses.replace(p, delay_variation=0.0))
    delay, mean = varying.slots["handover_delay"], constant.constants["handover_delay"]
    assert "handover_delay" not in varying.constants and delay.shape == (3002, 10, 6)
    factor = delay / mean
    assert factor.mean() == pytest.approx(1.0, abs=4 * 0.3 / math.sqrt(factor.size))
    assert factor.std() == pytest.approx(0.3, rel=0.02)
    assert np.corrcoef(factor[1:, 0, 0], factor[:-1, 0, 0])[0, 1] == pytest.approx(0.0, abs=4 / math.sqrt(3000))
    assert sample(params("tiny", delay_variation=3.0, slot_s=0.05)).slots["handover_delay"].max() == 2.0


# --- the channel of the mobility law ---------------------------------------------------------------------------------


def uma_loss_db(distance: float, ghz: float) -> float:
    """TR 38.901 UMa, LOS and NLOS mixed in dB, base station 25 m, UE 1.5 m: the table, once more."""
    d2 = max(distance, 10.0)
    d3, d_bp = math.hypot(d2, 23.5), 160.0 * ghz
    if d2 <= d_bp:
        los = 28 + 22 * math.log10(d3) + 20 * math.log10(ghz)
    else:
        los = 28 + 40 * math.log10(d3) + 20 * math.log10(ghz) - 9 * math.log10(d_bp**2 + 23.5**2)
    nlos = max(los, 13.54 + 39.08 * math.log10(d3) + 20 * math.log10(ghz))
    p = 1.0 if d2 <= 18 else 18 / d2 + math.exp(-d2 / 63) * (1 - 18 / d2)
    return p * los + (1 - p) * nlos


PAPER_LAYER = {
    (5, 20.0): (3.5, 46),
    (4, 20.0): (2.6, 46),
    (4, 15.0): (1.8, 46),
    (4, 10.0): (0.8, 46),
    (3, 5.0): (2.1, 43),
    (2, 5.0): (0.9, 43),
}


@pytest.mark.parametrize("case", ["grid", "sites"])
def test_sinr_by_brute_force_from_the_positions_of_the_trace(case):
    p = params("desk", num_cells=13) if case == "grid" else SCENARIOS["small"]
    p = dataclasses.replace(p, num_ues=6, horizon=3, shadowing_db=0.0, sinr_floor_db=-60.0, sinr_ceiling_db=60.0)
    trace = sample(p, 7)
    c = trace.constants
    if case == "grid":
        radio = [PAPER_LAYER[r, w] for r, w in zip(c["cell_rat"].tolist(), c["bandwidth_mhz"].tolist(), strict=True)]
    else:
        radio = [(ghz, dbm) for _, _, ghz, _, dbm in p.sites]
    for t, i in np.ndindex(5, 6):
        place = trace.slots["user_position_m"][t, i].astype(float)
        mw = [
            10 ** ((dbm - uma_loss_db(math.dist(place, site), ghz)) / 10)
            for site, (ghz, dbm) in zip(c["cell_position_m"].tolist(), radio, strict=True)
        ]
        for j, (ghz, _) in enumerate(radio):
            noise = 10 ** ((-174 + 9) / 10) * c["bandwidth_mhz"][j] * 1e6
            interference = sum(mw[k] for k in range(len(mw)) if k != j and radio[k][0] == ghz)
            expected = min(max(10 * math.log10(mw[j] / (interference + noise)), -60.0), 60.0)
            assert trace.slots["sinr_db"][t, i, j] == pytest.approx(expected, abs=2e-3)


def test_shadowing_is_added_per_cell_with_its_deviation():
    """On a carrier of its own a cell's SINR is signal over noise: the shadowing is what a shadowless twin lacks."""
    sites = tuple((0.5, 0.5, 1.0 + 0.2 * j, 10.0, 30.0) for j in range(8))
    p = params("tiny", num_ues=400, num_cells=8, sites=sites, horizon=1, sinr_floor_db=-60.0, sinr_ceiling_db=60.0)
    with_shadowing, without = sample(p), sample(dataclasses.replace(p, shadowing_db=0.0))
    shadowing = (with_shadowing.slots["sinr_db"] - without.slots["sinr_db"])[0].astype(float)
    assert shadowing.std() == pytest.approx(6.0, rel=4 / math.sqrt(2 * shadowing.size))
    between_cells = np.corrcoef(shadowing.T)[~np.eye(8, dtype=bool)]
    assert np.abs(between_cells).max() < 4.5 / math.sqrt(400)


def test_sinr_stays_within_its_clip_and_reaches_both_ends():
    sinr = sample(SCENARIOS["small"]).slots["sinr_db"]
    assert sinr.min() == -10.0 and sinr.max() == 30.0


def test_ues_that_stand_keep_their_sinr_and_those_that_move_do_not():
    standing = sample(params("small", motion="static", horizon=10))
    for f in ("sinr_db", "user_position_m"):
        assert np.array_equal(standing.slots[f], np.repeat(standing.slots[f][:1], 12, axis=0))
    moving = sample(params("small", horizon=10, sinr_floor_db=-60.0, sinr_ceiling_db=60.0)).slots["sinr_db"]
    assert (moving[1:] != moving[:-1]).mean() > 0.95  # the rest is clipped twice


def test_the_mean_displacement_per_slot_is_the_mean_speed():
    position = scenario.sample_lanes(params("small", side_m=20_000.0, horizon=40), generators(40)).slots[
        "user_position_m"
    ]
    step = np.linalg.norm(np.diff(position.astype(float), axis=0), axis=-1)
    assert step.mean() == pytest.approx(17.0, abs=4 * 10 / math.sqrt(12 * 400))  # mean speeds U[12, 22] m/s


@pytest.mark.undisturbed
def test_a_large_scenario_needs_little_more_memory_than_its_trace():
    p = params("mobility", num_ues=200, horizon=4000)
    tracemalloc.start()
    try:
        trace = sample(p)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(values.nbytes for values in trace.slots.values())
    assert size > 80e6
    assert peak < 1.8 * size  # whole arrays of normal variates, levels and distances would take five times the trace
