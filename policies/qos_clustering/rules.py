"""Rules that follow how well each head has predicted: fixed heads, the best so far, the best with all that it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.params import ranged
from rangym.envs.qos_clustering.calibration import LOG_LOSS_FLOOR
from rangym.envs.qos_clustering.deployment import deployment
from rangym.envs.qos_clustering.system import QosClustering
from rangym.policies.algorithms.prediction.head_choice import Weights, choose_heads
from rangym.policies.algorithms.prediction.switching_filter import SwitchingFilter
from rangym.policies.base import Knowledge, Observation, Policy, Task

CONCEPT_RIDGE = 1e-3
"""Added to the covariance of the concepts' log losses."""


def cells_and_slots(task: Task) -> tuple[int, int]:
    """(N, C + 1) of a task."""
    cells, slots = task.box("last_loss").shape
    return cells, slots


def weights_of(system: QosClustering) -> Weights:
    """What the environment charges beside the loss."""
    return Weights(system.params.lam, system.params.beta, system.params.kappa)


def present(observation: Observation) -> NDArray:
    """(N,) the slot that each cell is on."""
    return observation["slot"].argmax(axis=1)


class GlobalFrozen(Policy):
    """All cells on the global head, as the network was pre-trained."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._slots = np.zeros(cells_and_slots(task)[0], dtype=np.int64)

    def act(self, observation: Observation) -> NDArray:
        return self._slots


class GlobalOnline(GlobalFrozen):
    """One head for all cells that learns from every label as it becomes known."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        require_adapting("global_online", task.model(QosClustering))
        super().reset(task, rng)


class LocalOnline(Policy):
    """A head for each cell, from the global one, that learns from its labels alone."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        require_adapting("local_online", task.model(QosClustering))
        cells, slots = cells_and_slots(task)
        if slots < cells:
            raise WrongValue(
                f"local_online: a slot for each of {cells} cells wanted (num_heads={cells - 1}), got {slots}"
            )
        self._slots = np.arange(cells)

    def act(self, observation: Observation) -> NDArray:
        return self._slots


def require_adapting(name: str, system: QosClustering) -> None:
    """Refuse frozen heads: a head that learns is another problem."""
    if not system.params.adapts:
        raise WrongValue(f"{name}: heads that adapt (eta above 0, scenario 'adaptive') wanted, got eta=0")


def heads_of_groups(name: str, system: QosClustering) -> NDArray:
    """(4,) the slot of the head that suits each group."""
    if system.head_of_group is None:
        p = system.params
        raise WrongValue(
            f"{name}: generated days and library='ifca', whose heads suit known groups, wanted, got drift={p.drift!r}, "
            f"library={p.library!r}"
        )
    return 1 + system.head_of_group


class StaticLibrary(Policy):
    """Each cell on the head that suits the kind of its site, for good; right where no concept ever drifts."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        system = task.model(QosClustering)
        heads = heads_of_groups("static_library", system)
        self._slots = heads[deployment(system.params.num_cells, system.params.map_seed).site_group]

    def act(self, observation: Observation) -> NDArray:
        return self._slots


class GreedyLastLoss(Policy):
    """Each cell on the head that predicted its last label best."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return observation["last_loss"].argmin(axis=1)


@dataclass(eq=False)
class GreedySmoothed(Policy):
    """Each cell on the head of least average loss; ``memory`` is the weight of what was before."""

    memory: float = ranged(0.9, low=0, below=1)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._average: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        return self.average(observation).argmin(axis=1)

    def average(self, observation: Observation) -> NDArray:
        """(N, C + 1) the average loss, up to a constant a cell; the environment's own to begin with."""
        if self._average is None:
            self._average = observation["average_loss"].astype(np.float64)
        else:
            self._average = self.memory * self._average + (1.0 - self.memory) * observation["last_loss"]
        return self._average


@dataclass(eq=False)
class StickySmoothed(GreedySmoothed):
    """The average losses with all that the reward charges: cut, slots in use, and ``stickiness`` times migrations."""

    knowledge = Knowledge.MODEL

    stickiness: float = ranged(1.0, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        self._system = task.model(QosClustering)
        charged = weights_of(self._system)
        self._weights = Weights(charged.lam, charged.beta, self.stickiness * charged.kappa)

    def act(self, observation: Observation) -> NDArray:
        kernel = self._system.kernel(observation["statistics"])
        return choose_heads(self.average(observation), kernel, present(observation), self._weights)


@dataclass(eq=False)
class BayesFilter(Policy):
    """A filter that knows the concepts' loss statistics, and the best labels for the losses that it expects.

    Each cell's concept is followed by a `SwitchingFilter` on ln(loss + .02) of all heads. The last label is h slots
    old, so the belief is carried h slots ahead before the expected losses are taken.
    """

    knowledge = Knowledge.MODEL

    hold: float = ranged(64.0, low=1)
    power: float = ranged(0.5, above=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system = system = task.model(QosClustering)
        heads_of_groups("bayes_filter", system)  # refuses a library whose concepts were not measured
        library = system.predictor.library(system.params.num_heads)
        covariance = library.concept_covariance + CONCEPT_RIDGE * np.eye(system.params.num_slots)
        self._filter = SwitchingFilter(library.concept_mean, covariance, self.hold, self.power)
        self._loss, self._weights = library.concept_loss, weights_of(system)
        self._belief = self._filter.start(system.params.num_cells)

    def act(self, observation: Observation) -> NDArray:
        known = observation["last_loss"].astype(np.float64) + observation["mean_loss"][:, None]
        self._belief = self._filter.update(self._belief, np.log(np.maximum(known, 0.0) + LOG_LOSS_FLOOR))
        expected = self._filter.ahead(self._belief, self._system.params.label_delay) @ self._loss
        kernel = self._system.kernel(observation["statistics"])
        return choose_heads(expected, kernel, present(observation), self._weights)
