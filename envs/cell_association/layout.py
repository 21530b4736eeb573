"""Who is where and on which carrier: cells, layers, devices and handover (HO) delays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.physics.random import box_muller, uniform_lanes

USUAL_DELAY_SLOTS = 2.0
"""Up to here a delay may always scatter and be observed; where larger delays are drawn, up to the largest."""
MIN_DELAY_SLOTS = 1e-3
SITE_JITTER = 0.15
"""Largest shift of a site from its grid point, as a share of the grid step."""


@dataclass(frozen=True)
class Layer:
    """A carrier and its share of the cells; ``rat`` is 5, 4, 3 or 2 for 5G, LTE, 3G and 2G."""

    carrier_ghz: float
    bandwidth_mhz: float
    power_dbm: float
    rat: int
    share: float


# In the order in which the remainder of the rounded shares is given out.
LAYERS = (
    Layer(3.5, 20.0, 46.0, 5, 0.20),
    Layer(2.6, 20.0, 46.0, 4, 0.20),
    Layer(1.8, 15.0, 46.0, 4, 0.24),
    Layer(0.8, 10.0, 46.0, 4, 0.20),
    Layer(2.1, 5.0, 43.0, 3, 0.08),
    Layer(0.9, 5.0, 43.0, 2, 0.08),
)
LOWEST_5G_GHZ = 3.0
"""Cells of a fixed layout are 5G from this carrier on, LTE below it."""

# Smartphone, modem, IoT: share of the UEs, and range of the delay between two 4G or 5G cells in ms.
DEVICE_SHARES = (0.8, 0.1, 0.1)
DEVICE_DELAYS_MS = ((50.0, 62.0), (50.0, 100.0), (50.0, 96.0))
_DEVICE_BORDERS, _DEVICE_DELAYS_MS = np.cumsum(DEVICE_SHARES[:-1]), np.array(DEVICE_DELAYS_MS)
LEGACY_DELAYS_MS = {3: (400.0, 950.0), 2: (750.0, 1100.0)}
"""Delay of a handover to 3G or 2G."""


def layer_counts(num_cells: int) -> tuple[int, ...]:
    """Number of cells of each of `LAYERS`: its share rounded down; cells left over go one each to the first layers.

    >>> layer_counts(25)
    (5, 5, 6, 5, 2, 2)
    """
    counts = [math.floor(layer.share * num_cells + 1e-9) for layer in LAYERS]
    for k in range(num_cells - sum(counts)):
        counts[k % len(LAYERS)] += 1
    return tuple(counts)


@dataclass(frozen=True)
class Carriers:
    """The cells of a scenario in the order of their carriers, which follows from the parameters alone.

    Each field is ``(J,)``: row r describes the r-th cell in that order.
    """

    carrier_ghz: NDArray
    bandwidth_mhz: NDArray
    power_dbm: NDArray
    rat: NDArray

    @cached_property
    def groups(self) -> tuple[slice, ...]:
        """Rows of each carrier: these cells interfere with each other and with no others."""
        borders = [0, *(np.flatnonzero(np.diff(self.carrier_ghz)) + 1).tolist(), len(self.carrier_ghz)]
        return tuple(slice(a, b) for a, b in zip(borders[:-1], borders[1:], strict=True))


@dataclass(frozen=True)
class Networks:
    """Cells and devices of some lanes: the constants of their traces, ``(l, ...)``, and the cell that each row of
    `Carriers` is, ``(l, J)``."""

    cell_of_row: NDArray
    constants: dict[str, NDArray]

    def lanes(self, some: slice) -> Networks:
        """Those of some lanes."""
        return Networks(self.cell_of_row[some], {f: v[some] for f, v in self.constants.items()})


def carriers(params: CellAssociationParams) -> Carriers:
    """The cells of ``params`` in the order of their carriers."""
    if params.sites:
        order = _site_order(params)
        _, _, ghz, mhz, dbm = np.array(params.sites, dtype=float)[order].T
        return Carriers(ghz, mhz, dbm, np.where(ghz >= LOWEST_5G_GHZ, 5, 4))
    columns = zip(
        *(
            (layer.carrier_ghz, layer.bandwidth_mhz, layer.power_dbm, layer.rat)
            for layer, count in zip(LAYERS, layer_counts(params.num_cells), strict=True)
            for _ in range(count)
        ),
        strict=True,
    )
    return Carriers(*map(np.array, columns))


def draw_networks(params: CellAssociationParams, rows: Carriers, rngs: Sequence[np.random.Generator]) -> Networks:
    """Sites, layers, devices and delays of lanes."""
    lanes, cells = len(rngs), params.num_cells
    if params.sites:
        site_m = params.side_m * np.array([site[:2] for site in params.sites])
        position, cell_of_row = np.tile(site_m, (lanes, 1, 1)), np.tile(_site_order(params), (lanes, 1))
    else:
        position = grid_sites(cells, params.side_m, rngs)
        cell_of_row = np.stack([rng.permutation(cells) for rng in rngs])
    bandwidth, rat = np.empty((lanes, cells)), np.empty((lanes, cells), np.int64)
    np.put_along_axis(bandwidth, cell_of_row, rows.bandwidth_mhz[None], axis=1)
    np.put_along_axis(rat, cell_of_row, rows.rat[None], axis=1)
    device, delay_ms = draw_devices(params.num_ues, rngs)
    constants = {
        "bandwidth_mhz": bandwidth,
        "cell_position_m": position,
        "cell_rat": rat,
        "device_type": device,
        "handover_delay": draw_delay_weights(delay_ms, rat, params.slot_s, rngs),
    }
    return Networks(cell_of_row, constants)


def grid_sites(num_cells: int, side_m: float, rngs: Sequence[np.random.Generator]) -> NDArray:
    """A grid of sites, each shifted by up to 15 % of the grid's steps; ``(l, J, 2)`` in metres.

    It is the first J points of the smallest square grid that holds them; where this would leave the last row empty, one
    row less, among which the cells are shared out evenly.
    """
    centre, steps = _grid(num_cells)
    shift = 2.0 * SITE_JITTER * uniform_lanes(rngs, (num_cells, 2)) - SITE_JITTER
    return side_m / steps * (centre + shift)


@cache
def _grid(num_cells: int) -> tuple[NDArray, NDArray]:
    """Centres in steps of the grid, and how many steps the square's side has, across and along; each ``(J, 2)``."""
    columns = math.ceil(math.sqrt(num_cells))
    index = np.arange(num_cells)
    if num_cells > columns * (columns - 1):
        row, column = np.divmod(index, columns)
        steps = np.full((num_cells, 2), columns)
    else:
        border = num_cells * np.arange(columns) // (columns - 1)  # the first cell of each row
        row = np.repeat(np.arange(columns - 1), np.diff(border))
        column = index - border[row]
        steps = np.stack([np.diff(border)[row], np.full(num_cells, columns - 1)], axis=1)
    return np.stack([column + 0.5, row + 0.5], axis=1), steps


