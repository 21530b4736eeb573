"""Drive logs to a radio map: finding the CSV files, reading them strictly, and handing them to the right builder.

Two formats are told apart by their header. **G-NetTrack Pro** (one row a second of the serving cell) gives a map of
kind ``measured``, see `map_builder`. A **general CSV** with the columns ``time, ue, cell, sinr_db`` gives the recorded
time series themselves, see `recording`.

The recipe was worked out on the "5G-production-dataset" (Cork, Ireland, one operator; GPL-3.0), which is not part of
this package: D. Raca, D. Leahy, C. J. Sreenan, J. J. Quinlan, "Beyond Throughput, The Next Generation: a 5G Dataset
with Channel and Context Metrics", ACM MMSys 2020. Whoever publishes results on it cites it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.map_builder import Drive, build_map
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.recording import Recording, build_recording
from rangym.envs.errors import WrongValue

Value = TypeVar("Value")

GNETTRACK_COLUMNS = ("Timestamp", "Longitude", "Latitude", "NetworkMode", "RSRP", "SNR", "RAWCELLID")
GENERAL_COLUMNS = ("time", "ue", "cell", "sinr_db")
GNETTRACK_TIME = "%Y.%m.%d_%H.%M.%S"
RAT_OF_MODE = {"5G": 5, "LTE": 4}
DEFAULT_BANDWIDTH_MHZ = 20.0
MAX_CELL_ID = 2**53  # exact in float64; cell identities have 28 (LTE) or 36 bits (5G)


def import_logs(
    path: str | Path,
    *,
    num_cells: int = 25,
    origin_deg: tuple[float, float] | None = None,
    window_m: tuple[float, float, float, float] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> RadioMap:
    """The radio map of all drive logs below ``path``: a folder, a ``.zip`` (also inside the folder) or one CSV file.

    Parameters
    ----------
    num_cells : at most so many cells, those seen in most places.
    origin_deg : latitude and longitude of the origin of coordinates; by default the mean position, to 0.05 degrees.
    window_m : west, south, east, north in metres from the origin; by default the 3 km square with the most
        (50 m bin, cell) pairs, on a 250 m grid.
    progress : called with (files read, files in all, name of the file) after each file.

    The first three apply to G-NetTrack logs; a general CSV keeps all its cells and positions. On the Cork logs the
    defaults are origin (51.9, -8.45) and window (-3750, -1000, -750, 2000).

    Raises
    ------
    FileNotFoundError : no such path.
    ValueError : no log, an empty, malformed or doubled file (with file, row and column), or nothing usable in them.
    """
    if num_cells < 2:
        raise WrongValue(f"num_cells: at least 2 wanted, got {num_cells!r}")
    if window_m is not None and not (window_m[0] < window_m[2] and window_m[1] < window_m[3]):
        raise WrongValue(f"window_m: west < east and south < north wanted, got {window_m!r}")
    files = list(_find(Path(path)))
    if not files:
        raise WrongValue(f"{path}: no .csv file in it, nor in a .zip file in it")
    seen: dict[bytes, str] = {}  # digest of the content -> name
    drives: list[Drive] = []
    recordings: list[Recording] = []
    for done, (name, read) in enumerate(files, 1):
        content = read()
        if (first := seen.setdefault(hashlib.sha256(content).digest(), name)) != name:
            raise WrongValue(f"{name}: the same rows as {first}; import one copy only")
        table = _Table.parse(name, content)
        if set(GENERAL_COLUMNS) <= set(table.header):
            recordings.append(_recording(table))
        else:
            drives.append(_drive(table))
        if drives and recordings:
            raise WrongValue(f"{name}: its columns differ in kind from those of {files[0][0]}; import them apart")
        if progress is not None:
            progress(done, len(files), name)
    if recordings:
        return build_recording(recordings)
    return build_map(drives, num_cells=num_cells, origin_deg=origin_deg, window_m=window_m)


def _find(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and reader of every CSV file, in sorted order; hidden files are passed over."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in found:
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        if file.suffix.lower() == ".csv":
            yield str(file), file.read_bytes
        elif file.suffix.lower() == ".zip":
            yield from _find_in_zip(file)
        elif file == path:
            raise WrongValue(f"{path}: a folder, a .zip or a .csv file wanted")


def _find_in_zip(file: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    try:
        with zipfile.ZipFile(file) as archive:
            if torn := archive.testzip():
                raise zipfile.BadZipFile(f"bad checksum of {torn}")
            members = sorted(archive.namelist())
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        raise WrongValue(f"{file}: not a readable .zip file ({error})") from error

    def reader(member: str) -> Callable[[], bytes]:
        def read() -> bytes:
            with zipfile.ZipFile(file) as archive:
                return archive.read(member)

        return read

    for member in members:
        parts = PurePosixPath(member).parts
        if member.lower().endswith(".csv") and not any(p.startswith(".") or p == "__MACOSX" for p in parts):
            yield f"{file}/{member}", reader(member)


@dataclass(frozen=True)
class _Table:
    """A CSV file as text; ``line[n]`` is the file's line of row n (the header is line 1)."""

    name: str
    header: Sequence[str]
    line: Sequence[int]
    rows: Sequence[Sequence[str]]

    @staticmethod
    def parse(name: str, content: bytes) -> _Table:
        try:
            reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
            header = [column.strip() for column in next(reader, [])]
            line, rows = [], []
            for row in reader:
                if not row:
                    continue  # a blank line
                if len(row) != len(header):
                    raise WrongValue(
                        f"{name}: row {reader.line_num}: {len(header)} columns wanted, as in the header, got {len(row)}"
                    )
                line.append(reader.line_num)
                rows.append(row)
        except (UnicodeDecodeError, csv.Error) as error:
            raise WrongValue(f"{name}: not a CSV file in UTF-8 ({error})") from error
        if not header:
            raise WrongValue(f"{name}: the file is empty")
        if not rows:
            raise WrongValue(f"{name}: no rows below the header")
        return _Table(name, header, line, rows)

    def require(self, columns: Sequence[str]) -> None:
        if missing := [column for column in columns if column not in self.header]:
            raise WrongValue(
                f"{self.name}: row 1: column {', '.join(missing)} missing; a G-NetTrack Pro log has "
                f"{', '.join(GNETTRACK_COLUMNS)}, a general one {', '.join(GENERAL_COLUMNS)}"
            )

    def column(self, column: str, convert: Callable[[str], Value], wanted: str) -> list[Value]:
        """The column's values; one that ``convert`` refuses is reported with file, row and column."""
        k, values = self.header.index(column), []
        for line, row in zip(self.line, self.rows, strict=True):
            try:
                values.append(convert(row[k].strip()))
            except ValueError:
                raise WrongValue(f"{self.name}: row {line}, column {column}: {wanted} wanted, got {row[k]!r}") from None
        return values

    def numbers(self, column: str, low: float = -math.inf, high: float = math.inf) -> NDArray:
        """The column as float64, NaN where it holds ``-`` or nothing."""
        bounds = "" if (low, high) == (-math.inf, math.inf) else f" within [{low:g}, {high:g}]"

        def convert(text: str) -> float:
            return math.nan if text in ("-", "") else _finite(text, low, high)

        return np.array(self.column(column, convert, f"a number{bounds} or '-'"))


