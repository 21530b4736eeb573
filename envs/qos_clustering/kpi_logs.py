"""Logs of key performance indicators (KPI), one row a flow and second, in our names, ns-3's or G-NetTrack Pro's.

Which header a file has is told by its columns; `read_logs` may rename any others. Three of the columns are the KPIs q
whose Gaussian a cell is summed up by; the rest are what a predictor may see besides. What becomes of every row stands
in the account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.logs.files import Progress, tables
from rangym.envs.logs.table import Reading, Rows, Table
from rangym.envs.logs.text import FORMATS
from rangym.envs.logs.values import is_missing, names, numbers, times
from rangym.envs.params import Range, nearest
from rangym.envs.qos_clustering.generator import KPIS

POSITIVE, SHARE = Range(low=0), Range(low=0, high=1)
COLUMNS: Mapping[str, Range] = {
    "n_ue": POSITIVE,
    "load": SHARE,
    "x_m": Range(),
    "y_m": Range(),
    "speed_kmh": Range(low=0, high=1000),
    "dir_deg": Range(low=-360, high=360),
    "pkt_bytes": Range(above=0),
    "tx": POSITIVE,
    "rx": POSITIVE,
    "latency_ms": Range(above=0),
    "jitter_ms": POSITIVE,
    "tput_kbps": POSITIVE,
    "loss": SHARE,
    "sinr_db": Range(low=-100, high=100),
    "rsrp_dbm": Range(low=-200, high=0),
    "los": SHARE,
}
"""Our names of what is a number; ``t_s``, ``flow_id`` and ``cell_id`` stand before them."""
KEYS = ("t_s", "flow_id", "cell_id")
KPI_SUFFIXES = {"_ms": 1e-3, "_kbps": 1.0}
"""A KPI whose name ends so enters by its logarithm, at least that of the number."""
PLAIN_SUFFIXES = ("_db", "_dbm")


@dataclass(frozen=True)
class Header:
    """A kind of log: what its columns are called, and by what they are multiplied to be in our units."""

    name: str
    theirs: Mapping[str, str]
    factor: Mapping[str, float]


OURS = Header("a log in our names", {name: name for name in (*KEYS, *COLUMNS)}, {})
NS3 = Header(
    "a log of ns-3's FlowMonitor",
    {
        "t_s": "Time",
        "flow_id": "FlowId",
        "cell_id": "CellId",
        "n_ue": "CellLoad",  # it counts UEs
        "x_m": "UE_X",
        "y_m": "UE_Y",
        "speed_kmh": "Speed",
        "dir_deg": "Direction",
        "pkt_bytes": "PacketSize",
        "tx": "DeltaTxPackets",
        "rx": "DeltaRxPackets",
        "latency_ms": "AvgDelay",
        "tput_kbps": "ThroughputKbps",
        "loss": "IntervalLossRate",
        "jitter_ms": "IntervalJitter",
        "sinr_db": "SINR",
        "rsrp_dbm": "Rsrp",
        "los": "LOS",
    },
    {"latency_ms": 1e3, "jitter_ms": 1e3},
)
GNETTRACK = Header(
    "a log of G-NetTrack Pro",
    {"t_s": "Timestamp", "cell_id": "RAWCELLID", "tput_kbps": "DL_bitrate", "sinr_db": "SNR", "rsrp_dbm": "RSRP"},
    {},
)
GNETTRACK_NO_RSRP = -140.0
"""dBm; what it writes where the modem reports none is not above this."""
HEADERS = (OURS, NS3, GNETTRACK)


@dataclass(frozen=True, kw_only=True)
class Options(Reading):
    """How logs are read; renamed columns are in our units, beside what the header is known by.

    Attributes
    ----------
    kpis : three columns, q in this order.
    delay_is_cumulative : the latency is the mean since a flow's start: differences of latency times packets are taken.
    jitter_is_sum : the jitter is the sum over a row's packets: it is divided by their number less one.
    """

    kpis: tuple[str, ...] = KPIS
    delay_is_cumulative: bool = False
    jitter_is_sum: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        suffixes = (*KPI_SUFFIXES, *PLAIN_SUFFIXES)
        fit = isinstance(self.kpis, tuple) and len(set(self.kpis)) == len(self.kpis) == 3
        if not fit or not all(name.endswith(suffixes) for name in self.kpis):
            close = next((c for name in self.kpis if name not in COLUMNS and (c := nearest(name, COLUMNS))), "")
            raise WrongValue(f"kpis: three different names ending in {suffixes} wanted, got {self.kpis!r}{close}")
        for name in self.columns or {}:
            if name not in OURS.theirs and not name.endswith(suffixes):
                raise WrongValue(
                    f"columns: one of {', '.join(OURS.theirs)} or a KPI ending in {suffixes} wanted, "
                    f"got {name!r}{nearest(name, OURS.theirs)}"
                )
        for name, given in (("latency_ms", self.delay_is_cumulative), ("jitter_ms", self.jitter_is_sum)):
            if given and name not in self.kpis:
                raise WrongValue(f"kpis: {name}, since an option says how to read it, wanted, got {self.kpis!r}")


@dataclass(frozen=True, eq=False)
class KpiLog:
    """The rows that are left, R of them.

    Attributes
    ----------
    time_s : (R,).
    cell : (R,) names.
    values : column -> (R,), those that the logs have; NaN where an optional one is missing.
    account : what became of all rows, in this order: name -> number.
    notes : what else is to be said of the files.
    """

    time_s: NDArray
    cell: NDArray
    values: Mapping[str, NDArray]
    account: Mapping[str, int]
    notes: Sequence[str]


def _of_each_second(rows: Rows) -> Rows:
    """The last row of each second: a logger repeats rows within one, and its clock may go back by one."""
    time_s = rows.values["t_s"]
    order = np.argsort(time_s, kind="stable")
    keep = np.zeros(len(order), dtype=bool)
    keep[order[np.append(np.diff(time_s[order]) > 0, True)]] = True
    return rows.drop("an earlier row of the same second", keep)


def _in_range(rows: Rows) -> Rows:
    for name in rows.values.keys() - set(KEYS):
        allowed = COLUMNS.get(name, POSITIVE if name.endswith(tuple(KPI_SUFFIXES)) else Range())
        low, high, above = (np.nan if end is None else end for end in (allowed.low, allowed.high, allowed.above))
        values = rows.values[name]
        rows = rows.refuse(name, ~((values < low) | (values > high) | (values <= above)), str(allowed))
    return rows


def _without_duplicates(rows: Rows) -> Rows:
    """Without a second row of one flow, or, where flows have no names, one that is equal in all columns; it is bad."""
    table, line = rows.table, rows.table.line
    keys: list[tuple[object, ...]] = [tuple(table.rows[row]) for row in rows.row.tolist()]
    if "flow_id" in rows.values:
        keys = list(zip(*(rows.values[name].tolist() for name in KEYS), strict=True))
    first: dict[tuple[object, ...], int] = {}
    for row, key in zip(rows.row.tolist(), keys, strict=True):
        if (before := first.setdefault(key, row)) != row:
            wanted = "one row a flow, cell and time wanted"
            got = f"got that of row {line[before]} again; name the flows of equal rows by flow_id"
            table.skip(line[row], wanted, f": {wanted}, {got}")
    return rows.where(np.isin(rows.row, list(first.values())))


def _with_own_delay(rows: Rows) -> Rows:
    """Mean latency of each row alone, from the mean since the flow's start: (d_k X_k - d_j X_j) / x_k.

    X counts a flow's packets up to a row, x those of the row, and j is the flow's row before.
    """
    latency, rx = rows.values["latency_ms"], np.nan_to_num(rows.values["rx"])
    own = np.array(latency)
    _, flow = np.unique(rows.values["flow_id"], return_inverse=True)
    order = np.argsort(flow, kind="stable")
    for of_flow in np.split(order, np.flatnonzero(np.diff(flow[order])) + 1):
        of_flow = of_flow[(rx[of_flow] > 0) & ~np.isnan(latency[of_flow])]
        own[of_flow] = np.diff(latency[of_flow] * np.cumsum(rx[of_flow]), prepend=0.0) / rx[of_flow]
    rows.values["latency_ms"] = own
    return rows.refuse("latency_ms", ~(own <= 0) | (rx == 0), "a mean since the flow's start that keeps delays above 0")


def read_logs(path: str | Path, options: Options | None = None, progress: Progress | None = None) -> KpiLog:
    """All logs below ``path``, a folder, a ``.zip``, or one CSV or Parquet file.

    Raises `ValueError` for whatever cannot be read as it stands, with file, row and column; `FileNotFoundError`.
    """
    options = options or Options()
    options.require_known((*OURS.theirs, *(options.columns or {})))  # a KPI may have any name, which Options checks
    account = Counter({"files": 0, "rows read": 0})
    parts: list[Rows] = []
    ignored: dict[str, None] = {}
    first, kind, pings = "", "", 0
    for table in tables(path, tuple(FORMATS), progress, options):
        header = _header(table, options)
        first, kind = first or table.name, kind or header.name
        if header.name != kind:
            raise WrongValue(f"{table.name}: {kind} like {first} wanted, got {header.name}; import them apart")
        if header.name == GNETTRACK.name and not set(options.kpis) <= set(header.theirs):
            if table.has("PINGAVG"):
                pings += sum(not is_missing(text) for text in table.texts("PINGAVG"))
        else:
            parts.append(_rows(table, header, options))
            theirs = {column.casefold() for column in header.theirs.values()}
            ignored |= dict.fromkeys(c for c in table.header if c and c.casefold() not in theirs)
        account.update(table.counts())
    if not parts:
        raise WrongValue(
            f"kpis: tput_kbps, sinr_db and rsrp_dbm wanted for {GNETTRACK.name}, which has no jitter and a latency "
            f"(PINGAVG) in {pings:,} of {account['rows read']:,} rows, got {', '.join(options.kpis)}"
        )
    account["rows kept"] = sum(map(len, parts))
    present = dict.fromkeys(name for part in parts for name in part.values if name not in KEYS)
    absent = [name for name in COLUMNS if name not in present]
    notes = [f"{what}: {', '.join(which)}" for what, which in (("absent", absent), ("ignored", ignored)) if which]
    return KpiLog(
        time_s=np.concatenate([part.values["t_s"] for part in parts]),
        cell=np.concatenate([part.values["cell_id"] for part in parts]),
        values={n: np.concatenate([p.values.get(n, np.full(len(p), np.nan)) for p in parts]) for n in present},
        account=account,
        notes=notes,
    )


def _header(table: Table, options: Options) -> Header:
    """Which kind of log it is, as most of its columns say, with those that the options rename."""
    known = max(HEADERS, key=lambda h: sum(map(table.has, h.theirs.values())))
    theirs = {**known.theirs, **({name: name for name in options.kpis} if known is OURS else {})}
    if known is OURS and not options.columns:
        known_names = {name.casefold() for name in theirs}
        if unknown := [column for column in table.header if column and column.casefold() not in known_names]:
            raise WrongValue(
                f"{table.name}: row 1: one of {', '.join(theirs)} wanted as column (or columns={{ours: theirs}}), "
                f"got {unknown[0]!r}{nearest(unknown[0], theirs)}"
            )
    for name, column in (options.columns or {}).items():
        if not table.has(column):
            close = nearest(column, table.header)
            raise WrongValue(f"columns: a column of {table.name} for {name} wanted, got {column!r}{close}")
        theirs[name] = column
    factor = {name: f for name, f in known.factor.items() if name not in (options.columns or {})}
    return replace(known, theirs=theirs, factor=factor)


def _rows(table: Table, header: Header, options: Options) -> Rows:
    """The rows of a file that can be used, with latency and jitter of their own."""
    needed = ["t_s", "cell_id", *options.kpis]
    needed += ["flow_id", "rx"] if options.delay_is_cumulative else ["rx"] if options.jitter_is_sum else []
    have = f"{header.name} has {', '.join(header.theirs.values())}"
    for name in needed:
        table.require([header.theirs.get(name, name)], have)
    kinds = {"t_s": times(options.time_unit), "flow_id": names(optional=True), "cell_id": names(optional=True)}
    kinds |= {name: numbers() for name in header.theirs if name not in KEYS}
    rows = table.read({n: kinds[n] for n, theirs in header.theirs.items() if table.has(theirs)}, header.theirs)
    is_gnettrack = header.name == GNETTRACK.name
    if is_gnettrack:
        rows = _of_each_second(rows)
    else:
        ordered = rows.values["t_s"] >= np.maximum.accumulate(rows.values["t_s"])
        rows = _without_duplicates(rows.refuse("t_s", ordered, "times that do not go back"))
    if options.delay_is_cumulative:
        rows = _with_own_delay(rows)
    if "rx" in rows.values:
        rows = rows.drop("no packet was received", ~(rows.values["rx"] == 0))
    if options.jitter_is_sum:
        rows = rows.drop("fewer than two packets, without jitter", rows.values["rx"] >= 2)
        rows.values["jitter_ms"] = rows.values["jitter_ms"] / (rows.values["rx"] - 1)
    rows = _in_range(rows)
    usable = (rows.values["cell_id"] != "") & ~np.isnan([rows.values[name] for name in options.kpis]).any(axis=0)
    if is_gnettrack:
        usable &= (rows.values["cell_id"] != "0") & ~(rows.values["rsrp_dbm"] <= GNETTRACK_NO_RSRP)
    rows = rows.drop("no cell, or one of the KPIs is missing", usable)
    if is_gnettrack and table.has("State"):
        state = np.array(table.texts("State"))[rows.row]
        rows = rows.drop("no download was running (State other than D)", state == "D")
    for name, factor in header.factor.items():
        if name in rows.values:
            rows.values[name] = factor * rows.values[name]
    return rows


def account_of(account: Mapping[str, int], notes: Sequence[str]) -> str:
    """One line an entry."""
    return "\n".join([*(f"{name}: {number:,}" for name, number in account.items()), *notes])


def domain(name: str, values: NDArray) -> NDArray:
    """Values of a column in the domain in which a Gaussian is fitted: the logarithm of times and rates."""
    for suffix, floor in KPI_SUFFIXES.items():
        if name.endswith(suffix):
            return np.log(np.maximum(values, floor))
    return values
