"""A QosClustering slot at a glance: who uses which head, whether it fits, how concepts drift, what it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import Frame
from rangym.envs.learning.heads import least_slot_cost
from rangym.envs.qos_clustering.concepts import GROUPS
from rangym.envs.qos_clustering.kpi_logs import KPI_SUFFIXES
from rangym.envs.rendering import (
    FAINT,
    FLASH,
    GREEN,
    GREY,
    INK,
    MUTED,
    colors,
    disc,
    ink_on,
    label,
    legend,
    map_limits,
    network_map,
    panel,
    quiet,
    rectangles,
    reward_curve,
    span,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.qos_clustering.system import ClusteringState, QosClustering

    View = Frame[ClusteringState, NDArray[np.int64]]

GROUP_COLORS = ("#882255", "#117733", "#332288", "#DDAA33")
"""Of the rings: another scheme than that of the heads, so that the two are not taken for each other."""
GLOBAL_COLOR = GREY
MAP, LOSSES, DAY = (0.0, 0.33, 0.42, 1.0), (0.42, 0.0, 0.64, 1.0), (0.64, 0.45, 1.0, 1.0)
REWARD, DENSITY = (0.0, 0.0, 0.42, 0.33), (0.64, 0.0, 1.0, 0.45)
MAP_PADS_PT = (32.0, 68.0, 8.0, 24.0)
"""Room for the legend below the map."""
LEGEND_PAD = 4.5
"""Between the map and its legend, in sizes of its letters: room for ticks and their unit, however flat the map is."""


def draw(figure: Figure, system: QosClustering, frame: View) -> None:
    """Map and reward on the left, losses in the middle, concepts and one cell's latency on the right."""
    head_colors = [GLOBAL_COLOR, *colors(system.params.num_heads)]
    moving = frame.trace.slots["true_group" if _has_concepts(frame) else "statistics"]
    shown = int(np.abs(np.diff(moving, axis=0)).sum(axis=(0, 2)).argmax())
    _draw_map(figure, system, frame, head_colors, shown)
    _draw_losses(figure, system, frame, head_colors)
    (_draw_concepts if _has_concepts(frame) else _draw_kpi)(figure, system, frame, shown)
    _draw_reward(figure, system, frame)
    _draw_density(figure, system, frame, shown)


def _has_concepts(frame: View) -> bool:
    """Recorded days have none that anybody knows."""
    return "true_group" in frame.trace.slots


def _draw_map(figure: Figure, system: QosClustering, frame: View, head_colors: list, shown: int) -> None:
    """Cells as discs in their head's colour, with the true concept, where it is known, as a ring."""
    place, slot = frame.trace.constants["cell_position_m"], frame.state["slot_of_cell"]
    rings = _has_concepts(frame)
    limits = map_limits(np.concatenate([place - 120.0, place + 120.0]))

    def still(axes: Axes) -> None:
        network_map(axes, limits)
        marks = [disc(name, "none", GROUP_COLORS[g], 2.2) for g, name in enumerate(GROUPS if rings else ())]
        marks += [disc(f"head {c}" if c else "global head", color) for c, color in enumerate(head_colors)]
        below = dict(loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=LEGEND_PAD)
        legend(axes, marks, fontsize=7, ncols=4, **below)

    axes = panel(figure, MAP, (limits, len(head_colors), rings), still, pads_pt=MAP_PADS_PT)
    big = 420.0 * 12 / max(len(place), 12)
    x, y = place.T / 1000
    axes.scatter(x, y, s=big, c=[head_colors[c] for c in slot], edgecolors="none", zorder=3)
    if rings:
        ring = [GROUP_COLORS[g] for g in frame.trace.slots["true_group"][frame.t].argmax(axis=1)]
        axes.scatter(x, y, s=2.0 * big, facecolors="none", edgecolors=ring, linewidths=2.6, zorder=4)
    axes.scatter(x[shown], y[shown], s=3.6 * big, facecolors="none", edgecolors=FLASH, linewidths=1.0, linestyles=":")
    if len(place) <= 20:
        for i, c in enumerate(slot):
            label(axes, x[i], y[i], str(c), head_colors[c])
    title(axes, f"slot {frame.t} of {system.horizon}: head (disc){', concept (ring)' if rings else ''}")


def _draw_losses(figure: Figure, system: QosClustering, frame: View, head_colors: list) -> None:
    """The moving average of every head's loss, minus the cell's mean: dark is good; the slot in use is framed."""
    average, used = frame.state["average_loss"], frame.state["slot_of_cell"]
    axes = panel(figure, LOSSES, average.shape, lambda axes: _still_losses(axes, len(average), head_colors))
    relative = average - average.mean(axis=1, keepdims=True)
    extreme = max(float(np.quantile(np.abs(relative), 0.95)), 1e-9)  # one cell that nothing fits hides no other
    axes.imshow(relative, cmap="Blues_r", aspect="auto", vmin=-extreme, vmax=extreme, interpolation="nearest")
    cells = np.arange(len(used))
    rectangles(axes, used - 0.46, cells - 0.46, 0.92, 0.92, facecolors="none", edgecolors=FLASH, linewidths=1.5)


def _still_losses(axes: Axes, num_cells: int, head_colors: list) -> None:
    from matplotlib.ticker import MaxNLocator

    num_slots = len(head_colors)
    axes.set(xlim=(-0.5, num_slots - 0.5), ylim=(num_cells - 0.5, -0.5))
    axes.set_xticks(range(num_slots), ["g", *(str(c) for c in range(1, num_slots))])
    for tick, color in zip(axes.get_xticklabels(), head_colors, strict=True):
        tick.set_color(ink_on(color))
        tick.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 1.2})
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("head", fontsize=8, labelpad=1)
    axes.set_ylabel("cell", fontsize=8, labelpad=1)
    quiet(axes)
    title(axes, "loss, dark: low")


