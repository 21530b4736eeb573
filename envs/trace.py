"""An episode's exogenous chance, and when each part of it becomes public."""

from __future__ import annotations

import hashlib
import io
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.files import read_whole, whole
from rangym.envs.memory import require_memory

Array: TypeAlias = NDArray[Any]
"""An array of real numbers, whatever their dtype."""
Slot: TypeAlias = Mapping[str, Array]
"""What is known of one slot: the trace's constants and the fields of the slot, each ``(L, ...)``."""


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        """The shapes, of the slot fields without the slots."""
        kind = type(self).__name__.lstrip("_")
        return f"{kind}(horizon={self.horizon}, {_shapes(self.constants)}; {self._shown_slots()})"

    def _shown_slots(self) -> str:
        return f"in each slot {_shapes({f: v[0] for f, v in self.slots.items()})}"

    @property
    def horizon(self) -> int:
        """Number of slots in which a decision is taken, T."""
        return len(next(iter(self.slots.values()))) - 2

    @property
    def fields(self) -> set[str]:
        """Names of all fields."""
        return {*self.constants, *self.slots}

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

    def materialise(self) -> Trace:
        """The whole episode in memory: this trace, unless its slots are drawn when they are reached."""
        return self

    def beginning(self) -> Trace:
        """A trace of at least three slots by which a replayed one is checked: here all of it."""
        return self

    @staticmethod
    def stack(traces: Sequence[Trace]) -> Trace:
        """Lanes side by side; one lane is a view, and lanes drawn in blocks stay so."""
        first = traces[0]
        if any(isinstance(x, _DrawnLater) for x in traces):
            return _Lanes(traces)
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
        """Write a compressed ``.npz`` file (no pickle): whole or not at all. A gigabyte takes half a minute."""
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


class _DrawnLater(Trace):
    """A trace whose slots are not all in memory; ``slots`` brings them there, and keeps them."""

    def __init__(self, constants: Mapping[str, Array], horizon: int) -> None:
        object.__setattr__(self, "constants", {f: _read_only(f, v) for f, v in constants.items()})
        object.__setattr__(self, "_horizon", horizon)

    _horizon: int

    @property
    def horizon(self) -> int:
        return self._horizon

    def _shown_slots(self) -> str:
        return "slots that are drawn when they are reached"

    @abstractmethod
    def _fields(self, t: int) -> Slot:
        """The slot fields of slot t."""

    @property
    def fields(self) -> set[str]:
        return {*self.slot(0)}

    def slot(self, t: int) -> Slot:
        return {**self.constants, **self._fields(t)}

    def public(self, t: int, reveal: Mapping[str, int]) -> Slot:
        fields = {late: self._fields(max(t - late, 0)) for late in sorted(set(reveal.values()), reverse=True)}
        seen = {f: fields[late][f] if t >= late else np.zeros_like(fields[late][f]) for f, late in reveal.items()}
        return {**self.constants, **seen}

    def beginning(self) -> Trace:
        first = [self._fields(t) for t in range(3)]
        return Trace(self.constants, {f: np.stack([x[f] for x in first]) for f in first[0]})

    def check(self, shapes: Mapping[str, tuple[int, ...]], reveal: Mapping[str, int], horizon: int) -> None:
        """Refuse a trace of other fields, shapes or horizon; later slots have the law of the first ones."""
        self.beginning().check(shapes, reveal, 1)
        if self.horizon != horizon:
            raise WrongValue(f"trace: horizon {horizon} wanted, got {self.horizon}")

    def __getattr__(self, name: str) -> Mapping[str, Array]:
        """``slots``, when somebody asks for them."""
        if name != "slots":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        found = self.__dict__["slots"] = self.materialise().slots
        return found

    def splice(self, other: Trace, t: int, reveal: Mapping[str, int]) -> Trace:
        return self.materialise().splice(other.materialise(), t, reveal)


