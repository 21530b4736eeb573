"""From traced path gains to a radio map of kind ``ray_traced``.

The gain of a place is the mean power over the outdoor squares among its 3 x 3 neighbours: rays are few, and a UE moves
on within a second. To it the gain of TR 38.901 without line of sight, with the antenna's pattern and 10 dB less, is
added in power, so that every cell has a value everywhere. All cells transmit at full load, and those of a carrier
interfere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve

from rangym.envs.cell_association.city import Cells, City, Window
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.streets import middles_m, places, square_of
from rangym.envs.physics.channel import UMA, UMI, USER_HEIGHT_M, sinr_db, thermal_noise_dbm
from rangym.envs.physics.units import db_to_linear, linear_to_db

if TYPE_CHECKING:
    from rangym.envs.cell_association.raytrace import Traced

NOISE_FIGURE_DB = 9.0
FLOOR_LOSS_DB = 10.0
"""How far below TR 38.901's gain without line of sight the modelled floor lies."""
LARGEST_LOSS_DB = 255
"""The file holds losses as unsigned bytes."""


def build_city(
    traced: Traced, outdoor: NDArray[np.bool_], window: Window, cells: Cells, tracks: NDArray, about: Mapping[str, str],
    account: Mapping[str, float],
) -> RadioMap:  # fmt: skip
    """The map of what was traced, with ``tracks`` (R, S, 2) through the streets of ``outdoor`` (H, W).

    ``about`` and ``account`` are texts and numbers by name that say how the map was made.
    """
    street = places(outdoor)
    gain_db = path_gain_db(traced.gain, outdoor, window, cells)[:, street].T  # (N, J)
    position = tracks.reshape(-1, 2)
    city = City(
        outdoor=outdoor,
        height_m=cells.position_m[:, 2],
        azimuth_deg=cells.azimuth_deg,
        downtilt_deg=cells.downtilt_deg,
        carrier_ghz=cells.carrier_ghz,
        power_dbm=cells.power_dbm,
        loss_db=np.clip(np.rint(-gain_db), 0, LARGEST_LOSS_DB).astype(np.uint8),
        line_of_sight=traced.line_of_sight[:, street].T,
        about=about,
    )
    return RadioMap(
        kind="ray_traced",
        sinr_db=np.rint(full_load_sinr_db(gain_db.T, cells)).T.astype(np.float32),
        location_m=middles_m(street),
        cell_name=cells.name,
        cell_rat=cells.rat.astype(np.int64),
        bandwidth_mhz=cells.bandwidth_mhz,
        cell_position_m=cells.position_m[:, :2] - window.corner_m,
        track_start=np.arange(len(tracks) + 1) * tracks.shape[1],
        track_position_m=position,
        track_location=square_of(street, position),
        step_s=1.0,
        size_m=np.full(2, window.size_m),
        account=account,
        city=city,
    )


def path_gain_db(gain: NDArray, outdoor: NDArray[np.bool_], window: Window, cells: Cells) -> NDArray[np.float64]:
    """Path gain in dB (J, H, W) of the traced linear ``gain`` of the same shape: smoothed, with the modelled floor."""
    x, y = window.middles()
    place = np.stack([x, y, np.full_like(x, USER_HEIGHT_M)], axis=-1)
    neighbours = np.ones((3, 3))
    count = np.maximum(convolve(outdoor.astype(float), neighbours, mode="constant"), 1.0)
    levels = []
    for j, own in enumerate(gain):
        mean = convolve(np.where(outdoor, own, 0.0), neighbours, mode="constant") / count
        levels.append(linear_to_db(mean + db_to_linear(floor_db(cells, j, place))))
    return np.stack(levels)


def floor_db(cells: Cells, cell: int, place_m: NDArray) -> NDArray[np.float64]:
    """The modelled gain in dB that a cell has at least, at places ``(..., 3)``: UMi for street cells, else UMa."""
    model = UMI if np.isnan(cells.azimuth_deg[cell]) else UMA
    distance = np.hypot(*np.moveaxis(place_m - cells.position_m[cell], -1, 0)[:2])
    loss = model.nlos_db(distance, float(cells.carrier_ghz[cell]))
    return cells.antenna_db(cell, place_m) - loss - FLOOR_LOSS_DB


def full_load_sinr_db(gain_db: NDArray, cells: Cells) -> NDArray[np.float64]:
    """SINR in dB ``(J, ...)`` of path gains ``(J, ...)`` when all cells transmit at full power."""
    received = gain_db + cells.power_dbm.reshape(-1, *(1,) * (gain_db.ndim - 1))
    found = np.empty_like(received)
    for carrier in np.unique(cells.carrier_ghz):
        own = cells.carrier_ghz == carrier
        noise = [thermal_noise_dbm(mhz, NOISE_FIGURE_DB) for mhz in cells.bandwidth_mhz[own]]
        found[own] = sinr_db(received[own], np.array(noise))
    return found
