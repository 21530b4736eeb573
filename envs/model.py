"""The system model of a problem: frozen parameters, spaces and pure methods over lanes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar, cast

import gymnasium as gym
import numpy as np

from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.memory import require_memory
from rangym.envs.params import derive
from rangym.envs.registration import is_target, resolve
from rangym.envs.trace import Array, Slot, Trace

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

State: TypeAlias = dict[str, Array]
"""The state of a problem that declares no TypedDict for it."""
P = TypeVar("P", bound="DataclassInstance")
"""A problem's frozen parameters."""
S = TypeVar("S", bound=Mapping[str, object])
"""Its state: a TypedDict of arrays ``(L, ...)``, with shape and unit beside each, or `State`."""
D = TypeVar("D")
"""Its decision: an array or a TypedDict of arrays, ``(L, ...)``."""
T = TypeVar("T")
LANES_A_PIECE = 128
"""Lanes that are drawn together, at most, where threads share the pieces."""


class Each(Protocol):
    """Does pieces of work that do not depend on each other, perhaps several at once."""

    def __call__(self, works: Sequence[Callable[[], T]], /) -> Sequence[T]:
        """The results, in order."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What one slot brought, per lane.

    ``terms`` (each ``(L,)`` float64) carry sign and weight in units of the reward, which is their sum; ``metrics``
    (each ``(L, ...)``) are everything else worth recording.
    """

    terms: Mapping[str, Array]
    metrics: Mapping[str, Array]


@dataclass(frozen=True)
class Frame(Generic[S, D]):
    """What a picture may show: one lane after slot ``t``, with the history up to it; no decision before the first."""

    t: int
    trace: Trace
    state: S
    decision: D | None
    metrics: Mapping[str, Array]
    rewards: Sequence[float] = field(default_factory=list)
    terms: Sequence[Mapping[str, Array]] = field(default_factory=list)
    """Of every slot so far, as the rewards."""


