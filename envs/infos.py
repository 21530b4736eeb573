"""Gymnasium's layout of a vector environment's infos, written and read in one place.

An entry ``key`` holds the values of all lanes, and ``_key`` the mask of the lanes that have one. Under SAME_STEP the
last step of an episode is in ``final_obs``, an array of objects, and ``final_info``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from rangym.envs.model import T, lane
from rangym.envs.trace import Array


def owned(tree: T) -> T:
    """Copies of all arrays in a (nested) dictionary: writing into them changes neither the state nor the history."""
    if isinstance(tree, np.ndarray):  # first: asking for a Mapping costs as much as the copy
        return cast(T, tree.copy())
    return cast(T, {k: owned(v) for k, v in tree.items()}) if isinstance(tree, Mapping) else tree


def masked(info: Mapping[str, object], mask: Array) -> dict[str, object]:
    """Infos of the lanes in ``mask``, with a copy of it; the arrays are the caller's own too."""
    found: dict[str, object] = {}
    own = mask.copy()
    for key, value in info.items():
        if isinstance(value, np.ndarray):  # first, as above
            found[key] = value.copy()
        else:
            found[key] = masked(value, mask) if isinstance(value, Mapping) else np.array(value)
        found[f"_{key}"] = own
    return found


def one_a_lane(observation: Mapping[str, Array], lanes: int) -> Array:
    """The lanes' observations, each a dictionary of its own, as an array of objects."""
    rows = np.empty(lanes, dtype=object)
    rows[:] = [lane(observation, b) for b in range(lanes)]
    return rows


def final_observations(info: Mapping[str, Array]) -> dict[int, Mapping[str, Array]]:
    """Lane -> last observation of its episode, for the lanes whose episode ended in the step that gave ``info``."""
    return {b: info["final_obs"][b] for b in np.flatnonzero(info.get("_final_obs", ())).tolist()}


def of_lane(info: Mapping[str, object], b: int) -> dict[str, object]:
    """Lane b's part of the infos: the entries whose mask says that the lane has them."""
    mine: dict[str, object] = {}
    for key, values in info.items():
        if key.startswith("_") or not np.asarray(info[f"_{key}"])[b]:
            continue
        mine[key] = of_lane(values, b) if isinstance(values, Mapping) else np.asarray(values)[b]
    return mine
