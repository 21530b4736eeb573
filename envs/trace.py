"""An episode's exogenous chance, and when each part of it becomes public."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.files import read_whole, whole

Array: TypeAlias = NDArray[Any]
"""An array of real numbers, whatever their dtype."""
Slot: TypeAlias = Mapping[str, Array]
"""What is known of one slot: the trace's constants and the fields of the slot, each ``(L, ...)``."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One episode's chance: everything random that happens, whatever the actions are.

    ``constants[f]`` has the field's shape and is public from the start; ``slots[f]`` has a leading axis of T + 2 slots.
    Slot 0 is only measured, decisions are for slots 1..T, and slot T + 1 only supplies the announced fields of the last
    observation. A stacked trace holds L lanes: constants ``(L, ...)``, slots ``(T + 2, L, ...)``.
    """

    constants: Mapping[str, Array]
    slots: Mapping[str, Array]

    def __post_init__(self) -> None:
        # Read-only views: neither a policy nor a caller changes an episode (or a cached trace) through its trace.
        object.__setattr__(self, "constants", {f: _read_only(f, v) for f, v in self.constants.items()})
        object.__setattr__(self, "slots", {f: _read_only(f, v) for f, v in self.slots.items()})
        if both := self.constants.keys() & self.slots.keys():
            raise WrongValue(f"trace fields {sorted(both)} are both constants and slot fields; each is one of them")
        lengths = {name: len(values) if values.ndim else 0 for name, values in self.slots.items()}
        if not lengths:
            raise WrongValue("trace: at least one slot field wanted, got none")
        if len(set(lengths.values())) != 1 or min(lengths.values()) < 3:
            raise WrongValue(f"slot fields share one leading axis of T + 2 >= 3 slots, got lengths {lengths}")

    @property
    def horizon(self) -> int:
        """Number of slots in which a decision is taken, T."""
        return len(next(iter(self.slots.values()))) - 2

    def slot(self, t: int) -> Slot:
        """The constants and the fields of slot t."""
        return {**self.constants, **{f: v[t] for f, v in self.slots.items()}}

    def public(self, t: int, reveal: Mapping[str, int]) -> Slot:
        """The constants and, of each slot field, the newest value the decision of slot t may use (zeros before it)."""
        seen = {f: v[t - reveal[f]] if t >= reveal[f] else np.zeros_like(v[0]) for f, v in self.slots.items()}
        return {**self.constants, **seen}

    def splice(self, other: Trace, t: int, reveal: Mapping[str, int]) -> Trace:
        """This trace, with everything that is not yet public at the decision of slot t taken from ``other``."""
        slots = {}
        for f, values in self.slots.items():
            cut = max(t - reveal[f] + 1, 0)
            slots[f] = np.concatenate([values[:cut], other.slots[f][cut:]])
        return Trace(self.constants, slots)

    @staticmethod
    def stack(traces: Sequence[Trace]) -> Trace:
        """Lanes side by side; one lane is a view, since a paper-sized trace takes gigabytes."""
        first = traces[0]
        if len(traces) == 1:
            return Trace(
                {f: v[None] for f, v in first.constants.items()}, {f: v[:, None] for f, v in first.slots.items()}
            )
        return Trace(
            {f: np.stack([x.constants[f] for x in traces]) for f in first.constants},
            {f: np.stack([x.slots[f] for x in traces], axis=1) for f in first.slots},
        )

    def lane(self, b: int) -> Trace:
        """Lane b of a stacked trace, as a view."""
        return Trace({f: v[b] for f, v in self.constants.items()}, {f: v[:, b] for f, v in self.slots.items()})

    def check(self, shapes: Mapping[str, tuple[int, ...]], reveal: Mapping[str, int], horizon: int) -> None:
        """Refuse a trace that does not have exactly the fields, shapes and horizon wanted, or holds NaN or infinity."""
        have = {**self.constants, **self.slots}
        if have.keys() != shapes.keys():
            raise WrongValue(f"trace: fields {sorted(shapes)} wanted, got {sorted(have)}")
        if self.slots.keys() != reveal.keys():
            raise WrongValue(f"trace: slot fields {sorted(reveal)} wanted, got {sorted(self.slots)}")
        if self.horizon != horizon:
            raise WrongValue(f"trace: horizon {horizon} wanted, got {self.horizon}")
        for f, values in have.items():
            shape = values.shape[1:] if f in self.slots else values.shape
            if shape != shapes[f]:
                raise WrongValue(f"trace: field {f!r} has shape {shapes[f]} in a lane, got {shape}")
            if not np.isfinite(values).all():
                raise WrongValue(f"trace: field {f!r} holds NaN or infinity")

    def fingerprint(self) -> str:
        """A hash of the content, which names a recorded trace."""
        digest = hashlib.sha256()
        for kind, fields in (("constants", self.constants), ("slots", self.slots)):
            for f in sorted(fields):
                values = np.ascontiguousarray(fields[f])
                digest.update(f"{kind} {f} {values.dtype.str} {values.shape}".encode())
                digest.update(values.tobytes())
        return digest.hexdigest()[:12]

    def save(self, path: str | Path) -> None:
        """Write a compressed ``.npz`` file (no pickle): whole or not at all."""
        arrays = {f"constants.{f}": v for f, v in self.constants.items()} | {
            f"slots.{f}": v for f, v in self.slots.items()
        }
        with whole(path) as file:  # a file, since savez would append .npz to a bare name
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @staticmethod
    def load(path: str | Path) -> Trace:
        """Read what `save` wrote; a torn or foreign file raises `ValueError` with its name."""
        data = read_whole(path, "trace")
        parts: dict[str, dict[str, Array]] = {"constants": {}, "slots": {}}
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                for name in archive.files:
                    kind, _, f = name.partition(".")
                    parts[kind][f] = archive[name]
            if not parts["slots"]:
                raise WrongValue("it holds no slot fields")
            return Trace(**parts)
        except Exception as error:  # zipfile, zlib and NumPy each raise their own kind for a torn file
            raise WrongValue(f"{path}: not a trace file ({type(error).__name__}: {error})") from error


def _read_only(name: str, values: Array) -> Array:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        got = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise WrongType(f"trace: field {name!r} is an array of real numbers, got {got}")
    view = values.view()
    view.flags.writeable = False
    return view
