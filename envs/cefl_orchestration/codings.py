"""The action codings of CeflOrchestration: each turns any vector of its space into a feasible decision.

A coding is a list of blocks, each in C order. ``native`` (in [0, 1], float64) can write every decision exactly, and
`encode` does; the others (in [-1, 1], float32) are for learning agents. N UEs, B base stations, S data centres.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.network import Network
from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
from rangym.envs.physics.federated_round import RoundDecision, take

MIN_SPEED = 0.05
"""Least speed z / C under ``native``: at 0 a DC with data would never end."""
CODED_SPEED = (0.3, 1.0)
"""Range of z / C under the other codings."""
SHARPNESS = 5.0
"""Scores a in [-1, 1] become shares softmax(5 a), so the greatest ratio of two is exp(10)."""
GOOD_RATE = 0.5
"""``compact`` and ``macro`` offload over BSs with at least this share of a UE's best uplink rate."""
TOLERANCE = 1e-9
"""A row of shares that is off by more counts as projected."""


class Decision(RoundDecision):
    """A round's decision (shapes and units in `rangym.envs.physics.federated_round`) for L lanes."""

    projected: NDArray
    """Rows of shares that were infeasible as given, (L,)."""


def blocks(params: CeflOrchestrationParams) -> dict[str, tuple[int, ...]]:
    """Name and shape of the blocks of ``params.action``, in order."""
    n, b, s = params.num_ues, params.num_bss, params.num_dcs
    if params.action == "native":
        return {
            "aggregator": (s,),
            "offload_share": (n, b),
            "forward_share": (b, s),
            "clock": (n,),
            "ue_iterations": (n,),
            "ue_minibatch": (n,),
            "speed": (s,),
            "dc_iterations": (s,),
            "dc_minibatch": (s,),
            "ue_to_bs": (n, b),
            "bs_to_ue": (b, n),
        }
    offload = {"macro": (1,), "compact": (n,), "full": (n, b + 1)}[params.action]
    ue, dc, forward = ((1,), (1,), (s,)) if params.action == "macro" else ((n,), (s,), (b, s))
    return {
        "aggregator": (s,),
        "offload": offload,
        "forward": forward,
        "clock": ue,
        "ue_iterations": ue,
        "ue_minibatch": ue,
        "speed": dc,
        "dc_iterations": dc,
        "dc_minibatch": dc,
    }


def action_space(params: CeflOrchestrationParams) -> Box:
    """The box of ``params.action``."""
    size = sum(math.prod(shape) for shape in blocks(params).values())
    return Box(0.0, 1.0, (size,), np.float64) if params.action == "native" else Box(-1.0, 1.0, (size,), np.float32)


def decode(
    params: CeflOrchestrationParams, network: Network, action: NDArray, public: Mapping[str, NDArray]
) -> Decision:
    """The decision of an action (L, size), with the rates that ``public`` announces."""
    parts, start = {}, 0
    for name, shape in blocks(params).items():
        end = start + math.prod(shape)
        parts[name] = action[:, start:end].astype(np.float64).reshape(len(action), *shape)
        start = end
    return (
        _decode_native(params, network, parts) if params.action == "native" else _decode(params, network, parts, public)
    )


def encode(
    params: CeflOrchestrationParams, network: Network, decision: RoundDecision | Mapping[str, NDArray]
) -> NDArray:
    """The ``native`` action (..., size) of a decision, with any leading axes."""
    p, lead = params, np.shape(decision["aggregator"])
    fast = network.federated.machine_points_per_s
    parts = (
        np.eye(p.num_dcs)[decision["aggregator"]],
        decision["offload_share"],
        decision["forward_share"],
        decision["clock_hz"] / network.max_clock_hz,
        decision["ue_iterations"] / p.max_iterations,
        decision["ue_minibatch"],
        decision["points_per_s"] / fast,
        decision["dc_iterations"] / p.max_iterations,
        decision["dc_minibatch"],
        np.eye(p.num_bss)[decision["ue_to_bs"]],
        np.swapaxes(np.eye(p.num_bss)[decision["bs_to_ue"]], -1, -2),
    )
    flat = np.concatenate([np.reshape(part, (*lead, -1)) for part in parts], axis=-1)
    return np.clip(flat, 0.0, 1.0)


