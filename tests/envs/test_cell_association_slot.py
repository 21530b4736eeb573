"""A slot's accounting in CellAssociation, against the definition written out one UE at a time."""

import dataclasses
import math

import numpy as np
import pytest

from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.cell_association.system import CellAssociation

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
