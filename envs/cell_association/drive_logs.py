"""Drive logs to a radio map: what their columns mean, and which builder they are for.

Two formats are told apart by their header. A **general log** with the columns ``time, ue, cell, sinr_db`` gives the
recorded time series themselves, see `recording`. **G-NetTrack Pro** (one row a second of the serving cell) gives a map
of kind ``measured``, see `map_builder`.

The recipe was worked out on the "5G-production-dataset" (Cork, Ireland, one operator; GPL-3.0), which is not part of
this package: D. Raca, D. Leahy, C. J. Sreenan, J. J. Quinlan, "Beyond Throughput, The Next Generation: a 5G Dataset
with Channel and Context Metrics", ACM MMSys 2020. Whoever publishes results on it cites it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from rangym.envs.cell_association.map_builder import Drive, build_map
from rangym.envs.cell_association.radio_map import UNUSED, RadioMap
from rangym.envs.cell_association.recording import Recording, build_recording
from rangym.envs.errors import WrongValue
from rangym.envs.logs.files import Progress, tables
from rangym.envs.logs.table import Reading, Table
from rangym.envs.logs.values import Kind, names, numbers, texts, times, wholes
from rangym.envs.params import Range

RAT_OF_MODE = {"5G": 5, "LTE": 4}
DEFAULT_BANDWIDTH_MHZ = 20.0
DEFAULT_NUM_CELLS = 25
SINR_DB = Range(low=-100, high=100)
CELL_ID = Range(low=-(2**53), high=2**53)  # exact in float64; cell identities have 28 (LTE) or 36 bits (5G)
LATITUDE, LONGITUDE = numbers(Range(low=-90, high=90)), numbers(Range(low=-180, high=180))

GENERAL = {
    "time": times(),
    "ue": names(),
    "cell": names(optional=True),
    "sinr_db": numbers(SINR_DB, unit="dB"),
}
METRES, DEGREES = {"x_m": numbers(), "y_m": numbers()}, {"longitude": LONGITUDE, "latitude": LATITUDE}
BANDWIDTH = {"bandwidth_mhz": numbers(Range(low=1e-3, high=100), optional=False)}
GNETTRACK = {
    "Timestamp": times(),
    "Longitude": LONGITUDE,
    "Latitude": LATITUDE,
    "NetworkMode": texts(lambda text: RAT_OF_MODE.get(text, 0), 0),
    "RSRP": numbers(),
    "SNR": numbers(SINR_DB),
    "RAWCELLID": wholes(CELL_ID),
}
FORMATS = f"a general log has {', '.join(GENERAL)}, one of G-NetTrack Pro {', '.join(GNETTRACK)}"
NAMES = (*GENERAL, *METRES, *DEGREES, *BANDWIDTH, *GNETTRACK)


def import_logs(
    path: str | Path,
    *,
    num_cells: int | None = None,
    origin_deg: tuple[float, float] | None = None,
    window_m: tuple[float, float, float, float] | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> RadioMap:
    """The radio map of all drive logs below ``path``: a folder, a ``.zip`` (also inside the folder) or one text file.

    Parameters
    ----------
    num_cells : at most so many cells, those seen in most places; 25 by default.
    origin_deg : latitude and longitude of the origin of coordinates; by default the mean position, to 0.05 degrees.
    window_m : west, south, east, north in metres from the origin; by default the 3 km square with the most
        (50 m bin, cell) pairs, on a 250 m grid.
    reading : other names of columns, encoding, share of bad rows that may be left out.
    progress : called with (files read, files in all, name of the file) after each file.

    The first three are for G-NetTrack logs; a general log keeps all its cells and positions. On the Cork logs the
    defaults are origin (51.9, -8.45) and window (-3750, -1000, -750, 2000).

    Raises
    ------
    FileNotFoundError : no such path.
    ValueError : no log, an empty, malformed or doubled file (with file, row and column), or nothing usable in them.
    """
    if num_cells is not None and num_cells < 2:
        raise WrongValue(f"num_cells: at least 2 wanted, got {num_cells!r}")
    if window_m is not None and not (window_m[0] < window_m[2] and window_m[1] < window_m[3]):
        raise WrongValue(f"window_m: west < east and south < north wanted, got {window_m!r}")
    reading = reading or Reading()
    reading.require_known(NAMES)
    drives: list[Drive] = []
    recordings: list[Recording] = []
    account: Counter[str] = Counter()
    first = ""
    for table in tables(path, progress=progress, reading=reading):
        first = first or table.name
        columns = _columns(table, reading)
        if _present(table, GENERAL, columns) >= _present(table, GNETTRACK, columns):
            recordings.append(_recording(table, columns))
        else:
            drives.append(_drive(table, columns))
        account += table.counts()
        if drives and recordings:
            raise WrongValue(f"{table.name}: its columns differ in kind from those of {first}; import them apart")
    if recordings:
        for name, given in (("num_cells (--cells)", num_cells), ("origin_deg", origin_deg), ("window_m", window_m)):
            if given is not None:
                raise WrongValue(
                    f"{name}: for logs of G-NetTrack Pro only, since a general one is kept whole, got {given}"
                )
        radio_map = build_recording(recordings, unit_is_told=reading.time_unit is not None)
        return replace(radio_map, account={**account, **radio_map.account})
    cells = DEFAULT_NUM_CELLS if num_cells is None else num_cells
    radio_map = build_map(drives, num_cells=cells, origin_deg=origin_deg, window_m=window_m)
    told = {"files", "rows read"}  # by the map's own account
    return replace(radio_map, account={**radio_map.account, **{n: k for n, k in account.items() if n not in told}})


def _columns(table: Table, reading: Reading) -> Mapping[str, str]:
    """Our name -> theirs, for the columns that are called differently; one that is named must be there."""
    for name, column in (reading.columns or {}).items():
        table.require([column], f"wanted for {name}")
    return reading.columns or {}


def _present(table: Table, kinds: Mapping[str, Kind], columns: Mapping[str, str]) -> float:
    """The share of a format's columns that a table has."""
    return sum(table.has(columns.get(name, name)) for name in kinds) / len(kinds)


