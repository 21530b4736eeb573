"""Where the samples of a round go: what a UE offloads is moved to the data centres, none lost and none doubled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.partition import largest_remainders


def moved(samples: NDArray, sizes: NDArray, offload_share: NDArray, forward_share: NDArray) -> NDArray:
    """The samples of each data processing unit, UEs first, (N + S, most samples), -1 for none.

    ``samples`` (sum of sizes,) are those of the UEs, ``sizes`` (N,) of them each, UE after UE. Shares (N, B) are
    offloaded to the BSs and (B, S) forwarded to the DCs; what is kept and what goes over each pair of BS and DC are
    whole numbers by largest remainders. Samples go in the order in which they were drawn, which says nothing of them.

    >>> moved(np.array([7, 8, 9]), np.array([2, 1]), np.array([[0.5], [0.0]]), np.array([[1.0]])).tolist()
    [[7], [9], [8]]
    """
    ues, dcs = len(sizes), forward_share.shape[1]
    pairs = (offload_share[:, :, None] * forward_share).reshape(ues, -1)
    kept = np.maximum(0.0, 1.0 - offload_share.sum(axis=1, keepdims=True))
    counts = largest_remainders(np.concatenate([kept, pairs], axis=1), sizes)
    centres = np.tile(ues + np.arange(dcs), len(forward_share))
    places = np.concatenate([np.arange(ues)[:, None], np.broadcast_to(centres, pairs.shape)], axis=1)
    unit = np.repeat(places.ravel(), counts.ravel())  # of each sample
    held = np.bincount(unit, minlength=ues + dcs)
    out = np.full((ues + dcs, held.max()), -1)
    out[np.arange(held.max()) < held[:, None]] = samples[np.argsort(unit, kind="stable")]
    return out
