"""Resumable grids of jobs on any joblib backend; results are JSON lines, one a job, written by the parent alone."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rangym.envs.errors import WrongCall, WrongValue, shown
from rangym.envs.files import claim, write_whole
from rangym.evaluation.forms import Form
from rangym.evaluation.progress import progress

Job = dict[str, Any]
Row = dict[str, Any]
MOST_JOBS, MOST_WORKERS = 10**6, 10**4


class WorkerLost(WrongCall, RuntimeError):
    """A worker process was killed; what had been finished is kept."""


def job_key(job: Job) -> str:
    """Identity of a job: a hash of every argument that changes its result, whatever their order."""
    return hashlib.sha256(json.dumps(job, sort_keys=True, allow_nan=False).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Stored:
    """A results file: the last good row of every key, the errors never made good, and the lines that are no rows."""

    rows: dict[str, Row]
    errors: dict[str, Row]
    torn: tuple[int, ...]
    fault: str = ""
    """What is wrong with the first of the lines ``torn``."""


def any_row(row: Mapping[str, Any]) -> str:
    """The form of a row of any command."""
    return "" if isinstance(row.get("key"), str) else f"key: a text wanted, got {shown(row.get('key'))}"


def read(path: str | Path, form: Form = any_row) -> Stored:
    """The rows in ``path``, which may be absent; a line that is no row of this form costs that row and is listed in
    ``torn``."""
    rows: dict[str, Row] = {}
    errors: dict[str, Row] = {}
    torn, faults = [], []
    if Path(path).exists():
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                row, fault = _parsed(line, form)
                if fault:
                    torn.append(number)
                    faults.append(f"line {number}: {fault}")
                elif "error" in row:
                    errors[row["key"]] = row
                else:
                    rows[row["key"]] = row
    return Stored(rows, {k: r for k, r in errors.items() if k not in rows}, tuple(torn), "".join(faults[:1]))


def _parsed(line: bytes, form: Form) -> tuple[Row, str]:
    """The row of a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON
        return {}, f"JSON wanted, got {shown(line)} ({error})"
    if not isinstance(row, dict):
        return {}, f"a row wanted, got {shown(row)}"
    return row, any_row(row) or form(row)


def run_grid(
    work: Callable[[Job], Row],
    jobs: Sequence[Job],
    path: str | Path | None,
    *,
    workers: int = 1,
    title: str = "",
    form: Form = any_row,
) -> tuple[Stored, int]:
    """Do the jobs that ``path`` does not hold yet; returns those of ``jobs`` now done, and how many were run.

    A job that fails becomes a row with ``error`` and is tried again next time. Killed at any moment, the file keeps
    every finished row, and a row that is not of this ``form`` is made again. A file that another run is writing is
    refused. ``path`` None keeps the rows in memory only.
    """
    check_workers(workers)
    wanted = {job_key(job): job for job in jobs}
    with _Appender(path) as file:
        stored = Stored({}, {}, ()) if path is None else read(path, form)
        if path is not None and stored.torn and not stored.rows and not stored.errors and not _begins_a_row(path):
            wanted_file = "a file of results, or a new one,"
            raise WrongValue(f"out: {wanted_file} wanted, got {str(path)!r}, which holds something else")
        todo = [(key, job) for key, job in wanted.items() if key not in stored.rows]
        rows = {key: stored.rows[key] for key in wanted if key in stored.rows}
        errors: dict[str, Row] = {}
        for row in progress(_results(work, todo, workers), len(todo), title):
            file.append(row)
            (errors if "error" in row else rows)[row["key"]] = row
    return Stored({key: rows[key] for key in wanted if key in rows}, errors, stored.torn), len(todo)


def check_workers(workers: int) -> None:
    """Refuse what is no number of processes."""
    number = isinstance(workers, int) and not isinstance(workers, bool)
    if not number or workers == 0 or not -1 <= workers <= MOST_WORKERS:
        wanted = f"a number of processes up to {MOST_WORKERS:,}, or -1 for one a core,"
        raise WrongValue(f"workers: {wanted} wanted, got {shown(workers)}")


def check_jobs(count: int, of: str) -> None:
    """Refuse a grid of more jobs than anybody waits for, before it is listed; ``of`` says what it is made of."""
    if count > MOST_JOBS:
        raise WrongValue(f"{of}: at most {MOST_JOBS:,} jobs wanted, got {count:,}")


