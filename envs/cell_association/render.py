"""A CellAssociation slot at a glance: who is served where, handovers, loads, the objective so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rangym.envs.rendering import FAINT, FLASH, INK, colors, network_map, quiet, reward_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.cell_association.place import Place
    from rangym.envs.cell_association.system import AssociationState, CellAssociation
    from rangym.envs.core import Array, Frame

TINT = 0.25


def draw(figure: Figure, system: CellAssociation, frame: Frame[AssociationState, Array]) -> None:
    """Map on the left; load of every cell and the reward over the episode on the right."""
    grid = figure.add_gridspec(2, 2, width_ratios=(1.5, 1), height_ratios=(1, 1))
    palette = np.array(colors(system.params.num_cells), dtype=object)
    _draw_map(figure.add_subplot(grid[:, 0]), system, frame, palette)
    _draw_loads(figure.add_subplot(grid[0, 1]), system, frame, palette)
    reward_curve(figure.add_subplot(grid[1, 1]), frame.rewards, system.horizon)


def _draw_map(axes: Axes, system: CellAssociation, frame: Frame[AssociationState, Array], palette: np.ndarray) -> None:
    cells, path = frame.trace.constants["cell_position_m"], frame.trace.slots["user_position_m"]
    every = max(len(path) // 200, 1)
    network_map(axes, np.concatenate([cells, path[::every].reshape(-1, 2)]), f"slot {frame.t} of {system.horizon}")
    if system.params.law == "urban":
        from rangym.envs.cell_association.place import fixed_place

        if (place := fixed_place(system.params)) is not None:
            _tint_strongest(axes, place, palette)
    city = system.city
    if city is not None:
        from rangym.envs.cell_association.render_city import draw_buildings, draw_cells

        draw_buildings(axes, city)
        draw_cells(axes, city, cells, palette)
    cells, users = cells / 1000, path[frame.t] / 1000
    serving, crowd = frame.state["serving"], system.params.num_ues > 100
    served = serving >= 0
    moved = served & (frame.state["slots_since_ho"] == 0)
    shade = [palette[j] if j >= 0 else FAINT for j in serving]
    if served.any():
        from matplotlib.collections import LineCollection

        links = np.stack([users, cells[np.maximum(serving, 0)]], axis=1)
        faint = LineCollection(links[served & ~moved], colors=FAINT, linewidths=0.4 if crowd else 0.9, zorder=1)
        axes.add_collection(faint)
        axes.add_collection(LineCollection(links[moved], colors=FLASH, linewidths=1.0 if crowd else 2.0, zorder=2))
    axes.scatter(users[:, 0], users[:, 1], s=10 if crowd else 36, c=shade, edgecolors="white", linewidths=0.4, zorder=4)
    axes.scatter(
        users[moved, 0],
        users[moved, 1],
        s=40 if crowd else 130,
        facecolors="none",
        edgecolors=FLASH,
        linewidths=1.6,
        zorder=5,
    )
    if city is None:
        _draw_sites(axes, cells, palette)
    axes.plot([], [], color=FLASH, linewidth=2, label=f"handover ({int(moved.sum())} in this slot)")
    axes.legend(loc="upper right", fontsize=8, frameon=False, bbox_to_anchor=(1.0, 1.08))


def _draw_sites(axes: Axes, cells_km: np.ndarray, palette: np.ndarray) -> None:
    x, y = cells_km.T
    axes.scatter(x, y, s=150, marker="^", c=list(palette), edgecolors=INK, linewidths=0.9, zorder=6)
    for j, at in enumerate(cells_km):
        axes.annotate(str(j), at, textcoords="offset points", xytext=(7, 5), fontsize=8, color=INK, zorder=7)


def _tint_strongest(axes: Axes, place: Place, palette: np.ndarray) -> None:
    """Tint the map in the colour of the cell that is received best."""
    from matplotlib.colors import to_rgb

    tint = 1.0 - TINT * (1.0 - np.array([to_rgb(color) for color in palette]))
    axes.imshow(tint[place.sinr_db.argmax(axis=0)], **_extent(place), zorder=0)


def draw_place(figure: Figure, place: Place, cell: int) -> None:
    """The maps of one cell: where it has a line of sight, its shadowing and its SINR."""
    shadowing = float(np.abs(place.shadowing_db[cell]).max())
    maps = (
        (f"cell {cell}: line of sight", place.line_of_sight[cell], "Greys_r", (0, 1), ""),
        ("shadowing", place.shadowing_db[cell], "RdBu", (-shadowing, shadowing), "dB"),
        ("SINR, other cells at full load", place.sinr_db[cell], "viridis", (None, None), "dB"),
    )
    for axes, (title, values, color_map, (low, high), unit) in zip(figure.subplots(1, 3), maps, strict=True):
        image = axes.imshow(values, cmap=color_map, vmin=low, vmax=high, **_extent(place))
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("km", fontsize=8)
        quiet(axes)
        if unit:
            figure.colorbar(image, ax=axes, shrink=0.7, label=unit)


def _extent(place: Place) -> dict[str, Any]:
    """How ``imshow`` puts a map [y, x] into kilometres, each grid point in the middle of its pixel."""
    step, points = place.step_m / 1000, place.sinr_db.shape[1]
    low, high = -step / 2, (points - 0.5) * step
    return {"extent": (low, high, low, high), "origin": "lower", "interpolation": "nearest"}


def _draw_loads(
    axes: Axes, system: CellAssociation, frame: Frame[AssociationState, Array], palette: np.ndarray
) -> None:
    cells = np.arange(system.params.num_cells)
    load = frame.state["load"]
    axes.bar(cells, load, color=list(palette), edgecolor=INK, linewidth=0.5)
    axes.set_xticks(cells if len(cells) <= 12 else cells[::5])
    axes.set_ylim(0, max(load.max() * 1.25, system.params.num_ues / len(cells) * 2))
    axes.set_title("UEs per cell", loc="left", fontsize=10)
    axes.set_xlabel("cell", fontsize=8)
    quiet(axes)
