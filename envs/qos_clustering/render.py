"""A QosClustering slot at a glance: who uses which head, whether it fits, how concepts drift, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import Frame
from rangym.envs.learning.heads import least_slot_cost
from rangym.envs.qos_clustering.concepts import GROUPS
from rangym.envs.qos_clustering.kpi_logs import KPI_SUFFIXES
from rangym.envs.rendering import FAINT, FLASH, GREEN, GREY, INK, MUTED, colors, network_map, quiet, reward_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.qos_clustering.system import ClusteringState, QosClustering

    View = Frame[ClusteringState, NDArray[np.int64]]

GROUP_COLORS = ("#882255", "#117733", "#332288", "#DDAA33")
"""Of the rings: another scheme than that of the heads, so that the two are not taken for each other."""
GLOBAL_COLOR = GREY
LEGEND_PAD = 4.5
"""Between the map and its legend, in sizes of its letters: room for ticks and their unit, however flat the map is."""


def draw(figure: Figure, system: QosClustering, frame: View) -> None:
    """Map and reward on the left, losses in the middle, concepts and one cell's latency on the right."""
    grid = figure.add_gridspec(2, 3, width_ratios=(1.35, 0.7, 1.2), height_ratios=(1.9, 1))
    head_colors = [GLOBAL_COLOR, *colors(system.params.num_heads)]
    moving = frame.trace.slots["true_group" if _has_concepts(frame) else "statistics"]
    shown = int(np.abs(np.diff(moving, axis=0)).sum(axis=(0, 2)).argmax())
    _draw_map(figure.add_subplot(grid[0, 0]), system, frame, head_colors, shown)
    _draw_losses(figure.add_subplot(grid[:, 1]), system, frame, head_colors)
    draw_day = _draw_concepts if _has_concepts(frame) else _draw_kpi
    draw_day(figure.add_subplot(grid[0, 2]), system, frame, shown)
    _draw_reward(figure.add_subplot(grid[1, 0]), system, frame)
    _draw_density(figure.add_subplot(grid[1, 2]), system, frame, shown)


def _has_concepts(frame: View) -> bool:
    """Recorded days have none that anybody knows."""
    return "true_group" in frame.trace.slots


def _draw_map(axes: Axes, system: QosClustering, frame: View, head_colors: list, shown: int) -> None:
    """Cells as discs in their head's colour, with the true concept, where it is known, as a ring."""
    place, slot = frame.trace.constants["cell_position_m"], frame.state["slot_of_cell"]
    spread = np.concatenate([place - 120.0, place + 120.0])
    rings = _has_concepts(frame)
    network_map(axes, spread, f"slot {frame.t} of {system.horizon}: head (disc){', concept (ring)' if rings else ''}")
    big = 420.0 * 12 / max(len(place), 12)
    x, y = place.T / 1000
    axes.scatter(x, y, s=big, c=[head_colors[c] for c in slot], edgecolors="none", zorder=3)
    if rings:
        ring = [GROUP_COLORS[g] for g in frame.trace.slots["true_group"][frame.t].argmax(axis=1)]
        axes.scatter(x, y, s=2.0 * big, facecolors="none", edgecolors=ring, linewidths=2.6, zorder=4)
    axes.scatter(x[shown], y[shown], s=3.6 * big, facecolors="none", edgecolors=FLASH, linewidths=1.0, linestyles=":")
    if len(place) <= 20:
        for i, c in enumerate(slot):
            axes.text(x[i], y[i], str(c), ha="center", va="center", fontsize=8, color=INK, zorder=5)
    for g, name in enumerate(GROUPS if rings else ()):
        axes.scatter([], [], s=60, facecolors="none", edgecolors=GROUP_COLORS[g], linewidths=2.2, label=name)
    for c in sorted(set(slot.tolist()) | {0})[:6]:
        axes.scatter([], [], s=60, c=[head_colors[c]], label="global head" if c == 0 else f"head {c}")
    legend = axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), fontsize=7, frameon=False, ncols=4)
    legend.borderaxespad = LEGEND_PAD


def _draw_losses(axes: Axes, system: QosClustering, frame: View, head_colors: list) -> None:
    """The moving average of every head's loss, minus the cell's mean: dark is good; the slot in use is framed."""
    from matplotlib.ticker import MaxNLocator

    average = frame.state["average_loss"]
    relative = average - average.mean(axis=1, keepdims=True)
    span = max(float(np.quantile(np.abs(relative), 0.95)), 1e-9)  # one cell that nothing fits hides no other
    axes.imshow(relative, cmap="Blues_r", aspect="auto", vmin=-span, vmax=span)
    for i, c in enumerate(frame.state["slot_of_cell"]):
        edge = np.array([[c - 0.46, i - 0.46], [c + 0.46, i - 0.46], [c + 0.46, i + 0.46], [c - 0.46, i + 0.46]])
        axes.fill(*edge.T, fill=False, edgecolor=FLASH, linewidth=1.5)
    axes.set_xticks(range(system.params.num_slots), ["g", *(str(c) for c in range(1, system.params.num_slots))])
    for tick, color in zip(axes.get_xticklabels(), head_colors, strict=True):
        tick.set_color(INK)
        tick.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 1.2})
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("smoothed loss (dark: low)", loc="left", fontsize=10)
    axes.set_xlabel("head", fontsize=8)
    axes.set_ylabel("cell", fontsize=8)
    quiet(axes)