def _decode_native(p: CeflOrchestrationParams, network: Network, parts: dict[str, NDArray]) -> Decision:
    sent = parts["offload_share"].sum(axis=2)
    spread = parts["forward_share"].sum(axis=2)
    # A row of zeros has no direction: it becomes uniform.
    forward = np.where(spread[..., None] > 0.0, parts["forward_share"], 1.0)
    wrong = (sent > 1.0 + TOLERANCE).sum(axis=1) + (np.abs(spread - 1.0) > TOLERANCE).sum(axis=1)
    fastest = network.max_clock_hz
    return {
        "aggregator": parts["aggregator"].argmax(axis=1),
        "ue_to_bs": parts["ue_to_bs"].argmax(axis=2),
        "bs_to_ue": parts["bs_to_ue"].argmax(axis=1),
        "offload_share": parts["offload_share"] / np.maximum(1.0, sent)[..., None],
        "forward_share": forward / forward.sum(axis=2, keepdims=True),
        "clock_hz": np.clip(parts["clock"] * fastest, 1e9 * p.min_clock_ghz, fastest),
        "points_per_s": np.maximum(MIN_SPEED, parts["speed"]) * network.federated.machine_points_per_s,
        "ue_iterations": np.clip(np.round(parts["ue_iterations"] * p.max_iterations), 1.0, p.max_iterations),
        "dc_iterations": np.clip(np.round(parts["dc_iterations"] * p.max_iterations), 1.0, p.max_iterations),
        "ue_minibatch": np.maximum(p.min_minibatch, parts["ue_minibatch"]),
        "dc_minibatch": np.maximum(p.min_minibatch, parts["dc_minibatch"]),
        "projected": wrong,
    }


def _decode(
    p: CeflOrchestrationParams, network: Network, parts: dict[str, NDArray], public: Mapping[str, NDArray]
) -> Decision:
    """``compact``, ``macro`` and ``full``: they differ in the shares, and ``macro`` has one setting for all."""
    lanes, ues, dcs = len(parts["aggregator"]), p.num_ues, p.num_dcs
    uplink, backhaul = public["uplink_bps"], public["backhaul_bps"]
    aggregator = parts["aggregator"].argmax(axis=1)
    if p.action == "full":
        offload = _softmax(SHARPNESS * parts["offload"])[..., :-1]
    else:
        good = np.where(uplink >= GOOD_RATE * uplink.max(axis=2, keepdims=True), uplink, 0.0)
        offload = _unit(parts["offload"])[..., None] * (good / good.sum(axis=2, keepdims=True))
    scores = SHARPNESS * parts["forward"]
    if p.action == "macro":
        scores = scores[:, None, :] + np.log(backhaul / backhaul.max(axis=2, keepdims=True))
    slow, fast = 1e9 * p.min_clock_ghz, network.max_clock_hz
    low, high = CODED_SPEED
    path = 1.0 / uplink + 1.0 / take(backhaul, aggregator[:, None])[:, None, :]  # s a bit, (L, N, B)
    clock_hz = slow * (fast / slow) ** _unit(parts["clock"])
    points_per_s = (low + (high - low) * _unit(parts["speed"])) * network.federated.machine_points_per_s
    return {
        "aggregator": aggregator,
        "ue_to_bs": path.argmin(axis=2),
        "bs_to_ue": public["downlink_bps"].argmax(axis=1),
        "offload_share": offload,
        "forward_share": _softmax(scores),
        "clock_hz": clock_hz,
        "points_per_s": points_per_s,
        "ue_iterations": _wide(_iterations(p, parts["ue_iterations"]), ues),
        "dc_iterations": _wide(_iterations(p, parts["dc_iterations"]), dcs),
        "ue_minibatch": _wide(_minibatch(p, parts["ue_minibatch"]), ues),
        "dc_minibatch": _wide(_minibatch(p, parts["dc_minibatch"]), dcs),
        "projected": np.zeros(lanes, dtype=np.int64),
    }


def _unit(action: NDArray) -> NDArray:
    """[-1, 1] to [0, 1]."""
    return (action + 1.0) / 2.0


def _iterations(p: CeflOrchestrationParams, action: NDArray) -> NDArray:
    return np.round(1.0 + (p.max_iterations - 1.0) * _unit(action))


def _minibatch(p: CeflOrchestrationParams, action: NDArray) -> NDArray:
    return p.min_minibatch ** (1.0 - _unit(action))  # m_min (1 / m_min)^u


def _wide(values: NDArray, count: int) -> NDArray:
    """A column for each of ``count`` units; one column is the same for all."""
    return np.broadcast_to(values, (len(values), count))


def _softmax(scores: NDArray) -> NDArray:
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weight / weight.sum(axis=-1, keepdims=True)
