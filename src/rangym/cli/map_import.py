"""``rangym map import``: what the scenarios `measured` and `imported` are made of, from logs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rangym.envs.errors import WrongValue

if TYPE_CHECKING:
    from rangym.envs.qos_clustering.recorded_days import RecordedDays

SAMPLE = """\
time,ue,cell,sinr_db,x_m,y_m
0,bus,north,12.5,0,0
0,bus,south,3,0,0
1,bus,north,10,15,0
1,bus,south,6.5,15,0
2,bus,north,7,30,0
2,bus,south,9,30,0
0,tram,south,14,90,40
1,tram,south,13,80,40
2,tram,north,4,70,40
"""
"""The general format, as README and --help show it."""
_INDENTED = "".join(f"  {line}\n" for line in SAMPLE.splitlines())
DESCRIPTION = f"""\
Import logs: a folder, a .zip or one file (.csv, .tsv, .txt; with --kind qos .parquet too).

The general format is one row a time, UE and cell:

{_INDENTED}
time is in seconds (or --time-unit ms) or ISO 8601, with or without a zone. The position, x_m and y_m in
metres or latitude and longitude in degrees, may be left out, as may bandwidth_mhz (default: 20).
Columns may stand in any order and be called differently (--columns time=when,cell=eci). Separators (, ;
TAB |), decimal commas, byte order marks and missing values (empty, -, NaN, null, N/A, 2147483647) are
recognised. What was read, dropped and kept is printed. Use the map as `--scenario measured --set
map=FILE`, or with `rangym bench --map FILE`.

Logs of G-NetTrack Pro (one row a second of the serving cell) are recognised by their header and become
a map of 50 m bins; our names for --columns are then those of G-NetTrack.

--kind qos builds the days of QosClustering's scenario `imported` from logs of key performance
indicators, one row a flow and second, and fits a linear predictor to their first half. The header is
ours (t_s, cell_id and the three KPIs wanted; flow_id, n_ue, load, x_m, y_m, speed_kmh, dir_deg,
pkt_bytes, tx, rx, latency_ms, jitter_ms, tput_kbps, loss, sinr_db, rsrp_dbm, los optional), that of
ns-3's FlowMonitor or of G-NetTrack Pro, or any by --columns."""
EXAMPLE = """\
  rangym map import log.csv --out map.npz
  rangym evaluate a3 lda --scenario measured --set map=map.npz
  rangym map import phone.txt --columns time=when,cell=eci,sinr_db=snr --tolerance 0.01 --out map.npz
  rangym map import old.csv --encoding cp1252 --out map.npz
  rangym map import logs/ --kind qos --out days.npz
  rangym map import flows.csv --kind qos --delay-is-cumulative --jitter-is-sum --out days.npz
  rangym map import drives.zip --kind qos --kpis tput_kbps,sinr_db,rsrp_dbm --out days.npz
  rangym map import kpis.parquet --kind qos --columns t_s=when,cell_id=eci,latency_ms=rtt --out days.npz
  rangym evaluate sticky_smoothed --env QosClustering --scenario imported --set days=days.npz"""

