"""A CellAssociation slot at a glance: who is served where, handovers, loads, the objective so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rangym.envs.cell_association.stream import is_streamed
from rangym.envs.rendering import (
    FAINT,
    FLASH,
    GREY,
    INK,
    Style,
    colors,
    dots,
    label,
    legend,
    lines,
    load_bars,
    map_limits,
    network_map,
    panel,
    quiet,
    reward_curve,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.cell_association.place import Place
    from rangym.envs.cell_association.system import AssociationState, CellAssociation
    from rangym.envs.core import Array, Frame

TINT = 0.25
MAP, LOADS, REWARD = (0.0, 0.0, 0.6, 1.0), (0.6, 0.5, 1.0, 1.0), (0.6, 0.0, 1.0, 0.5)


def draw(figure: Figure, system: CellAssociation, frame: Frame[AssociationState, Array]) -> None:
    """Map on the left; load of every cell and the reward over the episode on the right."""
    palette = np.array(colors(system.params.num_cells), dtype=object)
    _draw_map(figure, system, frame, palette)
    least = 2 * system.params.num_ues / len(palette)
    load_bars(figure, LOADS, frame.state["load"], list(palette), ("UEs per cell", "cell"), least)
    reward_curve(figure, REWARD, frame.rewards, system.horizon)


def _draw_map(
    figure: Figure, system: CellAssociation, frame: Frame[AssociationState, Array], palette: np.ndarray
) -> None:
    cells, users = frame.trace.constants["cell_position_m"], frame.trace.slot(frame.t)["user_position_m"]
    city = system.city
    limits = map_limits(_seen(system, frame, cells) if city is None else city.corners_m())
    axes = panel(figure, MAP, (system.params, limits), lambda axes: _still_map(axes, system, limits, palette))
    cells, users = cells / 1000, users / 1000
    serving, crowd, mass = frame.state["serving"], system.params.num_ues > 100, system.params.num_ues > 2000
    served = serving >= 0
    moved = served & (frame.state["slots_since_ho"] == 0)
    shade = [palette[j] if j >= 0 else FAINT for j in serving]
    if served.any():
        links = np.stack([users, cells[np.maximum(serving, 0)]], axis=1)
        thin, thick = (0.4, 0.5) if crowd else (0.9, 2.0)
        lines(axes, links[served & ~moved], colors=GREY, linewidths=thin, zorder=1)
        lines(axes, links[moved], colors=FLASH, linewidths=thick, zorder=2)
    size = 2 if mass else 10 if crowd else 36
    dots(axes, users, s=size, c=shade, edgecolors="white", linewidths=0.0 if mass else 0.4, zorder=4)
    if not mass:
        size, width = (40, 0.8) if crowd else (130, 1.6)
        dots(axes, users[moved], s=size, facecolors="none", edgecolors=FLASH, linewidths=width, zorder=5)
    if city is None:
        named = len(cells) <= 60
        size = 190 if len(cells) <= 10 else 380 if named else 40
        dots(axes, cells, s=size, marker="^", c=list(palette), edgecolors=INK, linewidths=0.9, zorder=6)
        for j, (x, y) in enumerate(cells if named else ()):
            label(axes, x, y, str(j), palette[j])
    else:
        from rangym.envs.cell_association.render_city import draw_cells

        draw_cells(axes, city, cells * 1000, palette)
    title(axes, f"slot {frame.t} of {system.horizon}, {int(moved.sum())} handovers")


def _seen(system: CellAssociation, frame: Frame[AssociationState, Array], cells: np.ndarray) -> np.ndarray:
    """Places that the map has to hold: the cells, and the ways of the UEs or, in a long episode, the whole square."""
    if is_streamed(system.params):
        return np.concatenate([cells, [[0.0, 0.0], [system.params.side_m] * 2]])
    path = frame.trace.slots["user_position_m"]
    return np.concatenate([cells, path[:: max(len(path) // 200, 1)].reshape(-1, 2)])


def _still_map(
    axes: Axes,
    system: CellAssociation,
    limits: tuple[float, float, float, float],
    palette: np.ndarray,
) -> None:
    network_map(axes, limits)
    if system.city is not None:
        from rangym.envs.cell_association.render_city import draw_buildings

        draw_buildings(axes, system.city)
    if system.params.law == "urban":
        from rangym.envs.cell_association.place import fixed_place

        if (place := fixed_place(system.params)) is not None:
            _tint_strongest(axes, place, palette)
    handover = {"label": "handover", "color": FLASH, "linewidth": 2.0}
    legend(axes, [handover], loc="lower right", bbox_to_anchor=(1.0, 0.98))


def _tint_strongest(axes: Axes, place: Place, palette: np.ndarray) -> None:
    """Tint the map in the colour of the cell that is received best."""
    from matplotlib.colors import to_rgb

    tint = 1.0 - TINT * (1.0 - np.array([to_rgb(color) for color in palette]))
    axes.imshow(tint[place.sinr_db.argmax(axis=0)], **_extent(place), zorder=0)


def draw_place(figure: Figure, place: Place, cell: int) -> None:
    """The maps of one cell: where it has a line of sight, its shadowing and its SINR."""
    shadowing = float(np.abs(place.shadowing_db[cell]).max())
    maps = (
        (f"cell {cell}: line of sight (white)", place.line_of_sight[cell], "Greys_r", (0, 1), ""),
        ("shadowing", place.shadowing_db[cell], "RdBu", (-shadowing, shadowing), "dB"),
        ("SINR, other cells at full load", place.sinr_db[cell], "viridis", (None, None), "dB"),
    )
    for axes, (name, values, color_map, (low, high), unit) in zip(figure.subplots(1, 3), maps, strict=True):
        image = axes.imshow(values, cmap=color_map, vmin=low, vmax=high, **_extent(place))
        title(axes, name)
        axes.set_xlabel("km", fontsize=8)
        quiet(axes)
        if unit:
            figure.colorbar(image, ax=axes, shrink=0.7, label=unit)


def _extent(place: Place) -> Style:
    """How ``imshow`` puts a map [y, x] into kilometres, each grid point in the middle of its pixel."""
    step, points = place.step_m / 1000, place.sinr_db.shape[1]
    low, high = -step / 2, (points - 0.5) * step
    return {"extent": (low, high, low, high), "origin": "lower", "interpolation": "nearest"}
