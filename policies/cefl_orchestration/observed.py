"""What a policy reads from an observation of CeflOrchestration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.system import RATES
from rangym.policies.base import Observation


def conditions(observation: Observation) -> dict[str, NDArray]:
    """Data, rates and drift of the coming round in float64, as exact as float32 logarithms let them be (about 1e-6)."""
    fields = ("data_points", *RATES)
    linear = {f: 10.0 ** observation[f"log10_{f}"].astype(np.float64) for f in fields}
    return {**linear, "drift_per_s": 10.0 ** observation["log10_drift_per_s"].astype(np.float64)[0]}
