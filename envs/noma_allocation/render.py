"""A NomaAllocation round at a glance: who shares which sub-channel, who transmits when and how loud, energy so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.physics.units import linear_to_db
from rangym.envs.rendering import (
    BLUE,
    FAINT,
    FLASH,
    INK,
    colors,
    disc,
    dots,
    label,
    legend,
    lines,
    map_limits,
    network_map,
    panel,
    quiet,
    rectangles,
    span,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.core import Frame
    from rangym.envs.noma_allocation.system import AllocationDecision, AllocationState, NomaAllocation

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
MAP, TIMELINE, COST = (0.0, 0.0, 0.45, 1.0), (0.45, 0.37, 1.0, 1.0), (0.45, 0.0, 1.0, 0.37)
LOUDNESS_DB = 40.0
"""Power below P_max at which a bar has faded to its least height."""


def draw(figure: Figure, system: NomaAllocation, frame: Frame[AllocationState, AllocationDecision]) -> None:
    """Map on the left; the timeline of every sub-channel and the cost over the rounds on the right."""
    palette = [*colors(system.params.num_subchannels), FAINT]
    _draw_map(figure, system.params, frame, palette)
    _draw_timeline(figure, system, frame, palette)
    _draw_cost(figure, system, frame)


def _draw_map(
    figure: Figure,
    params: NomaAllocationParams,
    frame: Frame[AllocationState, AllocationDecision],
    palette: list,
) -> None:
    axes = panel(figure, MAP, params.radius_m, lambda axes: _still_map(axes, params.radius_m))
    distance = frame.trace.constants["distance_m"]
    angle = GOLDEN_ANGLE * np.arange(len(distance))  # the trace has distances only: directions are nominal
    place = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) / 1000
    channel, served = _channels(params, frame)
    users = [np.flatnonzero(channel == k) for k in range(params.num_subchannels)]
    pairs = [(place[pair], palette[k]) for k, pair in enumerate(users) if len(pair) == 2]
    ends, shades = [ends for ends, _ in pairs], [shade for _, shade in pairs]
    lines(axes, ends, colors=shades, linewidths=2.0, zorder=2)
    lost = (channel < params.num_subchannels) & ~served
    fill = [palette[k] if s else "white" for k, s in zip(channel, served, strict=True)]
    edge = [FLASH if bad else palette[k] for k, bad in zip(channel, lost, strict=True)]
    dots(axes, place, s=150, c=fill, edgecolors=edge, linewidths=1.8, zorder=4)
    for i, (x, y) in enumerate(place):
        label(axes, x, y, str(i), fill[i])
    axes.scatter(0, 0, s=150, marker="^", c="white", edgecolors=INK, linewidths=1.2, zorder=6)
    title(axes, f"round {frame.t} of {params.horizon}: pairs by sub-channel")


def _still_map(axes: Axes, radius_m: float) -> None:
    network_map(axes, map_limits(np.array([[-radius_m, -radius_m], [radius_m, radius_m]])))
    circle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(*(radius_m / 1000 * np.stack([np.cos(circle), np.sin(circle)])), color=FAINT, linewidth=0.8)
    rings = [disc("misses the deadline", "white", FLASH), disc("no sub-channel", "white", FAINT)]
    legend(axes, rings, loc="lower left", bbox_to_anchor=(0.0, -0.02), ncols=2)


def _channels(
    params: NomaAllocationParams, frame: Frame[AllocationState, AllocationDecision]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if frame.decision is None:
        ues = params.num_ues
        return np.full(ues, params.num_subchannels), np.zeros(ues, dtype=bool)
    return frame.decision["subchannel"], frame.metrics["served"]


def _draw_timeline(
    figure: Figure,
    system: NomaAllocation,
    frame: Frame[AllocationState, AllocationDecision],
    palette: list,
) -> None:
    """Training in grey, then each upload; height and depth of colour tell the power relative to its cap."""
    p = system.params
    axes = panel(figure, TIMELINE, (p.deadline_s, p.num_subchannels), lambda axes: _still_timeline(axes, p))
    if frame.decision is None:
        return
    from matplotlib.colors import to_rgba

    slot = frame.trace.slot(frame.t)
    decision = cast("AllocationDecision", {f: np.asarray(v)[None] for f, v in frame.decision.items()})
    users, done = system.upload(decision, {f: np.asarray(v)[None] for f, v in slot.items()})
    training, uploads = [], []
    for k, pair in enumerate(users[0]):
        ready = sorted(p.deadline_s - slot["training_time_s"][i] for i in pair if i >= 0)
        for place, i in enumerate(pair):
            if i < 0:
                continue
            middle = k + (0.21 if place else -0.21)
            training.append((middle, min(slot["training_time_s"][i], p.deadline_s)))
            begin, end = p.deadline_s - done.start_s[0, k, place], p.deadline_s - done.stop_s[0, k, place]
            # A NOMA user's power changes when its partner is ready too.
            joint = p.deadline_s - ready[0] if len(ready) == 2 and done.decoded_first[0, k] >= 0 else end
            for left, right, power in zip(
                (begin, max(begin, joint)), (min(end, joint), end), done.power_w[0, k, place], strict=True
            ):
                if right > left and power > 0:
                    level = float(np.clip(1.0 + linear_to_db(power / p.max_power_w) / LOUDNESS_DB, 0.12, 1.0))
                    uploads.append((left, middle, right - left, 0.4 * level, to_rgba(palette[k], 0.35 + 0.65 * level)))
            mark = "" if done.served[0, k, place] else " x"
            first = "1st " if done.decoded_first[0, k] == place else ""
            axes.text(0.005 * p.deadline_s, middle, f"{first}{i}{mark}", fontsize=7, color=INK, va="center", zorder=5)
    at, seconds = np.array(training).reshape(-1, 2).T
    rectangles(axes, 0.0, at - 0.04, seconds, 0.08, facecolors=FAINT)
    if uploads:
        left, at, seconds, height = np.array([bar[:4] for bar in uploads]).T
        shades = [bar[4] for bar in uploads]
        rectangles(axes, left, at - height / 2, seconds, height, facecolors=shades, edgecolors=INK, linewidths=0.4)


def _still_timeline(axes: Axes, p: NomaAllocationParams) -> None:
    every = max(p.num_subchannels // 10, 1)
    rows = range(0, p.num_subchannels, every)
    axes.set(xlim=(0, 1.01 * p.deadline_s), ylim=(p.num_subchannels - 0.4, -0.6), yticks=rows)
    axes.axvline(p.deadline_s, color=INK, linewidth=1.0)
    axes.set_xlabel("s", fontsize=8, labelpad=1)
    quiet(axes)
    title(axes, "sub-channels: training (grey), upload (height: power, dB)")


def _draw_cost(figure: Figure, system: NomaAllocation, frame: Frame[AllocationState, AllocationDecision]) -> None:
    cost = -np.asarray(frame.rewards)
    rounds = np.arange(1, len(cost) + 1)
    limits = span(cost, include=[0.0])

    def still(axes: Axes) -> None:
        axes.set(xlim=(0.4, system.horizon + 0.6), ylim=limits)
        axes.set_xlabel("round", fontsize=8, labelpad=1)
        quiet(axes)

    axes = panel(figure, COST, (system.horizon, limits), still)
    text = "cost per scheduled user (1 = dropped)"
    if len(cost):
        rectangles(axes, rounds - 0.3, 0.0, 0.6, cost, facecolors=BLUE)
        axes.plot(rounds, cost.cumsum() / rounds, color=INK, linewidth=1.8)
        text += f", mean {cost.mean():.3g}"
    title(axes, text)
