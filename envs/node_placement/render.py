"""A NodePlacement slot at a glance: who serves what area, the SINR field, users by rate, where the nodes came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rangym.envs.rendering import BLUE, Style, dots, label, lines, load_bars, panel, quiet, reward_curve, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.core import Frame
    from rangym.envs.node_placement.system import NodePlacement, PlacementDecision, PlacementState

FIELD_POINTS = 120
FIELD_DB = (-5.0, 25.0)
RATES_MBPS, RATE_TICKS = (0.5, 30.0), (0.5, 1, 2, 5, 10, 20)
MAP, LOADS, REWARD = (0.0, 0.0, 0.66, 1.0), (0.66, 0.5, 1.0, 1.0), (0.66, 0.0, 1.0, 0.5)
MAP_PADS_PT = (32.0, 30.0, 64.0, 24.0)
"""Room for the two scales on the right of the map."""


def draw(figure: Figure, system: NodePlacement, frame: Frame[PlacementState, PlacementDecision]) -> None:
    """Map on the left; the users of every node and the reward over the episode on the right."""
    load = frame.state["load"]
    _draw_map(figure, system, frame)
    load_bars(figure, LOADS, load, BLUE, ("users per node", "node"), 2 * system.params.num_ues / len(load))
    reward_curve(figure, REWARD, frame.rewards, system.horizon)


def _draw_map(figure: Figure, system: NodePlacement, frame: Frame[PlacementState, PlacementDecision]) -> None:
    from contourpy import contour_generator

    side = system.params.side_m
    axes = panel(figure, MAP, side, lambda axes: _still_map(axes, side), pads_pt=MAP_PADS_PT)
    nodes, users = frame.state["node_position_m"], frame.trace.slots["user_position_m"][frame.t]
    line = (np.arange(FIELD_POINTS) + 0.5) * side / FIELD_POINTS
    points = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    field = system.rates(points, nodes)
    sinr_db = 10 * np.log10(field.sinr).reshape(FIELD_POINTS, FIELD_POINTS)
    axes.imshow(sinr_db, **_field_style(side))
    serving = field.serving.reshape(FIELD_POINTS, FIELD_POINTS)
    edges = [x for k in range(len(nodes)) for x in contour_generator(line, line, serving == k).lines(0.5)]
    lines(axes, edges, colors="white", linewidths=1.4, zorder=2)
    rate = system.rates(users, nodes).rate_mbps
    size = 34 if len(users) <= 50 else 18
    dots(axes, users, s=size, c=rate, **_rate_style(), edgecolors="white", linewidths=0.5, zorder=3)
    trail = frame.state["node_trail_m"].transpose(1, 0, 2)
    lines(axes, trail, colors=BLUE, linewidths=1.6, alpha=0.8, zorder=4)
    dots(axes, nodes, s=230, marker="^", c=BLUE, edgecolors="white", linewidths=1.2, zorder=5)
    for k, (u, v) in enumerate(nodes):
        label(axes, u, v, str(k), BLUE)
    title(axes, f"slot {frame.t} of {system.horizon}: nodes, and who serves where")


def _field_style(side: float) -> Style:
    low, high = FIELD_DB
    field = {"extent": (0, side, 0, side), "origin": "lower", "interpolation": "bilinear"}
    return {**field, "cmap": "Greys", "vmin": low, "vmax": high, "alpha": 0.55}


def _rate_style() -> Style:
    from matplotlib.colors import LogNorm

    return {"cmap": "plasma", "norm": LogNorm(*RATES_MBPS, clip=True)}


def _still_map(axes: Axes, side: float) -> None:
    axes.set(xlim=(0, side), ylim=(0, side))
    axes.set_aspect("equal", anchor="W")
    axes.set_xlabel("m", fontsize=8, labelpad=1)
    quiet(axes)
    image = axes.imshow(np.zeros((1, 1)), **_field_style(side))
    dots = axes.scatter([], [], c=[], **_rate_style())
    for row, (mapped, text, ticks) in enumerate(
        ((dots, "rate of a user, Mbit/s", RATE_TICKS), (image, "SINR, dB", None))
    ):
        scale = axes.inset_axes((1.03, 0.55 - 0.5 * row, 0.025, 0.38))
        bar = axes.figure.colorbar(mapped, cax=scale, extend="both", ticks=ticks, format="%g")
        bar.set_label(text, fontsize=8)
        bar.ax.tick_params(labelsize=7)
        bar.ax.minorticks_off()
    image.remove()
    dots.remove()
