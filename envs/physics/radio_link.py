"""Radio link failure (RLF): when a UE loses its serving cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OUT_OF_SYNC_DB = -8.0
"""Qout: below this SINR the link is out of sync (TS 38.133: where control channels are lost one time in ten)."""
IN_SYNC_DB = -6.0
"""Qin: a link out of sync is in sync again from this SINR on."""


def link_failures(
    sinr_db: NDArray, moved: NDArray[np.bool_], slots_out: NDArray[np.int64], failure_slots: int
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Links that fail in a slot, and how long each has been out of sync.

    A handover stops the timer (T310). A link fails that has been out of sync for ``failure_slots`` slots in a row, or
    whose handover ends below Qout; a failure resets the timer too.

    Parameters
    ----------
    sinr_db : SINR of the serving cell in this slot, of any shape.
    moved : whether the UE was handed over to it in this slot.
    slots_out : slots out of sync in a row up to the slot before.
    failure_slots : T310 in slots, at least 1.

    Returns
    -------
    Which links fail, and ``slots_out`` for the next slot.

    >>> sinr_db = np.array([-9.0, -7.0, -9.0, -7.0])
    >>> failed, out = link_failures(sinr_db, np.array([False, False, True, True]), np.array([0, 1, 0, 1]), 2)
    >>> failed.tolist(), out.tolist()
    ([False, True, True, False], [1, 0, 0, 0])
    """
    slots_out = np.where(moved, 0, slots_out)
    out = (sinr_db < OUT_OF_SYNC_DB) | ((slots_out > 0) & (sinr_db < IN_SYNC_DB))
    slots_out = np.where(out, slots_out + 1, 0)
    failed = (slots_out >= failure_slots) | (moved & (sinr_db < OUT_OF_SYNC_DB))
    return failed, np.where(failed, 0, slots_out)
