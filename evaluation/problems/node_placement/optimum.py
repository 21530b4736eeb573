"""The best placements found so far, stored in `BEST_KNOWN` by the command of the module ``best_placements``.

Each entry holds the placement itself, so that its value can be checked; it says nothing about how much better an
unknown one may be.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import Trace
from rangym.envs.node_placement.system import NodePlacement

BEST_KNOWN = Path(__file__).with_name("best_known.json")


def best_known(system: NodePlacement, trace: Trace) -> float | None:
    """Utility of the best placement stored for a trace of one slot and free moves, evaluated anew; None without one."""
    p = system.params
    if p.v_max_m is not None or p.horizon != 1 or p.movement_weight > 0:
        return None  # not one free placement
    users = trace.slots["user_position_m"][1]
    entry = _stored().get(fingerprint(users))
    if entry is None or len(entry["node_position_m"]) != p.num_nodes:
        return None
    return float(system.utility(users, np.array(entry["node_position_m"])))


def fingerprint(user_m: NDArray) -> str:
    """Identity of a set of users, to a millimetre."""
    return hashlib.sha256(np.round(user_m * 1000).astype("<i8").tobytes()).hexdigest()[:16]


@functools.cache
def _stored() -> dict[str, dict]:
    return json.loads(BEST_KNOWN.read_text(encoding="utf-8"))["placements"] if BEST_KNOWN.exists() else {}
