"""What a policy could do that knew the hidden concepts, or the whole day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import Trace
from rangym.envs.errors import WrongValue
from rangym.envs.qos_clustering.system import QosClustering
from rangym.policies.algorithms.prediction.head_choice import HeadPaths, plan_heads
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.qos_clustering.rules import heads_of_groups, weights_of


class TrueGroups(Policy):
    """Each cell on the head that suits its present concept, which nothing observed tells."""

    knowledge = Knowledge.ORACLE

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        heads = heads_of_groups("true_groups", task.model(QosClustering))
        self._slots = iter(heads[task.episode().slots["true_group"][1:-1].argmax(axis=2)])

    def act(self, observation: Observation) -> NDArray:
        return next(self._slots)


class HindsightPlan(Policy):
    """The best plan found for a day that is known in advance: the path of one cell after the other, exactly.

    The losses it knows hold label noise that nobody can foresee: most of the distance to it cannot be won.
    """

    knowledge = Knowledge.ORACLE

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._slots = iter(best_plan(task.model(QosClustering), task.episode()).labels)

    def act(self, observation: Observation) -> NDArray:
        return next(self._slots)


def best_plan(system: QosClustering, trace: Trace) -> HeadPaths:
    """The plan of slots 1..T for frozen heads; refused where losses depend on the decisions."""
    if system.params.adapts:
        raise WrongValue(f"hindsight_plan: frozen heads (eta=0) wanted, got eta={system.params.eta}")
    loss, kernel = (trace.slots[field][1:-1].astype(np.float64) for field in ("loss", "kernel"))
    return plan_heads(loss, kernel, weights_of(system))
