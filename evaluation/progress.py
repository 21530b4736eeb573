"""A progress bar on one line of a terminal; nothing at all where nobody watches."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rangym.envs.errors import printable

T = TypeVar("T")
DELAY_S, EVERY_S = 2.0, 0.1
"""Work that is done sooner shows no bar; the line is written no more often."""
BAR = 20
CLEAR = "\r\x1b[K"


def progress(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """Yield ``items``; on a terminal, whatever takes more than two seconds says how far it is and what is left.

    Worker processes are quiet: there is one line, and the process that started them has it. A bar inside another one
    takes its line for as long as it runs.
    """
    if multiprocessing.parent_process() is not None or not sys.stderr.isatty():
        yield from items
        return
    start = first = shown = time.monotonic()
    drawn = False
    try:
        for number, item in enumerate(items, 1):
            yield item
            now = time.monotonic()
            if number == 1:
                first = now  # the first item compiles and imports: no measure of the others
            if now - start > DELAY_S and now - shown > EVERY_S:
                left = (now - first) / (number - 1) * (total - number) if number > 1 else None
                _write(CLEAR + _line(title, number, total, left, _columns()))
                shown, drawn = now, True
    finally:
        if drawn:
            _write(CLEAR)


def _line(title: str, number: int, total: int, left_s: float | None, columns: int) -> str:
    """How far it is, in fewer than ``columns`` characters: a full line would begin another."""
    done = BAR * number // max(total, 1)
    bar = f" [{'#' * done}{'.' * (BAR - done)}] {number}/{total}"
    bar += "" if left_s is None else f", about {left_s:.0f} s left"
    return (printable(title)[: max(columns - 1 - len(bar), 0)] + bar)[: columns - 1]


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:  # a terminal that does not know its size
        return 80


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
