"""What fits into this machine's memory: a size is refused in words before the machine ends the process in silence."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping
from pathlib import Path

from rangym.envs.errors import WrongValue

CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
UNKNOWN = 2**36
"""Taken where the system does not say."""


ENTRY_BYTES = 16
"""Of an entry of an array, its temporaries included."""


def require_memory(sizes: Mapping[str, int], entry_bytes: int = ENTRY_BYTES) -> None:
    """Refuse sizes, by name, whose product is the entries of an array that this machine's memory does not hold."""
    need, have = math.prod(sizes.values()) * entry_bytes, memory_bytes()
    if need > have:
        counts = " x ".join(f"{size:,}" for size in sizes.values())
        raise WrongValue(
            f"{' x '.join(sizes)}: at most the {have / 1e9:,.3g} GB of this machine wanted, got {counts}, which takes "
            f"{need / 1e9:,.3g} GB"
        )


@functools.cache
def memory_bytes() -> int:
    """The memory that this process may use: the machine's, or its container's."""
    found = [UNKNOWN]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in CONTAINER_LIMITS:
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            found.append(int(text))
    return min(found)