def _draw_concepts(figure: Figure, system: QosClustering, frame: View, shown: int) -> None:
    """The strongest concept of every cell over the day; what is still to come is pale."""
    concept = frame.trace.slots["true_group"][1 : system.horizon + 1].argmax(axis=2)
    hours, cells = system.horizon * system.period_h, concept.shape[1]

    def still(axes: Axes) -> None:
        from matplotlib.colors import to_rgb

        image = np.array([to_rgb(c) for c in GROUP_COLORS])[concept].transpose(1, 0, 2)
        axes.imshow(image, aspect="auto", interpolation="nearest", extent=(0, hours, cells - 0.5, -0.5))
        _still_day(axes, hours, "true concept of each cell")

    axes = panel(figure, DAY, (hours, concept.tobytes()), still)
    now = frame.t * system.period_h
    axes.axvspan(now, hours, color="white", alpha=0.75, linewidth=0)
    axes.axvline(now, color=INK, linewidth=1.0)
    axes.plot([0], [shown], marker=">", color=FLASH, clip_on=False, markersize=6)


def _still_day(axes: Axes, hours: float, text: str) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, hours)
    axes.set_xlabel("h", fontsize=8, labelpad=1)
    quiet(axes)
    title(axes, text)


def _draw_kpi(figure: Figure, system: QosClustering, frame: View, shown: int) -> None:
    """The mean of the first KPI in every cell over the day, z-scored; what is still to come is pale."""
    level = frame.trace.slots["statistics"][1 : system.horizon + 1, :, 0].T
    hours = np.arange(len(level.T)) * system.period_h

    def still(axes: Axes) -> None:
        for i in np.argsort(np.arange(len(level)) == shown):
            color, width = (FLASH, 1.8) if i == shown else (FAINT, 0.9)
            axes.plot(hours, level[i], color=color, linewidth=width)
        axes.set_ylim(axes.get_ylim())
        _still_day(axes, system.horizon * system.period_h, f"mean {system.kpis[0]} of each cell, z-scored")

    axes = panel(figure, DAY, (system.kpis[0], shown, level.tobytes()), still)
    now = frame.t * system.period_h
    axes.axvspan(now, system.horizon * system.period_h, color="white", alpha=0.7, linewidth=0, zorder=3)
    axes.axvline(now, color=INK, linewidth=1.0)


def _draw_reward(figure: Figure, system: QosClustering, frame: View) -> None:
    """The reward so far; with frozen heads also what no policy can exceed in each slot of the day."""
    loss = frame.trace.slots.get("loss")
    if loss is None:
        reward_curve(figure, REWARD, frame.rewards, system.horizon)
        return
    least = least_slot_cost(loss[1:-1], system.params.beta) / system.params.num_cells
    axes = reward_curve(figure, REWARD, frame.rewards, system.horizon, include=-least)
    axes.plot(np.arange(1, len(least) + 1), -least, color=GREEN, linewidth=1.0)
    axes.text(1, 1, "bound of the slot", color=GREEN, transform=axes.transAxes, ha="right", va="bottom", fontsize=7)


def _draw_density(figure: Figure, system: QosClustering, frame: View, shown: int) -> None:
    """Density of the shown cell's first KPI: now, in h periods, and as predicted where the trace holds the rows."""
    slots, t = frame.trace.slots, frame.t
    later = f"{system.params.label_delay * system.period_h:g} h later"
    curves = [("now", slots["statistics"][t, shown], FAINT), (later, slots["target"][t, shown], INK)]
    predicted = _prediction(system, frame, shown)
    if predicted is not None:
        curves.append(("predicted", predicted, FLASH))
    mean, covariance = system.predictor.gaussian(np.stack([code for _, code, _ in curves]))
    deviation = np.sqrt(covariance[:, 0, 0])
    low, high = (mean[:, 0] - 3 * deviation).min(), (mean[:, 0] + 3 * deviation).max()
    logarithmic = system.kpis[0].endswith(tuple(KPI_SUFFIXES))
    limits = span(np.exp([low, high]) if logarithmic else [low, high])
    axes = panel(figure, DENSITY, (limits, predicted is None), lambda axes: _still_density(axes, limits, curves))
    value = np.linspace(*limits, 300)[1:]
    highest = 0.0
    for (name, _, color), m, s in zip(curves, mean[:, 0], deviation, strict=True):
        x, slope = (np.log(value), value) if logarithmic else (value, 1.0)
        density = np.exp(-0.5 * ((x - m) / s) ** 2) / (slope * s * np.sqrt(2.0 * np.pi))
        highest = max(highest, float(density.max()))
        axes.plot(value, density, color=color, linewidth=2.2 if color == FAINT else 1.8, label=name)
        if color == INK:
            axes.fill_between(value, density, color=INK, alpha=0.12)
    axes.set_ylim(0.0, 1.08 * highest)  # it has no ticks, so nothing that stands still depends on it
    title(axes, f"{system.kpis[0]} of cell {shown}")


def _still_density(axes: Axes, limits: tuple[float, float], curves: list) -> None:
    axes.set_xlim(limits)
    axes.set_yticks([])
    marks = [{"label": name, "color": color, "linewidth": 2.2 if color == FAINT else 1.8} for name, _, color in curves]
    legend(axes, marks, fontsize=7, loc="upper right")
    if len(curves) < 3:
        axes.set_xlabel("prediction: needs observe='statistics' or eta > 0", fontsize=7, color=MUTED, labelpad=1)
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
