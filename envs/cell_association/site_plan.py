"""Where the cells of a ray-traced city stand: read from a file, or chosen by a rule of thumb."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.city import ABOVE_ROOF_M, STREET_HEIGHT_M, Window
from rangym.envs.cell_association.streets import STEP_M, places
from rangym.envs.errors import WrongValue, shown
from rangym.envs.files import read_whole
from rangym.envs.params import is_number

MAX_SITES = 50
"""Of each kind."""
SEARCH_SHARE = 0.1
"""Half the side, as a share of the window's, of the square in which a roof is looked for."""
TOWER_M = 40.0
"""Operators do not get the cathedral."""
INSIDE_M = 40.0
"""Least distance of a street cell from the window's border."""
AUTO_STREETS = 6

Point = tuple[float, float, float]


@dataclass(frozen=True)
class SitePlan:
    """Antenna positions (x, y, z) in the scene's metres, of sites on roofs and of cells in streets."""

    roof_m: tuple[Point, ...]
    street_m: tuple[Point, ...]


def read_sites(path: str, roof_m: NDArray, window: Window) -> SitePlan:
    """The sites of a JSON file ``{"roof_m": [[x, y, z], ...], "street_m": [[x, y, z], ...]}``.

    Without z an antenna stands 5 m above the roof, whose heights are ``roof_m`` (H, W), or 6 m above the ground.
    """
    try:
        content = json.loads(read_whole(path, "--sites"))
    except ValueError as error:  # also UnicodeDecodeError
        raise WrongValue(f"--sites: a JSON file wanted, got {path}: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= {"roof_m", "street_m"}:
        raise WrongValue(f"--sites: an object with roof_m and street_m wanted, got {shown(content)} in {path}")
    plan = {kind: _points(content.get(kind, []), kind) for kind in ("roof_m", "street_m")}
    if sum(map(len, plan.values())) < 2:
        raise WrongValue(f"--sites: at least two sites wanted, got {shown(content)} in {path}")
    return SitePlan(
        tuple(_placed(p, _height(roof_m, window, p) + ABOVE_ROOF_M, window) for p in plan["roof_m"]),
        tuple(_placed(p, STREET_HEIGHT_M, window) for p in plan["street_m"]),
    )


def _points(found: object, kind: str) -> list[list[float]]:
    points: list = found if isinstance(found, list) and len(found) <= MAX_SITES else [None]
    if not all(isinstance(p, list) and len(p) in (2, 3) and all(map(is_number, p)) for p in points):
        raise WrongValue(f"--sites: {kind}: at most {MAX_SITES} points [x, y] or [x, y, z] wanted, got {shown(found)}")
    return points


def _placed(point: list[float], height_m: float, window: Window) -> Point:
    x, y, z = [*point, height_m][:3]
    _square(window, x, y)
    return float(x), float(y), float(z)


def _square(window: Window, x: float, y: float) -> tuple[int, int]:
    column, row = np.floor((np.array([x, y]) - window.corner_m) / STEP_M).astype(int)
    if not (0 <= row < window.shape[0] and 0 <= column < window.shape[1]):
        raise WrongValue(f"--sites: positions inside the window wanted, got ({x:g}, {y:g})")
    return int(row), int(column)


def _height(roof_m: NDArray, window: Window, point: list[float]) -> float:
    return float(roof_m[_square(window, point[0], point[1])])


def auto_sites(roof_m: NDArray, outdoor: NDArray[np.bool_], window: Window) -> SitePlan:
    """A plan for any city: a roof near the middle of each quarter, and six street cells far from one another.

    The roof is the highest one, towers left out; the first street cell stands nearest to the middle of the window, and
    each further one as far from those before as it can.
    """
    x, y = window.middles()
    roofs = []
    for down, right in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        quarter = window.centre_m[0] + right * window.size_m / 4, window.centre_m[1] + down * window.size_m / 4
        near = np.maximum(np.abs(x - quarter[0]), np.abs(y - quarter[1])) <= SEARCH_SHARE * window.size_m
        height = np.where(near & ~outdoor & (roof_m <= TOWER_M), roof_m, -np.inf)
        if (best := np.unravel_index(height.argmax(), height.shape)) and np.isfinite(height[best]):
            roofs.append((float(x[best]), float(y[best]), float(roof_m[best]) + ABOVE_ROOF_M))
    border = np.minimum(
        window.size_m / 2 - np.abs(x - window.centre_m[0]), window.size_m / 2 - np.abs(y - window.centre_m[1])
    )
    free = places(outdoor) & (border >= INSIDE_M)
    if not free.any():
        raise WrongValue("--sites: a file wanted for this window, got 'auto', which finds no street in it")
    point = np.stack([x[free], y[free]], axis=1)
    chosen = [point[np.hypot(*(point - window.centre_m).T).argmin()]]
    while len(chosen) < min(AUTO_STREETS, len(point)):
        distance = np.min([np.hypot(*(point - one).T) for one in chosen], axis=0)
        chosen.append(point[distance.argmax()])
    return SitePlan(tuple(roofs), tuple((float(px), float(py), STREET_HEIGHT_M) for px, py in chosen))
