"""The file behind the law ``measured``: SINR per (location, cell), and the tracks UEs follow through it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rangym.envs.cell_association.city import City, packed_city, unpacked_city
from rangym.envs.errors import WrongValue, shown
from rangym.envs.files import read_whole, whole
from rangym.envs.params import is_number

FORMAT = "rangym radio map 1"
KINDS = ("measured", "recorded", "ray_traced")
UNUSED = "files with a column not used: "
"""The account's name for a column of the logs that nothing was made of, before its own."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
TRACK_QUANTILES = (0.05, 0.5, 0.95)
FAR_DB, FAR_M, FAR_MHZ, FAR_S, LEAST = 300.0, 1e7, 1e5, 1e6, 1e-6
"""Numbers beyond these are no radio map of the Earth."""
OUT_OF_CITY = ("sinr_db", "location_m", "track_position_m", "track_location", "size_m")
"""What the file of a city holds in a smaller form."""
KINDS_OF_ARRAYS = {"f": "real numbers", "i": "integers", "U": "texts"}


@dataclass(frozen=True, eq=False, kw_only=True)
class RadioMap:
    """SINR at N locations from J cells, and R tracks of S steps in all that visit them.

    A map of kind ``measured`` is built from drive logs: several tracks pass the same location. One of kind ``recorded``
    holds time series that came with the SINR of every cell: each step of a UE's track is a location of its own. One of
    kind ``ray_traced`` comes from a model of a city: its locations are squares of a grid, with a value of every cell.

    Attributes
    ----------
    kind : ``measured``, ``recorded`` or ``ray_traced``.
    sinr_db : (N, J) float32; NaN where the cell does not reach the location.
    location_m : (N, 2) float32, in the window (south-west corner at 0, 0).
    cell_name : (J,) str, the cells' identities in the logs, or ``roof 0a`` (site and sector) and ``street 0``.
    cell_rat : (J,) int64, 5 (5G) or 4 (LTE).
    bandwidth_mhz : (J,) float64.
    cell_position_m : (J, 2) float64, in the window: the site (``ray_traced``), or where the cell was measured (see
        `centroids`), since sites are not in the logs.
    track_start : (R + 1,) int64; track r is the steps ``track_start[r]`` to ``track_start[r + 1] - 1``.
    track_position_m : (S, 2) float32, in the window.
    track_location : (S,) int64, the location whose SINR holds at each step.
    step_s : seconds from one step of a track to the next.
    size_m : (2,) float64, width and height of the window.
    account : numbers by name: what became of the logs' rows, or how rays were traced.
    city : buildings, antennas and losses of kind ``ray_traced``; None for the others.
    """

    kind: str
    sinr_db: NDArray
    location_m: NDArray
    cell_name: NDArray
    cell_rat: NDArray
    bandwidth_mhz: NDArray
    cell_position_m: NDArray
    track_start: NDArray
    track_position_m: NDArray
    track_location: NDArray
    step_s: float
    size_m: NDArray
    account: Mapping[str, float]
    city: City | None = None

    def __post_init__(self) -> None:
        if np.ndim(self.sinr_db) != 2 or np.ndim(self.track_location) != 1:
            raise WrongValue("radio map: sinr_db (N, J) and track_location (S,) wanted, got other shapes")
        locations, cells = self.sinr_db.shape
        steps = len(self.track_location)
        wanted = {
            "sinr_db": ((locations, cells), "f", (-FAR_DB, FAR_DB)),
            "location_m": ((locations, 2), "f", (-FAR_M, FAR_M)),
            "cell_name": ((cells,), "U", None),
            "cell_rat": ((cells,), "i", (2, 5)),
            "bandwidth_mhz": ((cells,), "f", (LEAST, FAR_MHZ)),
            "cell_position_m": ((cells, 2), "f", (-FAR_M, FAR_M)),
            "track_start": ((np.size(self.track_start),), "i", (0, steps)),
            "track_position_m": ((steps, 2), "f", (-FAR_M, FAR_M)),
            "track_location": ((steps,), "i", (0, locations - 1)),
            "size_m": ((2,), "f", (0, FAR_M)),
        }
        for field, (shape, kind, ends) in wanted.items():
            values = np.asarray(getattr(self, field))
            if values.shape != shape or values.dtype.kind != kind or not values.size:
                raise WrongValue(
                    f"radio map: {field}: {KINDS_OF_ARRAYS[kind]} of shape {shape} wanted, got {values.dtype} of shape "
                    f"{values.shape}"
                )
            if ends is not None:
                _require_within(field, values[~np.isnan(values)] if field == "sinr_db" else values, *ends)
        if self.kind not in KINDS:
            raise WrongValue(f"radio map: kind in {KINDS} wanted, got {shown(self.kind)}")
        if not (np.diff(self.track_start) > 0).all() or (self.track_start[0], self.track_start[-1]) != (0, steps):
            raise WrongValue(f"radio map: track_start rising from 0 to {steps} wanted, got {self.track_start}")
        _require_within("step_s", np.array(self.step_s, dtype=float), LEAST, FAR_S)
        if not isinstance(self.account, Mapping) or not all(map(is_number, self.account.values())):
            raise WrongValue(f"radio map: account: numbers by name wanted, got {shown(self.account)}")
        self._check_city()
        for field in self.__dataclass_fields__:  # one map serves many traces, whose constants are these arrays
            if isinstance(values := getattr(self, field), np.ndarray):
                values.setflags(write=False)

    def _check_city(self) -> None:
        if (self.city is not None) != (self.kind == "ray_traced"):
            raise WrongValue(f"radio map: city for the kind 'ray_traced' and no other wanted, got kind {self.kind!r}")
        if self.city is not None:
            self.city.check(*self.sinr_db.shape)
            if np.isnan(self.sinr_db).any():
                raise WrongValue("radio map: sinr_db: a number for every cell in every place of a city wanted, got NaN")

    @property
    def num_cells(self) -> int:
        return self.sinr_db.shape[1]

    @cached_property
    def track_of_step(self) -> NDArray:
        """The track each step belongs to, (S,)."""
        return np.repeat(np.arange(len(self.track_start) - 1), np.diff(self.track_start))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.location_m)

    def nearest(self, position_m: NDArray) -> NDArray:
        """Index of the location nearest to each position ``(..., 2)``, shape ``(...)``."""
        return self._tree.query(position_m)[1]

    def track_speed_mps(self) -> NDArray:
        """Speed between successive steps of the same track, m/s."""
        metres = np.hypot(*np.diff(self.track_position_m.astype(np.float64), axis=0).T)
        return metres[np.diff(self.track_of_step) == 0] / self.step_s

    def save(self, path: str | Path) -> None:
        """Write a compressed ``.npz`` file (no pickle), under exactly this name: whole or not at all."""
        arrays = {f: getattr(self, f) for f in self.__dataclass_fields__ if f not in ("account", "city")}
        if self.city is not None:
            arrays = {f: value for f, value in arrays.items() if f not in OUT_OF_CITY}
            arrays |= packed_city(self.city, self.sinr_db, self.track_position_m)
        with whole(path) as file:
            np.savez_compressed(file, format=FORMAT, account=json.dumps(dict(self.account)), **arrays)

    @staticmethod
    def load(path: str | Path) -> RadioMap:
        """Read what `save` wrote; a torn or foreign file raises `ValueError` with its name."""
        return RadioMap.parse(path, read_whole(path, "map"))

    @staticmethod
    def parse(path: str | Path, data: bytes) -> RadioMap:
        """The map of what `save` wrote at ``path``."""
        if not data.startswith(b"PK"):
            raise WrongValue(
                f"{path}: not a radio map as `rangym map` writes it; logs are imported first: "
                f"rangym map import {path} --out FILE.npz"
            )
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                fields = {name: archive[name] for name in archive.files}
            if (got := str(fields.pop("format", "no format"))) != FORMAT:
                raise WrongValue(f"{FORMAT!r} wanted, got {got!r}")
            fields |= {
                "kind": str(fields["kind"]),
                "step_s": float(fields["step_s"]),
                "account": json.loads(str(fields["account"])),
            }
            if fields["kind"] == "ray_traced":
                fields |= unpacked_city(fields)
            return RadioMap(**fields)
        except Exception as error:  # zipfile, zlib, NumPy and json each raise their own kind for a torn file
            raise WrongValue(
                f"{path}: not a radio map as `rangym map` writes it ({type(error).__name__}: {error})"
            ) from error

    def summary(self) -> str:
        """The accounting: what became of the rows, and what the map holds."""
        covered = ~np.isnan(self.sinr_db)
        per_location = covered.sum(axis=1)
        sinr = _slashed(np.quantile(self.sinr_db[covered], QUANTILES), "{:.3g}")
        speed, speeds = self.track_speed_mps(), ""
        if speed.size:
            spread = _slashed(np.quantile(speed, TRACK_QUANTILES), "{:.1f}")
            speeds = f", mean {speed.mean():.1f} m/s, {_slashed(TRACK_QUANTILES, '{:.0%}')}: {spread} m/s"
        rats = [f"{n} of {name}" for rat, name in ((5, "5G"), (4, "LTE")) if (n := (self.cell_rat == rat).sum())]
        if self.kind == "recorded":
            rats = ["the log does not say of which technology, they count as 5G"]
        lines = [
            f"cells: {self.num_cells} ({', '.join(rats)}); locations: {len(covered)}, with {per_location.mean():.2f} "
            f"cells each ({(per_location >= 2).mean():.0%} at least 2, {(per_location >= 3).mean():.0%} at least 3)",
            f"table: {covered.sum():,} entries, {_slashed(QUANTILES, '{:.0%}')}: {sinr} dB",
            f"tracks: {len(self.track_start) - 1}, {len(self.track_location) * self.step_s:,.0f} s{speeds}",
        ]
        return "\n".join([*self._reading(), *self._origin(), *lines])

    def _reading(self) -> list[str]:
        """What became of the files' rows; names of several words are the reader's."""
        read = {name: count for name, count in self.account.items() if name == "files" or " " in name}
        unused = [name.removeprefix(UNUSED) for name in read if name.startswith(UNUSED)]
        lines = [f"{name}: {count:,}" for name, count in read.items() if not name.startswith(UNUSED)]
        return [*lines, *([f"columns not used: {', '.join(unused)}"] if unused else [])]

    def _origin(self) -> list[str]:
        if self.city is not None:
            return self.city.origin(self.account, self.size_m)
        size = " x ".join(f"{s / 1000:.3g}" for s in self.size_m)
        a = {name: f"{value:,.7g}" for name, value in self.account.items()}
        if self.kind == "recorded":
            return [
                f"recorded time series; rows kept: {a['rows']}, UEs: {a['ues']}, step: {self.step_s:g} s",
                f"area: {size} km" if self.size_m.any() else "area: no positions",
            ]
        return [
            f"radio map; drives: {a['drives']}, rows: {a['rows']}, seconds: {a['seconds']}, of these with a position: "
            f"{a['positioned']}, in 5G or LTE: {a['in_5g_or_lte']}, measurements: {a['measurements']}",
            f"all cells: {a['cells']} ({a['cells_of_100_rows']} with at least 100 rows)",
            f"window: {size} km, lat {a['south_deg']}..{a['north_deg']}, lon {a['west_deg']}..{a['east_deg']}"
            f"; (50 m bin, cell) pairs: {a['pairs']}",
        ]


def _require_within(field: str, values: NDArray, low: float, high: float) -> None:
    inside = (values >= low) & (values <= high)  # not so for NaN
    if not inside.all():
        raise WrongValue(f"radio map: {field}: numbers in {low:g}..{high:g} wanted, got {values[~inside].flat[0]}")


def _slashed(values: Iterable[float], form: str) -> str:
    return "/".join(form.format(v) for v in values)


def centroids(position_m: NDArray, sinr_db: NDArray) -> NDArray:
    """Where each cell was measured: the mean position (n, 2) weighted by linear SINR (n, J), shape (J, 2).

    The sites' own positions are unknown; these serve pictures only.
    """
    weight = np.nan_to_num(10.0 ** (sinr_db / 10.0))
    return weight.T @ position_m / weight.sum(axis=0)[:, None]
