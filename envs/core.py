"""The contract of every environment: an exogenous trace, a pure system model, and two thin Gymnasium shells.

A scenario draws a whole episode's chance once, as a `Trace`; a `SystemModel` is a pure function of (state, decision,
slot of the trace); `SystemEnv` and `SystemVectorEnv` walk it slot by slot. So a lane of the vector environment equals
the single environment bit for bit, and policies can be compared, replayed and checked for cheating on equal traces.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, cast

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.params import derive
from rangym.envs.trace import Array, Slot, Trace

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from matplotlib.figure import Figure

__all__ = [
    "Array",
    "Frame",
    "Outcome",
    "Slot",
    "State",
    "System",
    "SystemEnv",
    "SystemModel",
    "SystemVectorEnv",
    "Trace",
    "build",
    "lane",
]

State: TypeAlias = dict[str, Array]
"""The state of a problem that declares no TypedDict for it."""
P = TypeVar("P", bound="DataclassInstance")
"""A problem's frozen parameters."""
S = TypeVar("S", bound=Mapping[str, object])
"""Its state: a TypedDict of arrays ``(L, ...)``, with shape and unit beside each, or `State`."""
D = TypeVar("D")
"""Its decision: an array or a TypedDict of arrays, ``(L, ...)``."""
T = TypeVar("T")


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

    Arrays have a leading lane axis; nothing is changed in place. Contractions use stacked ``matmul`` or plain
    ``einsum``: ``(L, p) @ (p, q)`` and ``einsum(optimize=True)`` differ in the last bit between one lane and many.
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

    def __init__(self, params: P):
        self.params = params

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> Trace:
        """Draw one episode; the only method with randomness. Constants are drawn before slots."""

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        """Draw one stacked trace; lane b must equal ``sample(rngs[b])`` bit for bit."""
        return Trace.stack([self.sample(rng) for rng in rngs])

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


def build(system: str | System, scenario: str, overrides: Mapping[str, object]) -> System:
    """The system model named ``"module:Class"`` in ``scenario``, with single parameters overridden."""
    if isinstance(system, SystemModel):
        return system
    module, _, name = system.partition(":")
    cls: type[System] = getattr(importlib.import_module(module), name)
    return cls(derive(cls.scenarios, scenario, overrides))


class _Episode(Generic[P, S, D]):
    """The slot loop over L lanes, shared by both shells."""

    def __init__(self, system: SystemModel[P, S, D], lanes: int):
        self.system, self.lanes = system, lanes
        time = gym.spaces.Box(0, 1, (1,), np.float32)
        self.observation_space = gym.spaces.Dict({**system.observation_space.spaces, "time": time})
        batched = batch_space(system.action_space, lanes)
        if not isinstance(batched, gym.spaces.Box):
            raise WrongType(
                f"{type(system).__name__}: a Box or MultiDiscrete action space wanted, got {system.action_space}"
            )
        self.action_space = batched
        # Scalars where the whole box shares its bounds: clipping with arrays costs several microseconds a field.
        boxes = cast("dict[str, gym.spaces.Box]", self.observation_space.spaces)
        self._bounds = [(f, _bound(b.low), _bound(b.high), b.dtype) for f, b in boxes.items()]
        self.trace: Trace | None = None
        self.t = 0

    def draw(self, rngs: Sequence[np.random.Generator]) -> dict[str, Array]:
        return self._start(self.system.sample_lanes(rngs))

    def replay(self, given: object) -> dict[str, Array]:
        traces = (
            [given] * self.lanes if isinstance(given, Trace) else list(given) if isinstance(given, Iterable) else []
        )
        if len(traces) != self.lanes or not all(isinstance(x, Trace) for x in traces):
            raise WrongValue(f"options['trace'] is one Trace or a sequence of {self.lanes}, got {_describe(given)}")
        for x in {id(x): x for x in traces}.values():
            x.check(self.system.shapes, self.system.reveal, self.system.horizon)
            self.system.check_trace(x)
        return self._start(Trace.stack(traces))

    def _start(self, trace: Trace) -> dict[str, Array]:
        self.trace, self.t = trace, 0
        self.state = self.system.initial(trace.slot(0))
        self.decision: D | None = None
        self.outcome = Outcome({}, {})
        self.rewards: list[Array] = []
        self.terms: list[Mapping[str, Array]] = []
        return self._observe(trace)

    def _observe(self, trace: Trace) -> dict[str, Array]:
        """The observation before the decision of slot t + 1."""
        self.public = trace.public(self.t + 1, self.system.reveal)
        fields = dict(self.system.observation(self.state, self.public))
        fields["time"] = np.full((self.lanes, 1), self.t / self.system.horizon)
        return {
            f: np.minimum(np.maximum(fields[f], low), high).astype(dtype, copy=False)
            for f, low, high, dtype in self._bounds
        }

    def step(self, action: ArrayLike) -> tuple[dict[str, Array], Array, Outcome]:
        if self.trace is None:
            raise RuntimeError("step() was called before reset()")
        if self.t >= self.system.horizon:
            raise RuntimeError(f"the episode of {self.system.horizon} slots is over: call reset()")
        decision = self.system.decode(self._checked(action), self.state, self.public)
        self.t += 1
        self.state, outcome = self.system.transition(self.state, decision, self.trace.slot(self.t))
        reward = np.zeros(self.lanes)
        for term in outcome.terms.values():
            reward = reward + term
        self.decision, self.outcome = decision, outcome
        self.rewards.append(reward)
        self.terms.append(outcome.terms)
        return self._observe(self.trace), reward, outcome

    def _checked(self, action: ArrayLike) -> Array:
        """The batched action as a fresh array of the space's dtype: the caller's array never enters the state."""
        space, given = self.action_space, np.asarray(action)
        wanted = space.dtype
        if given.shape != space.shape or not np.can_cast(given.dtype, wanted, "same_kind"):
            lane = self.system.action_space
            raise WrongValue(
                f"action: {lane} wanted (shape {lane.shape}, {wanted}), got shape {given.shape[1:]}, {given.dtype}"
            )
        cast = given.astype(wanted)
        inside = (cast >= space.low) & (cast <= space.high)  # `contains` takes three times as long
        if not inside.all():
            bad = tuple(np.argwhere(~inside)[0])
            place = ", ".join(str(i) for i in bad[1:])
            raise WrongValue(f"action[{place}] = {cast[bad]} is outside {self.system.action_space}")
        return cast

    def action_masks(self) -> Array:
        if self.trace is None:
            raise RuntimeError("action_masks() was called before reset()")
        return self.system.action_masks(self.state, self.public)

    def frame(self, b: int) -> Frame[S, D]:
        if self.trace is None:
            raise RuntimeError("render() was called before reset()")
        metrics = lane(self.outcome.metrics, b)
        decision = None if self.decision is None else lane(self.decision, b)
        rewards, terms = [float(r[b]) for r in self.rewards], [lane(x, b) for x in self.terms]
        return Frame(self.t, self.trace.lane(b), lane(self.state, b), decision, metrics, rewards, terms)

    @property
    def ended(self) -> tuple[bool, bool]:
        """(terminated, truncated): Gymnasium's checker refuses truncation after a single step."""
        end = self.t == self.system.horizon
        return end and self.t == 1, end and self.t > 1


