"""At most two users upload on one sub-channel before a deadline: energy, powers, and who is served.

Joins the pair formulas of `sic` and `oma` with lone users, empty places and users that have to be dropped. A dropped
user costs ``drop_cost_j`` instead of energy; with optimal power the cheapest of "both", "one alone" and "none" is
taken, so every pair has a finite cost. With given powers each user transmits, and who misses the deadline has spent
its energy and is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.energy import LN2, snr_needed, upload_energy
from rangym.envs.physics.oma import OmaPair, fdma_at_power, fdma_pair, tdma_at_power, tdma_pair
from rangym.envs.physics.sic import PairPower, noma_at_power, noma_pair

Link = tuple[NDArray, NDArray, NDArray, NDArray]
"""Gains of the early and of the late user, and how long the former is alone and both are ready."""
ACCESS = ("noma", "oma_opt", "oma_equal", "fdma")


@dataclass(frozen=True)
class PairUpload:
    """What the two users of each sub-channel do; ``(..., 2)`` in the order of the arguments unless said otherwise.

    Attributes
    ----------
    energy_j : transmit energy; 0 for a user that does not transmit.
    served : whether its bits are delivered by the deadline.
    power_w : (..., 2, 2) power of each user while it has the sub-channel alone, and while both transmit.
    start_s, stop_s : when it transmits, counted back from the deadline (start_s >= stop_s >= 0).
    decoded_first : (...) which of the two a NOMA receiver decodes first; -1 where both do not transmit together.
    """

    energy_j: NDArray
    served: NDArray
    power_w: NDArray
    start_s: NDArray
    stop_s: NDArray
    decoded_first: NDArray


def pair_upload(
    gain: ArrayLike,
    window_s: ArrayLike,
    present: ArrayLike,
    bits_per_hz: float,
    max_power_w: float,
    drop_cost_j: float,
    access: str = "noma",
    power_w: ArrayLike | None = None,
) -> PairUpload:
    """Upload of the pairs along the leading axes.

    Parameters
    ----------
    gain : (..., 2) channel gain over noise power, 1/W, above 0.
    window_s : (..., 2) seconds from the end of training to the deadline; a user with none left cannot upload.
    present : (..., 2) false for an empty place, whose gain and window only have to be valid numbers.
    bits_per_hz : what each user delivers over the bandwidth, bit/Hz.
    max_power_w : cap of each user's power, W; it does not bind given powers.
    drop_cost_j : cost of a user that is not served, J; it decides who is served where powers are not given.
    access : how two users share the sub-channel: ``noma``, ``oma_opt`` (optimal TDMA), ``oma_equal`` (TDMA with equal
        shares of the common time), ``fdma``.
    power_w : (..., 2) given powers; None for the powers of least energy.

    Returns
    -------
    `PairUpload` of the same leading axes.
    """
    if access not in ACCESS:
        raise WrongValue(f"access: one of {list(ACCESS)} wanted, got {access!r}")
    gain, window = np.asarray(gain, dtype=np.float64), np.asarray(window_s, dtype=np.float64)
    present = np.asarray(present, dtype=bool)
    # The early user comes first inside; `swapped` turns everything back at the end.
    swapped = window[..., 1] > window[..., 0]
    gain, window, here = (_turned(x, swapped) for x in (gain, window, present & (window > 0)))
    lone, joint = window[..., 0] - window[..., 1], window[..., 1]
    link = gain[..., 0], gain[..., 1], lone, joint
    if power_w is None:
        early_first = _optimal(link, bits_per_hz, window, here, gain, max_power_w, drop_cost_j, access)
    else:
        power = _turned(np.asarray(power_w, dtype=np.float64), swapped)
        early_first = _given(link, bits_per_hz, window, here, gain, power, access)
    return _in_order(early_first, swapped)


def _in_order(done: PairUpload, swapped: NDArray) -> PairUpload:
    """``done`` with its two users exchanged where ``swapped``."""
    first = done.decoded_first
    return PairUpload(
        energy_j=_turned(done.energy_j, swapped),
        served=_turned(done.served, swapped),
        power_w=_turned(done.power_w, swapped),
        start_s=_turned(done.start_s, swapped),
        stop_s=_turned(done.stop_s, swapped),
        decoded_first=np.where(swapped & (first >= 0), 1 - first, first),
    )


def _turned(pair: NDArray, swapped: NDArray) -> NDArray:
    """The two users exchanged where ``swapped``; their axis follows those of ``swapped``."""
    axis = swapped.ndim
    other = pair[..., ::-1] if pair.ndim == axis + 1 else pair[..., ::-1, :]
    return np.where(swapped.reshape(swapped.shape + (1,) * (pair.ndim - axis)), other, pair)


def _optimal(
    link: Link, c: float, window: NDArray, here: NDArray, gain: NDArray, cap: float, drop_cost: float, access: str
) -> PairUpload:
    """Least cost over serving both, one or none; the early user comes first."""
    both: PairPower | OmaPair
    start, stop, first = window, np.zeros(window.shape), np.full(window.shape[:-1], -1)
    if access == "noma":
        both = noma = noma_pair(*link, c, cap)
        power = np.stack([np.stack([noma.lone_w, noma.early_w], -1), _column(noma.late_w, 1)], -2)
        first = np.where(noma.early_first, 0, 1)
    elif access == "fdma":
        both = fdma_pair(*link, c, cap)
        power = np.stack([np.stack([both.early_w, both.early_w], -1), _column(both.late_w, 1)], -2)
    else:
        both = tdma = tdma_pair(*link, c, cap, split="optimal" if access == "oma_opt" else "equal")
        power = np.stack([_column(tdma.early_w, 0), _column(tdma.late_w, 0)], -2)
        turn = link[3] - tdma.share_s
        start, stop = np.stack([window[..., 0], turn], -1), np.stack([turn, np.zeros(turn.shape)], -1)
    lone_power = snr_needed(c, window) / gain
    # An absent user costs nothing and cannot be served.
    price = np.where(here & (lone_power <= cap), upload_energy(c, window) / gain, np.inf)
    together = np.where(here.all(-1), both.energy_j, np.inf)
    drop = np.where(here, drop_cost, 0.0)
    options = np.stack([together, price[..., 0] + drop[..., 1], price[..., 1] + drop[..., 0]], axis=-1)
    best = options.argmin(-1)
    least = np.take_along_axis(options, best[..., None], -1)[..., 0]
    none = least > drop.sum(-1)
    paired = (best == 0) & ~none & np.isfinite(least)
    alone = (best[..., None] == np.array([1, 2])) & ~none[..., None] & np.isfinite(least)[..., None]
    served = alone | paired[..., None]
    pair_energy = np.stack([both.early_j, both.late_j], -1)
    energy = np.where(paired[..., None], pair_energy, np.where(alone, price, 0.0))
    solo = _column(np.where(alone, lone_power, 0.0), 0)
    power = np.where(paired[..., None, None], power, solo)
    return PairUpload(
        energy_j=energy,
        served=served,
        power_w=power,
        start_s=np.where(paired[..., None], start, np.where(alone, window, 0.0)),
        stop_s=np.where(paired[..., None], stop, 0.0),
        decoded_first=np.where(paired, first, -1),
    )


def _given(
    link: Link, c: float, window: NDArray, here: NDArray, gain: NDArray, power: NDArray, access: str
) -> PairUpload:
    """Everybody here transmits at its power, alone on the sub-channel where the other place is empty; early first."""
    first = np.full(window.shape[:-1], -1)
    late_start = window[..., 1]
    if access == "noma":
        run = noma_at_power(*link, c, power[..., 0], power[..., 1])
        first = np.where(gain[..., 0] >= gain[..., 1], 0, 1)
        columns = np.stack([np.stack([power[..., 0]] * 2, -1), np.stack([power[..., 1]] * 2, -1)], -2)
    elif access == "fdma":
        run = fdma_at_power(*link, c, power[..., 0], power[..., 1])
        columns = np.stack([np.stack([power[..., 0]] * 2, -1), np.stack([power[..., 1]] * 2, -1)], -2)
    else:
        run, start2 = tdma_at_power(*link, c, power[..., 0], power[..., 1])
        late_start = window[..., 0] - start2
        columns = _column(power, 0)
    both = (here[..., 0] & here[..., 1])[..., None]
    start = np.stack([window[..., 0], late_start], -1)
    stop = window[..., :1] - np.stack([run.stop_early_s, run.stop_late_s], -1)
    with np.errstate(divide="ignore"):
        need = c * LN2 / np.log1p(power * gain)
    start = np.where(both, start, np.where(here, window, 0.0))
    stop = np.where(both, stop, np.where(here, np.maximum(window - need, 0.0), 0.0))
    done = np.where(both, np.stack([run.early_done, run.late_done], -1), need <= window)
    columns = np.where(both[..., None], columns, _column(power, 0))
    return PairUpload(
        energy_j=power * (start - stop),
        served=done & here,
        power_w=np.where(here[..., None], columns, 0.0),
        start_s=start,
        stop_s=stop,
        decoded_first=np.where(both[..., 0], first, -1),
    )


def _column(power: NDArray, which: int) -> NDArray:
    """``power`` in column 0 (alone) or 1 (together) of a new last axis."""
    zero = np.zeros(power.shape)
    return np.stack([power, zero] if which == 0 else [zero, power], -1)
