"""The file behind the scenario ``imported``: an operator's own logs, cut into periods, with a predictor for them.

The first half of a file is for fitting predictors and training agents, episodes are windows of the second half.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue, shown
from rangym.envs.files import packed, read_whole, write_whole
from rangym.envs.learning.gaussians import encode
from rangym.envs.params import is_number
from rangym.envs.qos_clustering.generator import MIN_ROWS, SAMPLE_ROWS, Day
from rangym.envs.qos_clustering.predictor import TARGETS, Predictor, pack, unpack

FORMAT = "rangym days 1"
DEFAULT_HORIZON = 88
ZIP = b"PK"
"""What an ``.npz`` file starts with."""
FAR = 1e12
"""No number of a log is larger, times in seconds since 1970 included."""
ARRAYS = ("load", "mean", "covariance", "rows", "num_rows", "cell_position_m")


@dataclass(frozen=True, eq=False, kw_only=True)
class RecordedDays:
    """P periods of N cells out of logs.

    Attributes
    ----------
    day : the periods; without groups, which no log names. A period and cell with fewer than 20 rows repeats those of
        the period before (at the start, of the next), row samples and load included.
    kpis : names of the three entries of q.
    columns : names of what the predictor sees of a row, the KPIs first, in the domain of their Gaussian.
    cells : (N,) names.
    cell_position_m : (N, 2).
    period_s, start_s : length of a period, and the time at which the first begins.
    account : what became of the logs' rows: name -> number.
    notes : what else is to be said.
    predictor : fitted to the first half.
    sha256 : checksum of the file.
    """

    day: Day
    kpis: tuple[str, ...]
    columns: tuple[str, ...]
    cells: NDArray
    cell_position_m: NDArray
    period_s: float
    start_s: float
    account: Mapping[str, int]
    notes: Sequence[str]
    predictor: Predictor | None = None
    sha256: str = ""

    @property
    def periods(self) -> int:
        """P."""
        return len(self.day.mean)

    @property
    def num_cells(self) -> int:
        """N."""
        return len(self.cells)

    @property
    def filled(self) -> NDArray:
        """(P, N) whether a period and cell has Gaussians of its own."""
        return self.day.num_rows >= MIN_ROWS

    def half(self, which: str) -> slice:
        """The periods of the ``first`` or the ``second`` half."""
        middle = self.periods // 2
        return slice(0, middle) if which == "first" else slice(middle, self.periods)

    def largest_horizon(self, label_delay: int, which: str = "second") -> int:
        """T of the longest window of T + 2h + 2 periods in a half."""
        half = self.half(which)
        return half.stop - half.start - 2 * label_delay - 2

    def part(self, periods: slice) -> Day:
        """Some of the periods."""
        return Day(**{name: getattr(self.day, name)[periods] for name in Day.__dataclass_fields__})

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` file (no pickle): whole or not at all."""
        if self.predictor is None:
            raise WrongValue("days: a predictor fitted to the first half wanted before they are written, got None")
        arrays = {name: getattr(self.day, name) for name in ("load", "mean", "covariance", "rows", "num_rows")}
        arrays |= {"cells": self.cells, "cell_position_m": self.cell_position_m}
        described = {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("kpis", "columns", "period_s", "start_s", "account", "notes")},
            "predictor": self.predictor.config,
        }
        arrays["described"] = np.array(json.dumps(described))
        arrays["predictor"] = np.frombuffer(pack(self.predictor), np.uint8)
        write_whole(path, packed(arrays, compress=True))


def load_days(path: str | Path) -> RecordedDays:
    """Read what `RecordedDays.save` wrote, once per content; a torn or foreign file raises `ValueError`."""
    if Path(path).is_dir():
        raise _foreign(str(path), "a folder")
    return _parsed(str(path), read_whole(path, "days"))