def _bound(values: Array) -> Array:
    """The bound of a box, 0-dimensional where it is the same everywhere."""
    return values.flat[0] if (values == values.flat[0]).all() else values


def _describe(value: object) -> str:
    return f"{type(value).__name__} of length {len(value)}" if isinstance(value, Sequence) else type(value).__name__


def lane(tree: T, b: int) -> T:
    """Entry b of every array in a (nested) dictionary of arrays, or of one array."""
    if isinstance(tree, np.ndarray):  # most are, and asking for a Mapping first costs more than the entry
        entry: T = tree[b]
        return entry
    if isinstance(tree, Mapping):
        return cast(T, {k: lane(v, b) for k, v in tree.items()})
    raise WrongType(f"an array (L, ...) or a dictionary of arrays wanted, got {type(tree).__name__}")


def _read_only(tree: T) -> T:
    """Views of every array in a (nested) dictionary, or of one array, that cannot be written to."""
    if isinstance(tree, Mapping):
        return cast(T, {k: _read_only(v) for k, v in tree.items()})
    view = np.asarray(tree).view()
    view.flags.writeable = False
    return cast(T, view)


class SystemEnv(gym.Env[dict[str, Any], Array]):
    """A system model as a Gymnasium environment; its documentation is the system model's own.

    ``reset(options={"trace": trace})`` replays one episode without touching the generator.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space: gym.spaces.Dict

    def __init__(
        self, system: str | System, scenario: str = "small", render_mode: str | None = None, **overrides: object
    ):
        self.render_mode = _checked_mode(render_mode, self.metadata["render_modes"])
        self.system = build(system, scenario, overrides)
        self.scenario = None if isinstance(system, SystemModel) else scenario
        self._episode = _Episode(self.system, 1)
        self.observation_space, self.action_space = self._episode.observation_space, self.system.action_space

    @property
    def trace(self) -> Trace:
        """The running episode's trace."""
        if self._episode.trace is None:
            raise RuntimeError("there is no trace before reset()")
        return self._episode.trace.lane(0)

    @property
    def decision(self) -> Any:
        """The decision that the last step decoded from its action, read-only."""
        if self._episode.trace is None or self._episode.decision is None:
            raise RuntimeError("there is no decision before the first step of an episode")
        return _read_only(lane(self._episode.decision, 0))

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, Array], dict[str, object]]:
        super().reset(seed=seed)
        given = (options or {}).get("trace")
        obs = self._episode.draw([self.np_random]) if given is None else self._episode.replay(given)
        return lane(obs, 0), {}

    def step(self, action: ArrayLike) -> tuple[dict[str, Array], float, bool, bool, dict[str, Mapping[str, Array]]]:
        obs, reward, outcome = self._episode.step(np.asarray(action)[None])
        info = {"terms": lane(outcome.terms, 0), "metrics": lane(outcome.metrics, 0)}
        return lane(obs, 0), float(reward[0]), *self._episode.ended, info

    def action_masks(self) -> Array:
        """Boolean mask of the discrete choices, in sb3-contrib's layout."""
        return lane(self._episode.action_masks(), 0)

    def render(self) -> Array | None:
        return None if self.render_mode is None else _picture(self._episode, 0)