class StreamedTrace(_DrawnLater):
    """An episode whose slots are drawn in blocks when they are reached, so its memory does not grow with the horizon.

    Going on by a slot costs what drawing it costs; going back by more than one block starts again. Everything a `Trace`
    does works, but ``slots`` draws the whole episode: walk through `slot` instead, or `materialise` once.

    Walking changes what is drawn, without a lock: a trace is one thread's. Another one takes a copy of its own
    (`copy.copy`), which draws the same.
    """

    def __init__(
        self, constants: Mapping[str, Array], horizon: int, blocks: Callable[[], Iterator[Mapping[str, Array]]]
    ):
        """``blocks()`` draws the slots 0..T + 1 from the start, the same at every call, as blocks of consecutive slots:
        each a dictionary of arrays with a leading axis of its slots. It can be pickled if the trace shall be."""
        super().__init__(constants, horizon)
        object.__setattr__(self, "_blocks", blocks)
        self._restart()

    _blocks: Callable[[], Iterator[Mapping[str, Array]]]

    def _restart(self) -> None:
        self.__dict__.update(_running=self._blocks(), _kept=[], _drawn=0)

    def _fields(self, t: int) -> Slot:
        if not 0 <= t < self.horizon + 2:
            raise IndexError(f"slot {t} of a trace with the slots 0..{self.horizon + 1}")
        state = self.__dict__
        if state["_kept"] and t < state["_kept"][0][0]:
            self._restart()
        while t >= state["_drawn"]:
            try:
                if (block := next(state["_running"], None)) is None:
                    raise self._too_short(state["_drawn"])
                fields = {f: _read_only(f, v) for f, v in block.items()}
                state["_kept"] = [*state["_kept"][-1:], (state["_drawn"], fields)]
                state["_drawn"] += len(next(iter(fields.values())))
            except BaseException:  # an interruption ends the stream: the next slot is drawn from the start
                self._restart()
                raise
        start, fields = next(block for block in reversed(state["_kept"]) if block[0] <= t)
        return {f: v[t - start] for f, v in fields.items()}

    def materialise(self) -> Trace:
        """The whole episode in memory, drawn anew: the same bits. Refused where this machine's memory is too small."""
        first = self._fields(0)
        slot_bytes = sum(v.nbytes for v in first.values())
        require_memory({"slots": self.horizon + 2, "bytes of a slot": slot_bytes}, entry_bytes=1)
        slots = {f: np.empty((self.horizon + 2, *v.shape), v.dtype) for f, v in first.items()}
        start = 0
        for block in self._blocks():
            for f, values in block.items():
                slots[f][start : start + len(values)] = values
            start += len(next(iter(block.values())))
        if start != self.horizon + 2:
            raise self._too_short(start)
        return Trace(self.constants, slots)

    def _too_short(self, got: int) -> WrongValue:
        return WrongValue(f"blocks: {self.horizon + 2} slots in all wanted, got {got}")

    def __getstate__(self) -> dict[str, object]:
        """Without what is drawn: a copy starts again."""
        return {"constants": self.constants, "_horizon": self._horizon, "_blocks": self._blocks}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._restart()


class _Lanes(_DrawnLater):
    """Lanes side by side of which one at least is drawn in blocks: each slot is stacked when it is asked for."""

    def __init__(self, traces: Sequence[Trace]):
        first = traces[0]
        super().__init__({f: np.stack([x.constants[f] for x in traces]) for f in first.constants}, first.horizon)
        object.__setattr__(self, "_traces", tuple(traces))

    _traces: tuple[Trace, ...]

    def _fields(self, t: int) -> Slot:
        slots = [x.slot(t) for x in self._traces]
        names = [f for f in slots[0] if f not in self.constants]
        if len(slots) == 1:
            return {f: slots[0][f][None] for f in names}
        return {f: np.stack([x[f] for x in slots]) for f in names}

    def materialise(self) -> Trace:
        return Trace.stack([x.materialise() for x in self._traces])

    def lane(self, b: int) -> Trace:
        return self._traces[b]

    def __copy__(self) -> Trace:
        """Copies of the lanes, drawn apart from these; one trace in several lanes stays one."""
        copies = {id(x): copy(x) for x in self._traces}
        return _Lanes([copies[id(x)] for x in self._traces])


def _shapes(fields: Mapping[str, Array]) -> str:
    return ", ".join(f"{name} {values.shape}" for name, values in fields.items())


def _read_only(name: str, values: Array) -> Array:
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        got = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise WrongType(f"trace: field {name!r} is an array of real numbers, got {got}")
    view = values.view()
    view.flags.writeable = False
    return view
