"""A NomaAllocation round at a glance: who shares which sub-channel, who transmits when and how loud, energy so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.physics.units import linear_to_db
from rangym.envs.rendering import BLUE, FAINT, FLASH, INK, colors, network_map, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.core import Frame
    from rangym.envs.noma_allocation.system import AllocationDecision, AllocationState, NomaAllocation

GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
LOUDNESS_DB = 40.0
"""Power below P_max at which a bar has faded to its least height."""


def draw(figure: Figure, system: NomaAllocation, frame: Frame[AllocationState, AllocationDecision]) -> None:
    """Map on the left; the timeline of every sub-channel and the cost over the rounds on the right."""
    grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.35), height_ratios=(1.7, 1))
    palette = [*colors(system.params.num_subchannels), FAINT]
    _draw_map(figure.add_subplot(grid[:, 0]), system.params, frame, palette)
    _draw_timeline(figure.add_subplot(grid[0, 1]), system, frame, palette)
    _draw_cost(figure.add_subplot(grid[1, 1]), system, frame)


def _draw_map(
    axes: Axes, params: NomaAllocationParams, frame: Frame[AllocationState, AllocationDecision], palette: list
) -> None:
    distance = frame.trace.constants["distance_m"]
    angle = GOLDEN_ANGLE * np.arange(len(distance))  # the trace has distances only: directions are nominal
    place = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    corner = np.full(2, params.radius_m)
    network_map(axes, np.stack([-corner, corner]), f"round {frame.t} of {params.horizon}: pairs by sub-channel")
    place = place / 1000
    circle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(*(params.radius_m / 1000 * np.stack([np.cos(circle), np.sin(circle)])), color=FAINT, linewidth=0.8)
    channel, served = _channels(params, frame)
    for k in range(params.num_subchannels):
        pair = np.flatnonzero(channel == k)
        if len(pair) == 2:
            axes.plot(*place[pair].T, color=palette[k], linewidth=2.0, zorder=2)
    lost = (channel < params.num_subchannels) & ~served
    fill = [palette[k] if s else "white" for k, s in zip(channel, served, strict=True)]
    edge = [FLASH if bad else palette[k] for k, bad in zip(channel, lost, strict=True)]
    axes.scatter(place[:, 0], place[:, 1], s=110, c=fill, edgecolors=edge, linewidths=1.8, zorder=4)
    for i, (x, y) in enumerate(place):
        axes.annotate(str(i), (x, y), textcoords="offset points", xytext=(8, 5), fontsize=8, color=INK, zorder=5)
    axes.scatter(0, 0, s=150, marker="^", c="white", edgecolors=INK, linewidths=1.2, zorder=6)
    axes.scatter([], [], s=70, c="white", edgecolors=FLASH, linewidths=1.8, label="misses the deadline")
    axes.scatter([], [], s=70, c="white", edgecolors=FAINT, linewidths=1.8, label="no sub-channel")
    axes.legend(loc="lower left", fontsize=8, frameon=False, bbox_to_anchor=(0.0, -0.02), ncols=2)


def _channels(
    params: NomaAllocationParams, frame: Frame[AllocationState, AllocationDecision]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    if frame.decision is None:
        ues = params.num_ues
        return np.full(ues, params.num_subchannels), np.zeros(ues, dtype=bool)
    return frame.decision["subchannel"], frame.metrics["served"]


def _draw_timeline(
    axes: Axes, system: NomaAllocation, frame: Frame[AllocationState, AllocationDecision], palette: list
) -> None:
    """Training in grey, then each upload; height and depth of colour tell the power relative to its cap."""
    p = system.params
    axes.set(xlim=(0, 1.01 * p.deadline_s), ylim=(p.num_subchannels - 0.4, -0.6), yticks=range(p.num_subchannels))
    axes.axvline(p.deadline_s, color=INK, linewidth=1.0)
    axes.set_title("sub-channels: training (grey), upload (height: power, dB below cap)", loc="left", fontsize=10)
    axes.set_xlabel("s", fontsize=8)
    quiet(axes)
    if frame.decision is None:
        return
    slot = frame.trace.slot(frame.t)
    decision = cast("AllocationDecision", {f: np.asarray(v)[None] for f, v in frame.decision.items()})
    users, done = system.upload(decision, {f: np.asarray(v)[None] for f, v in slot.items()})
    for k, pair in enumerate(users[0]):
        ready = sorted(p.deadline_s - slot["training_time_s"][i] for i in pair if i >= 0)
        for place, i in enumerate(pair):
            if i < 0:
                continue
            middle = k + (0.21 if place else -0.21)
            axes.barh(middle, min(slot["training_time_s"][i], p.deadline_s), height=0.08, color=FAINT)
            begin, end = p.deadline_s - done.start_s[0, k, place], p.deadline_s - done.stop_s[0, k, place]
            # A NOMA user's power changes when its partner is ready too.
            joint = p.deadline_s - ready[0] if len(ready) == 2 and done.decoded_first[0, k] >= 0 else end
            for left, right, power in zip(
                (begin, max(begin, joint)), (min(end, joint), end), done.power_w[0, k, place], strict=True
            ):
                if right > left and power > 0:
                    level = np.clip(1.0 + linear_to_db(power / p.max_power_w) / LOUDNESS_DB, 0.12, 1.0)
                    bar = dict(color=palette[k], alpha=0.35 + 0.65 * level, edgecolor=INK, linewidth=0.4)
                    axes.barh(middle, right - left, left=left, height=0.4 * level, **bar)
            mark = "" if done.served[0, k, place] else " x"
            first = "1st " if done.decoded_first[0, k] == place else ""
            axes.text(0.005 * p.deadline_s, middle, f"{first}{i}{mark}", fontsize=7, color=INK, va="center")


def _draw_cost(axes: Axes, system: NomaAllocation, frame: Frame[AllocationState, AllocationDecision]) -> None:
    cost = -np.asarray(frame.rewards)
    rounds = np.arange(1, len(cost) + 1)
    title = "cost per scheduled user (1 = dropped)"
    if len(cost):
        axes.bar(rounds, cost, color=BLUE, width=0.6)
        axes.plot(rounds, cost.cumsum() / rounds, color=INK, linewidth=1.8)
        title += f", mean so far {cost.mean():.3f}"
    axes.set(xlim=(0.4, system.horizon + 0.6), ylim=(0, max(1.05 * cost.max(initial=0.0), 1e-6)))
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("round", fontsize=8)
    quiet(axes)
