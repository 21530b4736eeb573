"""The contract of every environment: an exogenous trace, a pure system model, and two thin Gymnasium shells.

A scenario draws a whole episode's chance once, as a `Trace`; a `SystemModel` is a pure function of (state, decision,
slot of the trace); `SystemEnv` and `SystemVectorEnv` walk it slot by slot. So a lane of the vector environment equals
the single environment bit for bit, and policies can be compared, replayed and checked for cheating on equal traces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.memory import require_memory
from rangym.envs.model import Frame, Outcome, State, System, SystemModel, T, build, lane
from rangym.envs.params import count_of, nearest
from rangym.envs.slots import Slots
from rangym.envs.trace import Array, Slot, Trace

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

    Pictures need the extra `plot`. Windows and films are Gymnasium's own, with the extra `video`:
    ``HumanRendering(gym.make(id, render_mode="rgb_array"))`` and ``RecordVideo(gym.make(id, render_mode="rgb_array"),
    folder)``.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    observation_space: gym.spaces.Dict

    def __init__(
        self, system: str | System, scenario: str = "small", render_mode: str | None = None, **overrides: object
    ):
        self.render_mode = _checked_mode(render_mode, self.metadata["render_modes"])
        self.system = build(system, scenario, overrides)
        self.scenario = None if isinstance(system, SystemModel) else scenario
        self._episode = Slots(self.system, 1)
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
        given = _checked_trace(options)
        super().reset(seed=_checked_seed(seed))
        obs = self._episode.draw([self.np_random]) if given is None else self._episode.replay(given)
        return lane(obs, 0), {}

    def step(self, action: ArrayLike) -> tuple[dict[str, Array], float, bool, bool, dict[str, Mapping[str, Array]]]:
        obs, reward, outcome = self._episode.step(np.asarray(action)[None])
        info = {"terms": lane(outcome.terms, 0), "metrics": lane(outcome.metrics, 0)}
        return lane(obs, 0), float(reward[0]), *self._episode.ended, info

    @property
    def action_masks(self) -> Callable[[], Array]:
        """Boolean mask of the discrete choices, in sb3-contrib's layout; absent where the system defines none."""
        return _masks_of(self.system, lambda: lane(self._episode.action_masks(), 0))

    def render(self) -> Array | None:
        return None if self.render_mode is None else self._episode.picture(0)


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
        if not isinstance(num_envs, int) or isinstance(num_envs, bool) or num_envs < 1:
            raise WrongValue(f"num_envs: at least 1 lane wanted, got {shown(num_envs)}")
        self.render_mode = _checked_mode(render_mode, self.metadata["render_modes"])
        self.system, self.num_envs = build(system, scenario, overrides), num_envs
        for sizes in self.system.large_arrays(self.system.params) or [{}]:
            require_memory({"num_envs": num_envs, **sizes})
        self.scenario = None if isinstance(system, SystemModel) else scenario
        self._episode = Slots(self.system, num_envs)
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
        given = _checked_trace(options)
        if seed is not None or not self._rngs:
            self._rngs = [seeding.np_random(s)[0] for s in self._seeds(seed)]
        return self._episode.draw(self._rngs) if given is None else self._episode.replay(given), {}

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if isinstance(seed, Sequence) and not isinstance(seed, str | bytes):
            if len(seed) != self.num_envs:
                raise WrongValue(f"seed: one integer or a sequence of {self.num_envs} wanted, got {len(seed)}")
            return [_checked_seed(s) for s in seed]
        first = _checked_seed(seed)
        return [None if first is None else first + b for b in range(self.num_envs)]

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

    @property
    def action_masks(self) -> Callable[[], Array]:
        """Boolean masks of the discrete choices, one row a lane; absent where the system defines none."""
        return _masks_of(self.system, self._episode.action_masks)

    def render(self) -> tuple[Array, ...] | None:
        return None if self.render_mode is None else tuple(map(self._episode.picture, range(self.num_envs)))


def _masks_of(system: System, masks: Callable[[], Array]) -> Callable[[], Array]:
    if not system.has_action_masks:
        raise AttributeError(f"{type(system).__name__} defines no action masks for {system.action_space}")
    return masks


def _checked_mode(mode: str | None, modes: Sequence[str]) -> str | None:
    if mode is not None and mode not in modes:
        raise WrongValue(f"render_mode: None or one of {modes} wanted, got {shown(mode)}")
    return mode


def _checked_seed(seed: object) -> int | None:
    if seed is None:
        return None
    if (number := count_of(seed)) is None:
        raise WrongValue(f"seed: an integer of at least 0 wanted, got {shown(seed)}")
    return number


def _checked_trace(options: Mapping[str, object] | None) -> object:
    """The trace to replay, None for a fresh one."""
    if options is None:
        return None
    if not isinstance(options, Mapping):
        raise WrongType(f"options: a dictionary wanted, got {shown(options)}")
    for name in options:
        if name != "trace":
            raise WrongType(f"options: 'trace' wanted, got {shown(name)}{nearest(name, ['trace'])}")
    return options.get("trace")
