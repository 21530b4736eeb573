"""Files that are there whole or not at all, and arrays as the content of one."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import UnreadableFile, shown


def write_whole(path: str | Path, data: bytes) -> None:
    """Write under another name first, then rename: a reader, or a kill, never meets half a file."""
    target = Path(path)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            file.write(data)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


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