def draw_devices(num_ues: int, rngs: Sequence[np.random.Generator]) -> tuple[NDArray, NDArray]:
    """Type of each UE (0 smartphone, 1 modem, 2 IoT) and its delay between 4G/5G cells in ms, both ``(l, I)``."""
    kind, share = np.moveaxis(uniform_lanes(rngs, (2, num_ues)), 1, 0)
    device = _DEVICE_BORDERS.searchsorted(kind, side="right")
    low, high = np.moveaxis(_DEVICE_DELAYS_MS[device], 2, 0)
    return device, low + (high - low) * share


def draw_delay_weights(delay_ms: NDArray, rat: NDArray, slot_s: float, rngs: Sequence[np.random.Generator]) -> NDArray:
    """Delay weight a_ij of each UE and cell, ``(l, I, J)`` in slots: what leaving or joining cell j costs UE i.

    A handover's delay is the sum of both ends (erratum E16). An end at a 4G or 5G cell counts half of the UE's delay
    between such cells, ``delay_ms`` ``(l, I)``; an end at a 3G or 2G cell counts the drawn delay of a handover to it,
    less that half. The lanes of ``rat`` ``(l, J)`` have equal numbers of 3G cells, and of 2G cells. Weights are at
    least 0.001 slots.
    """
    half = delay_ms[:, :, None] / 2.0
    weight = np.repeat(half, rat.shape[1], axis=2)
    for legacy, (low, high) in LEGACY_DELAYS_MS.items():
        if count := (rat[0] == legacy).sum():
            cells = np.nonzero(rat == legacy)[1].reshape(-1, 1, count)
            delay = low + (high - low) * uniform_lanes(rngs, (delay_ms.shape[1], count))
            np.put_along_axis(weight, cells, delay - half, axis=2)
    weight /= 1e3 * slot_s
    return np.maximum(weight, MIN_DELAY_SLOTS, out=weight)


def vary_delays(mean: NDArray, variation: float, bound: float, slots: int, rng: np.random.Generator) -> NDArray:
    """Delays that scatter log-normally from slot to slot about ``mean`` ``(I, J)``, ``(slots, I, J)`` float32.

    The factor is independent over slots, UEs and cells, with mean 1 and relative standard deviation ``variation``,
    before delays beyond ``bound``, the observation's, are cut.
    """
    sigma = math.sqrt(math.log1p(variation**2))
    factor = np.exp(sigma * box_muller(rng, (slots, *mean.shape)) - sigma**2 / 2.0)
    return np.minimum(factor * mean, bound).astype(np.float32)


def delay_bound_slots(rat: NDArray, slot_s: float) -> float:
    """No delay weight between devices and cells of these technologies exceeds this many slots, and it is at least 2.

    >>> delay_bound_slots(np.array([5, 4, 3, 2]), 1.0), delay_bound_slots(np.array([5, 4, 3]), 0.1)
    (2.0, 9.25)
    """
    shortest_ms, longest_ms = min(low for low, _ in DEVICE_DELAYS_MS), max(high for _, high in DEVICE_DELAYS_MS)
    legacy_ms = [high - shortest_ms / 2.0 for generation, (_, high) in LEGACY_DELAYS_MS.items() if generation in rat]
    return max(USUAL_DELAY_SLOTS, max([longest_ms / 2.0, *legacy_ms]) / (1e3 * slot_s))


def nominal_positions(params: CellAssociationParams) -> tuple[NDArray, NDArray]:
    """Positions for pictures of laws without geography: cells ``(J, 2)`` on a circle, UEs ``(I, 2)`` inside it.

    These positions mean nothing: the SINR of these laws does not depend on them.
    """
    centre = params.side_m / 2.0
    angle = 2.0 * math.pi * np.arange(params.num_cells) / params.num_cells
    index = np.arange(params.num_ues)
    radius, turn = np.sqrt((index + 0.5) / params.num_ues), index * math.pi * (3.0 - math.sqrt(5.0))
    cells = centre * (1.0 + 0.9 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    ues = centre * (1.0 + 0.7 * radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1))
    return cells, ues


def _site_order(params: CellAssociationParams) -> NDArray:
    return np.argsort([-site[2] for site in params.sites], kind="stable")
