"""Assignments that need no model: random pairs, and the greatest gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.algorithms.pairing.exact import max_gain_matching
from rangym.policies.base import Observation, Policy, Task


class RandomPairs(Policy):
    """The scheduled users in random order, two by two on the sub-channels."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._rng = rng

    def act(self, observation: Observation) -> NDArray:
        users, channels = observation["snr_db"].shape
        competing = np.flatnonzero(observation["scheduled"])
        places = self._rng.permutation(max(2 * channels, len(competing)))[: len(competing)]
        subchannel = np.full(users, channels)
        subchannel[competing] = np.minimum(places // 2, channels)
        return subchannel


class MaxGain(Policy):
    """The assignment with the greatest sum of SNR in dB; ignores training times and interference."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        snr_db = observation["snr_db"].astype(np.float64)
        competing = np.flatnonzero(observation["scheduled"])
        subchannel = np.full(len(snr_db), snr_db.shape[1])
        subchannel[competing] = max_gain_matching(snr_db[competing], 2)
        return subchannel
