"""Policies that solve the slot's assignment exactly, and oracles that know the whole episode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.policies.algorithms.assignment import optimal_assignment
from rangym.policies.base import Observation, Policy, Task
from rangym.policies.cell_association.rules import log_rate


class SlotOptimum(Policy):
    """The exact optimum of the previous slot's utility; ignores handover cost."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._cell: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        self._cell = optimal_assignment(log_rate(observation), start=self._cell).cell
        return self._cell


class StickyOptimum(Policy):
    """The exact optimum of the previous slot's utility when leaving the serving cell costs lam (a_old + a_new).

    a is the observed ``handover_delay`` in slots, so ``lam`` is in units of utility per slot of delay. ``lam`` below
    the environment's handover weight keeps a UE less, since a handover pays over the slots that follow.
    """

    def __init__(self, lam: float = 10.0):
        if not (np.isfinite(lam) and lam >= 0):
            raise ValueError(f"lam: a finite number of at least 0 wanted, got {lam!r}")
        self.lam = lam

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return self._sticky(log_rate(observation), observation)

    def _sticky(self, value: NDArray, observation: Observation) -> NDArray:
        serving, delay = observation["serving"] > 0, observation["handover_delay"].astype(np.float64)
        if not serving.any():
            return optimal_assignment(value).cell
        both_ends = delay[serving][:, None] + delay
        return optimal_assignment(
            value - self.lam * np.where(serving, 0.0, both_ends), start=serving.argmax(axis=1)
        ).cell


class StickyFiltered(StickyOptimum):
    """`StickyOptimum` on exponentially averaged log rates: the newest slot has weight ``alpha``."""

    def __init__(self, lam: float = 5.0, alpha: float = 0.5):
        super().__init__(lam)
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha: in (0, 1] wanted, got {alpha!r}")
        self.alpha = alpha

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._average: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        value = log_rate(observation)
        self._average = value if self._average is None else self._average + self.alpha * (value - self._average)
        return self._sticky(self._average, observation)
