"""A NodePlacement slot at a glance: who serves what area, the SINR field, users by rate, where the nodes came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rangym.envs.rendering import FAINT, INK, PALETTE, quiet, reward_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.core import Frame
    from rangym.envs.node_placement.system import NodePlacement, PlacementDecision, PlacementState

FIELD_POINTS = 120
FIELD_DB = (-5.0, 25.0)
RATES_MBPS = (0.5, 30.0)


def draw(figure: Figure, system: NodePlacement, frame: Frame[PlacementState, PlacementDecision]) -> None:
    """Map on the left; the users of every node and the reward over the episode on the right."""
    grid = figure.add_gridspec(2, 2, width_ratios=(1.6, 1), height_ratios=(1, 1))
    _draw_map(figure, figure.add_subplot(grid[:, 0]), system, frame)
    _draw_loads(figure.add_subplot(grid[0, 1]), frame)
    reward_curve(figure.add_subplot(grid[1, 1]), frame.rewards, system.horizon)


def _draw_map(
    figure: Figure, axes: Axes, system: NodePlacement, frame: Frame[PlacementState, PlacementDecision]
) -> None:
    from matplotlib.colors import LogNorm

    side = system.params.side_m
    nodes, users = frame.state["node_position_m"], frame.trace.slots["user_position_m"][frame.t]
    line = (np.arange(FIELD_POINTS) + 0.5) * side / FIELD_POINTS
    x, y = np.meshgrid(line, line)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    field = system.rates(points, nodes)
    sinr_db = 10 * np.log10(field.sinr).reshape(x.shape)
    served_by = field.serving.reshape(x.shape)
    image = axes.imshow(
        sinr_db, extent=(0, side, 0, side), origin="lower", cmap="Greys", vmin=FIELD_DB[0], vmax=FIELD_DB[1], alpha=0.55
    )
    for k in range(len(nodes)):
        axes.contour(x, y, served_by == k, levels=[0.5], colors="white", linewidths=1.4)
    rate = system.rates(users, nodes).rate_mbps
    dots = axes.scatter(
        users[:, 0],
        users[:, 1],
        s=34 if len(users) <= 50 else 18,
        c=rate,
        cmap="plasma",
        norm=LogNorm(*RATES_MBPS, clip=True),
        edgecolors="white",
        linewidths=0.5,
        zorder=3,
    )
    for path in frame.state["node_trail_m"].transpose(1, 0, 2):
        axes.plot(*path.T, color=PALETTE[0], linewidth=1.6, alpha=0.8, zorder=4)
    axes.scatter(
        nodes[:, 0], nodes[:, 1], s=150, marker="^", c=PALETTE[0], edgecolors="white", linewidths=1.2, zorder=5
    )
    for k, (u, v) in enumerate(nodes):
        axes.annotate(str(k), (u, v), textcoords="offset points", xytext=(7, 5), fontsize=9, color=INK, zorder=6)
    axes.set(xlim=(0, side), ylim=(0, side))
    axes.set_aspect("equal")
    axes.set_title(f"slot {frame.t} of {system.horizon}: nodes, and who serves where", loc="left", fontsize=10)
    axes.set_xlabel("m", fontsize=8)
    quiet(axes)
    for mapped, label in ((dots, "rate of a user, Mbit/s"), (image, "SINR, dB")):
        bar = figure.colorbar(mapped, ax=axes, shrink=0.42, pad=0.01, aspect=16, extend="both")
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)


def _draw_loads(axes: Axes, frame: Frame[PlacementState, PlacementDecision]) -> None:
    load = frame.state["load"]
    nodes = np.arange(len(load))
    axes.bar(nodes, load, color=PALETTE[0], edgecolor=INK, linewidth=0.5)
    axes.axhline(load.mean(), color=FAINT, linewidth=1.0, zorder=0)
    axes.set_xticks(nodes if len(nodes) <= 12 else nodes[::5])
    axes.set_ylim(0, max(load.max() * 1.2, 2 * load.mean()))
    axes.set_title("users per node", loc="left", fontsize=10)
    axes.set_xlabel("node", fontsize=8)
    quiet(axes)
