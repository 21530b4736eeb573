"""Logs of key performance indicators (KPI), one row a flow and second, in our names, ns-3's or G-NetTrack Pro's.

Which header a file has is told by its columns; `read_logs` may rename any others. Three of the columns are the KPIs q
whose Gaussian a cell is summed up by; the rest are what a predictor may see besides. What becomes of every row stands
in the account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.log_tables import FORMATS, MISSING, Progress, Table, moment, seconds, tables
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
MAX_SECONDS = 1e11
"""The year 5138: a larger time is one in milliseconds."""


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
GNETTRACK_TIME = "%Y.%m.%d_%H.%M.%S"
HEADERS = (OURS, NS3, GNETTRACK)


@dataclass(frozen=True)
class Options:
    """How logs are read.

    Attributes
    ----------
    kpis : three columns, q in this order.
    columns : our name -> theirs, in our units, beside what the header is known by.
    delay_is_cumulative : the latency is the mean since a flow's start: differences of latency times packets are taken.
    jitter_is_sum : the jitter is the sum over a row's packets: it is divided by their number less one.
    """

    kpis: tuple[str, ...] = KPIS
    columns: Mapping[str, str] | None = None
    delay_is_cumulative: bool = False
    jitter_is_sum: bool = False

    def __post_init__(self) -> None:
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


class _Rows:
    """The rows of one file, and why some of them are dropped."""

    def __init__(self, table: Table, header: Header, names: Sequence[str], account: dict[str, int]):
        self.table, self.header, self.names, self.account = table, header, names, account
        self.kept = np.arange(len(table.rows))
        self.time_s = self._times()
        self.cell = self._text("cell_id")
        self.flow = self._text("flow_id") if "flow_id" in names else None
        self.values = {name: table.numbers(header.theirs[name]) for name in names if name not in KEYS}

    def _text(self, name: str) -> NDArray:
        return np.array(self.table.column(self.header.theirs[name], str, "a name"))

    def _times(self) -> NDArray:
        column = self.header.theirs["t_s"]
        if self.header.name == GNETTRACK.name:
            read = self.table.column(column, lambda text: seconds(datetime.strptime(text, GNETTRACK_TIME)), "a time")
            return np.array(read)
        time = np.array(self.table.column(column, moment, "seconds or an ISO 8601 date and time"))
        self.refuse("t_s", time < MAX_SECONDS, "seconds, not milliseconds,")
        later = np.concatenate([[True], np.diff(time) >= 0])
        self.refuse("t_s", later, "times that do not go back")
        return time

    def refuse(self, name: str, fine: NDArray, wanted: str) -> None:
        """Refuse the file with the first of the kept rows that is not ``fine``."""
        if not fine.all():
            row, column = self.kept[fine.argmin()], self.header.theirs[name]
            got = self.table.rows[row][self.table.header.index(column)]
            raise WrongValue(
                f"{self.table.name}: row {self.table.line[row]}, column {column}: {wanted} wanted, got {got!r}"
            )

    def drop(self, reason: str, keep: NDArray) -> None:
        """Leave only rows where ``keep`` holds, and count the others under the reason."""
        reason = f"dropped: {reason}"
        self.account[reason] = self.account.get(reason, 0) + int((~keep).sum())
        self.kept, self.time_s, self.cell = self.kept[keep], self.time_s[keep], self.cell[keep]
        self.flow = None if self.flow is None else self.flow[keep]
        self.values = {name: values[keep] for name, values in self.values.items()}

    def last_of_each_second(self) -> None:
        """A logger that repeats rows within a second, and whose clock may go back by one."""
        order = np.argsort(self.time_s, kind="stable")
        last = np.concatenate([np.diff(self.time_s[order]) > 0, [True]])
        keep = np.zeros(len(order), dtype=bool)
        keep[order[last]] = True
        self.drop("an earlier row of the same second", keep)

    def check_ranges(self) -> None:
        for name, values in self.values.items():
            allowed = COLUMNS.get(name, POSITIVE if name.endswith(tuple(KPI_SUFFIXES)) else Range())
            low, high, above = (np.nan if end is None else end for end in (allowed.low, allowed.high, allowed.above))
            self.refuse(name, ~((values < low) | (values > high) | (values <= above)), str(allowed))

    def refuse_duplicates(self) -> None:
        """Two rows of one flow, or, where flows have no names, equal ones in all columns."""
        keys: list[tuple[object, ...]]
        if self.flow is not None:
            keys = list(zip(self.time_s, self.flow, self.cell, strict=True))
        else:
            keys = [tuple(self.table.rows[row]) for row in self.kept.tolist()]
        first: dict[tuple[object, ...], int] = {}
        for row, key in zip(self.kept.tolist(), keys, strict=True):
            if (before := first.setdefault(key, row)) != row:
                lines = self.table.line[row], self.table.line[before]
                raise WrongValue(
                    f"{self.table.name}: row {lines[0]}: one row a flow, cell and time wanted, got that of row "
                    f"{lines[1]} again; name the flows of equal rows by flow_id"
                )

    def cumulative_delay(self) -> None:
        """Mean latency of each row alone, from the mean since the flow's start: (d_k X_k - d_j X_j) / x_k.

        X counts a flow's packets up to a row, x those of the row, and j is the flow's row before.
        """
        latency, rx = self.values["latency_ms"], np.nan_to_num(self.values["rx"])
        own = np.array(latency)
        _, flow = np.unique(cast(NDArray, self.flow), return_inverse=True)
        order = np.argsort(flow, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(flow[order])) + 1):
            rows = rows[(rx[rows] > 0) & ~np.isnan(latency[rows])]
            own[rows] = np.diff(latency[rows] * np.cumsum(rx[rows]), prepend=0.0) / rx[rows]
        self.refuse("latency_ms", ~(own <= 0) | (rx == 0), "a mean since the flow's start that keeps delays above 0")
        self.values["latency_ms"] = own


def read_logs(path: str | Path, options: Options | None = None, progress: Progress | None = None) -> KpiLog:
    """All logs below ``path``, a folder, a ``.zip``, or one CSV or Parquet file.

    Raises `ValueError` for whatever cannot be read as it stands, with file, row and column; `FileNotFoundError`.
    """
    options = options or Options()
    account: dict[str, int] = {"files": 0, "rows read": 0}
    parts: list[_Rows] = []
    ignored: dict[str, None] = {}
    first, kind, pings = "", "", 0
    for table in tables(path, tuple(FORMATS), progress):
        header = _header(table, options)
        account["files"] += 1
        account["rows read"] += len(table.rows)
        first, kind = first or table.name, kind or header.name
        if header.name != kind:
            raise WrongValue(f"{table.name}: {kind} like {first} wanted, got {header.name}; import them apart")
        if header.name == GNETTRACK.name and not set(options.kpis) <= set(header.theirs):
            if "PINGAVG" in table.header:
                pings += sum(text not in MISSING for text in table.column("PINGAVG", str, "a text"))
            continue
        parts.append(_rows(table, header, options, account))
        ignored |= dict.fromkeys(c for c in table.header if c not in header.theirs.values())
    if not parts:
        raise WrongValue(
            f"kpis: tput_kbps, sinr_db and rsrp_dbm wanted for {GNETTRACK.name}, which has no jitter and a latency "
            f"(PINGAVG) in {pings:,} of {account['rows read']:,} rows, got {', '.join(options.kpis)}"
        )
    account["rows kept"] = sum(len(part.kept) for part in parts)
    names = dict.fromkeys(name for part in parts for name in part.values)
    absent = [name for name in COLUMNS if name not in names]
    notes = [f"{what}: {', '.join(which)}" for what, which in (("absent", absent), ("ignored", ignored)) if which]
    return KpiLog(
        time_s=np.concatenate([part.time_s for part in parts]),
        cell=np.concatenate([part.cell for part in parts]),
        values={n: np.concatenate([p.values.get(n, np.full(len(p.kept), np.nan)) for p in parts]) for n in names},
        account=account,
        notes=notes,
    )


def _header(table: Table, options: Options) -> Header:
    """Which kind of log it is, as most of its columns say, with those that the options rename."""
    known = max(HEADERS, key=lambda h: len(set(h.theirs.values()) & set(table.header)))
    theirs = {**known.theirs, **({name: name for name in options.kpis} if known is OURS else {})}
    if known is OURS and not options.columns:
        if unknown := [column for column in table.header if column not in theirs]:
            raise WrongValue(
                f"{table.name}: row 1: one of {', '.join(theirs)} wanted as column (or columns={{ours: theirs}}), "
                f"got {unknown[0]!r}{nearest(unknown[0], theirs)}"
            )
    for name, column in (options.columns or {}).items():
        if column not in table.header:
            close = nearest(column, table.header)
            raise WrongValue(f"columns: a column of {table.name} for {name} wanted, got {column!r}{close}")
        theirs[name] = column
    factor = {name: f for name, f in known.factor.items() if name not in (options.columns or {})}
    return replace(known, theirs=theirs, factor=factor)


def _rows(table: Table, header: Header, options: Options, account: dict[str, int]) -> _Rows:
    """The rows of a file that can be used, with latency and jitter of their own."""
    needed = ["t_s", "cell_id", *options.kpis]
    needed += ["flow_id", "rx"] if options.delay_is_cumulative else ["rx"] if options.jitter_is_sum else []
    have = f"{header.name} has {', '.join(header.theirs.values())}"
    for name in needed:
        table.require([header.theirs.get(name, name)], have)
    rows = _Rows(table, header, [n for n, theirs in header.theirs.items() if theirs in table.header], account)
    if header.name == GNETTRACK.name:
        rows.last_of_each_second()
    else:
        rows.refuse_duplicates()
    if options.delay_is_cumulative:
        rows.cumulative_delay()
    if "rx" in rows.values:
        rows.drop("no packet was received", ~(rows.values["rx"] == 0))
    if options.jitter_is_sum:
        rows.drop("fewer than two packets, without jitter", rows.values["rx"] >= 2)
        rows.values["jitter_ms"] = rows.values["jitter_ms"] / (rows.values["rx"] - 1)
    rows.check_ranges()
    usable = ~np.isin(rows.cell, MISSING) & ~np.isnan([rows.values[name] for name in options.kpis]).any(axis=0)
    if header.name == GNETTRACK.name:
        usable &= (rows.cell != "0") & ~(rows.values["rsrp_dbm"] <= GNETTRACK_NO_RSRP)
    rows.drop("no cell, or one of the KPIs is missing", usable)
    if header.name == GNETTRACK.name and "State" in table.header:
        state = table.header.index("State")
        loading = np.array([table.rows[row][state].strip() == "D" for row in rows.kept.tolist()]).astype(bool)
        rows.drop("no download was running (State other than D)", loading)
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
