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
from rangym.envs.infos import masked, one_a_lane, owned
from rangym.envs.memory import require_memory
from rangym.envs.model import Frame, Outcome, State, System, SystemModel, T, build, lane
from rangym.envs.params import count_of, nearest
from rangym.envs.slots import Slots
from rangym.envs.threads import slots_in_threads, threads_for
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
        if "threads" in overrides:
            raise WrongType(
                "threads: none wanted in a single environment, whose lane has one; the vector environment has them, "
                f"gym.make_vec(..., threads=n) without vectorization_mode, got {shown(overrides['threads'])}"
            )
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
        given = _checked_options(options, ["trace"]).get("trace")
        super().reset(seed=_checked_seed(seed))
        obs = self._episode.draw([self.np_random]) if given is None else self._episode.replay(given)
        return lane(obs, 0), {}

    def step(self, action: ArrayLike) -> tuple[dict[str, Array], float, bool, bool, dict[str, Mapping[str, Array]]]:
        obs, reward, outcome = self._episode.step(np.asarray(action)[None])
        info = {"terms": owned(lane(outcome.terms, 0)), "metrics": owned(lane(outcome.metrics, 0))}
        return lane(obs, 0), float(reward[0]), *self._episode.ended, info

    @property
    def action_masks(self) -> Callable[[], Array]:
        """Boolean mask of the discrete choices, in sb3-contrib's layout; absent where the system defines none."""
        return _masks_of(self.system, lambda: lane(self._episode.action_masks(), 0))

    def render(self) -> Array | None:
        return None if self.render_mode is None else self._episode.picture(0)


