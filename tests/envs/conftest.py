"""Made-up drive logs in the G-NetTrack Pro format, and the real ones where RANGYM_DATA names them."""

import math
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rangym.envs.cell_association.drive_logs import import_logs

HEADER = (
    "Timestamp,Longitude,Latitude,Speed,Operatorname,CellID,NetworkMode,RSRP,RSRQ,SNR,CQI,RSSI,DL_bitrate,UL_bitrate,"
    "State,PINGAVG,PINGMIN,PINGMAX,PINGSTDEV,PINGLOSS,CELLHEX,NODEHEX,LACHEX,RAWCELLID,NRxRSRP,NRxRSRQ"
)
METRES_PER_DEGREE = math.radians(1) * 6_371_008.8
ORIGIN = (40.0, 3.0)


def degrees(x_m, y_m):
    """Longitude and latitude of metres from `ORIGIN`."""
    east = METRES_PER_DEGREE * math.cos(math.radians(ORIGIN[0]))
    return ORIGIN[1] + x_m / east, ORIGIN[0] + y_m / METRES_PER_DEGREE


def write_drive(path: Path, second, x_m, y_m, snr_db, cell, mode, rsrp=-90) -> Path:
    """One log: arrays or scalars; NaN SNR is written as missing."""
    rows = np.broadcast_arrays(second, x_m, y_m, np.asarray(snr_db, float), cell, mode, rsrp)
    lines = [HEADER]
    for t, x, y, snr, c, m, p in zip(*(r.tolist() for r in rows), strict=True):
        stamp = (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=t)).strftime("%Y.%m.%d_%H.%M.%S")
        longitude, latitude = degrees(x, y)
        shown = "-" if np.isnan(snr) else snr
        lines.append(
            f"{stamp},{longitude!r},{latitude!r},0,B,2,{m},{p},-11,{shown},8,-76,29,13,D,-,-,-,-,-,2,A81B,9CBA,{c},-,-"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def drive_along_a_road(path: Path, day: int, rng: np.random.Generator) -> Path:
    """400 s at about 5 m/s along a bent road, logged with GPS fixes 20 s apart; cells 11, 12 (5G), 21, 22 (LTE)."""
    second = np.arange(400)
    distance = 5.0 * second + 30.0 * day
    x, y = np.minimum(distance, 1200.0), np.maximum(distance - 1200.0, 0.0)
    fix = second // 20 * 20
    cell = np.choose((distance // 130 + rng.integers(0, 2, 400)).astype(int) % 4, [11, 12, 21, 22])
    mode = np.where(cell < 20, "5G", "LTE")
    snr = rng.integers(-8, 25, 400).astype(float)
    return write_drive(path, second + 86_400 * day, x[fix], y[fix], snr, cell, mode)


@pytest.fixture
def make_drive():
    return write_drive


@pytest.fixture(scope="session")
def road_logs(tmp_path_factory) -> Path:
    """A folder with three made-up drives along the same road."""
    folder = tmp_path_factory.mktemp("logs")
    rng = np.random.default_rng(0)
    for day in range(3):
        drive_along_a_road(folder / f"drive_{day}.csv", day, rng)
    return folder


@pytest.fixture(scope="session")
def road_map(road_logs) -> Path:
    """The radio map file of `road_logs`."""
    path = road_logs.parent / "road_map.npz"
    import_logs(road_logs).save(path)
    return path


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder or .zip of real drive logs; tests that need it skip where there is none."""
    if not (path := os.environ.get("RANGYM_DATA")):
        pytest.skip("RANGYM_DATA is not set: it names a folder or .zip with the 5G-production-dataset's drive logs")
    return Path(path)


@pytest.fixture(scope="session")
def real_map(real_logs, tmp_path_factory) -> Path:
    """The radio map file of the real logs."""
    path = tmp_path_factory.mktemp("real") / "map.npz"
    import_logs(real_logs).save(path)
    return path
