"""A problem of your own by `rangym.register`: environments, table, bound, command line, vector lanes.

A radio looks for an idle channel among those of a primary user, who comes and goes; what was idle is seen a slot later.
In this folder, `python -m rangym check own_environment:SpectrumAccess` says whether the contract is kept.
Takes 3 s. Needs rangym alone.
"""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete

import rangym
from rangym.envs.core import Outcome, SystemModel, Trace
from rangym.envs.params import check, ranged
from rangym.evaluation import Benchmark, Bound, Card, evaluate
from rangym.policies import Policy


@dataclass(frozen=True, kw_only=True)
class AccessParams:
    """How many channels and slots, and how likely a channel stays as it is from one slot to the next."""

    num_channels: int = ranged(5, low=2)
    horizon: int = ranged(100, low=1)
    stays: float = ranged(0.9, low=0, high=1)

    def __post_init__(self):
        check(self)


class SpectrumAccess(SystemModel[AccessParams, dict, np.ndarray]):
    """Choose one of K channels in each slot; the reward is 1 where it is idle, else 0."""

    scenarios = {"small": AccessParams(), "tiny": AccessParams(horizon=10)}

    def __init__(self, params):
        self.params, self.horizon = params, params.horizon
        self.observation_space = Dict({"idle": Box(0, 1, (params.num_channels,), np.float32)})
        self.action_space = MultiDiscrete([params.num_channels])
        self.shapes, self.reveal = {"idle": (params.num_channels,)}, {"idle": 1}  # seen one slot later

    def sample(self, rng):  # all chance of an episode: slots 0 .. T + 1
        changes = rng.random((self.horizon + 2, self.params.num_channels)) >= self.params.stays
        changes[0] = rng.random(self.params.num_channels) < 0.5
        return Trace({}, {"idle": np.cumsum(changes, axis=0) % 2.0})

    def initial(self, slot):
        return {}

    def transition(self, state, decision, slot):  # over lanes: decision (L, 1), idle (L, K)
        got = np.take_along_axis(slot["idle"], decision, axis=1)[:, 0]
        return state, Outcome({"access": got}, {"idle_channels": slot["idle"].sum(axis=1)})

    def observation(self, state, public):
        return {"idle": public["idle"]}


class LastIdle(Policy):
    """A channel that was idle in the slot before."""

    def reset(self, task, rng):
        pass

    def act(self, observation):
        return observation["idle"].argmax(keepdims=True)


def bound(system, trace):
    """Whoever saw the slot itself would miss only slots without an idle channel."""
    best = float(trace.slots["idle"][1:-1].max(axis=1).mean())
    return Bound(best, "certified", "an idle channel in each slot that has one", best)


CARD = Card(bound="own_environment:bound", quick=(Benchmark("lab/SpectrumAccess-v0", "tiny", range(3)),))
POLICIES = {"last_idle": "own_environment:LastIdle"}
rangym.register("lab/SpectrumAccess-v0", "own_environment:SpectrumAccess", POLICIES, "own_environment:CARD")

if __name__ == "__main__":
    print(evaluate(None, Benchmark("lab/SpectrumAccess-v0", "small", range(20))))