class SystemVectorEnv(VectorEnv[dict[str, Array], Array, Array]):
    """L lanes of a system model in one array program; lane b with seed s equals `SystemEnv` with seed s + b.

    All lanes start and end together, since the horizon is fixed. ``autoreset_mode`` (Gymnasium's enum, or its value as
    a text) says what happens after the end. In each mode observations, rewards and infos equal those of Gymnasium's
    ``SyncVectorEnv`` over single environments in the same mode, bit for bit.

    - ``"NextStep"``, the default as in Gymnasium: the next `step` ignores its actions and returns the next episode's
      first observation, with reward 0. Gymnasium's vector wrappers work in this mode, and a learner of yours must leave
      that step out of what it learns from.
    - ``"SameStep"``: the step that ends an episode returns the next one's first observation; the last one is in
      ``info["final_obs"]``, that step's terms and metrics are in ``info["final_info"]``. No step is lost, so
      stable-baselines3 (through `rangym.Sb3VecEnv`) and rangym's own learners want this mode. Gymnasium's vector
      wrappers of observations refuse it, and before Gymnasium 1.4 its vector ``RecordEpisodeStatistics`` counts each
      episode after the first one step short and without that step's reward.
    - ``"Disabled"``: call `reset` after the end. It resets all lanes; a ``reset_mask`` that leaves some out is refused.
      Use it to play single episodes: no trace is drawn that nobody plays.

    ``threads`` says how many threads share the lanes in what they do faster than one, drawing or playing them (the
    system says so by `SystemModel.threaded`); every number gives the same bits. By default it is 1 below 256 lanes and
    in worker processes, otherwise as many as there are processors that this process may use, each with at least 128
    lanes. `close` ends them.

    ``reset(options={"trace": ...})`` replays one trace in all lanes, or one of a sequence in each. The arrays of
    ``info`` are the caller's own and may be written to.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10, "autoreset_mode": AutoresetMode.NEXT_STEP}
    single_observation_space: gym.spaces.Dict

    def __init__(
        self,
        system: str | System,
        num_envs: int = 1,
        scenario: str = "small",
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int | None = None,
        **overrides: object,
    ):
        if not (count := count_of(num_envs)):
            raise WrongValue(f"num_envs: an integer of at least 1 wanted, got {shown(num_envs)}")
        num_envs = count
        self.render_mode = _checked_mode(render_mode, self.metadata["render_modes"])
        self.autoreset_mode = _checked_autoreset(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.system, self.num_envs = build(system, scenario, overrides), num_envs
        for sizes in self.system.large_arrays(self.system.params) or [{}]:
            require_memory({"num_envs": num_envs, **sizes})
        self.scenario = None if isinstance(system, SystemModel) else scenario
        self.threads = threads_for(self.system, num_envs, threads)
        self._episode = slots_in_threads(self.system, num_envs, self.threads)
        self._rngs: list[np.random.Generator] = []
        self._all = np.ones(num_envs, dtype=bool)
        self.single_observation_space, self.single_action_space = (
            self._episode.observation_space,
            self.system.action_space,
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    @property
    def traces(self) -> list[Trace]:
        """The running episode's traces, one a lane."""
        if (traces := self._episode.traces) is None:
            raise RuntimeError("there are no traces before reset()")
        return traces

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, object] | None = None
    ) -> tuple[dict[str, Array], dict[str, object]]:
        given = _checked_options(options, ["trace", "reset_mask"])
        self._check_mask(given.get("reset_mask"))
        if seed is not None or not self._rngs:
            self._rngs = [seeding.np_random(s)[0] for s in self._seeds(seed)]
        trace = given.get("trace")
        return self._episode.draw(self._rngs) if trace is None else self._episode.replay(trace), {}

    def _check_mask(self, mask: object) -> None:
        """Gymnasium's ``options["reset_mask"]`` names the lanes to reset: here it must name them all."""
        if mask is None:
            return
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != np.bool_:
            raise WrongValue(f"options['reset_mask']: a bool array of {self.num_envs} lanes wanted, got {shown(mask)}")
        if not mask.all():
            raise WrongValue(
                f"options['reset_mask']: all {self.num_envs} lanes wanted, since they start and end together, "
                f"got {mask.sum()} of them; where lanes shall start one by one, use vectorization_mode='sync'"
            )

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if isinstance(seed, Sequence) and not isinstance(seed, str | bytes):
            if len(seed) != self.num_envs:
                raise WrongValue(f"seed: one integer or a sequence of {self.num_envs} wanted, got {len(seed)}")
            return [_checked_seed(s) for s in seed]
        first = _checked_seed(seed)
        return [None if first is None else first + b for b in range(self.num_envs)]

    def step(self, actions: ArrayLike) -> tuple[dict[str, Array], Array, Array, Array, dict[str, Any]]:
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and any(self._episode.ended):
            lanes = self.num_envs
            return self._episode.draw(self._rngs), np.zeros(lanes), np.zeros(lanes, bool), np.zeros(lanes, bool), {}
        obs, reward, outcome = self._episode.step(actions)
        ended = self._episode.ended
        terminated, truncated = (self._all.copy() if x else np.zeros(self.num_envs, bool) for x in ended)
        info: dict[str, object] = {"terms": outcome.terms, "metrics": outcome.metrics}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and any(ended):
            info = {"final_obs": one_a_lane(obs, self.num_envs), "final_info": info}
            obs = self._episode.draw(self._rngs)
        return obs, reward.copy(), terminated, truncated, masked(info, self._all)

    @property
    def action_masks(self) -> Callable[[], Array]:
        """Boolean masks of the discrete choices, one row a lane; absent where the system defines none."""
        return _masks_of(self.system, self._episode.action_masks)

    def render(self) -> tuple[Array, ...] | None:
        return None if self.render_mode is None else tuple(map(self._episode.picture, range(self.num_envs)))

    def close_extras(self, **kwargs: object) -> None:
        self._episode.close()


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


def _checked_autoreset(mode: object) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    words = [m.value for m in AutoresetMode]
    if mode not in words:
        raise WrongValue(f"autoreset_mode: one of {words} wanted, got {shown(mode)}{nearest(mode, words)}")
    return AutoresetMode(mode)


def _checked_options(options: Mapping[str, object] | None, allowed: Sequence[str]) -> Mapping[str, object]:
    """What `reset` was asked for by name."""
    if options is None:
        return {}
    if not isinstance(options, Mapping):
        raise WrongType(f"options: a dictionary wanted, got {shown(options)}")
    for name in options:
        if name not in allowed:
            wanted = " or ".join(map(repr, allowed))
            raise WrongType(f"options: {wanted} wanted, got {shown(name)}{nearest(name, allowed)}")
    return options
