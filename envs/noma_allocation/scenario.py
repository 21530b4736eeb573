"""How an episode's chance is drawn: places, data and processors once, clusters' turns and fading every round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.physics.channel import power_law_gain, thermal_noise_dbm
from rangym.envs.physics.energy import training_time_s
from rangym.envs.physics.units import dbm_to_watt
from rangym.envs.trace import Trace


def sample(params: NomaAllocationParams, rng: np.random.Generator) -> Trace:
    """One episode; constants are drawn before slots."""
    p, slots = params, params.horizon + 2
    ratio = (p.min_distance_m / p.radius_m) ** 2
    distance = p.radius_m * np.sqrt(rng.uniform(ratio, 1.0, p.num_ues))  # uniform over the ring's area
    cluster = rng.integers(p.num_clusters, size=p.num_ues)
    samples = rng.integers(int(p.samples[0]), int(p.samples[1]) + 1, p.num_ues)
    clock_hz = 1e9 * rng.uniform(*p.clock_ghz, p.num_ues)
    faded = rng.standard_exponential((slots, p.num_ues, 1 if p.fading == "flat" else p.num_subchannels))
    mean = power_law_gain(distance, p.path_loss_exponent, p.carrier_ghz) / noise_w(p)
    gain = np.broadcast_to(faded * mean[:, None], (slots, p.num_ues, p.num_subchannels))
    training = training_time_s(samples, p.cycles_per_sample, clock_hz)
    return Trace(
        {"distance_m": distance, "cluster": cluster},
        {
            "gain": np.ascontiguousarray(gain),
            "training_time_s": np.broadcast_to(training, (slots, p.num_ues)),
            "data_samples": np.broadcast_to(samples, (slots, p.num_ues)),
            "scheduled": _turns(p, cluster, rng)[:, None] == cluster if p.schedule != "all" else _everybody(p),
        },
    )


def noise_w(params: NomaAllocationParams) -> float:
    """Noise power on one sub-channel."""
    return float(dbm_to_watt(thermal_noise_dbm(params.bandwidth_mhz, params.noise_figure_db)))


def _everybody(params: NomaAllocationParams) -> NDArray:
    return np.ones((params.horizon + 2, params.num_ues), dtype=bool)


def _turns(params: NomaAllocationParams, cluster: NDArray, rng: np.random.Generator) -> NDArray:
    """The cluster that competes in each slot."""
    slots = params.horizon + 2
    if params.schedule == "round_robin":
        return np.arange(slots) % params.num_clusters
    return cluster[rng.integers(params.num_ues, size=slots)]  # a user's cluster: proportional to size
