"""Which days there are: fresh ones for evaluation, a pool for training, and a history that predictors learn from."""

from __future__ import annotations

import numpy as np

from rangym.envs.qos_clustering.generator import Day, DaySettings, draw_day

HISTORY, POOL, FRESH = 0, 1, 2
"""Kinds of days. Their generators are spawned under different keys, so no number makes one the other."""
FRESH_DAYS = 2**63


def day_rng(kind: int, number: int) -> np.random.Generator:
    """The generator of a day."""
    return np.random.default_rng(np.random.SeedSequence(number, spawn_key=(kind,)))


def history_day(settings: DaySettings, number: int) -> Day:
    """Day ``number`` of the history."""
    return draw_day(settings, day_rng(HISTORY, number))
