"""Resumable grids of jobs on any joblib backend; results are JSON lines, one a job, written by the parent alone."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rangym.envs.errors import WrongValue
from rangym.evaluation.progress import progress

Job = dict[str, Any]
Row = dict[str, Any]


def job_key(job: Job) -> str:
    """Identity of a job: a hash of every argument that changes its result, whatever their order."""
    return hashlib.sha256(json.dumps(job, sort_keys=True, allow_nan=False).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Stored:
    """A results file: the last good row of every key, the errors never made good, and the lines that do not parse."""

    rows: dict[str, Row]
    errors: dict[str, Row]
    torn: tuple[int, ...]


def read(path: str | Path) -> Stored:
    """The rows in ``path``, which may be absent; a line that is not a row costs that row and is listed in ``torn``."""
    rows: dict[str, Row] = {}
    errors: dict[str, Row] = {}
    torn = []
    if Path(path).exists():
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                    key = row["key"]
                except (ValueError, TypeError, KeyError):  # not UTF-8, not JSON, not a row
                    torn.append(number)
                    continue
                if "error" in row:
                    errors[key] = row
                else:
                    rows[key] = row
    return Stored(rows, {k: r for k, r in errors.items() if k not in rows}, tuple(torn))


def run_grid(
    work: Callable[[Job], Row], jobs: Sequence[Job], path: str | Path | None, *, workers: int = 1, title: str = ""
) -> tuple[Stored, int]:
    """Do the jobs that ``path`` does not hold yet; returns those of ``jobs`` now done, and how many were run.

    A job that fails becomes a row with ``error`` and is tried again next time. Killed at any moment, the file keeps
    every finished row. ``path`` None keeps the rows in memory only.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers == 0 or workers < -1:
        raise WrongValue(f"workers: a number of processes, or -1 for one a core, wanted, got {workers}")
    wanted = {job_key(job): job for job in jobs}
    stored = Stored({}, {}, ()) if path is None else read(path)
    if path is not None and stored.torn and not stored.rows and not stored.errors and not _begins_a_row(path):
        raise WrongValue(f"out: a file of results, or a new one, wanted, got {str(path)!r}, which holds something else")
    todo = [(key, job) for key, job in wanted.items() if key not in stored.rows]
    rows = {key: stored.rows[key] for key in wanted if key in stored.rows}
    errors: dict[str, Row] = {}
    with _Appender(path) as file:
        for row in progress(_results(work, todo, workers), len(todo), title):
            file.append(row)
            (errors if "error" in row else rows)[row["key"]] = row
    return Stored({key: rows[key] for key in wanted if key in rows}, errors, stored.torn), len(todo)


def _results(work: Callable[[Job], Row], todo: Sequence[tuple[str, Job]], workers: int) -> Iterator[Row]:
    """Rows as they finish; neighbouring jobs go to the same process, so order them by what they share."""
    if workers == 1 or len(todo) < 2:
        yield from (_one(work, key, job) for key, job in todo)
        return
    import joblib

    _see_new_modules()
    # A backend that cannot stream (Ray's) gets short chunks, so that finished rows still reach the file soon.
    streams = joblib.parallel.get_active_backend()[0].supports_return_generator
    size = len(todo) if streams else 8 * joblib.effective_n_jobs(workers)
    with joblib.Parallel(n_jobs=workers, return_as="generator_unordered" if streams else "list") as pool:
        for i in range(0, len(todo), size):
            yield from pool(joblib.delayed(_in_worker)(work, key, job) for key, job in todo[i : i + size])


def _see_new_modules() -> None:
    """End idle workers that an earlier call has started with another module path: they would miss a user's module."""
    from joblib.externals.loky import get_reusable_executor

    if _started_with[-1:] != [tuple(sys.path)]:
        get_reusable_executor().shutdown(wait=True)
        _started_with.append(tuple(sys.path))


_started_with: list[tuple[str, ...]] = []
"""Module paths of the workers, the present one last."""


def _in_worker(work: Callable[[Job], Row], key: str, job: Job) -> Row:
    _end_with_parent()
    return _one(work, key, job)


@functools.cache
def _end_with_parent() -> None:
    """End this process soon after its parent: a killed command must not leave workers that compute for nobody."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _one(work: Callable[[Job], Row], key: str, job: Job) -> Row:
    try:
        return {"key": key, **job, **work(job)}
    except Exception as error:  # one bad job must not lose the others; it is reported at the end
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return {"key": key, **job, "error": f"{type(error).__name__}: {error}", "where": where}


def write(rows: Iterable[Row], path: str | Path) -> Path:
    """Write rows as JSON lines; the file is there whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(b"".join(json.dumps(row, allow_nan=False).encode() + b"\n" for row in rows))
    os.replace(part, path)
    return path


def _begins_a_row(path: str | Path) -> bool:
    """Whether a file without a whole row begins with one: its writer was killed at the first."""
    with open(path, "rb") as file:
        return file.read(8) == b'{"key": '


class _Appender:
    """Appends rows with one unbuffered write each: a row is either there, torn at the end, or absent."""

    def __init__(self, path: str | Path | None):
        self._path = None if path is None else Path(path)

    def __enter__(self) -> _Appender:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "ab", buffering=0)
            if self._path.stat().st_size:
                with self._path.open("rb") as written:  # end a torn last line: the next row starts on its own
                    written.seek(-1, os.SEEK_END)
                    if written.read(1) != b"\n":
                        self._file.write(b"\n")
        return self

    def append(self, row: Row) -> None:
        if self._path is not None:
            self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")

    def __exit__(self, *error: object) -> None:
        if self._path is not None:
            os.fsync(self._file.fileno())
            self._file.close()
