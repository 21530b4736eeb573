"""Where the cells stand, whom they serve, and how strongly each is received at every place of the map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr

from rangym.envs.physics.channel import PathLossModel, correlated_field, thermal_noise_dbm
from rangym.envs.physics.units import db_to_linear
from rangym.envs.qos_clustering.concepts import GROUPS

CARRIER_GHZ, BANDWIDTH_MHZ, SUBCARRIERS = 3.5, 20.0, 12 * 106
TRANSMIT_DBM, ANTENNA_GAIN_DB, NOISE_FIGURE_DB = 30.0, 8.0, 7.0
RE_POWER_DBM = TRANSMIT_DBM - 10.0 * math.log10(SUBCARRIERS)
"""Transmit power of one resource element, which RSRP measures."""
RE_NOISE_DBM = thermal_noise_dbm(BANDWIDTH_MHZ / SUBCARRIERS, NOISE_FIGURE_DB)

SITE_STEP_M, SITE_JITTER_M, GRID_M = 350.0, 50.0, 10.0
SHADOWING_CORRELATION_M, LOS_CORRELATION_M = 25.0, 40.0
LOS_SHADOWING_DB = 4.0
AMPLITUDE_SD = 0.06
"""Spread of the cells' demand."""

# By the group of the site, in the order of GROUPS; drift moves the demand only, never these.
MAST_M = (25.0, 25.0, 35.0, 30.0)
LOS_LOG_ODDS = (-0.5, 0.0, 1.0, 0.3)
NLOS_SHADOWING_DB = (8.0, 7.0, 5.0, 6.0)
SPEED_KMH = (33.0, 50.0, 90.0, 45.0)
PATH_LOSS = tuple(PathLossModel(mast, 32.4, 21.0, 22.4, 35.3, 21.3, 63.0, dual_slope=False) for mast in MAST_M)
"""Urban micro as a single slope, under masts of macro height."""

# Rows from south to north, each from west to east.
TWELVE_SITES = (2, 2, 1, 3, 1, 1, 0, 1, 0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Deployment:
    """A map of N cells on a grid of places, row by row from the south-west corner.

    Attributes
    ----------
    cell_position_m : (N, 2).
    site_group : (N,) index into `GROUPS`: what the site was built for.
    amplitude : (N,) factor of the cell's diurnal profile.
    size_m : (2,) width and height.
    columns : places in a row.
    power_mw : (places, N) float32, received from each cell in a resource element.
    serving : (places,) the strongest cell.
    rsrp_dbm : (places,) float32, of the serving cell.
    los : (places,) float32, 1 where the serving cell is in line of sight.
    """

    cell_position_m: NDArray
    site_group: NDArray
    amplitude: NDArray
    size_m: NDArray
    columns: int
    power_mw: NDArray
    serving: NDArray
    rsrp_dbm: NDArray
    los: NDArray

    def place(self, x_m: NDArray, y_m: NDArray) -> NDArray:
        """The place that holds each position inside the map."""
        column = np.minimum((x_m * (1.0 / GRID_M)).astype(np.int32), self.columns - 1)
        row = np.minimum((y_m * (1.0 / GRID_M)).astype(np.int32), len(self.serving) // self.columns - 1)
        return row * self.columns + column


@lru_cache(maxsize=8)
def deployment(num_cells: int, map_seed: int) -> Deployment:
    """The map that ``map_seed`` draws for ``num_cells`` cells; drawn once a process."""
    rng = np.random.default_rng(np.random.SeedSequence(map_seed))
    columns = math.ceil(math.sqrt(num_cells))
    rows = -(-num_cells // columns)
    centre = SITE_STEP_M * (np.stack(np.divmod(np.arange(num_cells), columns)[::-1], axis=1) + 0.5)
    position = centre + rng.uniform(-SITE_JITTER_M, SITE_JITTER_M, centre.shape)
    group = _site_groups(rng, num_cells)
    amplitude = 1.0 + AMPLITUDE_SD * rng.standard_normal(num_cells)
    size = SITE_STEP_M * np.array([columns, rows])
    x, y = (GRID_M * (np.arange(round(s / GRID_M)) + 0.5) for s in size)
    level = np.empty((num_cells, len(y), len(x)), np.float32)
    los = np.empty(level.shape, bool)
    for i in range(num_cells):
        distance = np.hypot(x - position[i, 0], y[:, None] - position[i, 1])
        level[i], los[i] = _received(rng, x, y, distance, int(group[i]))
    flat = level.reshape(num_cells, -1)
    serving = flat.argmax(axis=0)
    places = np.arange(len(serving))
    found = Deployment(
        cell_position_m=position,
        site_group=group,
        amplitude=amplitude,
        size_m=size,
        columns=len(x),
        power_mw=np.ascontiguousarray(db_to_linear(flat).T),
        serving=serving.astype(np.int32),
        rsrp_dbm=flat[serving, places],
        los=los.reshape(num_cells, -1)[serving, places].astype(np.float32),
    )
    for values in vars(found).values():
        if isinstance(values, np.ndarray):
            values.setflags(write=False)
    return found


def _site_groups(rng: np.random.Generator, num_cells: int) -> NDArray:
    """What each site was built for: the pattern of twelve, one of each for four, else the pattern repeated, mixed."""
    if num_cells == len(GROUPS):
        return np.arange(num_cells)
    pattern = np.resize(TWELVE_SITES, num_cells)
    return pattern if num_cells == len(TWELVE_SITES) else rng.permutation(pattern)


def _received(
    rng: np.random.Generator, x: NDArray, y: NDArray, distance: NDArray, group: int
) -> tuple[NDArray, NDArray]:
    """Level of a cell's resource elements in dBm, and where it is in line of sight, both ``(len(y), len(x))``."""
    shadowing = correlated_field(rng, x, y, SHADOWING_CORRELATION_M)
    obstacle = correlated_field(rng, x, y, LOS_CORRELATION_M)
    model = PATH_LOSS[group]
    probability = expit(logit(model.los_probability(distance)) + LOS_LOG_ODDS[group])
    los = ndtr(obstacle) < probability
    loss = np.where(los, model.los_db(distance, CARRIER_GHZ), model.nlos_db(distance, CARRIER_GHZ))
    spread = np.where(los, LOS_SHADOWING_DB, NLOS_SHADOWING_DB[group])
    return RE_POWER_DBM + ANTENNA_GAIN_DB - loss + spread * shadowing, los
