"""Episode metrics: what a row says about an episode, from the outcomes of its slots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def episode_metrics(slots: Sequence[Mapping[str, Any]], ratios: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Mean over the slots of every scalar metric, and each ratio as sum over sum (None where it divides by zero)."""
    scalars = [name for name, value in slots[0].items() if np.ndim(value) == 0]
    sums = {name: float(sum(float(slot[name]) for slot in slots)) for name in scalars}
    means = {name: total / len(slots) for name, total in sums.items()}
    shares = {name: sums[above] / sums[below] if sums[below] else None for name, (above, below) in ratios.items()}
    return {**means, **shares}


def term_means(slots: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean over the slots of every reward term."""
    return {name: float(np.mean([float(slot[name]) for slot in slots])) for name in slots[0]}