def _drive(table: Table, columns: Mapping[str, str]) -> Drive:
    table.require([columns.get(name, name) for name in GNETTRACK], FORMATS)
    kinds = {**GNETTRACK, "Timestamp": times(table.reading.time_unit)}
    rows = table.read(kinds, columns).coordinates("Longitude", "Latitude", unset=True)
    found = rows.values
    return Drive.of_rows(
        time_s=np.floor(found["Timestamp"]).astype(np.int64),
        latitude_deg=found["Latitude"],
        longitude_deg=found["Longitude"],
        rat=found["NetworkMode"],
        snr_db=found["SNR"],
        rsrp_dbm=found["RSRP"],
        cell=found["RAWCELLID"],
    )


def _recording(table: Table, columns: Mapping[str, str]) -> Recording:
    """The rows with a cell and its SINR; the others say nothing."""
    table.require([columns.get(name, name) for name in GENERAL], FORMATS)
    position = next((kinds for kinds in (METRES, DEGREES) if _present(table, kinds, columns)), {})
    table.require([columns.get(name, name) for name in position], "a position has two coordinates")
    bandwidth = BANDWIDTH if _present(table, BANDWIDTH, columns) else {}
    general = {**GENERAL, "time": times(table.reading.time_unit)}
    rows = table.read({**general, **position, **bandwidth}, columns)
    if position:
        rows = rows.coordinates(*position, unset=position is DEGREES)
    measured = (rows.values["cell"] != "") & ~np.isnan(rows.values["sinr_db"])
    rows = rows.drop("no cell or no SINR", measured)
    if not len(rows):
        raise WrongValue(f"{table.name}: a row with a cell and its SINR wanted, got none")
    used = {*(columns.get(name, name).casefold() for name in (*GENERAL, *position, *bandwidth))}
    table.account.update(UNUSED + c for c in table.header if c and c.casefold() not in used)
    found = rows.values
    return Recording(
        time_s=found["time"],
        ue=found["ue"],
        cell=found["cell"],
        sinr_db=found["sinr_db"],
        position=np.stack([found.get(name, np.full(len(rows), np.nan)) for name in position or METRES], axis=1),
        bandwidth_mhz=found.get("bandwidth_mhz", np.full(len(rows), DEFAULT_BANDWIDTH_MHZ)),
        in_degrees=np.full(len(rows), position is DEGREES),
    )
