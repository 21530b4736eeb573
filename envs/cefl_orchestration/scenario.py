"""How an episode's chance is drawn: data, fading, congestion and drift of every round."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from rangym.envs.cefl_orchestration.network import Network
from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.envs.trace import Trace

IGNORED_BPS = 1e9
"""Diagonal of ``dc_to_dc_bps``: no DC sends to itself."""


def sample_lanes(params: CeflOrchestrationParams, network: Network, rngs: Sequence[np.random.Generator]) -> Trace:
    """One stacked trace; each lane draws from its own generator, and only the arithmetic is shared."""
    p, slots = params, params.horizon + 2
    ues, bss, dcs = p.num_ues, p.num_bss, p.num_dcs
    normals, uniforms = dcs + ues + ues * bss + 1, 2 * bss * dcs + dcs * dcs
    normal = np.stack([rng.standard_normal((slots, normals)) for rng in rngs], axis=1)
    uniform = np.stack([rng.random((slots, uniforms)) for rng in rngs], axis=1)
    keys = np.stack([rng.integers(np.iinfo(np.int64).max, size=slots) for rng in rngs], axis=1)

    lead = (slots, len(rngs))
    multiplier, points, fading, drift = np.split(normal, np.cumsum([dcs, ues, ues * bss]), axis=2)
    up, down, between = np.split(uniform, np.cumsum([bss * dcs, bss * dcs]), axis=2)
    snr_db = network.mean_snr_db + p.fading_db * fading.reshape(*lead, ues, bss)
    backhaul = _available(p, network.inside, up.reshape(*lead, bss, dcs)) * network.backhaul_bps
    dc_to_bs = _available(p, network.inside.T, down.reshape(*lead, dcs, bss)) * network.backhaul_bps.T
    dc_to_dc = 1e6 * _wide_area(p, p.dc_to_dc_mbps, between.reshape(*lead, dcs, dcs))
    return Trace(
        {},
        {
            "data_points": _data_points(p, network, multiplier, points),
            "uplink_bps": _rate_bps(p, snr_db, p.uplink_mhz),
            "downlink_bps": np.swapaxes(_rate_bps(p, snr_db + p.downlink_gain_db, p.downlink_mhz), 2, 3).copy(),
            "backhaul_bps": within_capacity(backhaul, network.dc_capacity_bps),
            "dc_to_bs_bps": dc_to_bs,
            "dc_to_dc_bps": np.where(np.eye(dcs, dtype=bool), IGNORED_BPS, dc_to_dc),
            "drift_per_s": p.drift_per_s * np.exp(p.drift_sd * drift[..., 0]),
            "minibatch_key": keys,
        },
    )


def within_capacity(backhaul_bps: NDArray, dc_capacity_bps: NDArray) -> NDArray:
    """Rates (..., B, S), those of a DC scaled down together where their sum exceeds what it can take."""
    total = backhaul_bps.sum(axis=-2, keepdims=True)
    return backhaul_bps * np.minimum(1.0, dc_capacity_bps / total)


def _data_points(p: CeflOrchestrationParams, network: Network, multiplier: NDArray, points: NDArray) -> NDArray:
    """Whole data points (T + 2, L, N): normal in each round, times the multiplier of the UE's sub-network."""
    fresh = multiplier * np.sqrt(1.0 - p.skew_memory**2)
    fresh[0] = multiplier[0]  # stationary from the start
    level = lfilter([1.0], [1.0, -p.skew_memory], fresh, axis=0)
    scale = np.exp(p.skew * level - p.skew**2 / 2.0)[..., network.ue_subnet]
    return np.maximum(p.min_points, np.round((p.mean_points + np.sqrt(p.points_variance) * points) * scale))


def _rate_bps(p: CeflOrchestrationParams, snr_db: NDArray, bandwidth_mhz: float) -> NDArray:
    return 1e6 * shannon_rate_mbps(np.maximum(snr_db, p.snr_floor_db), np.asarray(bandwidth_mhz))


def _available(p: CeflOrchestrationParams, inside: NDArray, uniform: NDArray) -> NDArray:
    low, high = p.availability_inside
    return np.where(inside, low + (high - low) * uniform, _wide_area(p, p.availability_across, uniform))


def _wide_area(p: CeflOrchestrationParams, limits: tuple[float, float], uniform: NDArray) -> NDArray:
    low, high = limits
    return low + (high - low) * uniform if p.wide_area_law == "uniform" else low * (high / low) ** uniform
