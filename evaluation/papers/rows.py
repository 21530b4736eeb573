"""The rows of a paper, found again by the arguments of their jobs."""

from __future__ import annotations

import json
import lzma
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.files import write_whole
from rangym.evaluation.grid import Job, Row


def job(kind: str, /, **arguments: object) -> Job:
    """A job of the grid: which measure, and its arguments (JSON values)."""
    return {"row": kind, **arguments}


@dataclass(frozen=True)
class Rows:
    """Rows by kind."""

    by_kind: Mapping[str, Sequence[Row]]

    @staticmethod
    def of(rows: Iterable[Row]) -> Rows:
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["row"], []).append(row)
        return Rows(found)

    @staticmethod
    def load(path: Path) -> Rows:
        """Rows that `save` wrote."""
        with lzma.open(path, "rt", encoding="utf-8") as file:
            return Rows.of(map(json.loads, file))

    def save(self, path: Path) -> None:
        """All rows as JSON lines, compressed."""
        lines = [json.dumps(row, allow_nan=False) + "\n" for rows in self.by_kind.values() for row in rows]
        write_whole(path, lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME))

    def where(self, kind: str, /, **arguments: object) -> list[Row]:
        """The rows of a kind with these arguments (None: without it), one a seed and in the order of the seeds."""
        found = [row for row in self.by_kind.get(kind, ()) if all(row.get(k) == v for k, v in arguments.items())]
        if not found:
            raise WrongValue(f"rows: some of kind {kind!r} with {arguments} wanted, got none")
        if len({row.get("seed") for row in found}) < len(found):
            raise WrongValue(f"rows: one a seed of kind {kind!r} with {arguments} wanted, got several")
        return sorted(found, key=lambda row: row.get("seed", 0))

    def values(self, kind: str, /, *path: str, **arguments: object) -> NDArray[np.float64]:
        """The entry at ``path`` of each of those rows, (seeds, ...)."""
        return np.array([reduce(operator.getitem, path, row) for row in self.where(kind, **arguments)], dtype=float)

    def versions(self) -> dict[str, str]:
        """The versions that the numbers come from; of several, all that some row has."""
        found: dict[str, dict[str, None]] = {}
        for rows in self.by_kind.values():
            for row in rows:
                for name, version in row["versions"].items():
                    found.setdefault(name, {})[version] = None
        return {name: " and ".join(versions) for name, versions in found.items()}
