"""Radio channel: path loss, shadowing, SINR and rate.

Arguments broadcast; float32 arrays stay float32. Source of the path loss: 3GPP TR 38.901, tables 7.4.1-1 and 7.4.2-1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.units import db_to_linear, linear_to_db

SPEED_OF_LIGHT_MPS = 3.0e8
"""The value of TR 38.901."""
EXACT_SPEED_OF_LIGHT_MPS = 299_792_458.0
THERMAL_NOISE_DBM_PER_HZ = -174.0
USER_HEIGHT_M = 1.5
"""Antenna height of every UE; the UE-height terms of TR 38.901 vanish at it."""
ENVIRONMENT_HEIGHT_M = 1.0
"""Effective environment height h_E; exactly 1 m for UEs below 13 m."""
MIN_DISTANCE_M = 10.0
"""The models hold from 10 m horizontal distance on; shorter distances count as 10 m."""
CERTAIN_LOS_M = 18.0
"""Up to this horizontal distance there is always a line of sight."""
LOG10_OF_SQUARE = 0.5 / math.log(10.0)
"""log10 x of the natural logarithm of x squared."""


@dataclass(frozen=True)
class PathLossModel:
    """A TR 38.901 path loss, in dB of the 3D distance in metres and the carrier in GHz.

    LOS up to the breakpoint: ``los_intercept + los_slope log10 d + 20 log10 f``, beyond it 40 dB a decade;
    NLOS: ``nlos_intercept + nlos_slope log10 d + nlos_carrier_slope log10 f``, and never below LOS. With
    ``dual_slope=False`` the first branch of LOS holds at every distance.
    """

    base_station_height_m: float
    los_intercept: float
    los_slope: float
    nlos_intercept: float
    nlos_slope: float
    nlos_carrier_slope: float
    los_decay_m: float
    dual_slope: bool = True

    def breakpoint_m(self, carrier_ghz: float) -> float:
        """Horizontal breakpoint distance d'_BP = 4 (h_BS - h_E)(h_UT - h_E) f / c in metres, at ``carrier_ghz``."""
        heights = (self.base_station_height_m - ENVIRONMENT_HEIGHT_M) * (USER_HEIGHT_M - ENVIRONMENT_HEIGHT_M)
        return 4.0 * heights * carrier_ghz * 1e9 / SPEED_OF_LIGHT_MPS

    def los_db(self, distance_m: NDArray, carrier_ghz: float) -> NDArray:
        """Line-of-sight loss in dB at the horizontal distance ``distance_m`` ``(...)``, of the same shape."""
        return los_db(self._log_distance(distance_m), self.at(carrier_ghz))

    def nlos_db(self, distance_m: NDArray, carrier_ghz: float) -> NDArray:
        """Loss in dB without line of sight at the horizontal distance ``distance_m`` ``(...)``, of the same shape."""
        log_d, at = self._log_distance(distance_m), self.at(carrier_ghz)
        return nlos_db(log_d, los_db(log_d, at), at)

    def los_probability(self, distance_m: NDArray) -> NDArray:
        """Probability of a line of sight at the horizontal distance ``distance_m`` ``(...)``; 1 up to 18 m."""
        distance = np.maximum(distance_m, CERTAIN_LOS_M)
        return los_probability(distance, np.exp(distance * (-1.0 / self.los_decay_m)), self.at(1.0))

    def mean_db(self, distance_m: NDArray, carrier_ghz: float) -> NDArray:
        """LOS and NLOS loss at ``distance_m`` ``(...)``, mixed in dB by the probability of a line of sight."""
        from rangym.envs.physics import channel_kernels as kernels

        apart = np.ascontiguousarray(distance_m, np.result_type(distance_m, np.float32)).reshape(1, -1)
        at, work = tuple(self.at(carrier_ghz, apart.dtype)), np.zeros((3, *apart.shape), apart.dtype)
        square, decay, received = work
        kernels.path_loss_arguments(apart, at, square, decay)
        kernels.receive(received, np.zeros(1, apart.dtype), apart, np.log(square), np.exp(decay), at)
        return -received.reshape(np.shape(distance_m))

    def _log_distance(self, distance_m: NDArray) -> NDArray:
        """log10 of the 3D distance."""
        distance = np.maximum(distance_m, MIN_DISTANCE_M)
        return np.log(distance * distance + self.at(1.0).square_height) * LOG10_OF_SQUARE

    @lru_cache(maxsize=256)  # noqa: B019 - models are few and live as long as the process
    def at(self, carrier_ghz: float, dtype: np.dtype[Any] | None = None) -> PathLossAt:
        """The coefficients at ``carrier_ghz``, as scalars of ``dtype``, by default Python's numbers."""
        log_f, height = math.log10(carrier_ghz), self.base_station_height_m - USER_HEIGHT_M
        at = PathLossAt(
            square_height=height**2,
            los_slope=self.los_slope,
            los_offset=self.los_intercept + 20.0 * log_f,
            # The two branches meet in the breakpoint, so the steeper one only adds to the first beyond it.
            log_break=math.log10(math.hypot(self.breakpoint_m(carrier_ghz), height)),
            added_slope=40.0 - self.los_slope if self.dual_slope else 0.0,
            nlos_slope=self.nlos_slope,
            nlos_offset=self.nlos_intercept + self.nlos_carrier_slope * log_f,
            los_rate=-1.0 / self.los_decay_m,
        )
        return at if dtype is None else PathLossAt(*map(dtype.type, at))


