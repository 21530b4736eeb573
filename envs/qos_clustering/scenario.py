"""How an episode's chance is drawn: a day, what the predictor makes of it, and the trace cut from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rangym.envs.learning.gaussians import hellinger_kernel
from rangym.envs.learning.heads import losses, statistics_of
from rangym.envs.qos_clustering import days
from rangym.envs.qos_clustering.concepts import GROUPS, PERIOD_H
from rangym.envs.qos_clustering.deployment import deployment
from rangym.envs.qos_clustering.generator import KPIS, SAMPLE_ROWS, draw_day
from rangym.envs.qos_clustering.imported import draw_window, file_arrays, recorded
from rangym.envs.qos_clustering.params import QosClusteringParams
from rangym.envs.qos_clustering.predictor import TARGETS, Predictor, inputs_of
from rangym.envs.trace import Trace


def draw_trace(params: QosClusteringParams, predictor: Predictor, rng: np.random.Generator, keep: bool) -> Trace:
    """One episode: a fresh day, one of the pool, or a window of recorded ones.

    ``keep`` says whether a fresh one is worth keeping.
    """
    if params.imported:
        return _recorded_trace(params, predictor, rng)
    kind, number = days.choose(params.day_pool, rng)
    name = days.key(params.day, kind, number, predictor.sha256)
    keep = keep or kind == days.POOL

    def slots() -> Mapping[str, NDArray]:
        shapes = day_shapes(params, predictor)
        day = days.stored(name, shapes, lambda: day_arrays(params, predictor, kind, number), write=keep)
        return slot_fields(params, predictor, day)

    form = (name, params.num_heads, params.library, params.adapts, params.observe)
    world = deployment(params.num_cells, params.map_seed)
    constants = {"cell_position_m": world.cell_position_m, "site_group": world.site_group}
    return Trace(constants, days.MEMORY.get(form, slots) if keep else slots())


def _recorded_trace(params: QosClusteringParams, predictor: Predictor, rng: np.random.Generator) -> Trace:
    position, periods = draw_window(params, rng)
    window = {f: values[periods] for f, values in file_arrays(params, predictor).items()}
    return Trace({"cell_position_m": position}, slot_fields(params, predictor, window))


def kpis_and_period(params: QosClusteringParams) -> tuple[tuple[str, ...], float]:
    """Names of the three KPIs, and the hours of a period."""
    if params.imported:
        days = recorded(params)
        return days.kpis, days.period_s / 3600.0
    return KPIS, PERIOD_H


def day_shapes(params: QosClusteringParams, predictor: Predictor) -> dict[str, tuple[int, ...]]:
    """What is kept of a day, P periods of N cells."""
    periods, cells = params.periods, params.num_cells
    return {
        "load": (periods, cells),
        "group_weight": (periods, cells, len(GROUPS)),
        "statistics": (periods, cells, TARGETS),
        "kernel": (periods, cells, cells),
        "features": (periods, cells, SAMPLE_ROWS, predictor.num_features),
    }


def day_arrays(params: QosClusteringParams, predictor: Predictor, kind: int, number: int) -> dict[str, NDArray]:
    """Draw a day and show it to the predictor; float32, as in `day_shapes`."""
    day = draw_day(params.day, days.day_rng(kind, number))
    found = {
        "load": day.load,
        "group_weight": day.group_weight,
        "statistics": predictor.scaled_code(day.mean, day.covariance),
        "kernel": hellinger_kernel(day.mean, day.covariance),
        "features": predictor.features(inputs_of(day)),
    }
    return {f: values.astype(np.float32) for f, values in found.items()}


def initial_heads(params: QosClusteringParams, predictor: Predictor) -> NDArray:
    """The heads of all slots at the start of a day, ``(C + 1, p, 9)`` float32: the global one first."""
    theta0 = predictor.theta0[None]
    if params.library == "global":
        return np.repeat(theta0, params.num_slots, axis=0)
    return np.concatenate([theta0, predictor.library(params.num_heads).heads])


def slot_fields(params: QosClusteringParams, predictor: Predictor, day: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """The slot fields of a day: slot s is period s + h, so that even the label of the last slot exists.

    What is known at the decision of a slot stands in that slot: the losses of the pair (t - h, t) are `known_loss`.
    """
    h, slots = params.label_delay, params.horizon + 2
    now, before = slice(h, h + slots), slice(0, slots)
    statistics = day["statistics"]
    found = {
        "load": day["load"][now],
        "load_before": day["load"][before],
        "statistics": statistics[now],
        "statistics_before": statistics[before],
        "kernel": day["kernel"][now],
        "target": statistics[2 * h : 2 * h + slots],
    }
    if "group_weight" in day:  # no log names a concept
        found["true_group"] = day["group_weight"][now]
    if not params.adapts:
        table = loss_table(day["features"][:-h], statistics[h:], initial_heads(params, predictor))
        found |= {"known_loss": table[before], "loss": table[now]}
    if params.adapts or params.observe == "statistics":
        found["known_features"] = day["features"][before]
    if params.adapts:
        found["features"] = day["features"][now]
    return found


def loss_table(features: NDArray, targets: NDArray, heads: NDArray) -> NDArray:
    """Mean squared error ``(..., N, C + 1)`` float32 of rows ``(..., N, n, p)`` whose target ``(..., N, 9)`` is one."""
    table = losses(statistics_of(features, targets[..., None, :]), heads)
    return np.maximum(table, 0.0).astype(np.float32)  # rounding may leave a loss of 0 slightly below
