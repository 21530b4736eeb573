"""Many agents: how they share a problem's observation and action, by the axes of named fields.

A problem declares its `Slicing` as data beside its system (``envs/<problem>/slicing.py``); `Slices` applies one to the
spaces of an environment. What an agent learns from, its features, is no part of it: see `rangym.baselines`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from numpy.typing import NDArray

from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.model import System
from rangym.envs.params import count_of, listed, nearest
from rangym.envs.trace import Array, Trace

ACTION = "action"
"""The name of a native action that is one block."""
AgentSpace: TypeAlias = Box | Discrete | MultiDiscrete
"""What one agent chooses from."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Agents of one kind, such as all user equipments.

    Attributes
    ----------
    name : ``"ue"``; its agents are ``ue_0``, ``ue_1``, ...
    count : the parameter that says how many they are.
    fields : observation field -> the axis along which each agent has its entries. A field that no kind names is seen
        whole by all agents, one that only other kinds name is not seen. Names that an observation lacks do no harm:
        some fields depend on parameters.
    others : those of ``fields`` of which an agent also sees the entries of the other agents of its kind, in their
        order, as the field ``other_<name>``.
    action : block of the native action -> the axis along which each agent has its entries.
    """

    name: str
    count: str
    fields: Mapping[str, int]
    others: tuple[str, ...] = ()
    action: Mapping[str, int] = field(default_factory=lambda: {ACTION: 0})


@dataclass(frozen=True, kw_only=True)
class Slicing:
    """How a problem's agents share its observation and its action.

    Attributes
    ----------
    kinds : the kinds of agents; between them they have every entry of the native action exactly once.
    overrides : the parameters under which actions are native, for problems with several codings.
    blocks : name -> shape of the blocks of a flat native action, from the parameters; None: it is one block, `ACTION`.
    own_reward : ``"module:Class"`` of the `OwnReward` that agents are trained with; None: there is none but the shared.
    """

    kinds: tuple[Kind, ...]
    overrides: Mapping[str, object] = field(default_factory=dict)
    blocks: Callable[..., Mapping[str, tuple[int, ...]]] | None = None
    own_reward: str | None = None


class OwnReward(ABC):
    """What each agent of L lanes is rewarded with in training, in the place of the reward that they share.

    Made for a system, whose parameters it refuses where it has no meaning under them.
    """

    @abstractmethod
    def __init__(self, system: System): ...

    @abstractmethod
    def start(self, traces: Sequence[Trace]) -> None:
        """Forget the episode before: one on ``traces``, one a lane, begins."""

    @abstractmethod
    def __call__(self, reward: Array, before: Mapping[str, Array], after: Mapping[str, Array]) -> NDArray[np.float64]:
        """The agents' rewards ``(L, A)`` for the next slot.

        ``reward`` ``(L,)`` is what the environment gave, ``before`` and ``after`` are its observations, each field
        ``(L, ...)``. Called once a slot.
        """


class Slices:
    """A slicing applied to the spaces of an environment.

    Attributes
    ----------
    agents : the agents' names, kind by kind.
    observation_spaces, action_spaces : agent -> its space: a Dict of boxes; the native action's own terms, a Discrete
        where the agent has one entry of a MultiDiscrete.
    """

    def __init__(self, slicing: Slicing, params: object, observation_space: Dict, action_space: gym.Space[Array]):
        if not isinstance(action_space, Box | MultiDiscrete):
            raise WrongType(f"action: a Box or MultiDiscrete space wanted, got {action_space}")
        self._kinds = [(kind, _count(kind, params)) for kind in slicing.kinds]
        self._sliced = {name for kind in slicing.kinds for name in kind.fields}
        self._native = action_space
        boxes = {f: box for f, box in observation_space.items() if isinstance(box, Box)}
        blocks = {ACTION: action_space.shape} if slicing.blocks is None else slicing.blocks(params)
        for kind, count in self._kinds:
            _check_axes(kind, count, kind.action, blocks)
            _check_axes(kind, count, {f: axis for f, axis in kind.fields.items() if f in boxes}, _shapes(boxes))
        self._entries = self._shared_out(blocks)
        self.agents = list(self._entries)
        self.action_spaces = {agent: _part(action_space, entries) for agent, entries in self._entries.items()}
        low, high = (self.observe({f: getattr(box, x) for f, box in boxes.items()}) for x in ("low", "high"))
        self.observation_spaces = {
            agent: Dict({f: Box(ends, high[agent][f], dtype=ends.dtype.type) for f, ends in low[agent].items()})
            for agent in self.agents
        }

    def _shared_out(self, blocks: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.int64]]:
        """Agent -> the places of its entries in the flat native action, block after block."""
        ends = np.cumsum([math.prod(shape) for shape in blocks.values()])
        places = {
            name: np.arange(end - math.prod(shape), end).reshape(shape)
            for (name, shape), end in zip(blocks.items(), ends, strict=True)
        }
        entries: list[tuple[str, NDArray[np.int64]]] = []
        for kind, count in self._kinds:
            own = [np.moveaxis(places[name], axis, 0).reshape(count, -1) for name, axis in kind.action.items()]
            entries += [(f"{kind.name}_{i}", row) for i, row in enumerate(np.concatenate(own, axis=1))]
        taken = np.sort(np.concatenate([row for _, row in entries]))
        names = {name for name, _ in entries}
        if len(names) < len(entries) or not np.array_equal(taken, np.arange(math.prod(self._native.shape))):
            raise WrongValue(f"slicing: every entry of {self._native} for exactly one agent wanted, got {taken}")
        return dict(entries)

    def observe(self, observation: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
        """Each agent's part of an observation, in arrays of its own."""
        seen: dict[str, dict[str, Array]] = {}
        for kind, count in self._kinds:
            columns = dict(self._columns(kind, count, observation))
            seen |= {f"{kind.name}_{i}": {f: rows[i] for f, rows in columns.items()} for i in range(count)}
        return seen

    def _columns(self, kind: Kind, count: int, observation: Mapping[str, Array]) -> Iterator[tuple[str, Array]]:
        """Field -> what each agent of a kind sees of it, ``(count, ...)``; a number is seen as an array of one."""
        for name, values in observation.items():
            if name not in self._sliced:
                yield name, np.repeat(values[None], count, axis=0)
            elif name in kind.fields:
                axis = kind.fields[name]
                rows = np.moveaxis(values, axis, 0) if axis else values  # a view of most costs more than the copy
                yield name, rows[:, None].copy() if rows.ndim == 1 else rows.copy()
                if name in kind.others and count > 1:
                    yield f"other_{name}", rows[_others(count)]

    def join(self, actions: Mapping[str, object]) -> Array:
        """The native action of all agents' actions."""
        if not isinstance(actions, Mapping) or actions.keys() != self._entries.keys():
            raise WrongValue(self._unlike(actions))
        native = np.empty(math.prod(self._native.shape), dtype=self._native.dtype)
        for agent, entries in self._entries.items():
            space, given = self.action_spaces[agent], _array(actions[agent])
            if given.shape != space.shape or not np.can_cast(given.dtype, native.dtype, "same_kind"):
                raise WrongValue(f"actions[{agent!r}]: {_words(space)} wanted, got {shown(actions[agent])}")
            native[entries] = given
        joint = native.reshape(self._native.shape)
        if not self._native.contains(joint):
            bad = next(a for a, entries in self._entries.items() if not _inside(self.action_spaces[a], native[entries]))
            raise WrongValue(f"actions[{bad!r}]: {_words(self.action_spaces[bad])} wanted, got {shown(actions[bad])}")
        return joint

    def _unlike(self, actions: object) -> str:
        if not isinstance(actions, Mapping):
            return f"actions: a dictionary with one action for each agent wanted, got {shown(actions)}"
        wanted = f"actions: one for each of {listed(self.agents)} wanted"
        for agent in actions:
            if agent not in self._entries:
                return f"{wanted}, got one for {shown(agent)}{nearest(agent, self.agents)}"
        return f"{wanted}, got none for {listed(a for a in self.agents if a not in actions)}"

    def masks(self, masks: Array) -> dict[str, NDArray[np.int8]]:
        """Each agent's own part of the masks of a MultiDiscrete in sb3-contrib's layout, 1 for what makes sense."""
        if not isinstance(self._native, MultiDiscrete):
            raise WrongType(f"action: a MultiDiscrete space wanted for masks, got {self._native}")
        parts = np.split(masks.astype(np.int8), np.cumsum(self._native.nvec.ravel())[:-1])
        return {agent: np.concatenate([parts[k] for k in entries.tolist()]) for agent, entries in self._entries.items()}