class PathLossAt(NamedTuple):
    """A `PathLossModel` at one carrier, as the coefficients and constants of the formulas below.

    These take arrays as well as, compiled, single numbers, which keep a float type only if every constant has it.
    """

    square_height: float
    los_slope: float
    los_offset: float
    log_break: float
    added_slope: float
    nlos_slope: float
    nlos_offset: float
    los_rate: float
    zero: float = 0.0
    one: float = 1.0
    min_distance: float = MIN_DISTANCE_M
    certain_los: float = CERTAIN_LOS_M
    log10_of_square: float = LOG10_OF_SQUARE


def los_db(log_d: NDArray, at: PathLossAt) -> NDArray:
    """Line-of-sight loss in dB where the 3D distance has the logarithm ``log_d``."""
    return at.los_slope * log_d + at.los_offset + at.added_slope * np.maximum(log_d - at.log_break, at.zero)


def nlos_db(log_d: NDArray, los: NDArray, at: PathLossAt) -> NDArray:
    """Loss in dB without line of sight; with it the loss is ``los``."""
    return np.maximum(los, at.nlos_slope * log_d + at.nlos_offset)


def los_probability(distance: NDArray, decay: NDArray, at: PathLossAt) -> NDArray:
    """Probability of a line of sight, from the distance, at least 18 m, and exp(-distance / decay length)."""
    near = at.certain_los / distance
    return near + decay * (at.one - near)


UMA = PathLossModel(25.0, 28.0, 22.0, 13.54, 39.08, 20.0, 63.0)
"""Urban macro: base stations at 25 m, above the roofs."""
UMI = PathLossModel(10.0, 32.4, 21.0, 22.4, 35.3, 21.3, 36.0)
"""Urban micro, street canyon: base stations at 10 m, below the roofs."""


def correlated_shadowing_db(
    normal: NDArray, moved_m: NDArray, deviation_db: float, decorrelation_m: float, before_db: NDArray | None = None
) -> NDArray:
    """Log-normal shadowing along a path: AR(1) over slots with correlation exp(-moved / decorrelation distance).

    Parameters
    ----------
    normal : standard normal variates ``(J, S, ...)``, S slots.
    moved_m : distance moved from each slot to the next, ``(S - 1, ...)``; with ``before_db`` from the slot before the
        first on, ``(S, ...)``.
    deviation_db : stationary standard deviation.
    decorrelation_m : distance at which the correlation is 1/e (TR 38.901, section 7.4.4).
    before_db : ``(J, ...)`` shadowing in the slot before the first one, from which the path goes on.

    Returns
    -------
    Shadowing in dB, the shape of ``normal``, stationary from slot 0 on.
    """
    slots = normal.shape[1]
    keep, spread = shadowing_steps(moved_m, deviation_db, decorrelation_m, slots)
    shadowing = (spread * normal).astype(normal.dtype, copy=False)
    if before_db is not None:
        shadowing[:, 0] += keep[0] * before_db
    for t in range(1, slots):
        shadowing[:, t] += keep[t] * shadowing[:, t - 1]
    return shadowing


def shadowing_steps(
    moved_m: NDArray, deviation_db: float, decorrelation_m: float, slots: int
) -> tuple[NDArray, NDArray]:
    """The factors, each ``(S, ...)``, of `correlated_shadowing_db`: x_t = keep_t x_{t-1} + spread_t normal_t.

    A first slot that has none before it, where ``moved_m`` is one short, has keep 0 and the whole deviation.
    """
    keep = np.zeros((slots, *moved_m.shape[1:]), np.result_type(moved_m, np.float32))
    np.exp(moved_m * (-1.0 / decorrelation_m), out=keep[slots - len(moved_m) :])
    return keep, deviation_db * np.sqrt(1.0 - keep * keep)


