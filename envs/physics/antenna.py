"""Antenna gain over direction, in dBi.

Angles are in degrees: the azimuth counterclockwise from the direction that the antenna faces, the elevation above its
horizon.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SECTOR_BEAMWIDTH_DEG = 65.0
SECTOR_PEAK_DBI = 8.0
SECTOR_LEAST_DB = 30.0
"""Front-to-back ratio, and how far the vertical pattern falls."""
DIPOLE_PEAK_DBI = 10.0 * math.log10(1.5)


def sector_gain_db(azimuth_deg: NDArray, elevation_deg: NDArray) -> NDArray:
    """Gain of the element of TR 38.901, table 7.3-1, in its own coordinates; the angles broadcast.

    >>> sector_gain_db(np.array([0.0, 32.5, 180.0]), np.zeros(3)).tolist()
    [8.0, 5.0, -22.0]
    """
    across = np.minimum(12.0 * (_wrapped(azimuth_deg) / SECTOR_BEAMWIDTH_DEG) ** 2, SECTOR_LEAST_DB)
    along = np.minimum(12.0 * (np.asarray(elevation_deg) / SECTOR_BEAMWIDTH_DEG) ** 2, SECTOR_LEAST_DB)
    return SECTOR_PEAK_DBI - np.minimum(across + along, SECTOR_LEAST_DB)


def dipole_gain_db(elevation_deg: NDArray) -> NDArray:
    """Gain of a short vertical dipole, 1.5 cos^2 of the elevation; -inf straight up and down.

    >>> dipole_gain_db(np.array([0.0, 60.0])).round(2).tolist()
    [1.76, -4.26]
    """
    with np.errstate(divide="ignore"):
        return DIPOLE_PEAK_DBI + 20.0 * np.log10(np.abs(np.cos(np.radians(elevation_deg))))


def facing(direction: NDArray, azimuth_deg: NDArray | float, downtilt_deg: NDArray | float) -> tuple[NDArray, NDArray]:
    """Azimuth and elevation of the vectors ``direction`` ``(..., 3)`` (east, north, up) as an antenna sees them.

    The antenna faces ``azimuth_deg`` counterclockwise from east, and ``downtilt_deg`` below the horizon.
    """
    east, north, up = np.moveaxis(np.asarray(direction, np.float64), -1, 0)
    turn, tilt = np.radians(azimuth_deg), np.radians(downtilt_deg)
    ahead = east * np.cos(turn) + north * np.sin(turn)
    left = north * np.cos(turn) - east * np.sin(turn)
    forward = ahead * np.cos(tilt) - up * np.sin(tilt)
    above = ahead * np.sin(tilt) + up * np.cos(tilt)
    return np.degrees(np.arctan2(left, forward)), np.degrees(np.arctan2(above, np.hypot(forward, left)))


def _wrapped(angle_deg: NDArray) -> NDArray:
    """The same angle in [-180, 180)."""
    return (np.asarray(angle_deg) + 180.0) % 360.0 - 180.0
