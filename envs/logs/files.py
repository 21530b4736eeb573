"""Logs in a folder, an archive or a single file."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeAlias

from rangym.envs.errors import WrongValue
from rangym.envs.logs.table import Reading, Table
from rangym.envs.logs.text import FORMATS, TEXT_SUFFIXES

Progress: TypeAlias = Callable[[int, int, str], None]
"""Called with (files read, files in all, name of the file) after each file."""
PROSE = frozenset(("authors", "changelog", "citation", "copying", "licence", "license", "notice", "readme"))
"""Names of texts beside logs that are no logs."""


def tables(
    path: str | Path,
    suffixes: Collection[str] = TEXT_SUFFIXES,
    progress: Progress | None = None,
    reading: Reading | None = None,
) -> Iterator[Table]:
    """Every log below ``path``: a folder, a ``.zip`` (also inside the folder) or one file, in sorted order.

    Hidden files are passed over, and in folders and archives texts such as ``README.txt``.

    Raises
    ------
    FileNotFoundError : no such path.
    ValueError : no log, or one that is malformed, empty or there twice.
    """
    files = list(_find(Path(path), suffixes))
    if not files:
        raise WrongValue(f"{path}: no {_either(suffixes)} file in it, nor in a .zip file in it")
    seen: dict[bytes, str] = {}  # digest of the content -> name
    for done, (file, read) in enumerate(files, 1):
        content = read()
        if (first := seen.setdefault(hashlib.sha256(content).digest(), file)) != file:
            raise WrongValue(f"{file}: the same rows as {first}; import one copy only")
        yield FORMATS[PurePosixPath(file).suffix.lower()](file, content, reading or Reading())
        if progress is not None:
            progress(done, len(files), file)


def _either(suffixes: Collection[str]) -> str:
    *others, last = suffixes
    return f"{', '.join(others)} or {last}"


def _is_log(path: PurePath, suffixes: Collection[str]) -> bool:
    suffix = path.suffix.lower()
    return suffix in suffixes and not (suffix == ".txt" and path.stem.casefold() in PROSE)


def _find(path: Path, suffixes: Collection[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and reader of every log, in sorted order."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in found:
        if any(part.startswith(".") for part in file.relative_to(path).parts):
            continue
        if _is_log(file, suffixes) or (file == path and file.suffix.lower() in suffixes):
            yield str(file), file.read_bytes
        elif file.suffix.lower() == ".zip":
            yield from _find_in_zip(file, suffixes)
        elif file == path:
            raise WrongValue(f"{path}: a folder, a .zip or a {_either(suffixes)} file wanted")


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
        if _is_log(path, suffixes) and not any(p.startswith(".") or p == "__MACOSX" for p in path.parts):
            yield f"{file}/{member}", reader(member)
