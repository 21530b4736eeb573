"""The slot loop over lanes that both Gymnasium shells share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, cast

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.model import D, Frame, Outcome, P, S, SystemModel, lane
from rangym.envs.trace import Array, Slot, Trace

if TYPE_CHECKING:
    from rangym.envs.rendering import Picture


Observation: TypeAlias = dict[str, Array]


class Moment(NamedTuple, Generic[S]):
    """Between two slots: the state, what is public, and the observation made of them."""

    state: S
    public: Slot
    observation: Observation


class Opening(NamedTuple, Generic[S]):
    """An episode before its first slot."""

    trace: Trace
    moment: Moment[S]


class Play(NamedTuple, Generic[S, D]):
    """A slot that was played: the decision, what it brought, and what is there afterwards."""

    decision: D
    outcome: Outcome
    reward: Array
    moment: Moment[S]


class Slots(Generic[P, S, D]):
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
        boxes = cast("dict[str, gym.spaces.Box]", self.observation_space.spaces)
        self._bounds = [(f, _bound(b.low), _bound(b.high), b.dtype) for f, b in boxes.items()]
        passed = np.arange(system.horizon + 1) / system.horizon
        self._time = np.broadcast_to(passed.astype(time.dtype)[:, None, None], (system.horizon + 1, lanes, 1))
        self._pictures: dict[int, Picture] = {}
        self._constants: tuple[Trace | None, dict[str, Array]] = None, {}
        self.trace: Trace | None = None
        self.t = 0

    @property
    def traces(self) -> list[Trace] | None:
        """The running episode's traces, one a lane; None before there is one."""
        return None if self.trace is None else [self.trace.lane(b) for b in range(self.lanes)]

    def draw(self, rngs: Sequence[np.random.Generator]) -> Observation:
        self.system.check_lanes(self.lanes)
        return self.begin(self.drawn(rngs))

    def replay(self, given: object) -> Observation:
        return self.begin(self.opened(Trace.stack(self.replayable(given))))

    def replayable(self, given: object) -> list[Trace]:
        """The lanes' traces in ``options["trace"]``, checked."""
        several = given if isinstance(given, Sequence) else [given] * self.lanes
        traces = [x for x in several if isinstance(x, Trace)]
        if len(traces) != self.lanes or len(several) != self.lanes:
            raise WrongValue(f"options['trace'] is one Trace or a sequence of {self.lanes}, got {_describe(given)}")
        for x in {id(x): x for x in traces}.values():
            x.check(self.system.shapes, self.system.reveal, self.system.horizon)
            self.system.check_trace(x.beginning())
        return traces

    def step(self, action: ArrayLike) -> tuple[Observation, Array, Outcome]:
        self.require_slot()
        return self.go_on(self.played(self.checked(action)))

    # What changes nothing yet, and the change, apart: an interruption finds either all of a step or nothing of it, and
    # several blocks of lanes go on together (`rangym.envs.threads`).

    def drawn(self, rngs: Sequence[np.random.Generator], into: Observation | None = None) -> Opening[S]:
        """An episode that has not begun."""
        return self.opened(self.system.sample_lanes(rngs), into)

    def opened(self, trace: Trace, into: Observation | None = None) -> Opening[S]:
        return Opening(trace, self._moment(trace, 0, self.system.initial(trace.slot(0)), into))

    def begin(self, opening: Opening[S]) -> Observation:
        self.trace, self.t = opening.trace, 0
        self.state, self.public, observation = opening.moment
        self.decision: D | None = None
        self.outcome = Outcome({}, {})
        self.rewards: list[Array] = []
        self.terms: list[Mapping[str, Array]] = []
        return observation

    def require_slot(self) -> None:
        """Refuse a step where no slot is left."""
        if self.trace is None:
            raise RuntimeError("step() was called before reset()")
        if self.t >= self.system.horizon:
            raise RuntimeError(f"the episode of {self.system.horizon} slots is over: call reset()")

    def checked(self, action: ArrayLike) -> Array:
        return checked(action, self.system.action_space, self.action_space)

    def played(self, action: Array, into: Observation | None = None) -> Play[S, D]:
        """What a `checked` action would bring, the observation in arrays of its own or ``into`` given ones."""
        trace = cast(Trace, self.trace)
        decision = self.system.decode(action, self.state, self.public)
        state, outcome = self.system.transition(self.state, decision, trace.slot(self.t + 1))
        reward = np.zeros(self.lanes)
        for term in outcome.terms.values():
            reward = reward + term
        return Play(decision, outcome, reward, self._moment(trace, self.t + 1, state, into))

    def go_on(self, play: Play[S, D]) -> tuple[Observation, Array, Outcome]:
        self.t += 1
        self.state, self.public, observation = play.moment
        self.decision, self.outcome = play.decision, play.outcome
        self.rewards.append(play.reward)
        self.terms.append(play.outcome.terms)
        return observation, play.reward, play.outcome

    def _moment(self, trace: Trace, t: int, state: S, into: Observation | None) -> Moment[S]:
        """What is there after slot t, before the decision of slot t + 1."""
        public = trace.public(t + 1, self.system.reveal)
        fields = self.system.observation(state, public)
        if self._constants[0] is not trace:
            self._constants = trace, {}
        seen = {} if into is None else into
        for f, low, high, dtype in self._bounds:
            if f != "time" and fields[f] is not trace.constants.get(f):
                if into is None:  # the method, since `np.clip` takes twice as long on one lane
                    seen[f] = fields[f].clip(low, high).astype(dtype, copy=False)
                else:
                    fields[f].clip(low, high, out=into[f], casting="unsafe")
                continue
            values = self._time[t] if f == "time" else self._constant(trace, f, low, high, dtype)
            if into is None:
                seen[f] = values.copy()  # the caller's own, as all others
            else:
                into[f][...] = values
        return Moment(state, public, seen)

    def _constant(self, trace: Trace, f: str, low: Array, high: Array, dtype: np.dtype[Any]) -> Array:
        """A constant of the trace within its box, which is found once an episode."""
        found = self._constants[1]
        if f not in found:
            found[f] = trace.constants[f].clip(low, high).astype(dtype, copy=False)
        return found[f]

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

    def picture(self, b: int) -> Array:
        """Lane b as an RGB array (height, width, 3) uint8."""
        from rangym.envs.rendering import Picture

        frame, paper = self.frame(b), self._pictures.setdefault(b, Picture())
        return paper(lambda figure: self.system.draw(figure, frame))

    def close(self) -> None:
        """Nothing is open here."""

    @property
    def ended(self) -> tuple[bool, bool]:
        """(terminated, truncated): Gymnasium's checker refuses truncation after a single step."""
        end = self.t == self.system.horizon
        return end and self.t == 1, end and self.t > 1