def _draw_concepts(axes: Axes, system: QosClustering, frame: View, shown: int) -> None:
    """The strongest concept of every cell over the day; what is still to come is pale."""
    from matplotlib.colors import to_rgb
    from matplotlib.ticker import MaxNLocator

    weight = frame.trace.slots["true_group"][1 : system.horizon + 1]
    image = np.array([to_rgb(c) for c in GROUP_COLORS])[weight.argmax(axis=2)].transpose(1, 0, 2)
    image[:, frame.t :] = 0.75 + 0.25 * image[:, frame.t :]
    hours = system.horizon * system.period_h
    axes.imshow(image, aspect="auto", interpolation="nearest", extent=(0, hours, len(image) - 0.5, -0.5))
    axes.axvline(frame.t * system.period_h, color=INK, linewidth=1.0)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.plot([0], [shown], marker=">", color=FLASH, clip_on=False, markersize=6)
    axes.set_title("true concept of each cell", loc="left", fontsize=10)
    axes.set_xlabel("h", fontsize=8)
    quiet(axes)


def _draw_kpi(axes: Axes, system: QosClustering, frame: View, shown: int) -> None:
    """The mean of the first KPI in every cell over the day, z-scored; what is still to come is pale."""
    from matplotlib.ticker import MaxNLocator

    level = frame.trace.slots["statistics"][1 : system.horizon + 1, :, 0].T
    hours = np.arange(len(level.T)) * system.period_h
    for i in np.argsort(np.arange(len(level)) == shown):
        color, width = (FLASH, 1.8) if i == shown else (FAINT, 0.9)
        axes.plot(hours[: frame.t], level[i, : frame.t], color=color, linewidth=width)
        axes.plot(
            hours[max(frame.t - 1, 0) :], level[i, max(frame.t - 1, 0) :], color=color, linewidth=width, alpha=0.3
        )
    axes.axvline(frame.t * system.period_h, color=INK, linewidth=1.0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"mean {system.kpis[0]} of each cell, z-scored", loc="left", fontsize=10)
    axes.set_xlabel("h", fontsize=8)
    quiet(axes)


def _draw_reward(axes: Axes, system: QosClustering, frame: View) -> None:
    """The reward so far; with frozen heads also what no policy can exceed in each slot of the day."""
    reward_curve(axes, frame.rewards, system.horizon)
    if "loss" in frame.trace.slots:
        least = least_slot_cost(frame.trace.slots["loss"][1:-1], system.params.beta) / system.params.num_cells
        axes.plot(np.arange(1, len(least) + 1), -least, color=GREEN, linewidth=1.0)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.2 * (high - low))
        axes.text(
            0.99, 0.97, "bound of the slot", transform=axes.transAxes, ha="right", va="top", fontsize=7, color=GREEN
        )


def _draw_density(axes: Axes, system: QosClustering, frame: View, shown: int) -> None:
    """Density of the shown cell's first KPI: now, in h periods, and as predicted where the trace holds the rows."""
    slots, t = frame.trace.slots, frame.t
    later = f"{system.params.label_delay * system.period_h:g} h later"
    curves = [("now", slots["statistics"][t, shown], FAINT), (later, slots["target"][t, shown], INK)]
    predicted = _prediction(system, frame, shown)
    if predicted is not None:
        curves.append(("predicted", predicted, FLASH))
    mean, covariance = system.predictor.gaussian(np.stack([code for _, code, _ in curves]))
    deviation = np.sqrt(covariance[:, 0, 0])
    low, high = (mean[:, 0] - 3 * deviation).min(), (mean[:, 0] + 4 * deviation).max()
    logarithmic = system.kpis[0].endswith(tuple(KPI_SUFFIXES))
    value = np.linspace(np.exp(low), np.exp(high), 300) if logarithmic else np.linspace(low, high, 300)
    for (name, _, color), m, s in zip(curves, mean[:, 0], deviation, strict=True):
        x, slope = (np.log(value), value) if logarithmic else (value, 1.0)
        density = np.exp(-0.5 * ((x - m) / s) ** 2) / (slope * s * np.sqrt(2.0 * np.pi))
        axes.plot(value, density, color=color, linewidth=2.2 if color == FAINT else 1.8, label=name)
        if color == INK:
            axes.fill_between(value, density, color=INK, alpha=0.12)
    if predicted is None:
        text = "its prediction needs rows:\nobserve='statistics' or eta > 0"
        axes.text(0.99, 0.5, text, transform=axes.transAxes, ha="right", fontsize=7, color=MUTED)
    axes.set_title(f"{system.kpis[0]} of cell {shown}", loc="left", fontsize=10)
    axes.set_yticks([])
    axes.legend(fontsize=7, frameon=False)
    quiet(axes)


def _prediction(system: QosClustering, frame: View, cell: int) -> NDArray | None:
    """Mean prediction of the cell's rows by its head, a z-scored code; None where the trace has no such rows."""
    slots, t = frame.trace.slots, frame.t
    later = t + system.params.label_delay
    if "features" in slots:
        rows = slots["features"][t, cell]
    elif "known_features" in slots and later < len(slots["load"]):
        rows = slots["known_features"][later, cell]  # what is known with its label then was measured in slot t
    else:
        return None
    heads = frame.state["heads"] if "heads" in frame.state else system.heads
    return (rows @ heads[frame.state["slot_of_cell"][cell]]).mean(axis=0)
