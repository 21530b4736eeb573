"""NodePlacement's agents: one policy shared by all nodes that corrects K-means' steps, and what is left without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from rangym.baselines.node_placement.features import NODE_FEATURES, OTHER_FEATURES, NodeFeatures
from rangym.baselines.node_placement.tracking import LaneTracker
from rangym.baselines.policy import FlatPolicy, Sb3Policy
from rangym.baselines.view import UNBOUNDED, EpisodicView
from rangym.envs.core import SystemVectorEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.flat import FlatVectorObservation
from rangym.envs.infos import final_observations
from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.slicing import OwnReward
from rangym.policies.base import Knowledge, Observation, Task


class NodeLook:
    """What the nodes of L lanes look at, and the steps that they correct: those of the policy ``k_means``.

    Keeps the targets and the averages from call to call: call it once a slot, and `reset` it at an episode's start.

    Parameters
    ----------
    system : the model.
    others : how many other nodes, nearest first, a node looks at.
    residual : False: the nodes start from standing still, and K-means is not asked.
    """

    def __init__(self, system: NodePlacement, others: int, residual: bool):
        if system.params.v_max_m is None:
            raise WrongValue("v_max_m: a speed limit wanted (the agents move nodes), got None")
        self._residual = residual
        self._features = NodeFeatures(system, others)
        self._tracker = LaneTracker(system)
        self.width = NODE_FEATURES + OTHER_FEATURES * others
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._features.reset()
        self._tracker.reset()

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Features ``(L, K, width)``."""
        self._base = np.zeros(observation["node_position_m"].shape, np.float32)
        if self._residual:
            self._base = self._tracker(observation["user_position_m"], observation["node_position_m"])
        return self._features(observation, self._base)

    def native(self, action: NDArray) -> NDArray[np.float32]:
        """The native action ``(L, K, 2)``: the step looked at last plus ``action``, shortened to the unit disc."""
        step = self._base.astype(np.float64) + np.clip(action, -1.0, 1.0)
        length = np.sqrt((step * step).sum(axis=-1, keepdims=True))
        return np.clip(step / np.maximum(length, 1.0), -1.0, 1.0).astype(np.float32)


def tracking_rewards(system: NodePlacement, trace: Trace) -> NDArray[np.float64]:
    """The rewards ``(T, L)`` that the policy ``k_means`` gets on a stacked trace."""
    state, tracker, rewards = system.initial(trace.slot(0)), LaneTracker(system), []
    for t in range(1, system.horizon + 1):
        public = trace.public(t, system.reveal)
        seen = (public["user_position_m"], state["node_position_m"])
        action = tracker(*(x.astype(np.float32) for x in seen))  # as the environment shows them
        state, outcome = system.transition(state, system.decode(action, state, public), trace.slot(t))
        rewards.append(sum(outcome.terms.values()))
    return np.array(rewards)


class BeyondKMeans(OwnReward):
    """The reward beyond K-means, the same for all nodes: less what ``k_means`` gets in that slot of the same trace.

    The difference depends on the actions as the reward does, but most of the chance of the trace is gone from it.
    """

    def __init__(self, system: NodePlacement):
        if system.params.v_max_m is None:
            raise WrongValue("v_max_m: a speed limit wanted to compare with K-means' steps, got None")
        self._system = system

    def start(self, traces: Sequence[Trace]) -> None:
        self._tracking = iter(tracking_rewards(self._system, Trace.stack(traces)))

    def __call__(self, reward: NDArray, before: Observation, after: Observation) -> NDArray[np.float64]:
        return np.repeat(self.of_lane(reward)[:, None], self._system.params.num_nodes, axis=1)

    def of_lane(self, reward: NDArray) -> NDArray[np.float64]:
        """The next slot's reward ``(L,)`` that all nodes of a lane share."""
        return reward - next(self._tracking)