def _count(kind: Kind, params: object) -> int:
    count = count_of(getattr(params, kind.count, None))
    if count is None or count < 1:
        close = nearest(kind.count, [name for name in dir(params) if not name.startswith("_")])
        raise WrongValue(f"slicing: a parameter that counts {kind.name!r} wanted, got {shown(kind.count)}{close}")
    return count


def _shapes(boxes: Mapping[str, Box]) -> dict[str, tuple[int, ...]]:
    return {f: box.shape for f, box in boxes.items()}


def _check_axes(kind: Kind, count: int, axes: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse an axis that does not count a kind's agents."""
    for name, axis in axes.items():
        if name not in shapes:
            raise WrongValue(f"slicing: one of {listed(shapes)} wanted, got {shown(name)}{nearest(name, shapes)}")
        if not 0 <= axis < len(shapes[name]) or shapes[name][axis] != count:
            raise WrongValue(f"slicing: {name!r}: an axis of {count} {kind.name} wanted, got {axis} of {shapes[name]}")


def _array(value: object) -> Array:
    """``value`` as an array; lists of unequal lengths as one that no action is."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.empty(0, dtype=object)


def _part(space: Box | MultiDiscrete, entries: NDArray[np.int64]) -> AgentSpace:
    """The space of some entries of a flat action."""
    if isinstance(space, Box):
        return Box(space.low.ravel()[entries], space.high.ravel()[entries], dtype=space.low.dtype.type)
    sizes, starts = space.nvec.ravel()[entries], space.start.ravel()[entries]
    if len(entries) == 1:
        return Discrete(int(sizes[0]), start=int(starts[0]))
    return MultiDiscrete(sizes, start=starts)


def _inside(space: AgentSpace, values: Array) -> bool:
    return space.contains(values[0] if isinstance(space, Discrete) else values)


def _words(space: AgentSpace) -> str:
    """What an agent's action is, in words."""
    if isinstance(space, Discrete):
        return f"an integer {space.start}..{space.start + space.n - 1}"
    return f"an array of {space}"


def _others(count: int) -> NDArray[np.int64]:
    """For each of ``count`` agents the numbers of the others, ``(count, count - 1)``.

    >>> _others(3).tolist()
    [[1, 2], [0, 2], [0, 1]]
    """
    numbers = np.arange(count - 1)
    return numbers + (numbers >= np.arange(count)[:, None])
