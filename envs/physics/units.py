"""Decibels and the linear scale."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NEPERS_PER_DB = math.log(10.0) / 10.0
"""ln of the power ratio that is 1 dB."""


def db_to_linear(value_db: NDArray | float) -> NDArray:
    """Power ratio of a level in dB (or mW of dBm); float32 stays float32.

    >>> round(float(db_to_linear(3.0)), 3)
    1.995
    """
    # exp, not 10**x: several times faster in float32, and its bits are the same on all CPU types tried.
    nepers = np.asarray(np.multiply(value_db, NEPERS_PER_DB))
    return np.exp(nepers, out=nepers)[()]  # in place: large arrays are dear to allocate


def linear_to_db(ratio: NDArray | float) -> NDArray:
    """Level in dB of a power ratio (or dBm of mW); float32 stays float32; 0 gives -inf.

    >>> round(float(linear_to_db(1000.0)), 9)
    30.0
    """
    nepers = np.asarray(np.log(ratio))
    return np.multiply(nepers, 1.0 / NEPERS_PER_DB, out=nepers)[()]


def dbm_to_watt(power_dbm: NDArray | float) -> NDArray:
    """Power in W of a level in dBm.

    >>> round(float(dbm_to_watt(46.0)), 2)
    39.81
    """
    return db_to_linear(power_dbm) * 1e-3


def watt_to_dbm(power_w: NDArray | float) -> NDArray:
    """Level in dBm of a power in W; 0 W gives -inf.

    >>> round(float(watt_to_dbm(20.0)), 2)
    43.01
    """
    return linear_to_db(np.multiply(power_w, 1e3))
