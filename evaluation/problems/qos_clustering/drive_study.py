"""Whether cells should share a predictor in real drive logs: ten seconds ahead, held out by drives.

Drive logs of G-NetTrack Pro see a cell for seconds, so no episode of this environment can be made of them. What they
allow is a study in batch: from ten seconds in a cell to the means of ln(rate + 10 kbit/s), SNR and RSRP over the next
ten. The cells are those with most samples.

Differences of about 2 % between the methods are within the spread of the folds: on these logs clustering, one head and
a head for each cell cannot be told apart, and the ridge matters more than any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.logs.files import Progress, tables
from rangym.envs.logs.table import Table
from rangym.envs.logs.values import numbers, texts, times
from rangym.envs.qos_clustering.kpi_logs import GNETTRACK_NO_RSRP
from rangym.evaluation.problems.qos_clustering.sharing_study import Samples, SharingStudy, study

METHODS = ("global", "local", "exact", "bcd")
WINDOW_S, MAX_GAP_S = 10.0, 2.0
RATE_FLOOR_KBPS = 10.0
NUM_CELLS, MIN_DRIVES, FOLDS = 12, 4, 5
MEASURED = ("SNR", "RSRP", "RSRQ", "CQI")
COLUMNS = {
    "Timestamp": times(),
    "State": texts(lambda text: text == "D", False),
    "NetworkMode": texts(lambda text: float(text == "5G"), 0.0),
    **dict.fromkeys((*MEASURED, "DL_bitrate", "RAWCELLID"), numbers()),
}


def drive_study(
    path: str | Path,
    *,
    beta: float = 0.02,
    lam: float = 0.0,
    rho: float = 0.03,
    methods: Sequence[str] = METHODS,
    progress: Progress | None = None,
) -> SharingStudy:
    """Held-out mean squared errors of z-scored targets, five folds of whole drives."""
    return study(drive_samples(path, progress), methods, lam=lam, beta=beta, rho=rho)


def drive_samples(path: str | Path, progress: Progress | None = None) -> Samples:
    """Samples of the twelve cells that have most of them, of those that at least four drives have been to."""
    windows = [
        (number, *window) for number, table in enumerate(tables(path, progress=progress)) for window in _windows(table)
    ]
    if not windows:
        raise WrongValue(f"{path}: visits of more than {WINDOW_S:g} s to a cell wanted, got none")
    drive, cell, inputs, targets = (np.array(entries) for entries in zip(*windows, strict=True))
    names, count = np.unique(cell, return_counts=True)
    been = np.array([len(np.unique(drive[cell == name])) for name in names])
    names, count = names[been >= MIN_DRIVES], count[been >= MIN_DRIVES]
    if len(names) < NUM_CELLS:
        raise WrongValue(
            f"{path}: {NUM_CELLS} cells with samples of at least {MIN_DRIVES} drives wanted, got {len(names)}"
        )
    kept = np.isin(cell, names[np.argsort(-count, kind="stable")[:NUM_CELLS]])
    x, y = _scaled(inputs[kept]), _scaled(targets[kept])
    _, order = np.unique(drive[kept], return_inverse=True)
    return Samples(
        features=np.concatenate([x, np.ones((len(x), 1))], axis=1),
        targets=y,
        cell=cell[kept],
        fold=order % FOLDS,
        folds=[f"drives {k + 1} of {FOLDS}" for k in range(FOLDS)],
        score=lambda predicted, rows: float(((predicted - y[rows]) ** 2).mean()),
    )


def _windows(table: Table) -> list[tuple[int, NDArray, NDArray]]:
    """Cell, inputs (9) and targets (3) of every ten seconds of a visit that ten more seconds follow."""
    table.require(COLUMNS, "those of G-NetTrack Pro wanted")
    found = table.read(COLUMNS).values
    time = found["Timestamp"]
    order = np.argsort(time, kind="stable")
    last = order[np.append(np.diff(time[order]) > 0, True)]  # of each second
    columns = {name: found[name][last] for name in (*MEASURED, "DL_bitrate", "RAWCELLID")}
    columns["5G"], loading = found["NetworkMode"][last], found["State"][last]
    used = loading & ~np.isnan(columns["SNR"]) & (columns["RSRP"] > GNETTRACK_NO_RSRP) & (columns["RAWCELLID"] > 0)
    time, columns = time[last][used], {name: values[used] for name, values in columns.items()}
    rate = np.log(columns["DL_bitrate"] + RATE_FLOOR_KBPS)
    new = (np.diff(columns["RAWCELLID"]) != 0) | (np.diff(time) > MAX_GAP_S)
    windows = []
    for visit in np.split(np.arange(len(time)), np.flatnonzero(new) + 1):
        if not len(visit):
            continue
        window = ((time[visit] - time[visit[0]]) // WINDOW_S).astype(np.int64)
        parts = [visit[window == k] for k in range(window[-1] + 1)]
        for now, later in zip(parts, parts[1:], strict=False):
            x = [rate[now].mean(), rate[now].std(), rate[now[-1]], columns["SNR"][now].std()]
            x += [columns[name][now].mean() for name in (*MEASURED, "5G")]
            y = [rate[later].mean(), columns["SNR"][later].mean(), columns["RSRP"][later].mean()]
            windows.append((int(columns["RAWCELLID"][now[0]]), np.array(x), np.array(y)))
    return windows


def _scaled(values: NDArray) -> NDArray:
    """z-scored columns; a missing entry is its column's mean."""
    scaled = (values - np.nanmean(values, axis=0)) / np.nanstd(values, axis=0)
    return np.nan_to_num(scaled)
