"""A folder for numba's compiled kernels where neither the package's nor the home's can be written, as in containers."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from rangym.envs.files import try_folder

VARIABLE = "NUMBA_CACHE_DIR"
KERNELS = ("envs/*", "policies/algorithms/*", "evaluation/papers/*")
"""Folders with modules of kernels, in the package."""


def provide() -> None:
    """Name a temporary folder in ``NUMBA_CACHE_DIR``, for this process and its children, if numba would find none.

    Numba refuses to import a cached kernel without one. It takes the folder that the variable names, the
    ``__pycache__`` beside the kernel or the user's cache, whichever can be written first.
    """
    given = os.environ.get(VARIABLE)
    if (given and _writable(Path(given))) or _writable(_user_cache()) or all(map(_writable, _beside_kernels())):
        return
    try:
        folder = tempfile.mkdtemp(prefix="rangym-kernels-")
    except OSError:  # numba says so when a kernel is wanted; much else works without
        return
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder
    if "numba" in sys.modules:  # it has read the variable already
        sys.modules["numba"].config.CACHE_DIR = folder


def _user_cache() -> Path:
    """Where numba keeps what is the user's."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", ""))
    if sys.platform == "darwin":
        return Path(os.path.expanduser("~/Library/Caches"))
    return Path(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")))


def _beside_kernels() -> list[Path]:
    package = Path(__file__).parent
    return [path / "__pycache__" for pattern in KERNELS for path in package.glob(pattern) if path.is_dir()]


def _writable(folder: Path) -> bool:
    if not folder.is_absolute():  # a user without a home
        return False
    try:
        try_folder(folder)
    except OSError:
        return False
    return True