@lru_cache(maxsize=4)
def _parsed(given: str, data: bytes) -> RecordedDays:
    if not data.startswith(ZIP):
        raise _foreign(given, "no .npz file")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        text = str(found.pop("described"))
        described = json.loads(text) if text.startswith("{") else text
        if not isinstance(described, dict):
            raise WrongValue(f"described: a dictionary wanted, got {shown(text)}")
        if (got := described.pop("format")) != FORMAT:
            raise WrongValue(f"{FORMAT!r} wanted, got {got!r}")
        config = described.pop("predictor")
        predictor = unpack(found.pop("predictor").tobytes(), config, Path(given))
        days = RecordedDays(
            day=Day(group_weight=np.zeros((*found["load"].shape, 0)), **{n: found[n] for n in ARRAYS[:-1]}),
            kpis=tuple(described.pop("kpis")),
            columns=tuple(described.pop("columns")),
            cells=found["cells"],
            cell_position_m=found["cell_position_m"],
            predictor=predictor,
            sha256=hashlib.sha256(data).hexdigest(),
            **described,
        )
        _check(days)
    except Exception as error:  # zipfile, zlib, NumPy and json each raise their own kind for a torn file
        raise _foreign(given, f"{type(error).__name__}: {error}") from error
    return days


def _foreign(given: str, got: str) -> WrongValue:
    """What is said of another file; of one that may be the logs themselves, how to import them."""
    refusal = f"days: {given}: not a file as `rangym map import --kind qos` writes it ({got})"
    if not given.endswith(".npz"):
        refusal += f"; logs have to be imported first: rangym map import {given} --kind qos --out FILE.npz"
    return WrongValue(refusal)


def _check(days: RecordedDays) -> None:
    """Shapes that fit together, and finite numbers."""
    periods, cells, columns = days.periods, days.num_cells, len(days.columns)
    shapes = {
        "load": (periods, cells),
        "mean": (periods, cells, 3),
        "covariance": (periods, cells, 3, 3),
        "rows": (periods, cells, SAMPLE_ROWS, columns),
        "num_rows": (periods, cells),
    }
    shapes["cell_position_m"] = (cells, 2)
    if days.cells.shape != (cells,) or days.cells.dtype.kind != "U":
        raise WrongValue(f"cells: a text for each of {cells} wanted, got {days.cells.dtype} of {days.cells.shape}")
    for name, shape in shapes.items():
        values = days.cell_position_m if name == "cell_position_m" else getattr(days.day, name)
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise WrongValue(f"{name}: numbers of shape {shape} wanted, got {values.dtype} of shape {values.shape}")
        if not (np.abs(values) <= FAR).all():
            raise WrongValue(f"{name}: finite numbers of at most {FAR:g} wanted, got {np.abs(values).max()}")
    for name in ("period_s", "start_s"):
        value = getattr(days, name)
        if not is_number(value) or abs(value) > FAR or (name == "period_s" and value <= 0):
            raise WrongValue(f"{name}: a number {'above 0 ' if name == 'period_s' else ''}wanted, got {shown(value)}")
    if not all(isinstance(name, str) for name in (*days.kpis, *days.columns)):
        raise WrongValue(f"kpis, columns: texts wanted, got {shown((days.kpis, days.columns))}")
    if len(days.kpis) != 3 or days.columns[:3] != days.kpis:
        raise WrongValue(f"kpis, columns: three names, and these first, wanted, got {shown((days.kpis, days.columns))}")
    if not isinstance(days.account, Mapping) or not isinstance(days.notes, list):
        raise WrongValue(f"account, notes: a dictionary and a list wanted, got {shown((days.account, days.notes))}")
    if days.day.num_rows.dtype.kind not in "iu" or days.day.num_rows.min() < 0:
        raise WrongValue(f"num_rows: counts wanted, got {days.day.num_rows.dtype} from {days.day.num_rows.min()}")
    encode(days.day.mean, days.day.covariance)  # refuses what is no covariance
    if days.predictor is not None and len(days.predictor.base.input_mean) != columns + TARGETS:
        inputs = len(days.predictor.base.input_mean)
        raise WrongValue(f"predictor: one of {columns + TARGETS} inputs for {columns} columns wanted, got {inputs}")
    for values in (days.day.load, days.day.mean, days.day.covariance, days.day.rows, days.cell_position_m):
        values.setflags(write=False)
