"""Drive logs to a radio map: what their columns mean, and which builder they are for.

Two formats are told apart by their header. **G-NetTrack Pro** (one row a second of the serving cell) gives a map of
kind ``measured``, see `map_builder`. A **general CSV** with the columns ``time, ue, cell, sinr_db`` gives the recorded
time series themselves, see `recording`.

The recipe was worked out on the "5G-production-dataset" (Cork, Ireland, one operator; GPL-3.0), which is not part of
this package: D. Raca, D. Leahy, C. J. Sreenan, J. J. Quinlan, "Beyond Throughput, The Next Generation: a 5G Dataset
with Channel and Context Metrics", ACM MMSys 2020. Whoever publishes results on it cites it.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.map_builder import Drive, build_map
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.recording import Recording, build_recording
from rangym.envs.errors import WrongValue
from rangym.envs.log_tables import ANY, Progress, Table, moment, name, number, seconds, tables
from rangym.envs.params import Range

GNETTRACK_COLUMNS = ("Timestamp", "Longitude", "Latitude", "NetworkMode", "RSRP", "SNR", "RAWCELLID")
GENERAL_COLUMNS = ("time", "ue", "cell", "sinr_db")
GNETTRACK_TIME = "%Y.%m.%d_%H.%M.%S"
RAT_OF_MODE = {"5G": 5, "LTE": 4}
DEFAULT_BANDWIDTH_MHZ = 20.0
SINR_DB = Range(low=-100, high=100)
CELL_ID = Range(low=-(2**53), high=2**53)  # exact in float64; cell identities have 28 (LTE) or 36 bits (5G)


def import_logs(
    path: str | Path,
    *,
    num_cells: int = 25,
    origin_deg: tuple[float, float] | None = None,
    window_m: tuple[float, float, float, float] | None = None,
    progress: Progress | None = None,
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
    drives: list[Drive] = []
    recordings: list[Recording] = []
    first = ""
    for table in tables(path, progress=progress):
        first = first or table.name
        if set(GENERAL_COLUMNS) <= set(table.header):
            recordings.append(_recording(table))
        else:
            drives.append(_drive(table))
        if drives and recordings:
            raise WrongValue(f"{table.name}: its columns differ in kind from those of {first}; import them apart")
    if recordings:
        return build_recording(recordings)
    return build_map(drives, num_cells=num_cells, origin_deg=origin_deg, window_m=window_m)


def _drive(table: Table) -> Drive:
    table.require(
        GNETTRACK_COLUMNS,
        f"a G-NetTrack Pro log has {', '.join(GNETTRACK_COLUMNS)}, a general one {', '.join(GENERAL_COLUMNS)}",
    )
    time = table.column("Timestamp", lambda text: seconds(datetime.strptime(text, GNETTRACK_TIME)), GNETTRACK_TIME)
    return Drive.of_rows(
        time_s=np.array(time, np.int64),
        latitude_deg=table.numbers("Latitude", Range(low=-90, high=90)),
        longitude_deg=table.numbers("Longitude", Range(low=-180, high=180)),
        rat=np.array(table.column("NetworkMode", lambda text: RAT_OF_MODE.get(text, 0), "a name")),
        snr_db=table.numbers("SNR", SINR_DB),
        rsrp_dbm=table.numbers("RSRP"),
        cell=np.nan_to_num(table.numbers("RAWCELLID", CELL_ID)).astype(np.int64),
    )


def _recording(table: Table) -> Recording:
    def optional(column: str, default: float, allowed: Range = ANY) -> NDArray:
        if column not in table.header:
            return np.full(len(table.rows), default)
        return np.array(table.column(column, lambda text: number(text, allowed), str(allowed)))

    return Recording(
        time_s=np.array(table.column("time", moment, "seconds or an ISO 8601 date and time")),
        ue=np.array(table.column("ue", name, "a name")),
        cell=np.array(table.column("cell", name, "a name")),
        sinr_db=np.array(table.column("sinr_db", lambda text: number(text, SINR_DB), f"{SINR_DB} dB")),
        position_m=np.stack([optional("x_m", math.nan), optional("y_m", math.nan)], axis=1),
        bandwidth_mhz=optional("bandwidth_mhz", DEFAULT_BANDWIDTH_MHZ, Range(low=1e-3, high=100)),
    )
