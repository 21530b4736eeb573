"""Which days there are, and where they are kept.

Fresh days are for evaluation, a pool of fixed ones for training, a history for predictors; no number makes one the
other. A day is kept in memory and, where the environment variable ``RANGYM_CACHE`` names a folder, as a file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.files import packed, write_whole
from rangym.envs.qos_clustering.generator import Day, DaySettings, draw_day

HISTORY, POOL, FRESH = 0, 1, 2
"""Kinds of days; their generators are spawned under different keys."""
FRESH_DAYS = 2**63
MEMORY_BYTES = 256 * 2**20
FORMAT = 1
"""Part of every file's name; raised with every change of what a day is."""
FOLDER_VARIABLE = "RANGYM_CACHE"

Arrays = Mapping[str, NDArray]


def day_rng(kind: int, number: int) -> np.random.Generator:
    """The generator of a day."""
    return np.random.default_rng(np.random.SeedSequence(number, spawn_key=(kind,)))


def choose(pool: int, rng: np.random.Generator) -> tuple[int, int]:
    """Kind and number of an episode's day: a fresh one, or one of a pool of ``pool`` where that is not 0."""
    return (POOL, int(rng.integers(pool))) if pool else (FRESH, int(rng.integers(FRESH_DAYS)))


def history_day(settings: DaySettings, number: int) -> Day:
    """Day ``number`` of the history."""
    return draw_day(settings, day_rng(HISTORY, number))


def key(settings: DaySettings, kind: int, number: int, predictor_sha256: str) -> str:
    """A name for everything that makes a day."""
    parts = [FORMAT, dataclasses.asdict(settings), kind, number, predictor_sha256]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class Memory:
    """The arrays that were used last, up to a number of bytes; for several threads."""

    def __init__(self, limit: int = MEMORY_BYTES):
        self._limit, self._bytes = limit, 0
        self._kept: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, name: Hashable, make: Callable[[], Arrays]) -> Arrays:
        """What is kept under ``name``, made where it is not (by two threads at once where both want it first)."""
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
                return self._kept[name]
        found = make()
        for values in found.values():
            values.setflags(write=False)
        with self._lock:
            if name not in self._kept:
                self._kept[name] = found
                self._bytes += _size(found)
                while self._bytes > self._limit:
                    self._bytes -= _size(self._kept.popitem(last=False)[1])
        return found


MEMORY = Memory()


def stored(name: str, shapes: Mapping[str, tuple[int, ...]], make: Callable[[], Arrays], write: bool) -> Arrays:
    """The arrays in file ``name`` of the folder that ``RANGYM_CACHE`` names; made, and written, where there is none.

    A file that is torn, foreign or of other shapes is made again; a folder that cannot be written to is left alone.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return make()
    path = Path(folder) / f"qos_day_{name}.npz"
    found = _read(path, shapes)
    if found is None:
        found = make()
        if write:
            with contextlib.suppress(OSError):  # a full disk or a read-only folder costs time, not the episode
                _write(path, found)
    return found


def _read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {f: archive[f] for f in archive.files}
        named = found.pop("name").tobytes() == path.stem.encode()  # a file that was renamed is another day
    except Exception:  # absent, torn or foreign: zipfile, zlib, NumPy and the system each raise their own kind
        return None
    fits = named and {f: v.shape for f, v in found.items()} == dict(shapes)
    return found if fits and all(v.dtype.kind == "f" and np.isfinite(v).all() for v in found.values()) else None


def _write(path: Path, arrays: Arrays) -> None:
    write_whole(path, packed({"name": np.frombuffer(path.stem.encode(), np.uint8), **arrays}))


def _size(arrays: Arrays) -> int:
    """Bytes that the arrays hold in memory; what several of them are views of counts once."""
    owners = (values.base if isinstance(values.base, np.ndarray) else values for values in arrays.values())
    return sum({id(owner): owner.nbytes for owner in owners}.values())