class PairedReward(VectorWrapper):
    """The vector environment with the reward of `BeyondKMeans`."""

    env: SystemVectorEnv

    def __init__(self, env: SystemVectorEnv):
        super().__init__(env)
        self._beyond = BeyondKMeans(Task.of(env, Knowledge.MODEL).model(NodePlacement))

    def reset(self, *, seed: int | None = None, options: dict[str, object] | None = None):
        observation, info = self.env.reset(seed=seed, options=options)
        self._beyond.start(self.env.traces)
        return observation, info

    def step(self, actions: NDArray):
        observation, reward, terminated, truncated, info = self.env.step(actions)
        reward = self._beyond.of_lane(reward)
        if final_observations(info):  # lanes end together
            self._beyond.start(self.env.traces)
        return observation, reward, terminated, truncated, info


class PerNodeView(EpisodicView):
    """The vector environment as nodes see it: a row of features each, an action each, and `PairedReward`.

    Observations are ``(K, F)`` of `NodeLook`, actions ``Box(-1, 1, (K, 2))``, added to the steps of ``k_means``. A
    lane's nodes are one learner.
    """

    def __init__(self, env: SystemVectorEnv, residual: bool = True):
        system = Task.of(env, Knowledge.MODEL).model(NodePlacement)
        nodes = system.params.num_nodes
        self._look = NodeLook(system, nodes - 1, residual)
        features = Box(-UNBOUNDED, UNBOUNDED, (nodes, self._look.width), np.float32)
        super().__init__(PairedReward(env), 1, features, Box(-1, 1, (nodes, 2), np.float32))

    def forget(self) -> None:
        self._look.reset()

    def look(self, observation: Observation) -> NDArray[np.float32]:
        return self._look(observation)

    def native(self, actions: NDArray) -> NDArray[np.float32]:
        return self._look.native(actions)

    def rewards(self, reward: NDArray, after: Observation) -> NDArray[np.float64]:
        return reward


class _NodesPpo(Sb3Policy):
    """One PPO policy shared by all nodes; acts for any number of nodes and users, under a speed limit.

    Knows the parameters (as ``k_means`` does), not the future.
    """

    knowledge = Knowledge.MODEL
    network = "rangym.baselines.pooled_network:PooledActorCritic"
    residual: ClassVar[bool] = True

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return PerNodeView(env, cls.residual)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        others = max(self.trained.network.sizes[0] - NODE_FEATURES, 0) // OTHER_FEATURES
        self._look = NodeLook(task.model(NodePlacement), others, self.residual)
        self._check_sizes(self._look.width, 2)

    def act(self, observation: Observation) -> NDArray[np.float32]:
        features = self._look({f: v[None] for f, v in observation.items()})
        return self._look.native(self.trained.network(features))[0]


class TrackingPpo(_NodesPpo):
    """PPO over K-means' steps, trained on ``small``: nodes look at the nearest three others.

    Better than K-means, but K-means nearly always moves at full speed, so a correction can stop a node and hardly turn
    it round, as `DirectPpo` often does.

    Parameters
    ----------
    agent : number of a shipped agent, or the path of one that ``rangym train`` wrote; by default each episode draws
        one of the shipped agents, so that intervals over episodes cover the variation between training runs.
    """

    recipe = "ppo_tracking"


class TrackingPpoDrift(_NodesPpo):
    """`TrackingPpo` trained on ``drift``: nodes look at the nearest eight others."""

    recipe = "ppo_tracking_drift"


class DirectPpo(_NodesPpo):
    """`TrackingPpo` without K-means: it starts from standing still. Trained on as many slots of ``small``."""

    recipe = "ppo_direct"
    residual = False


class _FlatNodes(FlatPolicy):
    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return FlatVectorObservation(PairedReward(env))


class FlatNodesPpo(_FlatNodes):
    """Plain PPO over the whole observation and all nodes at once: a negative result, trained as long."""

    recipe = "ppo_plain"


class FlatNodesSac(_FlatNodes):
    """Plain SAC over the whole observation and all nodes at once: a negative result, trained as long."""

    recipe = "sac_plain"
    squashes = True
