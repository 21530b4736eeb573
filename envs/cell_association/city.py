"""Cells on roofs and in streets, and what a radio map of kind ``ray_traced`` holds besides that of the others.

`city_builder` makes such a map of traced path gains, `streets` the tracks through it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.streets import QUANTUM_M, STEP_M, middles_m, places, square_of
from rangym.envs.errors import WrongValue
from rangym.envs.physics.antenna import dipole_gain_db, facing, sector_gain_db

CELLS = {
    "height_m": (0.0, 1e4),
    "azimuth_deg": (-360.0, 360.0),
    "downtilt_deg": (-90.0, 90.0),
    "carrier_ghz": (0.1, 1000.0),
    "power_dbm": (-300.0, 300.0),
}
"""What a `City` holds of each cell, and the numbers that may be."""


@dataclass(frozen=True)
class Window:
    """A square part of a scene: its middle and its side, in the scene's metres."""

    centre_m: tuple[float, float]
    size_m: float

    def __post_init__(self) -> None:
        squares = self.size_m / STEP_M
        if not (4 <= squares <= 1000 and squares == round(squares)):
            wanted = f"{4 * STEP_M:g} to {1000 * STEP_M:g} m in steps of {STEP_M:g} m"
            raise WrongValue(f"window: a side of {wanted} wanted, got {self.size_m:g} m")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of squares."""
        return (round(self.size_m / STEP_M),) * 2

    @property
    def corner_m(self) -> NDArray[np.float64]:
        """The south-west corner, (2,)."""
        return np.array(self.centre_m) - self.size_m / 2

    def middles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """x and y of the middle of every square, (H, W) each; row 0 is the southernmost."""
        along = (np.arange(self.shape[0]) + 0.5) * STEP_M
        x, y = np.meshgrid(self.corner_m[0] + along, self.corner_m[1] + along)
        return x, y


@dataclass(frozen=True, eq=False)
class Layer:
    """Cells of one kind: carrier, bandwidth, power, technology (4 LTE, 5 5G) and how they stand.

    ``azimuth_deg`` are the sectors' directions, counterclockwise from east; NaN: a vertical dipole.
    """

    carrier_ghz: float
    bandwidth_mhz: float
    power_dbm: float
    rat: int
    azimuth_deg: tuple[float, ...] = (math.nan,)
    downtilt_deg: float = 0.0

    def radio(self) -> tuple[float, float, float, int]:
        """Carrier, bandwidth, power and technology."""
        return self.carrier_ghz, self.bandwidth_mhz, self.power_dbm, self.rat


ROOF = Layer(1.8, 20.0, 46.0, 4, (30.0, 150.0, 270.0), 8.0)
STREET = Layer(3.5, 20.0, 37.0, 5)
ABOVE_ROOF_M, STREET_HEIGHT_M = 5.0, 6.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """J cells of a city. ``position_m`` (J, 3); ``azimuth_deg`` is NaN where the antenna is a vertical dipole."""

    name: NDArray
    position_m: NDArray
    azimuth_deg: NDArray
    downtilt_deg: NDArray
    carrier_ghz: NDArray
    bandwidth_mhz: NDArray
    power_dbm: NDArray
    rat: NDArray

    @staticmethod
    def at(roofs: Sequence[Sequence[float]], streets: Sequence[Sequence[float]], roof: Layer, street: Layer) -> Cells:
        """The sectors of sites on ``roofs`` and the cells in ``streets``, positions (x, y, z) in the scene's metres."""
        rows = [
            (f"{kind} {site}{letter}", place, azimuth, layer.downtilt_deg, *layer.radio())
            for kind, layer, places in (("roof", roof, roofs), ("street", street, streets))
            for site, place in enumerate(places)
            for letter, azimuth in zip("abcdefgh", layer.azimuth_deg, strict=False)
        ]
        columns = zip(*rows, strict=True)
        return Cells(**{f.name: np.array(column) for f, column in zip(fields(Cells), columns, strict=True)})

    def radio(self) -> tuple[NDArray, ...]:
        """What ray tracing depends on."""
        return self.position_m, np.nan_to_num(self.azimuth_deg, nan=-1.0), self.downtilt_deg, self.carrier_ghz

    def antenna_db(self, cell: int, place_m: NDArray) -> NDArray[np.float64]:
        """Gain in dBi of a cell's antenna towards the places ``(..., 3)``."""
        azimuth = self.azimuth_deg[cell]
        dipole = np.isnan(azimuth)
        seen = facing(place_m - self.position_m[cell], 0.0 if dipole else azimuth, self.downtilt_deg[cell])
        return dipole_gain_db(seen[1]) if dipole else sector_gain_db(*seen)


