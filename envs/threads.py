"""Lanes in several threads: NumPy and the kernels release the interpreter while they work.

Each thread plays a block of lanes from its trace to its observation, or does pieces of their drawing alone. A lane's
bits do not depend on its block, so they do not depend on the number of threads either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar, copy_context
from copy import copy
from functools import partial
from inspect import Parameter, signature
from multiprocessing import parent_process
from typing import Generic, cast

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue, shown
from rangym.envs.model import LANES_A_PIECE, D, Outcome, P, S, System, SystemModel, T, serially
from rangym.envs.params import count_of
from rangym.envs.slots import Observation, Opening, Slots
from rangym.envs.trace import Array, Trace


def threads_for(system: System, lanes: int, given: object = None) -> int:
    """The number of threads asked for, at most one for two lanes.

    By default 1 where the system has no work for them and in a worker process, whose parent keeps all processors busy,
    otherwise as many as there are processors and blocks of `LANES_A_PIECE` lanes.
    """
    work = work_for_threads(system)
    if given is None:
        idle = not work or parent_process() is not None
        return 1 if idle else max(min(processors(), lanes // LANES_A_PIECE), 1)
    if not (count := count_of(given)):
        raise WrongValue(f"threads: None or an integer of at least 1 wanted, got {shown(given)}")
    return min(count, max(lanes // 2, 1))  # of one lane alone a system may keep more, for whoever comes back to it


def work_for_threads(system: System) -> Collection[str]:
    """What the system says that threads do faster, "draw" and "step"."""
    given, known = system.threaded, ("draw", "step")
    is_collection = isinstance(given, Collection) and not isinstance(given, str | bytes)
    if not is_collection or not all(isinstance(x, str) and x in known for x in given):
        raise WrongValue(f"{type(system).__name__}.threaded: a collection of {known} wanted, got {shown(given)}")
    return given


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", os.cpu_count)  # the first from Python 3.13 on
    return count() or 1


_in_a_piece: ContextVar[bool] = ContextVar("_in_a_piece", default=False)
"""Whether some `Threads` called the code that runs here."""


class Threads:
    """Does pieces of work in ``count`` threads, an `Each`: the calling thread, and a pool made when needed.

    A process that was forked makes its own; `close`, or the end of this object, ends the threads.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __call__(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """The results, in order: each thread does pieces that follow one another, the first ones in the calling thread.

        Whatever is raised, here or in a thread, is raised when no thread works any more (a second interrupt does not
        wait). Pieces of a piece are done where it is, since all threads may be busy with its like.
        """
        if _in_a_piece.get():
            return serially(works)
        first, *others = _shares(len(works), self.count)
        started: list[Future[list[T]]] = []
        outside = _in_a_piece.set(True)
        try:
            for share in others:
                started.append(self._executor().submit(copy_context().run, serially, works[share]))
            found = serially(works[first])
            wait(started)
        except BaseException:
            wait(started)
            raise
        finally:
            _in_a_piece.reset(outside)
        return found + [result for future in started for result in future.result()]

    def _executor(self) -> ThreadPoolExecutor:
        if self._pool is None or self._pool[0] != os.getpid():
            self._pool = os.getpid(), ThreadPoolExecutor(self.count - 1, thread_name_prefix="rangym-lanes")
        return self._pool[1]

    def close(self) -> None:
        if self._pool is not None and self._pool[0] == os.getpid():
            self._pool[1].shutdown()
        self._pool = None

    def __getstate__(self) -> dict[str, object]:
        """Without the threads, which stay in their process."""
        return {"count": self.count, "_pool": None}


def _shares(size: int, count: int) -> list[slice]:
    """``size`` things in a row, shared out evenly: ``count`` shares, or as many as there are things, at least one."""
    count = max(min(count, size), 1)
    ends = [size * k // count for k in range(count + 1)]
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def slots_in_threads(system: SystemModel[P, S, D], lanes: int, threads: int) -> Slots[P, S, D] | ThreadedSlots[P, S, D]:
    """The slot loop of a vector environment, in threads where the system says that they pay."""
    work = work_for_threads(system)
    if threads == 1 or not work:
        return Slots(system, lanes)
    if "step" not in work and _takes_each(system.sample_lanes):
        return SlotsDrawnInThreads(system, lanes, threads)
    return ThreadedSlots(system, lanes, threads)


def _takes_each(sample_lanes: Callable[..., Trace]) -> bool:
    """Whether there is a keyword argument ``each`` with a default; a wrapper's own arguments count."""
    each = signature(sample_lanes, follow_wrapped=False).parameters.get("each")
    return each is not None and each.kind is not Parameter.POSITIONAL_ONLY and each.default is not Parameter.empty


class SlotsDrawnInThreads(Slots[P, S, D]):
    """`Slots` whose system draws pieces of the lanes in threads, and steps the lanes together."""

    def __init__(self, system: SystemModel[P, S, D], lanes: int, threads: int):
        super().__init__(system, lanes)
        self._threads = Threads(threads)

    def drawn(self, rngs: Sequence[np.random.Generator], into: Observation | None = None) -> Opening[S]:
        sample_lanes = cast(Callable[..., Trace], self.system.sample_lanes)
        return self.opened(sample_lanes(rngs, each=self._threads), into)

    def close(self) -> None:
        self._threads.close()


class ThreadedSlots(Generic[P, S, D]):
    """`Slots` of many lanes as blocks of them, each in its thread."""

    def __init__(self, system: SystemModel[P, S, D], lanes: int, threads: int):
        self.system, self.lanes = system, lanes
        self._work, self._blocks = work_for_threads(system), _shares(lanes, threads)
        self._parts = [Slots(system, b.stop - b.start) for b in self._blocks]
        self._whole = Slots(system, lanes)  # knows the spaces, and how to check what is given; it is never played
        self.observation_space = self._whole.observation_space
        self._threads = Threads(threads)

    def draw(self, rngs: Sequence[np.random.Generator]) -> Observation:
        self.system.check_lanes(self.lanes)
        return self._begin(lambda part, block, into: part.drawn(rngs[block], into))

    def replay(self, given: object) -> Observation:
        traces = self._whole.replayable(given)
        return self._begin(lambda part, block, into: part.opened(Trace.stack(_own(traces[block])), into))

    def _begin(self, work: Callable[[Slots[P, S, D], slice, Observation], Opening[S]]) -> Observation:
        observation, openings = self._each("draw", work)
        for part, opening in zip(self._parts, openings, strict=True):
            part.begin(opening)
        return observation

    def step(self, action: ArrayLike) -> tuple[Observation, Array, Outcome]:
        self._parts[0].require_slot()
        if any(part.t != self._parts[0].t for part in self._parts):
            raise RuntimeError("an interrupt came while the lanes went on: call reset()")
        given = self._whole.checked(action)
        observation, plays = self._each("step", lambda part, block, into: part.played(given[block], into))
        for part, play in zip(self._parts, plays, strict=True):
            part.go_on(play)
        terms, metrics = _joined([x.outcome.terms for x in plays]), _joined([x.outcome.metrics for x in plays])
        return observation, np.concatenate([x.reward for x in plays]), Outcome(terms, metrics)

    def _each(self, kind: str, work: Callable[[Slots[P, S, D], slice, Observation], T]) -> tuple[Observation, list[T]]:
        """What each block brings, and the observation of all lanes, of which each block fills its part; in threads
        where such work is faster so."""
        boxes = self.observation_space.spaces.items()
        observation = {f: np.empty((self.lanes, *cast("tuple[int, ...]", b.shape)), b.dtype) for f, b in boxes}
        pairs = zip(self._parts, self._blocks, strict=True)
        works = [partial(work, part, block, {f: v[block] for f, v in observation.items()}) for part, block in pairs]
        return observation, self._threads(works) if kind in self._work else serially(works)

    @property
    def traces(self) -> list[Trace] | None:
        found = [part.traces for part in self._parts]
        return None if found[0] is None else [trace for part in found for trace in part or ()]

    @property
    def ended(self) -> tuple[bool, bool]:
        return self._parts[0].ended

    def action_masks(self) -> Array:
        return np.concatenate([part.action_masks() for part in self._parts])

    def picture(self, b: int) -> Array:
        part, block = next((p, x) for p, x in zip(self._parts, self._blocks, strict=True) if b < x.stop)
        return part.picture(b - block.start)

    def close(self) -> None:
        self._threads.close()


def _own(traces: Sequence[Trace]) -> list[Trace]:
    """Copies for one thread: walking a streamed trace changes what is drawn of it. One trace stays one."""
    copies = {id(trace): copy(trace) for trace in traces}
    return [copies[id(trace)] for trace in traces]


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Dictionaries of arrays of consecutive lanes as one."""
    return {f: np.concatenate([part[f] for part in parts]) for f in parts[0]}
