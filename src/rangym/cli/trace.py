"""``rangym trace import``: a radio map for the scenario `measured` from drive logs."""

from __future__ import annotations

import argparse
import sys
import time

from rangym.envs.errors import WrongValue

DESCRIPTION = """\
Build the radio map of the scenario `measured` from drive logs in the G-NetTrack Pro CSV format.

LOGS is a folder, a .zip or one CSV file. Use the map as
`--scenario measured --set map=FILE`, or with `rangym bench --map FILE`."""
EXAMPLE = (
    "  rangym trace import drives.zip --out map.npz\n  rangym evaluate a3 lda --scenario measured --set map=map.npz"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["import"], help="what to do")
    parser.add_argument("logs", metavar="LOGS", help="folder, .zip or CSV file")
    parser.add_argument("--out", required=True, metavar="FILE.npz", help="file of the map")
    parser.add_argument("--cells", type=int, default=25, help="at most so many cells (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from rangym.envs.cell_association.drive_logs import import_logs

    if not args.out.endswith(".npz"):
        raise WrongValue(f"--out: a file name ending in .npz wanted, got {args.out!r}")
    radio_map = import_logs(args.logs, num_cells=args.cells, progress=_Lines())
    radio_map.save(args.out)
    print(radio_map.summary())
    cells = "" if radio_map.num_cells == 25 else f" --set num_cells={radio_map.num_cells}"
    print(f"\n{args.out} written; use it with: rangym evaluate a3 lda --scenario measured --set map={args.out}{cells}")
    return 0


class _Lines:
    """A line on stderr every two seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, name: str) -> None:
        now = time.monotonic()
        if now - self._last >= 2:
            self._last = now
            print(f"reading drive logs: {done}/{total} ({name})", file=sys.stderr, flush=True)