class SystemVectorEnv(VectorEnv[dict[str, Array], Array, Array]):
    """L lanes of a system model in one array program; lane b with seed s equals `SystemEnv` with seed s + b.

    Autoreset is SAME_STEP, and infos have the layout of Gymnasium's own vector environments: ``final_obs`` is an array
    of each lane's last observation, ``final_info`` holds the last step's ``terms`` and ``metrics``. Gymnasium's vector
    wrappers of observations refuse SAME_STEP; with ``make_vec(id, num_envs=n, vectorization_mode="sync")`` they work.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10, "autoreset_mode": AutoresetMode.SAME_STEP}
    single_observation_space: gym.spaces.Dict

    def __init__(
        self,
        system: str | System,
        num_envs: int = 1,
        scenario: str = "small",
        render_mode: str | None = None,
        **overrides: object,
    ):
        if num_envs < 1:
            raise WrongValue(f"num_envs: at least 1 lane wanted, got {num_envs}")
        self.render_mode = _checked_mode(render_mode, self.metadata["render_modes"])
        self.system, self.num_envs = build(system, scenario, overrides), num_envs
        self.scenario = None if isinstance(system, SystemModel) else scenario
        self._episode = _Episode(self.system, num_envs)
        self._rngs: list[np.random.Generator] = []
        self._all = np.ones(num_envs, dtype=bool)
        self._all.flags.writeable = False  # every info shares it
        self.single_observation_space, self.single_action_space = (
            self._episode.observation_space,
            self.system.action_space,
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def traces(self) -> list[Trace]:
        """The running episode's traces, one a lane."""
        if self._episode.trace is None:
            raise RuntimeError("there are no traces before reset()")
        return [self._episode.trace.lane(b) for b in range(self.num_envs)]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, Array], dict[str, object]]:
        if seed is not None or not self._rngs:
            seeds = (
                [None if seed is None else seed + b for b in range(self.num_envs)]
                if not isinstance(seed, Sequence)
                else seed
            )
            if len(seeds) != self.num_envs:
                raise WrongValue(f"seed: one integer or a sequence of {self.num_envs} wanted, got {len(seeds)}")
            self._rngs = [seeding.np_random(s)[0] for s in seeds]
        given = (options or {}).get("trace")
        return self._episode.draw(self._rngs) if given is None else self._episode.replay(given), {}

    def step(self, actions: ArrayLike) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        obs, reward, outcome = self._episode.step(actions)
        terminated, truncated = (np.full(self.num_envs, x) for x in self._episode.ended)
        info = self._masked({"terms": self._masked(outcome.terms), "metrics": self._masked(outcome.metrics)})
        if any(self._episode.ended):
            final = np.empty(self.num_envs, dtype=object)
            final[:] = [lane(obs, b) for b in range(self.num_envs)]
            info = info | self._masked({"final_obs": final, "final_info": dict(info)})
            obs = self._episode.draw(self._rngs)
        return obs, reward, terminated, truncated, info

    def _masked(self, info: Mapping[str, object]) -> dict[str, object]:
        """Each entry with Gymnasium's mask of the lanes that have it: here always all."""
        return {**info, **{f"_{k}": self._all for k in info}}

    def action_masks(self) -> Array:
        """Boolean masks of the discrete choices, one row a lane."""
        return self._episode.action_masks()

    def render(self) -> tuple[Array, ...] | None:
        return None if self.render_mode is None else tuple(_picture(self._episode, b) for b in range(self.num_envs))


def _checked_mode(mode: str | None, modes: Sequence[str]) -> str | None:
    if mode is not None and mode not in modes:
        raise WrongValue(f"render_mode: None or one of {modes} wanted, got {mode!r}")
    return mode


def _picture(episode: _Episode[P, S, D], b: int) -> Array:
    from rangym.envs.rendering import picture

    frame = episode.frame(b)
    return picture(lambda figure: episode.system.draw(figure, frame))
