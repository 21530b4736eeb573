"""Antenna gains: numbers of TR 38.901, table 7.3-1, and directions by hand."""

import numpy as np
import pytest

from rangym.envs.physics.antenna import dipole_gain_db, facing, sector_gain_db


@pytest.mark.parametrize(
    "azimuth, elevation, expected",
    [
        (0, 0, 8.0),
        (32.5, 0, 5.0),  # 3 dB at half the beamwidth
        (-32.5, 0, 5.0),
        (327.5, 0, 5.0),  # the same direction
        (0, 32.5, 5.0),
        (32.5, -32.5, 2.0),
        (65, 0, -4.0),
        (180, 0, -22.0),
        (180, 90, -22.0),  # together no more than 30 dB
        (0, 90, -15.005917),  # 12 (90 / 65)^2 = 23.005917
    ],
)
def test_sector(azimuth, elevation, expected):
    assert sector_gain_db(np.array(azimuth), np.array(elevation)) == pytest.approx(expected, abs=1e-6)


def test_dipole_radiates_all_its_power():
    """The mean of a lossless antenna's gain over the sphere is 1."""
    elevation = np.degrees(np.arcsin((np.arange(20_000) + 0.5) / 10_000 - 1))  # uniform in the sine
    assert (10 ** (dipole_gain_db(elevation) / 10)).mean() == pytest.approx(1.0, abs=1e-6)
    assert dipole_gain_db(np.array(90.0)) < -300


@pytest.mark.parametrize(
    "direction, azimuth, downtilt, expected",
    [
        ([1, 0, 0], 0, 0, (0, 0)),
        ([0, 1, 0], 90, 0, (0, 0)),
        ([0, 1, 0], 0, 0, (90, 0)),
        ([0, -2, 0], 30, 0, (-120, 0)),
        ([1, 0, -1], 0, 45, (0, 0)),  # looks 45 degrees down
        ([1, 0, 0], 0, 8, (0, 8)),  # the horizon is 8 degrees above its own
        ([-1, 0, 0], 0, 8, (180, -8)),
        ([0, 0, -3], 0, 90, (0, 0)),
    ],
)
def test_directions(direction, azimuth, downtilt, expected):
    assert facing(np.array(direction, float), azimuth, downtilt) == pytest.approx(expected, abs=1e-9)
