"""Who a round waits for: the chain of nodes behind its delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.federated_round import FederatedRound, RoundDecision

Node = tuple[str, int]
"""``("ue", n)``, ``("bs", b)`` or ``("dc", s)``."""


@dataclass(frozen=True)
class CriticalPath:
    """The nodes that the last vector passed on its way to the aggregator, and the last model from it."""

    inward: tuple[Node, ...]
    outward: tuple[Node, ...]


def critical_path(decision: RoundDecision | Mapping[str, NDArray], done: FederatedRound) -> CriticalPath:
    """The path behind ``done.aggregation_s`` and that behind ``done.reception_s``, without leading axes.

    A DC that collects data waits for its slowest BS, and that BS for the slowest transfer of any UE in the network.
    """
    aggregator = int(decision["aggregator"])
    ue_end = done.ue_upload_s + done.ue_compute_s
    dc_end = done.collection_s + done.dc_compute_s + done.dc_upload_s
    inward: list[Node]
    if ue_end.max() >= dc_end.max():
        n = int(ue_end.argmax())
        inward = [("ue", n), ("bs", int(decision["ue_to_bs"][n]))]
    else:
        s = int(dc_end.argmax())
        n, b = (int(i) for i in np.unravel_index(done.offload_s.argmax(), done.offload_s.shape))
        relay = int(done.forward_s[:, s].argmax())
        inward = [("ue", n), ("bs", b)] + ([("bs", relay)] if relay != b else []) + [("dc", s)]
    if inward[-1] != ("dc", aggregator):
        inward.append(("dc", aggregator))
    bs_end = done.bs_reception_s + done.broadcast_s
    outward: list[Node] = [("dc", aggregator)]
    if bs_end.max() >= done.dc_reception_s.max():
        b = int(bs_end.argmax())
        outward.append(("bs", b))
        listeners = np.flatnonzero(decision["bs_to_ue"] == b)
        if len(listeners):
            outward.append(("ue", int(listeners[done.last_hop_s[listeners].argmax()])))
    else:
        outward.append(("dc", int(done.dc_reception_s.argmax())))
    return CriticalPath(tuple(inward), tuple(outward))