def _results(work: Callable[[Job], Row], todo: Sequence[tuple[str, Job]], workers: int) -> Iterator[Row]:
    """Rows as they finish; neighbouring jobs go to the same process, so order them by what they share."""
    if workers == 1 or len(todo) < 2:
        yield from (_one(work, key, job) for key, job in todo)
        return
    import joblib
    from joblib.externals.loky import BrokenProcessPool

    _see_new_modules()
    backend = joblib.parallel.get_active_backend()[0]
    has_children = type(backend).__name__ in ("LokyBackend", "MultiprocessingBackend")  # no threads, no cluster
    beginning = {"initializer": _begin, "initargs": (os.getpid(), _asked_for(backend))} if has_children else {}
    # A backend that cannot stream (Ray's) gets short chunks, so that finished rows still reach the file soon.
    streams = backend.supports_return_generator
    size = len(todo) if streams else 8 * joblib.effective_n_jobs(workers)
    try:
        form = "generator_unordered" if streams else "list"
        with joblib.Parallel(n_jobs=workers, return_as=form, **beginning) as pool:
            for i in range(0, len(todo), size):
                rows = pool(joblib.delayed(_one)(work, key, job) for key, job in todo[i : i + size])
                try:
                    for row in rows:  # noqa: UP028 (`yield from` would close them itself)
                        yield row
                finally:
                    _close(rows)
    except BrokenProcessPool:
        raise WorkerLost(
            "workers: one was killed, as by the system where memory runs out; finished rows are kept where there is a "
            "file for them, and fewer workers take less memory"
        ) from None


def _close(rows: object) -> None:
    """End a stream of rows whose reader has had enough, without joblib's advice to it."""
    if isinstance(rows, Generator):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "[0-9]+ tasks which were still being processed", UserWarning)
            rows.close()


def _see_new_modules() -> None:
    """End idle workers that an earlier call has started with another module path: they would miss a user's module."""
    from joblib.externals.loky import get_reusable_executor

    if _started_with[-1:] != [tuple(sys.path)]:
        get_reusable_executor().shutdown(wait=True)
        _started_with.append(tuple(sys.path))


_started_with: list[tuple[str, ...]] = []
"""Module paths of the workers, the present one last."""


def _asked_for(backend: Any) -> tuple[Callable[..., object], tuple[object, ...]] | None:
    """What a caller's own ``joblib.parallel_config`` wants workers to begin with."""
    given = backend.backend_kwargs
    return (given["initializer"], tuple(given.get("initargs", ()))) if given.get("initializer") else None


def _begin(parent: int, further: tuple[Callable[..., object], tuple[object, ...]] | None) -> None:
    """Begin a worker process, before its first job: it ends soon after its parent.

    A killed command must not leave workers that compute for nobody, nor idle ones that never had a job.
    """

    def watch() -> None:
        while os.getppid() == parent:  # if not even now, then it was killed while this process started
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
    if further is not None:
        initializer, arguments = further
        initializer(*arguments)


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
    write_whole(path, b"".join(_line(row) for row in rows))
    return path


def _line(row: Row) -> bytes:
    return json.dumps(row, allow_nan=False).encode() + b"\n"


def _begins_a_row(path: str | Path) -> bool:
    """Whether a file without a whole row begins with one: its writer was killed at the first."""
    with open(path, "rb") as file:
        return file.read(8) == b'{"key": '


class _Appender:
    """Appends rows, each without a buffer: after a kill the last one may be torn, after a full disk none is.

    From its beginning to its end no other one has the file: two at once would do the same jobs, and where the disk is
    full cut off each other's rows.
    """

    def __init__(self, path: str | Path | None):
        self._path = None if path is None else Path(path)

    def __enter__(self) -> _Appender:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "ab", buffering=0)
            try:
                if self._path.is_file():  # a device or pipe is nobody's own
                    wanted = "out: a file that no other run is writing wanted"
                    claim(self._file.fileno(), f"{wanted}, got {str(self._path)!r}")
            except BaseException:
                self._file.close()
                raise
            self._torn = _ends_torn(self._path)
        return self

    def append(self, row: Row) -> None:
        if self._path is None:
            return
        left = b"\n" * self._torn + _line(row)  # end a torn last line: the next row starts on its own
        start = os.fstat(self._file.fileno()).st_size
        try:
            while left:  # an almost full disk takes a part, and says only at the next one that it is full
                left = left[self._file.write(left) :]
        except OSError as error:
            os.ftruncate(self._file.fileno(), start)
            error.filename = str(self._path)
            raise
        self._torn = False

    def __exit__(self, *error: object) -> None:
        if self._path is not None:
            if self._path.is_file():  # a device or pipe has no disk to reach
                os.fsync(self._file.fileno())
            self._file.close()


def _ends_torn(path: Path) -> bool:
    """Whether the last line of a file lacks its end."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as written:
        written.seek(-1, os.SEEK_END)
        return written.read(1) != b"\n"
