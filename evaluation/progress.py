"""A progress bar that needs nothing: tqdm where it is installed and somebody watches, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
QUIET_S, LINE_EVERY_S = 2.0, 10.0


def progress(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """Yield ``items``; whatever takes more than two seconds says on stderr how far it is."""
    if sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:  # tqdm comes with the extra `rl`; lines do as well
            pass
        else:
            yield from tqdm(items, desc=title or None, total=total, delay=QUIET_S, leave=False, dynamic_ncols=True)
            return
    last, early = time.monotonic(), True
    first = last
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if number == 1:
            first = now  # the first item compiles and imports: no measure of the others
        if now - last > (QUIET_S if early else LINE_EVERY_S) and number < total:
            left = f", about {(now - first) / (number - 1) * (total - number):.0f} s left" if number > 1 else ""
            print(f"{title}: {number}/{total}{left}", file=sys.stderr, flush=True)
            last, early = now, False