@dataclass(frozen=True, eq=False, kw_only=True)
class City:
    """What a map of kind ``ray_traced`` holds besides: where there are buildings, and how each cell stands and sends.

    Attributes
    ----------
    outdoor : (H, W) bool, the squares of `STEP_M` metres that are not built on; row 0 is the southernmost. The map's N
        locations are the middles of those that are connected (`streets.places`), row by row.
    height_m, azimuth_deg, downtilt_deg, carrier_ghz, power_dbm : (J,) float64 of the cells; the azimuth is
        counterclockwise from east, NaN where the antenna is a vertical dipole.
    loss_db : (N, J) uint8, minus the path gain with the antenna's pattern, in whole dB.
    line_of_sight : (N, J) bool, whether nothing stands between the middle of the square and the cell.
    about : texts by name: ``scene``, ``command`` and what else is known of how the map was made.
    """

    outdoor: NDArray[np.bool_]
    height_m: NDArray
    azimuth_deg: NDArray
    downtilt_deg: NDArray
    carrier_ghz: NDArray
    power_dbm: NDArray
    loss_db: NDArray[np.uint8]
    line_of_sight: NDArray[np.bool_]
    about: Mapping[str, str]

    def check(self, locations: int, cells: int) -> None:
        """`ValueError` unless this fits a map of so many locations and cells."""
        wanted = {
            "outdoor": (self.outdoor.shape if np.ndim(self.outdoor) == 2 else ("H", "W"), "b"),
            **{name: ((cells,), "f") for name in CELLS},
            "loss_db": ((locations, cells), "u"),
            "line_of_sight": ((locations, cells), "b"),
        }
        for name, (shape, kind) in wanted.items():
            values = getattr(self, name)
            if values.shape != shape or values.dtype.kind != kind:
                raise WrongValue(
                    f"radio map: {name}: {shape} of kind {kind!r} wanted, got {values.shape} of {values.dtype}"
                )
        for name, (low, high) in CELLS.items():
            values = getattr(self, name)
            values = values[~np.isnan(values)] if name == "azimuth_deg" else values
            if not ((values >= low) & (values <= high)).all():
                raise WrongValue(f"radio map: {name}: numbers in {low:g}..{high:g} wanted, got {values}")
        if not all(isinstance(text, str) for pair in self.about.items() for text in pair):
            raise WrongValue(f"radio map: about: texts by name wanted, got {self.about!r}")
        if (found := int(places(self.outdoor).sum())) != locations:
            raise WrongValue(f"radio map: outdoor: {locations} connected squares wanted, got {found}")

    def origin(self, account: Mapping[str, float], size_m: NDArray) -> list[str]:
        """Lines that say of what scene, which sites and how many rays the map of this city was made."""
        sectors = ~np.isnan(self.azimuth_deg)
        kinds = []
        for ghz in np.unique(self.carrier_ghz):
            own = self.carrier_ghz == ghz
            dbm = "/".join(f"{p:g}" for p in np.unique(self.power_dbm[own]))
            kinds.append(
                f"{(own & sectors).sum()} sectors and {(own & ~sectors).sum()} dipoles at {ghz:g} GHz, {dbm} dBm"
            )
        return [
            f"ray-traced map of {self.about['scene']}: {account['roof_rays'] / 1e6:g} million rays of each sector on a "
            f"roof, {account['street_rays'] / 1e6:g} million of each cell in a street, depth {account['depth']:g}, by "
            f"{self.about['tracer']}",
            f"sites: {'; '.join(kinds)}",
            f"window: {' x '.join(f'{s:g}' for s in size_m)} m around ({account['x_m']:g}, {account['y_m']:g}) m; "
            f"outdoors: {self.outdoor.mean():.0%}, line of sight to {self.line_of_sight.sum(axis=1).mean():.1f} cells",
        ]

    def corners_m(self) -> NDArray[np.float64]:
        """The south-west and the north-east corner of the map, (2, 2)."""
        return np.array([[0.0, 0.0], np.array(self.outdoor.shape[::-1]) * STEP_M])

    def streets(self) -> NDArray[np.bool_]:
        """The squares that are locations of the map, (H, W)."""
        return places(self.outdoor)


def packed_city(city: City, sinr_db: NDArray, track_position_m: NDArray) -> dict[str, object]:
    """What the file holds instead of the map's largest arrays: bytes for dB, bits for masks, half metres for tracks.

    `unpacked_city` turns it back: the SINR rounded to whole dB, positions to half metres less 25 cm.
    """
    if (beyond := np.abs(sinr_db) > np.iinfo(np.int8).max).any():
        raise WrongValue(f"radio map: sinr_db: at most 127 dB wanted, got {sinr_db[beyond][0]:g}")
    halves = np.floor(track_position_m.astype(np.float64) / QUANTUM_M).astype(np.int64)
    steps = np.diff(halves, axis=0, prepend=0)
    if np.abs(steps).max() > np.iinfo(np.int16).max:
        raise WrongValue("radio map: track_position_m: less than 16 km from one step to the next wanted")
    return {
        "sinr_db": np.rint(sinr_db).astype(np.int8),
        "track_halves": steps.astype(np.int16),
        "outdoor": np.packbits(city.outdoor, axis=1),
        "columns": city.outdoor.shape[1],
        "loss_db": city.loss_db,
        "line_of_sight": np.packbits(city.line_of_sight, axis=1),
        "about": json.dumps(dict(city.about)),
        **{name: getattr(city, name) for name in CELLS},
    }


def unpacked_city(file: dict[str, NDArray]) -> dict[str, object]:
    """The fields of a radio map out of what `packed_city` made; takes these out of ``file``."""
    sinr_db = file.pop("sinr_db").astype(np.float32)
    outdoor = np.unpackbits(file.pop("outdoor"), axis=1, count=int(file.pop("columns"))).astype(bool)
    position = ((np.cumsum(file.pop("track_halves"), axis=0, dtype=np.int64) + 0.5) * QUANTUM_M).astype(np.float32)
    sight = np.unpackbits(file.pop("line_of_sight"), axis=1, count=sinr_db.shape[1]).astype(bool)
    city = City(
        outdoor=outdoor,
        loss_db=file.pop("loss_db"),
        line_of_sight=sight,
        about=json.loads(str(file.pop("about"))),
        **{name: file.pop(name) for name in CELLS},
    )
    street = city.streets()
    return {
        "city": city,
        "sinr_db": sinr_db,
        "location_m": middles_m(street),
        "track_position_m": position,
        "track_location": square_of(street, position),
        "size_m": np.array(outdoor.shape[::-1]) * STEP_M,
    }
