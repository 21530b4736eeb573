"""Files that are there whole or not at all, and arrays as the content of one."""

from __future__ import annotations

import contextlib
import errno
import glob
import io
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import UnreadableFile, WrongValue, shown

LEFT_OVER_S = 3600.0
"""A temporary file that nobody has written to for so long is one that a killed process has left behind."""


NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a network file system without locks answers: there it is up to the user to start one run a file."""


def claim(descriptor: int, wanted: str) -> None:
    """Lock an open file or folder until it is closed, by whatever ends its process: so no lock is ever left over.

    Raises `WrongValue`, which begins with ``wanted``, where another process has it.
    """
    if os.name != "posix":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise WrongValue(f"{wanted}, which another run has") from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


@contextlib.contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """No other process that asks has ``folder`` inside the block."""
    if os.name != "posix":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        claim(descriptor, f"out: a folder that no other run is writing wanted, got {str(folder)!r}")
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[BinaryIO]:
    """A binary file to write into, which gets the name ``path`` once the block has ended without an error.

    Until then it has another name beside it: a reader, a kill or a full disk never leaves half a file, and an older
    file stays as it is. Folders that are missing are made, a link is followed, a device or pipe is written directly.
    `OSError` names ``path``.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.exists() and not target.is_file():
            with open(target, "wb") as file:
                yield file
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target)
        part = target.with_name(f".{target.name[:100]}.{uuid.uuid4().hex}.part")
        try:
            with open(part, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # some file systems tell only now that the disk is full
            if target.exists():
                part.chmod(target.stat().st_mode)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is None and error.errno is not None:  # a full disk, told by a file object
            error.filename = str(path)
        raise


def write_whole(path: str | Path, data: bytes) -> None:
    """Write ``data`` as the file ``path``: whole or not at all (`whole`)."""
    with whole(path) as file:
        file.write(data)


def _remove_left_over(target: Path) -> None:
    for old in target.parent.glob(f".{glob.escape(target.name[:100])}.*.part"):
        with contextlib.suppress(OSError):  # another process was faster
            if time.time() - old.stat().st_mtime > LEFT_OVER_S:
                old.unlink()


def try_folder(folder: Path) -> None:
    """Raise `OSError` where no file can be written into ``folder``, which is made only when one is.

    It writes one for a moment: permissions say nothing of read-only and full file systems, nor to the superuser.
    """
    there = next(above for above in (folder, *folder.parents) if above.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as trial:
            trial.write(b"\0" * 4096)
    except OSError as error:
        error.filename = str(there)
        raise


def read_whole(path: str | Path, field: str) -> bytes:
    """The content of the file that ``field`` names.

    What is made of a file is kept under its content, never under its name and time: a file written anew within a tick
    of the clock is another one.
    """
    try:
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        missing = isinstance(error, FileNotFoundError)
        why = "which is not there" if missing else getattr(error, "strerror", None) or error
        raise UnreadableFile(f"{field}: a file that can be read wanted, got {shown(str(path))}, {why}") from error


def packed(arrays: Mapping[str, ArrayLike], compress: bool = False) -> bytes:
    """The content of an ``.npz`` file (no pickle)."""
    buffer = io.BytesIO()
    write = np.savez_compressed if compress else np.savez
    write(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()
