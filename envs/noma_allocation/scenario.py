"""How an episode's chance is drawn: places, data and processors once, clusters' turns and fading every round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.physics.channel import power_law_gain, thermal_noise_dbm
from rangym.envs.physics.energy import training_time_s
from rangym.envs.physics.units import dbm_to_watt
from rangym.envs.trace import Trace

BLOCK = 16
"""Lanes whose fading is drawn before it goes to its slots: it stays in the cache."""


def sample(params: NomaAllocationParams, rng: np.random.Generator) -> Trace:
    """One episode; constants are drawn before slots."""
    return sample_lanes(params, [rng]).lane(0)


def sample_lanes(params: NomaAllocationParams, rngs: Sequence[np.random.Generator]) -> Trace:
    """One stacked trace; each lane draws from its own generator, and only the arithmetic is shared."""
    p, slots, lanes = params, params.horizon + 2, len(rngs)
    ratio = (p.min_distance_m / p.radius_m) ** 2
    area, clock_ghz = np.empty((lanes, p.num_ues)), np.empty((lanes, p.num_ues))
    cluster, samples = np.zeros((lanes, p.num_ues), np.int64), np.empty((lanes, p.num_ues), np.int64)
    scheduled = np.ones((slots, lanes, p.num_ues), dtype=bool)
    gain = np.empty((slots, lanes, p.num_ues, p.num_subchannels))
    faded = np.empty((min(lanes, BLOCK), slots, p.num_ues, 1 if p.fading == "flat" else p.num_subchannels))
    for first in range(0, lanes, BLOCK):
        block = slice(first, first + BLOCK)
        for b, rng in enumerate(rngs[block]):
            area[first + b] = rng.uniform(ratio, 1.0, p.num_ues)  # share of the disc within the user's distance
            if p.num_clusters > 1:  # a single one takes no number from the generator
                cluster[first + b] = rng.integers(p.num_clusters, size=p.num_ues)
            samples[first + b] = rng.integers(int(p.samples[0]), int(p.samples[1]) + 1, p.num_ues)
            clock_ghz[first + b] = rng.uniform(*p.clock_ghz, p.num_ues)
            rng.standard_exponential(out=faded[b])
            if p.schedule != "all":
                scheduled[:, first + b] = _turns(p, cluster[first + b], rng)[:, None] == cluster[first + b]
        distance = p.radius_m * np.sqrt(area[block])
        mean = power_law_gain(distance, p.path_loss_exponent, p.carrier_ghz) / noise_w(p)
        mean = np.repeat(mean[..., None], p.num_subchannels, axis=2)  # a long inner loop below
        np.multiply(faded[: len(mean)].transpose(1, 0, 2, 3), mean, out=gain[:, block])
    training = training_time_s(samples, p.cycles_per_sample, 1e9 * clock_ghz)
    return Trace(
        {"distance_m": p.radius_m * np.sqrt(area), "cluster": cluster},
        {
            "gain": gain,
            "training_time_s": np.broadcast_to(training, scheduled.shape),
            "data_samples": np.broadcast_to(samples, scheduled.shape),
            "scheduled": scheduled,
        },
    )


def noise_w(params: NomaAllocationParams) -> float:
    """Noise power on one sub-channel."""
    return float(dbm_to_watt(thermal_noise_dbm(params.bandwidth_mhz, params.noise_figure_db)))


def _turns(params: NomaAllocationParams, cluster: NDArray, rng: np.random.Generator) -> NDArray:
    """The cluster that competes in each slot."""
    slots = params.horizon + 2
    if params.schedule == "round_robin":
        return np.arange(slots) % params.num_clusters
    return cluster[rng.integers(params.num_ues, size=slots)]  # a user's cluster: proportional to size
