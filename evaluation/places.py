"""Where a command is to write, as types of its arguments: a place that cannot be written is refused before the work."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from rangym.envs.files import try_folder


def new_file(text: str) -> str:
    """A file to write, there already or not, in a folder that is there or can be made."""
    path = Path(text)
    with _refused(f"a file that can be written wanted, got {text!r}"):
        if path.is_dir() or text.endswith(os.sep):
            raise _error(errno.EISDIR, path)
        if path.exists() and not os.access(path, os.W_OK):
            raise _error(errno.EACCES, path)
        if not path.exists() or path.is_file():  # a device or a pipe is written as it is
            try_folder(path.resolve().parent)
    return text


def new_folder(text: str) -> str:
    """A folder to write into, which is there or can be made."""
    with _refused(f"a folder that can be written to wanted, got {text!r}"):
        try_folder(Path(text).resolve())
    return text


def _error(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))


@contextlib.contextmanager
def _refused(wanted: str) -> Iterator[None]:
    """Errors of the system as argparse prints them."""
    try:
        yield
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{wanted} ({error.filename}: {error.strerror})") from None
