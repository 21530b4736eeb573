"""A ray-traced city in pictures: buildings, streets, and cells as sectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.streets import STEP_M
from rangym.envs.rendering import INK, label, quiet, title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.cell_association.city import City

BUILT, COURTYARD, STREET, OUTLINE = "#D9D4CC", "#ECEAE6", "#FFFFFF", "#A39B90"
SECTOR_KM, SECTOR_DEG, DIPOLE_KM = 0.036, 100.0, 0.014
LABEL_KM = 0.022


def draw_buildings(axes: Axes, city: City) -> None:
    """Buildings with their outlines, closed courtyards, and streets, which are white."""
    from matplotlib.colors import to_rgb

    shades = np.array([to_rgb(color) for color in (BUILT, COURTYARD, STREET)])
    kind = city.outdoor.astype(int) + city.streets()
    axes.imshow(shades[kind], zorder=0, **_placed(city))
    outline_buildings(axes, city)


def outline_buildings(axes: Axes, city: City) -> None:
    """The outlines alone, as they lie on the grid."""
    from matplotlib.collections import LineCollection

    axes.add_collection(
        LineCollection(list(outlines_m(city.outdoor) / 1000), colors=OUTLINE, linewidths=0.5, zorder=0.5)
    )


def outlines_m(outdoor: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The sides between a square that is built on and one that is not, ``(n, 2, 2)``: both ends in metres."""
    row, column = np.nonzero(outdoor[1:] != outdoor[:-1])
    across = np.stack([np.stack([column, row + 1], axis=1), np.stack([column + 1, row + 1], axis=1)], axis=1)
    row, column = np.nonzero(outdoor[:, 1:] != outdoor[:, :-1])
    along = np.stack([np.stack([column + 1, row], axis=1), np.stack([column + 1, row + 1], axis=1)], axis=1)
    return np.concatenate([across, along]) * STEP_M


def draw_cells(axes: Axes, city: City, position_m: NDArray, palette: NDArray) -> None:
    """Sectors as wedges, dipoles as discs, each in its colour and with its number; ``position_m`` (J, 2)."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Circle, Patch, Wedge

    shapes: list[Patch] = []
    for j, (at, azimuth) in enumerate(zip(position_m / 1000, city.azimuth_deg, strict=True)):
        if np.isnan(azimuth):
            shapes.append(Circle(at, DIPOLE_KM))
            middle = at
        else:
            shapes.append(Wedge(at, SECTOR_KM, azimuth - SECTOR_DEG / 2, azimuth + SECTOR_DEG / 2))
            middle = at + LABEL_KM * np.array([np.cos(np.radians(azimuth)), np.sin(np.radians(azimuth))])
        label(axes, middle[0], middle[1], str(j), palette[j])
    drawn = PatchCollection(shapes, facecolors=list(palette), edgecolors=INK, linewidths=0.8, zorder=6)
    axes.add_collection(drawn, autolim=False)


def draw_radio_map(figure: Figure, source: RadioMap) -> None:
    """Two maps of a city: the best cell's SINR in every street, and which cell that is."""
    from matplotlib.colors import to_rgb

    from rangym.envs.rendering import colors

    city = source.city
    if city is None:
        raise ValueError(f"source: a map of kind 'ray_traced' wanted, got kind {source.kind!r}")
    palette, street = np.array(colors(source.num_cells), dtype=object), city.streets()
    best = np.full(street.shape, np.nan)
    best[street] = source.sinr_db.max(axis=1)
    cell = np.ones((*street.shape, 4))
    cell[..., 3] = street
    cell[street, :3] = np.array([to_rgb(color) for color in palette])[source.sinr_db.argmax(axis=1)]
    left, right = figure.subplots(1, 2)
    image = left.imshow(best, cmap="viridis", vmin=-5, vmax=30, **_placed(city))
    figure.colorbar(image, ax=left, shrink=0.8, label="dB", extend="both")
    right.imshow(cell, **_placed(city))
    for axes, text in ((left, "SINR of the best cell"), (right, "the best cell")):
        axes.set_facecolor(BUILT)
        title(axes, text)
        axes.set_xlabel("km", fontsize=8)
        outline_buildings(axes, city)
        draw_cells(axes, city, source.cell_position_m, palette)
        quiet(axes)


def _placed(city: City) -> dict:
    return {"extent": _extent_km(city), "origin": "lower", "interpolation": "nearest"}


def _extent_km(city: City) -> tuple[float, float, float, float]:
    rows, columns = city.outdoor.shape
    return 0.0, columns * STEP_M / 1000, 0.0, rows * STEP_M / 1000
