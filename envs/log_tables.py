"""Log files as strict tables: finding them in folders and archives, reading columns with file, row and column named.

What the columns mean is for those who import this module: radio maps and KPI logs are read through the same tables.
A further file format is a function from (name, content) to `Table` in `FORMATS`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import MissingExtra, WrongValue
from rangym.envs.params import Range, nearest

Value = TypeVar("Value")
Progress = Callable[[int, int, str], None]
"""Called with (files read, files in all, name of the file) after each file."""

MISSING = ("-", "")
"""What a log holds where a value is missing."""
ANY = Range()
"""Any finite number."""


@dataclass(frozen=True)
class Table:
    """A log file as text; ``line[n]`` is the file's line of row n (the header is line 1)."""

    name: str
    header: Sequence[str]
    line: Sequence[int]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        if not self.header:
            raise WrongValue(f"{self.name}: the file is empty")
        if twice := [column for column in self.header if self.header.count(column) > 1]:
            raise WrongValue(f"{self.name}: row 1: columns of different names wanted, got {twice[0]!r} twice")
        if not self.rows:
            raise WrongValue(f"{self.name}: no rows below the header")

    def require(self, columns: Collection[str], wanted: str) -> None:
        """Refuse a table without one of the ``columns``; ``wanted`` says which ones a log has."""
        if missing := [column for column in columns if column not in self.header]:
            close = nearest(missing[0], self.header)
            raise WrongValue(f"{self.name}: row 1: column {', '.join(missing)} missing{close}; {wanted}")

    def column(self, column: str, convert: Callable[[str], Value], wanted: str) -> list[Value]:
        """The column's values; one that ``convert`` refuses is reported with file, row and column."""
        k, values = self.header.index(column), []
        for line, row in zip(self.line, self.rows, strict=True):
            try:
                values.append(convert(row[k].strip()))
            except ValueError:
                raise WrongValue(f"{self.name}: row {line}, column {column}: {wanted} wanted, got {row[k]!r}") from None
        return values

    def numbers(self, column: str, allowed: Range = ANY) -> NDArray:
        """The column as float64, NaN where it holds ``-`` or nothing."""

        def convert(text: str) -> float:
            return math.nan if text in MISSING else number(text, allowed)

        return np.array(self.column(column, convert, f"{allowed} or '-'"))


def number(text: str, allowed: Range = ANY) -> float:
    """A finite number within the range; anything else is a `ValueError`."""
    value = float(text)
    if not allowed.allows(value):
        raise ValueError
    return value


def name(text: str) -> str:
    """A text that says something."""
    if text in MISSING:
        raise ValueError
    return text


def moment(text: str) -> float:
    """Seconds: a number, or an ISO 8601 date and time as seconds since 1970."""
    try:
        return number(text)
    except ValueError:
        return seconds(datetime.fromisoformat(text))


def seconds(time: datetime) -> float:
    """Seconds since 1970; times without a zone are taken as UTC, since only differences matter."""
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


# --- Files ---


def parse_csv(name: str, content: bytes) -> Table:
    """A comma-separated file in UTF-8 whose rows are all as long as its header."""
    try:
        reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
        header = [column.strip() for column in next(reader, [])]
        if len(header) == 1 and (other := next((mark for mark in ";\t|" if mark in header[0]), "")):
            raise WrongValue(f"{name}: row 1: columns separated by ',' wanted, got {other!r} in {header[0][:60]!r}")
        line, rows = [], []
        for row in reader:
            if not row:
                continue  # a blank line
            if len(row) != len(header):
                raise WrongValue(
                    f"{name}: row {reader.line_num}: {len(header)} columns wanted, as in the header, got {len(row)}"
                )
            line.append(reader.line_num)
            rows.append(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise WrongValue(f"{name}: not a CSV file in UTF-8 ({error})") from error
    return Table(name, header, line, rows)


def parse_parquet(name: str, content: bytes) -> Table:
    """An Apache Parquet file, its values as text, so that they are read as strictly as those of a CSV file."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra(f"{name}: Parquet files need pyarrow: pip install 'rangym[logs]'") from error
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise WrongValue(f"{name}: not a Parquet file ({error})") from error
    columns = [[_text(value) for value in column.to_pylist()] for column in table.columns]
    rows = list(zip(*columns, strict=True))
    return Table(name, [str(column).strip() for column in table.column_names], range(2, len(rows) + 2), rows)


def _text(value: object) -> str:
    """A value of a typed file as a CSV file would hold it."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.isoformat() if isinstance(value, datetime) else str(value)


FORMATS: dict[str, Callable[[str, bytes], Table]] = {".csv": parse_csv, ".parquet": parse_parquet}


def tables(
    path: str | Path, suffixes: Collection[str] = (".csv",), progress: Progress | None = None
) -> Iterator[Table]:
    """Every log below ``path``: a folder, a ``.zip`` (also inside the folder) or one file, in sorted order.

    Hidden files are passed over.

    Raises
    ------
    FileNotFoundError : no such path.
    ValueError : no log, or one that is malformed, empty or there twice.
    """
    files = list(_find(Path(path), suffixes))
    if not files:
        kinds = " or ".join(suffixes)
        raise WrongValue(f"{path}: no {kinds} file in it, nor in a .zip file in it")
    seen: dict[bytes, str] = {}  # digest of the content -> name
    for done, (file, read) in enumerate(files, 1):
        content = read()
        if (first := seen.setdefault(hashlib.sha256(content).digest(), file)) != file:
            raise WrongValue(f"{file}: the same rows as {first}; import one copy only")
        yield FORMATS[PurePosixPath(file).suffix.lower()](file, content)
        if progress is not None:
            progress(done, len(files), file)


def _find(path: Path, suffixes: Collection[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and reader of every log, in sorted order."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in found:
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        if file.suffix.lower() in suffixes:
            yield str(file), file.read_bytes
        elif file.suffix.lower() == ".zip":
            yield from _find_in_zip(file, suffixes)
        elif file == path:
            raise WrongValue(f"{path}: a folder, a .zip or a {' or '.join(suffixes)} file wanted")


def _find_in_zip(file: Path, suffixes: Collection[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    try:
        with zipfile.ZipFile(file) as archive:
            if torn := archive.testzip():
                raise zipfile.BadZipFile(f"bad checksum of {torn}")
            members = sorted(archive.namelist())
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, zlib.error) as error:
        raise WrongValue(f"{file}: not a readable .zip file ({error})") from error

    def reader(member: str) -> Callable[[], bytes]:
        def read() -> bytes:
            with zipfile.ZipFile(file) as archive:
                return archive.read(member)

        return read

    for member in members:
        path = PurePosixPath(member)
        if path.suffix.lower() in suffixes and not any(p.startswith(".") or p == "__MACOSX" for p in path.parts):
            yield f"{file}/{member}", reader(member)
