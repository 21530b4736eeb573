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
from rangym.envs.physics.energy import LN2, compiled
from rangym.envs.physics.oma import OmaPair, fdma_at_power, fdma_pair, tdma_at_power, tdma_pair
from rangym.envs.physics.sic import check_demand, noma_at_power

Link = tuple[NDArray, NDArray, NDArray, NDArray]
"""Gains of the early and of the late user, and how long the former is alone and both are ready."""
Fields = tuple[NDArray, NDArray, NDArray, NDArray, NDArray, NDArray]
"""The fields of `PairUpload` in their order, of pairs along one axis."""
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
    if not gain.shape == window.shape == present.shape:
        gain, window, present = np.broadcast_arrays(gain, window, present)
    if power_w is None:
        return _optimal(gain, window, present, bits_per_hz, max_power_w, drop_cost_j, access)
    # The early user comes first inside; `swapped` turns everything back at the end.
    swapped = window[..., 1] > window[..., 0]
    gain, window, here = (_turned(x, swapped) for x in (gain, window, present & (window > 0)))
    link = gain[..., 0], gain[..., 1], window[..., 0] - window[..., 1], window[..., 1]
    power = _turned(np.asarray(power_w, dtype=np.float64), swapped)
    return _in_order(_given(link, bits_per_hz, window, here, gain, power, access), swapped)


def _optimal(
    gain: NDArray, window: NDArray, present: NDArray, c: float, cap: float, drop_cost: float, access: str
) -> PairUpload:
    """Least cost over serving both, one or none."""
    check_demand(c, cap)
    shape, kernels = gain.shape[:-1], compiled()
    gain, window, present = (np.ascontiguousarray(x).reshape(-1, 2) for x in (gain, window, present))
    c, cap = float(c), float(cap)
    both: Fields
    if access == "noma":
        both = kernels.noma_both(gain, window, present, c, cap)
    else:
        both = _orthogonal(gain, window, c, cap, access)
    if (bad := kernels.serve_cheapest(gain, window, present, c, cap, float(drop_cost), both)) >= 0:
        raise WrongValue(
            f"gain, window_s: finite gains above 0 and numbers of seconds wanted, got {gain[bad]}, {window[bad]}"
        )
    return PairUpload(*(x.reshape(shape + x.shape[1:]) for x in both))


def _orthogonal(gain: NDArray, window: NDArray, c: float, cap: float, access: str) -> Fields:
    """What the users of P sub-channels do where both are served, without interference; as `pair_kernels.noma_both`."""
    both: OmaPair
    swapped = window[:, 1] > window[:, 0]
    h, ready = _turned(gain, swapped), _turned(window, swapped)  # early first
    link = h[:, 0], h[:, 1], ready[:, 0] - ready[:, 1], ready[:, 1]
    start, stop = ready, np.zeros(ready.shape)
    if access == "fdma":
        both = fdma_pair(*link, c, cap)
        power = np.stack([np.stack([both.early_w, both.early_w], -1), _column(both.late_w, 1)], -2)
    else:
        both = tdma_pair(*link, c, cap, split="optimal" if access == "oma_opt" else "equal")
        power = np.stack([_column(both.early_w, 0), _column(both.late_w, 0)], -2)
        turn = link[3] - both.share_s
        start, stop = np.stack([ready[:, 0], turn], -1), np.stack([turn, np.zeros(turn.shape)], -1)
    energy = np.stack([both.early_j, both.late_j], -1)
    energy, power, start, stop = (_turned(x, swapped) for x in (energy, power, start, stop))
    return energy, np.ones(energy.shape, dtype=bool), power, start, stop, np.full(len(energy), -1)


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