RADIO_ONLY = ("cells",)
QOS_FLAGS = ("delay_is_cumulative", "jitter_is_sum", "leave_out_sparse_cells")
QOS_ONLY = ("kpis", "period", "label_delay", *QOS_FLAGS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.envs.logs.values import TIME_UNITS
    from rangym.evaluation.amounts import number
    from rangym.evaluation.places import new_file

    parser.add_argument("logs", metavar="LOGS", help="folder, .zip, text or (qos) Parquet file")
    parser.add_argument(
        "--out", type=new_file, required=True, metavar="FILE.npz", help="file to write, whole or not at all"
    )
    parser.add_argument("--kind", choices=["radio", "qos"], default="radio", help="what to make (default: %(default)s)")
    parser.add_argument("--columns", metavar="OURS=THEIRS,...", help="what our columns are called there, in our units")
    parser.add_argument("--encoding", help="of text without a byte order mark, such as cp1252 (default: utf-8)")
    parser.add_argument("--time-unit", choices=list(TIME_UNITS), help="of times that are numbers (default: s)")
    parser.add_argument(
        "--tolerance",
        type=number(float, low=0, below=1),
        default=0.0,
        metavar="SHARE",
        help="share of a file's rows that may be bad: they are skipped, and counted by reason (default: 0)",
    )
    radio = parser.add_argument_group("--kind radio")
    radio.add_argument("--cells", type=number(int, low=1), help="G-NetTrack: at most so many cells (default: 25)")
    qos = parser.add_argument_group("--kind qos")
    qos.add_argument("--kpis", metavar="A,B,C", help="the three KPIs (default: latency_ms,jitter_ms,rsrp_dbm)")
    qos.add_argument(
        "--delay-is-cumulative", action="store_true", default=None, help="latency is the mean since a flow's start"
    )
    qos.add_argument(
        "--jitter-is-sum", action="store_true", default=None, help="jitter is the sum over a row's packets"
    )
    seconds, periods = number(float, above=0), number(int, low=1)
    qos.add_argument("--period", type=seconds, metavar="S", help="seconds of a period (default: 900)")
    qos.add_argument("--label-delay", type=periods, metavar="H", help="periods predicted ahead (default: 4)")
    qos.add_argument(
        "--leave-out-sparse-cells",
        action="store_true",
        default=None,
        help="drop, and count, the rows of cells that have 20 of them in no period (default: refuse the logs)",
    )


def run(args: argparse.Namespace) -> int:
    for name in QOS_ONLY if args.kind == "radio" else RADIO_ONLY:
        if getattr(args, name) is not None:
            other = "qos" if args.kind == "radio" else "radio"
            raise WrongValue(f"--{name.replace('_', '-')}: used with --kind {other} only, got --kind {args.kind}")
    if not args.out.endswith(".npz"):
        raise WrongValue(f"--out: a file name ending in .npz wanted, got {args.out!r}")
    return _radio(args) if args.kind == "radio" else _qos(args)


def _radio(args: argparse.Namespace) -> int:
    from rangym.envs.cell_association.drive_logs import import_logs
    from rangym.envs.logs.table import Reading

    reading = Reading(
        columns=_columns(args.columns), encoding=args.encoding, tolerance=args.tolerance, time_unit=args.time_unit
    )
    radio_map = import_logs(args.logs, num_cells=args.cells, reading=reading, progress=_Bar())
    radio_map.save(args.out)
    print(radio_map.summary())
    print(f"\n{args.out} written; use it with: rangym evaluate a3 lda --scenario measured --set map={args.out}")
    return 0


def _qos(args: argparse.Namespace) -> int:
    from rangym.envs.qos_clustering.calibration import LABEL_DELAY
    from rangym.envs.qos_clustering.generator import PERIOD_S
    from rangym.envs.qos_clustering.kpi_logs import KPIS, Options, account_of, read_logs
    from rangym.envs.qos_clustering.recorded_periods import without_sparse_cells
    from rangym.envs.qos_clustering.recorded_predictor import fitted_days
    from rangym.evaluation.columns import counted

    kpis = KPIS if args.kpis is None else tuple(name.strip() for name in args.kpis.split(","))
    options = Options(
        columns=_columns(args.columns),
        encoding=args.encoding,
        tolerance=args.tolerance,
        time_unit=args.time_unit,
        kpis=kpis,
        delay_is_cumulative=bool(args.delay_is_cumulative),
        jitter_is_sum=bool(args.jitter_is_sum),
    )
    period_s = PERIOD_S if args.period is None else args.period
    log = read_logs(args.logs, options, progress=_Bar())
    if args.leave_out_sparse_cells:
        log = without_sparse_cells(log, period_s)
    print(account_of(log.account, log.notes))  # before what may refuse them as days
    days = fitted_days(log, kpis, period_s, LABEL_DELAY if args.label_delay is None else args.label_delay)
    days.save(args.out)
    further = {name: number for name, number in days.account.items() if name not in log.account}
    print(account_of(further, days.notes[len(log.notes) :]))
    longest = days.largest_horizon(days.predictor.label_delay) if days.predictor else 0
    print(f"longest window of the second half: {counted(longest, 'slots')}")
    print(
        f"\n{args.out} written; use it with: rangym evaluate greedy_smoothed sticky_smoothed --env QosClustering "
        f"--scenario imported --set days={args.out}{_further_settings(days)}\n  or: rangym cluster {args.out}"
    )
    return 0


def _further_settings(days: RecordedDays) -> str:
    """What the scenario needs besides: the file's own label delay, and no more heads than its largest library has."""
    from rangym.envs.qos_clustering.params import SCENARIOS

    scenario, predictor = SCENARIOS["imported"], days.predictor
    if predictor is None:
        return ""
    wanted = {
        "label_delay": predictor.label_delay,
        "num_heads": min(scenario.num_heads, max(predictor.libraries)),
    }
    return "".join(f" --set {name}={n}" for name, n in wanted.items() if n != getattr(scenario, name))


def _columns(text: str | None) -> Mapping[str, str] | None:
    if text is None:
        return None
    found: dict[str, str] = {}
    for part in text.split(","):
        ours, equals, theirs = (x.strip() for x in part.partition("="))
        if not (ours and equals and theirs) or ours in found:
            raise WrongValue(f"--columns: OURS=THEIRS,... with each of ours once wanted, got {text!r}")
        found[ours] = theirs
    return found


class _Bar:
    """A progress bar over files that the reader calls after each of them."""

    def __init__(self) -> None:
        self._bar: Iterator[int] | None = None

    def __call__(self, done: int, total: int, name: str) -> None:
        from rangym.evaluation.progress import progress

        if self._bar is None:
            self._bar = progress(range(total), total, "reading logs")
            next(self._bar, None)
        next(self._bar, None)
