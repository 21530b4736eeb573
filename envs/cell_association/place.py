"""Places of the law ``urban``: line of sight, shadowing and SINR as maps over the served square.

A macro cell follows TR 38.901 UMa (antenna at 25 m), a small cell UMi street canyon (10 m). At place x the cell j has a
line of sight (LOS) iff G_j(x) < Phi^-1(P_LOS(d_j(x))): P_LOS of table 7.4.2-1, G_j a Gaussian field of unit variance
with correlation exp(-d / 50 m) (table 7.6.3.1-2), Phi the normal distribution. LOS and NLOS losses are kept apart, and
so is their shadowing: in state s it is sigma_s (W_j + W_0) / sqrt(2), where W_j and W_0 are white noise of the cell and
of the place, both filtered to the correlation distance of s (table 7.5-6). So the shadowing of two cells of one kind
correlates by .5 where both have, or both lack, a line of sight: the value between sites of TR 36.814, table A.2.1.1-2.
In TR 38.901 different sites are independent.

Cells of a carrier interfere at full load, so the SINR of all cells is one map. Between grid points it is interpolated
bilinearly, which lowers the standard deviation of the shadowing: by 5-6 % for UMi on a 2 m grid, 10-12 % on a 5 m grid.
That is not compensated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.physics.channel import UMA, UMI, PathLossModel, sinr_db, thermal_noise_dbm
from rangym.envs.physics.random_field import Torus

SMALL_CELL_DBM = 40.0
"""Cells of less power (10 W) are small cells."""
LOS_DISTANCE_M = 50.0
MARGIN_M = 200.0
"""How far apart opposite borders of the square are on the torus, at least: four correlation distances."""
FIXED_STEP_M, FRESH_STEP_M = 2.0, 5.0
"""Grid steps unless told: of a place for all episodes, and of one drawn in each episode."""
PLACE_STREAM = 38901
"""Keeps the random numbers of the place ``map_seed`` apart from those of the episode with that seed."""


@dataclass(frozen=True)
class CellKind:
    """Path loss and shadowing of a kind of cell; pairs are (LOS, NLOS).

    From TR 38.901: losses and deviations of table 7.4.1-1, correlation distances of table 7.5-6.
    """

    path_loss: PathLossModel
    shadowing_db: tuple[float, float]
    shadowing_distance_m: tuple[float, float]


MACRO = CellKind(UMA, (4.0, 6.0), (37.0, 50.0))
SMALL_CELL = CellKind(UMI, (4.0, 7.82), (10.0, 13.0))


@dataclass(frozen=True)
class Plan:
    """The parameters that a place depends on."""

    sites: tuple[tuple[float, ...], ...]
    side_m: float
    step_m: float
    noise_figure_db: float
    sinr_range_db: tuple[float, float]

    @staticmethod
    def of(params: CellAssociationParams) -> Plan:
        """The plan of ``params``; the grid step is 2 m, or 5 m for places drawn in each episode, unless it is said."""
        step = params.grid_m or (FRESH_STEP_M if params.map_seed is None else FIXED_STEP_M)
        limits = params.sinr_floor_db, params.sinr_ceiling_db
        return Plan(params.sites, params.side_m, step, params.noise_figure_db, limits)

    @property
    def points(self) -> int:
        """Grid points along a side, G; the last one is at or beyond the border."""
        return math.ceil(self.side_m / self.step_m - 1e-9) + 1

    @property
    def torus(self) -> Torus:
        """Where the fields are drawn."""
        return Torus.around(self.side_m, MARGIN_M, self.step_m)

    @property
    def kinds(self) -> tuple[CellKind, ...]:
        """Kind of each cell."""
        return tuple(SMALL_CELL if dbm < SMALL_CELL_DBM else MACRO for *_, dbm in self.sites)


@dataclass(frozen=True, eq=False)
class Place:
    """Maps of J cells on a grid of G x G points, ``step_m`` metres apart; [j, y, x] is cell j at (x, y) steps."""

    step_m: float
    line_of_sight: NDArray[np.bool_]  # (J, G, G)
    shadowing_db: NDArray[np.float32]  # (J, G, G) in the state that holds there
    sinr_db: NDArray[np.float32]  # (J, G, G) clipped

    def sinr_at(self, x_m: NDArray, y_m: NDArray) -> NDArray[np.float32]:
        """SINR in dB of all cells at the places ``(...)``, ``(J, ...)``, interpolated bilinearly."""
        points = self.sinr_db.shape[1]
        flat = self.sinr_db.reshape(len(self.sinr_db), -1)
        column, along_x = self._cell_of(x_m, points)
        row, along_y = self._cell_of(y_m, points)
        corner = row * points + column
        low, high = (
            _between(flat.take(at, axis=1), flat.take(at + 1, axis=1), along_x) for at in (corner, corner + points)
        )
        return _between(low, high, along_y)

    def _cell_of(self, metres: NDArray, points: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """The grid interval of each coordinate, and how far along it that lies, 0 to 1."""
        steps = metres.astype(np.float32) * np.float32(1.0 / self.step_m)
        interval = np.minimum(steps.astype(np.intp), points - 2)
        return interval, steps - interval.astype(np.float32)


def _between(first: NDArray, second: NDArray, share: NDArray) -> NDArray:
    second -= first
    second *= share
    second += first
    return second


@dataclass(frozen=True, eq=False)
class _Means:
    """What does not depend on chance: (J, G, G) LOS threshold, and received power in dBm with and without LOS."""

    threshold: NDArray[np.float32]
    los_dbm: NDArray[np.float32]
    nlos_dbm: NDArray[np.float32]


@lru_cache(maxsize=4)
def _means(plan: Plan) -> _Means:
    grid = plan.step_m * np.arange(plan.points)
    maps = []
    for kind, (x, y, ghz, _, dbm) in zip(plan.kinds, plan.sites, strict=True):
        distance = np.hypot(grid - x * plan.side_m, grid[:, None] - y * plan.side_m)
        loss = kind.path_loss
        threshold = ndtri(loss.los_probability(distance))
        maps.append((threshold, dbm - loss.los_db(distance, ghz), dbm - loss.nlos_db(distance, ghz)))
    return _Means(*(np.stack(field).astype(np.float32) for field in zip(*maps, strict=True)))


def draw_place(plan: Plan, rng: np.random.Generator) -> Place:
    """A place: one white noise for all cells, then two for each cell, are turned into three fields a cell."""
    torus, means = plan.torus, _means(plan)

    def field(spectrum: NDArray[np.complex64], correlation_m: float) -> NDArray[np.float32]:
        return torus.field(spectrum * torus.amplitude(correlation_m))[: plan.points, : plan.points]

    common = torus.white(rng)
    los, shadowing = np.empty(means.threshold.shape, bool), np.empty_like(means.threshold)
    for j, kind in enumerate(plan.kinds):
        np.less(field(torus.white(rng), LOS_DISTANCE_M), means.threshold[j], out=los[j])
        noise = (torus.white(rng) + common) * np.float32(math.sqrt(0.5))
        with_los, without = (
            np.float32(deviation) * field(noise, distance)
            for deviation, distance in zip(kind.shadowing_db, kind.shadowing_distance_m, strict=True)
        )
        shadowing[j] = np.where(los[j], with_los, without)
    received = np.where(los, means.los_dbm, means.nlos_dbm) - shadowing
    return Place(plan.step_m, los, shadowing, _sinr(plan, received))


def _sinr(plan: Plan, received_dbm: NDArray[np.float32]) -> NDArray[np.float32]:
    sinr = np.empty_like(received_dbm)
    for cells in _carriers(plan.sites):
        noise = [thermal_noise_dbm(plan.sites[j][3], plan.noise_figure_db) for j in cells]
        sinr[cells] = sinr_db(received_dbm[cells], np.array(noise, np.float32))
    return np.clip(sinr, *plan.sinr_range_db, out=sinr)


def _carriers(sites: tuple[tuple[float, ...], ...]) -> list[list[int]]:
    """The cells of each carrier."""
    return [[j for j, site in enumerate(sites) if site[2] == ghz] for ghz in sorted({site[2] for site in sites})]


@lru_cache(maxsize=16)
def _fixed(plan: Plan, map_seed: int) -> Place:
    return draw_place(plan, np.random.default_rng((PLACE_STREAM, map_seed)))


def fixed_place(params: CellAssociationParams) -> Place | None:
    """The place of all episodes, drawn once a process; None where each episode has its own."""
    return None if params.map_seed is None else _fixed(Plan.of(params), params.map_seed)


def place(params: CellAssociationParams, rng: np.random.Generator) -> Place:
    """The place of an episode: the one named by ``map_seed``, or else a new one from ``rng``."""
    return fixed_place(params) or draw_place(Plan.of(params), rng)