def checked(action: ArrayLike, single: gym.Space[Array], batched: gym.spaces.Box) -> Array:
    """The lanes' action as a fresh array of ``batched``'s dtype: the caller's array never enters the state."""
    given, wanted, lanes = np.asarray(action), batched.dtype, batched.shape[0]
    if given.shape[:1] != (lanes,):
        raise WrongValue(
            f"action: {lanes} lane{'s' * (lanes > 1)} of {single} wanted (shape {batched.shape}, {wanted}), "
            f"got shape {given.shape}, {given.dtype}"
        )
    if given.shape != batched.shape or not np.can_cast(given.dtype, wanted, "same_kind"):
        raise WrongValue(
            f"action: {single} wanted (shape {single.shape}, {wanted}), got shape {given.shape[1:]}, {given.dtype}"
        )
    cast = given.astype(wanted)
    inside = (cast >= batched.low) & (cast <= batched.high)  # `contains` takes three times as long
    if not inside.all():
        bad = tuple(np.argwhere(~inside)[0])
        place = ", ".join(str(i) for i in bad[1:])
        where = f" of lane {bad[0]}" if lanes > 1 else ""
        raise WrongValue(f"action[{place}]{where} = {cast[bad]} is outside {single}")
    return cast


def _bound(values: Array) -> Array:
    """The bound of a box, 0-dimensional where it is the same everywhere: many bounds cost several times as much."""
    return np.asarray(values.flat[0]) if (values == values.flat[0]).all() else values


def _describe(value: object) -> str:
    return f"{type(value).__name__} of length {len(value)}" if isinstance(value, Sequence) else type(value).__name__
