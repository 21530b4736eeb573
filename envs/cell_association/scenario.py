"""How an episode's chance is drawn, by law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.trace import Trace


def sample_lanes(params: CellAssociationParams, rngs: Sequence[np.random.Generator]) -> Trace:
    """TEMPORARY random-walk channel until the real laws stand."""
    p = params
    traces = []
    for rng in rngs:
        n = p.horizon + 2
        walk = np.cumsum(rng.normal(0, 2, (n, p.num_ues, p.num_cells)), 0) + rng.normal(8, 6, (p.num_ues, p.num_cells))
        delay = rng.uniform(0.025, 0.05, (p.num_ues, 1)).repeat(p.num_cells, 1)
        constants = {
            "bandwidth_mhz": rng.choice([5.0, 10.0, 15.0, 20.0], p.num_cells),
            "cell_position_m": rng.uniform(0, p.side_m, (p.num_cells, 2)),
            "cell_rat": np.full(p.num_cells, 5),
            "device_type": np.zeros(p.num_ues, np.int64),
        }
        slots = {
            "sinr_db": np.clip(walk, p.sinr_floor_db, p.sinr_ceiling_db).astype(np.float32),
            "user_position_m": rng.uniform(0, p.side_m, (n, p.num_ues, 2)).astype(np.float32),
        }
        if p.delay_variation > 0:
            slots["handover_delay"] = np.broadcast_to(delay, (n, *delay.shape))
        else:
            constants["handover_delay"] = delay
        if p.law == "measured":
            slots["covered"] = walk > 0
        traces.append(Trace(constants, slots))
    return Trace.stack(traces)
