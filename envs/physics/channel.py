"""Radio channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shannon_rate_mbps(sinr_db: NDArray, bandwidth_mhz: NDArray) -> NDArray:
    """Shannon rate w log2(1 + s) in Mbit/s, float64, from the SINR in dB and the bandwidth in MHz (broadcast)."""
    return bandwidth_mhz * np.log1p(10.0 ** (np.asarray(sinr_db, np.float64) / 10.0)) * (1.0 / np.log(2.0))