class SystemModel(ABC, Generic[P, S, D]):
    """A problem's deterministic dynamics over L lanes: frozen parameters, spaces and pure methods, no state of its own.

    A subclass says what its parameters, states and decisions are: ``class Mine(SystemModel[Params, State, Array])``.

    Arrays have a leading lane axis; nothing is changed in place, and the threads of a vector environment share the
    system. Contractions use stacked ``matmul`` or plain ``einsum``: ``(L, p) @ (p, q)`` and ``einsum(optimize=True)``
    differ in the last bit between one lane and many.
    """

    scenarios: ClassVar[Mapping[str, DataclassInstance]]
    """Name -> frozen parameters; `build` replaces the overridden ones."""
    ratio_metrics: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Episode metrics that are a sum over slots divided by another sum, e.g. ``ping_pong = ping_pongs / handovers``."""

    params: P
    horizon: int
    observation_space: gym.spaces.Dict
    """Of one lane, without ``time``, which the shell adds."""
    action_space: gym.Space[Array]
    reveal: Mapping[str, int]
    """Field f of slot s is public at the decision of slot s + reveal[f]."""
    shapes: Mapping[str, tuple[int, ...]]
    """Shape of every trace field in one lane, without the slot axis."""

    def __init_subclass__(cls) -> None:
        """Whoever overrides ``sample`` alone is asked for every lane: an inherited ``sample_lanes`` would draw the
        parent's episodes."""
        super().__init_subclass__()
        if "sample" in vars(cls) and "sample_lanes" not in vars(cls):
            type.__setattr__(cls, "sample_lanes", SystemModel.sample_lanes)  # type checkers refuse a plain assignment

    def __init__(self, params: P):
        self.params = params

    @property
    def threaded(self) -> Collection[str]:
        """What several threads do faster than one, both unless a subclass has a class attribute or property of its own.

        Work in many short pieces is not faster: for each they wait for each other. Each thread draws and plays a block
        of lanes. Where only drawing pays, a `sample_lanes` that takes a keyword argument ``each`` (an `Each`, by
        default `serially`) is given the threads for its pieces, and the slots of all lanes are played together.
        """
        return ("draw", "step")

    @classmethod
    def large_arrays(cls, params: Any) -> Sequence[Mapping[str, int]]:
        """For each of an episode's largest arrays the sizes, by name, whose product is its entries: `build` refuses
        what this machine's memory does not hold."""
        return ()

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Trace:
        """Draw one episode; the only method with randomness. Constants are drawn before slots."""

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        """Draw one stacked trace; lane b must equal ``sample(rngs[b])`` bit for bit."""
        return Trace.stack([self.sample(rng) for rng in rngs])

    def check_lanes(self, lanes: int) -> None:  # noqa: B027 (most systems take as many as memory does)
        """Refuse too many lanes for a vector environment, which may ask `sample_lanes` for blocks of them."""

    @abstractmethod
    def initial(self, slot: Slot) -> S:
        """State before the first decision, from slot 0."""

    def decode(self, action: Array, state: S, public: Slot) -> D:
        """The decision an action stands for, by default the action itself: codings and projections live here."""
        return cast(D, action)

    @abstractmethod
    def transition(self, state: S, decision: D, slot: Slot) -> tuple[S, Outcome]:
        """The next state and the outcome of ``decision`` in ``slot``."""

    @abstractmethod
    def observation(self, state: S, public: Slot) -> Mapping[str, Array]:
        """Named fields; the shell adds ``time``, clips to the box and casts to its dtype."""

    @property
    def has_action_masks(self) -> bool:
        """Whether there are masks; the shells have ``action_masks`` only then, since sb3-contrib asks with hasattr."""
        return type(self).action_masks is not SystemModel.action_masks

    def action_masks(self, state: S, public: Slot) -> Array:
        """Which discrete choices make sense, ``(L, sum of the choices)`` bool, in sb3-contrib's layout."""
        raise WrongType(f"{type(self).__name__} defines no action masks for {self.action_space}")

    def check_trace(self, trace: Trace) -> None:  # noqa: B027 (a system without constraints need not override it)
        """Refuse a replayed trace with values that make no sense here; names, shapes and NaN are checked before."""

    def data_files(self) -> Sequence[Path]:
        """The files that its episodes are read from, such as a radio map: part of a row's identity."""
        return ()

    def draw(self, figure: Figure, frame: Frame[S, D]) -> None:
        """Draw ``frame`` into a matplotlib figure."""
        raise WrongType(f"{type(self).__name__} cannot be rendered")


System: TypeAlias = SystemModel[Any, Any, Any]
"""A system model of any problem."""


def serially(works: Sequence[Callable[[], T]]) -> list[T]:
    """An `Each` that does ``works`` one after the other."""
    return [work() for work in works]


def build(system: str | System, scenario: str, overrides: Mapping[str, object]) -> System:
    """The system model named ``"module:Class"`` in ``scenario``, with single parameters overridden."""
    if isinstance(system, SystemModel):
        if overrides:
            raise WrongType(
                f"overrides: none beside a finished system model wanted, got {', '.join(map(str, overrides))}"
            )
        return system
    if not is_target(system):
        raise WrongType(f"system: a SystemModel or 'module:Class' wanted, got {shown(system)}")
    try:
        cls = resolve(system)
    except WrongValue as error:
        raise WrongValue(f"system: {error}") from None
    if not (isinstance(cls, type) and issubclass(cls, SystemModel)):
        raise WrongType(f"system: a class of SystemModel wanted, got {system!r}, which is {shown(cls)}")
    params = derive(cls.scenarios, scenario, overrides)
    for sizes in cls.large_arrays(params):
        require_memory(sizes)
    return cls(params)


def lane(tree: T, b: int) -> T:
    """Entry b of every array in a (nested) dictionary of arrays, or of one array."""
    if isinstance(tree, np.ndarray):  # most are, and asking for a Mapping first costs more than the entry
        entry: T = tree[b]
        return entry
    if isinstance(tree, Mapping):
        return cast(T, {k: lane(v, b) for k, v in tree.items()})
    raise WrongType(f"an array (L, ...) or a dictionary of arrays wanted, got {type(tree).__name__}")
