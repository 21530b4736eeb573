"""Lanes in several threads: NumPy and the kernels release the interpreter while they work.

Each thread plays a block of lanes from its trace to its observation, or does pieces of their drawing alone. A lane's
bits do not depend on its block, so they do not depend on the number of threads either.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextvars import Context, copy_context
from copy import copy
from functools import partial
from inspect import Parameter, signature
from multiprocessing import parent_process
from queue import SimpleQueue
from threading import Thread
from typing import Generic, cast
from weakref import finalize

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
    is_collection = isinstance(given, Collection) and not isinstance(given, str | bytes | np.ndarray)
    if not is_collection or not all(isinstance(x, str) and x in known for x in given):
        raise WrongValue(f"{type(system).__name__}.threaded: a collection of {known} wanted, got {shown(given)}")
    return given


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    count = getattr(os, "process_cpu_count", os.cpu_count)  # the first from Python 3.13 on
    return count() or 1


class Threads:
    """Does pieces of work in ``count`` threads, an `Each`: the calling thread, and helpers made when needed.

    An executor's locks do not stand an interrupt at the wrong moment: what the calling thread does here with the others
    are single calls of a `SimpleQueue`, which an interrupt finds done or not begun. A process that was forked makes
    helpers of its own; `close`, or the end of this object, ends them.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._helpers: _Helpers | None = None

    def __call__(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """The results, in order: each thread does pieces that follow one another, the first ones in the calling thread,
        which also does those that no helper has begun.

        Whatever is raised, here or in a helper, is raised when no thread works any more (a second interrupt does not
        wait).
        """
        first, *others = (works[share] for share in _shares(len(works), self.count))
        if not others:
            return serially(first)
        batch = _Batch(others)
        try:
            helpers = self._ready()
            for _ in others:
                helpers.batches.put(batch)
            found = serially(first)
            return [*found, *cast("list[T]", batch.finished())]
        except BaseException:
            batch.give_up()
            raise

    def _ready(self) -> _Helpers:
        if self._helpers is None or self._helpers.process != os.getpid():
            self._helpers = _Helpers()
            finalize(self, self._helpers.batches.put, None)
        self._helpers.grow(self.count - 1)
        return self._helpers

    def close(self) -> None:
        if self._helpers is not None and self._helpers.process == os.getpid():
            self._helpers.end()
        self._helpers = None

    def __getstate__(self) -> dict[str, object]:
        """Without the helpers, which stay in their process."""
        return {"count": self.count, "_helpers": None}


class _Batch:
    """Shares of work, of which each is done by the first thread that takes it."""

    def __init__(self, shares: Sequence[Sequence[Callable[[], object]]]) -> None:
        self._shares = [(k, copy_context(), share) for k, share in enumerate(shares)][::-1]
        self._count = len(shares)
        self._results: dict[int, list[object]] = {}
        self._errors: dict[int, BaseException] = {}
        self._given_up = False
        # Of helpers; lists, since appending is one step for all threads.
        self._entered: list[None] = []
        self._left: list[None] = []
        self._wake: SimpleQueue[None] = SimpleQueue()

    def help(self) -> None:
        """Do a share, in a helper."""
        self._entered.append(None)  # before it looks: whoever gives up then sees it, or is seen
        if not self._given_up and (taken := self._taken()):
            k, context, share = taken
            try:
                self._results[k] = context.run(serially, share)
            except BaseException as error:  # the caller's, where it is raised
                self._errors[k] = error
        self._left.append(None)
        self._wake.put(None)

    def finished(self) -> list[object]:
        """All results in order, once the shares that nobody has taken are done here."""
        while taken := self._taken():
            k, context, share = taken
            self._results[k] = context.run(serially, share)
        while len(self._results) + len(self._errors) < self._count:
            self._wake.get()
        for k in sorted(self._errors):
            raise self._errors[k]
        return [result for k in range(self._count) for result in self._results[k]]

    def give_up(self) -> None:
        """Return when no helper works any more, and none will."""
        self._given_up = True
        while len(self._left) < len(self._entered):
            self._wake.get()

    def _taken(self) -> tuple[int, Context, Sequence[Callable[[], object]]] | None:
        try:
            return self._shares.pop()
        except IndexError:
            return None


class _Helpers:
    """Threads that take batches from a queue until it brings None."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.batches: SimpleQueue[_Batch | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def grow(self, count: int) -> None:
        while len(self._threads) < count:
            name = f"rangym-lanes_{len(self._threads)}"
            thread = Thread(target=_help, args=(self.batches,), name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def end(self) -> None:
        self.batches.put(None)
        for thread in self._threads:
            thread.join()


def _help(batches: SimpleQueue[_Batch | None]) -> None:
    while (batch := batches.get()) is not None:
        batch.help()
        del batch  # and all that it holds, while this thread waits
    batches.put(None)  # for the others


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
        self._apart = False

    def draw(self, rngs: Sequence[np.random.Generator]) -> Observation:
        self.system.check_lanes(self.lanes)
        sample = self.system.sample_lanes
        # Of streamed traces a copy, here and below: one may stand in several blocks, and is one thread's.
        return self._begin(lambda part, block, into: part.opened(copy(sample(rngs[block])), into))

    def replay(self, given: object) -> Observation:
        traces = self._whole.replayable(given)
        return self._begin(lambda part, block, into: part.opened(copy(Trace.stack(traces[block])), into))

    def _begin(self, work: Callable[[Slots[P, S, D], slice, Observation], Opening[S]]) -> Observation:
        observation, openings = self._each("draw", work)
        self._apart = True  # until all have gone on: an interrupt may come between two of them
        for part, opening in zip(self._parts, openings, strict=True):
            part.begin(opening)
        self._apart = False
        return observation

    def step(self, action: ArrayLike) -> tuple[Observation, Array, Outcome]:
        self._together[0].require_slot()
        given = self._whole.checked(action)
        observation, plays = self._each("step", lambda part, block, into: part.played(given[block], into))
        self._apart = True
        for part, play in zip(self._parts, plays, strict=True):
            part.go_on(play)
        self._apart = False
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
    def _together(self) -> list[Slots[P, S, D]]:
        """The parts, which are in one and the same slot."""
        if self._apart:
            raise RuntimeError("an interrupt came while the lanes went on: call reset()")
        return self._parts

    @property
    def traces(self) -> list[Trace] | None:
        found = [part.traces for part in self._together]
        return None if found[0] is None else [trace for part in found for trace in part or ()]

    @property
    def ended(self) -> tuple[bool, bool]:
        return self._together[0].ended

    def action_masks(self) -> Array:
        return np.concatenate([part.action_masks() for part in self._together])

    def picture(self, b: int) -> Array:
        part, block = next((p, x) for p, x in zip(self._together, self._blocks, strict=True) if b < x.stop)
        return part.picture(b - block.start)

    def close(self) -> None:
        self._threads.close()


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Dictionaries of arrays of consecutive lanes as one."""
    return {f: np.concatenate([part[f] for part in parts]) for f in parts[0]}