def _finite(text: str, low: float = -math.inf, high: float = math.inf) -> float:
    value = float(text)
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError
    return value


def _drive(table: _Table) -> Drive:
    table.require(GNETTRACK_COLUMNS)
    time = table.column("Timestamp", lambda text: _seconds(datetime.strptime(text, GNETTRACK_TIME)), GNETTRACK_TIME)
    return Drive.of_rows(
        time_s=np.array(time, np.int64),
        latitude_deg=table.numbers("Latitude", -90, 90),
        longitude_deg=table.numbers("Longitude", -180, 180),
        rat=np.array(table.column("NetworkMode", lambda text: RAT_OF_MODE.get(text, 0), "a name")),
        snr_db=table.numbers("SNR", -100, 100),
        rsrp_dbm=table.numbers("RSRP"),
        cell=np.nan_to_num(table.numbers("RAWCELLID", -MAX_CELL_ID, MAX_CELL_ID)).astype(np.int64),
    )


def _recording(table: _Table) -> Recording:
    def optional(column: str, default: float, low: float = -math.inf, high: float = math.inf) -> NDArray:
        if column not in table.header:
            return np.full(len(table.rows), default)
        return np.array(table.column(column, lambda text: _finite(text, low, high), "a number"))

    return Recording(
        time_s=np.array(table.column("time", _time, "seconds or an ISO 8601 date and time")),
        ue=np.array(table.column("ue", _name, "a name")),
        cell=np.array(table.column("cell", _name, "a name")),
        sinr_db=np.array(table.column("sinr_db", lambda text: _finite(text, -100, 100), "a number of dB")),
        position_m=np.stack([optional("x_m", math.nan), optional("y_m", math.nan)], axis=1),
        bandwidth_mhz=optional("bandwidth_mhz", DEFAULT_BANDWIDTH_MHZ, 1e-3, 100.0),
    )


def _name(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _time(text: str) -> float:
    try:
        return _finite(text)
    except ValueError:
        return _seconds(datetime.fromisoformat(text))


def _seconds(moment: datetime) -> float:
    """Seconds since 1970; times without a zone are taken as UTC, since only differences matter."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
