"""The drift ``imported``: an episode is a window of recorded days."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import hellinger_kernel
from rangym.envs.params import require
from rangym.envs.qos_clustering import days as kept
from rangym.envs.qos_clustering.params import FITTED, QosClusteringParams
from rangym.envs.qos_clustering.predictor import Predictor, inputs_of, load
from rangym.envs.qos_clustering.recorded_days import DEFAULT_HORIZON, RecordedDays, load_days

RECORDED = "the file made by `rangym map import LOGS --kind qos --out FILE.npz`"


def recorded(params: QosClusteringParams) -> RecordedDays:
    """The file that ``params`` name, read once per process."""
    require(bool(params.days), "days", RECORDED, params.days)
    return load_days(str(params.days))


def resolved(params: QosClusteringParams) -> QosClusteringParams:
    """The parameters with the sizes of their file, where they name none; refused where a window does not fit in."""
    days = recorded(params)
    cells = days.num_cells if params.num_cells is None else params.num_cells
    require(cells == days.num_cells, "num_cells", f"{days.num_cells}, the cells of {params.days},", cells)
    largest = days.largest_horizon(params.label_delay, params.half)
    horizon = min(DEFAULT_HORIZON, largest) if params.horizon is None else params.horizon
    if not 1 <= horizon <= largest:
        half = days.half(params.half)
        raise WrongValue(
            f"horizon: 1..{largest} wanted, since a window of T + 2h + 2 periods must fit into the {params.half} half "
            f"of {params.days} ({half.stop - half.start} periods), got {horizon}"
        )
    return dataclasses.replace(params, num_cells=cells, horizon=horizon)


def predictor_of(params: QosClusteringParams) -> Predictor:
    """The file's own predictor, or the one that ``params`` name."""
    return predictor_for(recorded(params), params.predictor, str(params.days))


def predictor_for(days: RecordedDays, name: str, file: str) -> Predictor:
    """The predictor of that name, if it is for rows like those of the days in ``file``."""
    if name == FITTED:
        require(days.predictor is not None, "days", "a file with a predictor of its own", file)
        return cast(Predictor, days.predictor)
    found = load(name)
    require(
        found.config.get("columns") == list(days.columns),
        "predictor",
        f"{FITTED!r}, or one that `rangym pretrain NAME --days {file}` made, for the columns {list(days.columns)},",
        name,
    )
    return found


def draw_window(params: QosClusteringParams, rng: np.random.Generator) -> tuple[NDArray, slice]:
    """Positions of the cells, and the periods of an episode, drawn from the half that ``params`` name."""
    days = recorded(params)
    half = days.half(params.half)
    first = half.start + int(rng.integers(half.stop - half.start - params.periods + 1))
    return days.cell_position_m, slice(first, first + params.periods)


def file_arrays(params: QosClusteringParams, predictor: Predictor) -> Mapping[str, NDArray]:
    """All periods of the file as the predictor sees them, float32; kept in memory."""
    days = recorded(params)

    def make() -> Mapping[str, NDArray]:
        day = days.day
        found = {
            "load": day.load,
            "statistics": predictor.scaled_code(day.mean, day.covariance),
            "kernel": hellinger_kernel(day.mean, day.covariance),
            "features": predictor.features(inputs_of(day)),
        }
        return {f: values.astype(np.float32) for f, values in found.items()}

    return kept.MEMORY.get(("recorded", days.sha256, predictor.sha256), make)