def correlated_field(
    rng: np.random.Generator, x_m: NDArray, y_m: NDArray, correlation_m: float, waves: int = 24
) -> NDArray:
    """A smooth random field of mean 0 and variance 1 on the grid of ``y_m`` and ``x_m``, ``(len(y), len(x))``.

    It is the sum of ``waves`` plane waves sqrt(2 / waves) cos(k_x x + k_y y + phase) with wave numbers
    N(0, 1 / correlation_m) per axis and uniform phases, so its correlation at distance d is
    exp(-d^2 / (2 correlation_m^2)), over draws of the field.
    """
    k_x, k_y = rng.normal(0.0, 1.0 / correlation_m, (2, waves))
    phase = rng.uniform(0.0, 2.0 * math.pi, waves)
    # cos(a + b) = Re(e^ia e^ib): the grid costs one matrix product.
    along_y = np.exp(1j * (np.multiply.outer(y_m, k_y) + phase))
    along_x = np.exp(1j * np.multiply.outer(k_x, x_m))
    return math.sqrt(2.0 / waves) * (along_y @ along_x).real


def power_law_gain(distance_m: NDArray, exponent: float, carrier_ghz: float) -> NDArray:
    """Mean channel gain (lambda / 4 pi)^2 d^-exponent: free space up to the reference distance of 1 m.

    Parameters
    ----------
    distance_m : ``(...)``, above 0.
    exponent : path-loss exponent.
    carrier_ghz : carrier frequency.

    Returns
    -------
    Linear gain, float64, of the shape of ``distance_m``.

    >>> round(float(10 * np.log10(power_law_gain(np.array(1.0), 3.0, 2.0))), 2)
    -38.47
    """
    wavelength = EXACT_SPEED_OF_LIGHT_MPS / (carrier_ghz * 1e9)
    return (wavelength / (4.0 * math.pi)) ** 2 * np.asarray(distance_m, np.float64) ** -exponent


def thermal_noise_dbm(bandwidth_mhz: float, noise_figure_db: float) -> float:
    """Noise power of a receiver in dBm: -174 dBm/Hz over the bandwidth, plus its noise figure in dB.

    >>> round(thermal_noise_dbm(20.0, 9.0), 2)
    -91.99
    """
    return THERMAL_NOISE_DBM_PER_HZ + 10.0 * math.log10(bandwidth_mhz * 1e6) + noise_figure_db


def sinr_db(received_dbm: NDArray, noise_dbm: NDArray) -> NDArray:
    """SINR of n cells, of one carrier, all transmitting at full load: s_j = P_j / (sum_{k != j} P_k + w_j N0).

    Parameters
    ----------
    received_dbm : ``(n, ...)`` received power of each cell in dBm.
    noise_dbm : ``(n,)`` noise power over the bandwidth of each cell in dBm; it counts once, for that cell.

    Returns
    -------
    ``(n, ...)`` SINR of each cell in dB.

    >>> sinr_db(np.array([[-90.0], [-93.0]]), np.array([-200.0, -200.0])).round(6).tolist()  # next to no noise
    [[3.0], [-3.0]]
    """
    from rangym.envs.physics import channel_kernels as kernels

    power = db_to_linear(received_dbm).reshape(len(received_dbm), -1)
    noise, disturbance = db_to_linear(noise_dbm).astype(power.dtype), np.empty_like(power)
    kernels.disturb(power, noise, disturbance)
    return received_dbm - linear_to_db(disturbance).reshape(received_dbm.shape)


def shannon_rate_mbps(
    sinr_db: NDArray, bandwidth_mhz: NDArray, max_spectral_efficiency: NDArray | float | None = None
) -> NDArray:
    """Shannon rate w log2(1 + s) in Mbit/s, float64, or w min(log2(1 + s), cap).

    Parameters
    ----------
    sinr_db : SINR s in dB.
    bandwidth_mhz : bandwidth w in MHz; broadcast with ``sinr_db``.
    max_spectral_efficiency : cap in bit/s/Hz that the modulation sets; None: without a cap.

    >>> float(shannon_rate_mbps(np.array(0.0), np.array(20.0)).round(9))
    20.0
    >>> float(shannon_rate_mbps(np.array(30.0), np.array(20.0), 7.4))
    148.0
    """
    rate = rate_mbps(np.log1p(db_to_linear(np.asarray(sinr_db, np.float64))), bandwidth_mhz)
    return rate if max_spectral_efficiency is None else np.minimum(rate, bandwidth_mhz * max_spectral_efficiency)


def rate_mbps(nats: NDArray, bandwidth_mhz: NDArray) -> NDArray:
    """`shannon_rate_mbps` of ln(1 + s), without a cap; of arrays or, compiled, of single numbers."""
    return bandwidth_mhz * nats * (1.0 / math.log(2.0))
