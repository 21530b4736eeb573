"""A slot's accounting in CellAssociation, against the definition written out one UE at a time."""

import dataclasses
import math

import numpy as np
import pytest

from rangym.envs.cell_association import layout, network
from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.physics.channel import UMA, correlated_shadowing_db, sinr_db, thermal_noise_dbm
from rangym.envs.physics.random import box_muller

CASES = {
    "tiny": ("tiny", {}),
    "norm": ("small", {"handover_cost": "norm"}),
    "varying": ("small", {"delay_variation": 0.4}),
    "capped": ("small", {"max_spectral_efficiency": 4.0}),
    "static": ("static", {"horizon": 12, "num_ues": 9, "num_cells": 4}),
}
ULPS = 4 * np.finfo(float).eps


def account(p, slot, b, history):
    """Metrics of the last decision of ``history``, the cells ``(I,)`` of lane b in the slots so far."""
    now, cells = history[-1], [int((history[-1] == j).sum()) for j in range(p.num_cells)]
    g = throughput = delay = 0.0
    handovers = ping_pongs = weak = 0
    for i, j in enumerate(now):
        sinr, mhz = float(slot["sinr_db"][b, i, j]), float(slot["bandwidth_mhz"][b, j])
        efficiency = math.log2(1.0 + 10.0 ** (sinr / 10.0))
        rate = mhz * min(efficiency, p.max_spectral_efficiency or math.inf)
        g += math.log10(rate / cells[j])
        throughput += rate / cells[j] / p.num_ues
        if len(history) > 1 and history[-2][i] != j:
            handovers += 1
            delay += float(slot["handover_delay"][b, i, j]) + float(slot["handover_delay"][b, i, history[-2][i]])
            weak += sinr < -8.0
            way = [int(x[i]) for x in history]
            last = max((t for t in range(1, len(way) - 1) if way[t] != way[t - 1]), default=None)  # the HO before
            if last is not None and way[last - 1] == j and len(way) - 1 - last <= 5:
                ping_pongs += 1
    h = -p.handover_weight * (math.sqrt(delay) if p.handover_cost == "norm" else delay)
    jain = p.num_ues**2 / (p.num_cells * sum(y * y for y in cells))
    counts = {"handovers": handovers, "ping_pongs": ping_pongs, "weak_targets": weak}
    return counts | {
        "g": g, "h": h, "f": g + h, "throughput_mbps": throughput, "ho_delay_slots": delay, "load_jain": jain
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_slot_by_its_definition(case):
    name, overrides = CASES[case]
    p = dataclasses.replace(SCENARIOS[name], **overrides)
    system, lanes, rng = CellAssociation(p), 3, np.random.default_rng(1)
    trace = system.sample_lanes([np.random.default_rng(b) for b in range(lanes)])
    state, decisions, seen = system.initial(trace.slot(0)), [], dict.fromkeys(("ping_pongs", "weak_targets"), 0)
    for t in range(1, p.horizon + 1):
        decision = rng.integers(p.num_cells, size=(lanes, p.num_ues))
        decision = np.where(rng.random(decision.shape) < 0.4, decision, decisions[-1] if decisions else decision)
        decisions.append(decision)
        state, outcome = system.transition(state, decision, trace.slot(t))
        assert np.array_equal(state["load"].sum(axis=1), np.full(lanes, p.num_ues))
        for b in range(lanes):
            expected = account(p, trace.slot(t), b, [d[b] for d in decisions])
            got = {f: v[b] for f, v in outcome.metrics.items()}
            assert got == pytest.approx(expected, rel=p.num_ues * ULPS, abs=1e-12)
            reward = sum(term[b] for term in outcome.terms.values())
            assert reward == pytest.approx(expected["f"] / p.num_ues, rel=p.num_ues * ULPS, abs=1e-12)
            for f in seen:
                seen[f] += got[f]
    assert seen["ping_pongs"] > 0
    assert (seen["weak_targets"] > 0) == (p.law == "mobility")


def test_a_slot_of_no_lanes_brings_nothing():
    system = CellAssociation(SCENARIOS["tiny"])
    slot = {f: v[:0] for f, v in system.sample_lanes([np.random.default_rng(0)]).slot(0).items()}
    state, outcome = system.transition(system.initial(slot), np.empty((0, system.params.num_ues), np.int64), slot)
    assert state["load"].shape == (0, system.params.num_cells) and outcome.terms["utility"].shape == (0,)


@pytest.mark.parametrize(
    ("lanes", "overrides"),
    [
        (1, {}),
        (3, {}),
        (1, {"num_ues": 500}),
        (2, {"num_ues": 70, "num_cells": 60}),
        (1, {"num_ues": 1, "num_cells": 2}),
    ],
    ids=str,
)
def test_the_sinr_of_a_network_by_its_formulas(lanes, overrides):
    """One pass over UEs, cells and slots, in pieces, gives what the formulas give in turn, and goes on from there."""
    sizes = {"sites": (), "num_ues": 9, "num_cells": 7, **overrides}
    p = dataclasses.replace(SCENARIOS["small"], **sizes, sinr_floor_db=-40.0, sinr_ceiling_db=60.0)
    rows, rngs = layout.carriers(p), [np.random.default_rng(b) for b in range(lanes)]
    networks = layout.draw_networks(p, rows, rngs)
    shadowed, ues = network.Shadowed(p, rows, networks), lanes * p.num_ues
    noise = np.array([thermal_noise_dbm(mhz, p.noise_figure_db) for mhz in rows.bandwidth_mhz.tolist()], np.float32)
    chance, before = np.random.default_rng(9), None
    for slots in (6, 5):
        where, moved = chance.uniform(0, p.side_m, (slots, 2, ues)), chance.uniform(0, 40, (slots - (slots == 6), ues))
        found = np.empty((slots, lanes, p.num_ues, p.num_cells), np.float32)
        draws = [np.random.default_rng([slots, b]) for b in range(lanes)]
        shadowed.draw(draws, where, moved, found)
        for b in range(lanes):
            own = slice(b * p.num_ues, (b + 1) * p.num_ues)
            normal = box_muller(np.random.default_rng([slots, b]), (p.num_cells, slots, p.num_ues))
            last = None if before is None else before[:, own]
            fading = correlated_shadowing_db(
                normal, moved[:, own].astype(np.float32), p.shadowing_db, p.shadowing_distance_m, last
            )
            site = networks.constants["cell_position_m"][b, networks.cell_of_row[b]]
            level = np.empty(fading.shape)
            for j, (x, y) in enumerate(site):
                apart = np.hypot(where[:, 0, own] - x, where[:, 1, own] - y)
                level[j] = fading[j] + rows.power_dbm[j] - UMA.mean_db(apart, float(rows.carrier_ghz[j]))
            for group in rows.groups:
                level[group] = sinr_db(level[group], noise[group])
            expected = np.moveaxis(np.clip(level, p.sinr_floor_db, p.sinr_ceiling_db), 0, 2)
            assert found[:, b][..., networks.cell_of_row[b]] == pytest.approx(expected, abs=1e-4)
            if b == 0:
                after = np.empty((p.num_cells, ues), np.float32)
            after[:, own] = fading[:, -1]
        before = after
