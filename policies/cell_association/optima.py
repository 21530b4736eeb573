"""Policies that solve the slot's assignment exactly, and oracles that know the whole episode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import Trace
from rangym.envs.errors import WrongValue
from rangym.envs.params import ranged
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.algorithms.association.handover_planning import plan_additive, plan_norm
from rangym.policies.base import Knowledge, Observation, Policy, Task
from rangym.policies.cell_association.rules import log_rate


class SlotOptimum(Policy):
    """The exact optimum of the previous slot's utility; ignores handover cost."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._cell: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        self._cell = optimal_assignment(log_rate(observation), start=self._cell).cell
        return self._cell


@dataclass(eq=False)
class StickyOptimum(Policy):
    """The exact optimum of the previous slot's utility when leaving the serving cell costs lam (a_old + a_new).

    a is the observed ``handover_delay`` in slots, so ``lam`` is utility per slot of delay, as is the environment's
    handover weight under the additive cost. The best ``lam`` is smaller: a handover pays over all slots that follow.
    """

    lam: float = ranged(10.0, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return self._sticky(log_rate(observation), observation)

    def _sticky(self, value: NDArray, observation: Observation) -> NDArray:
        serving = observation["serving"] > 0
        if not serving.any():
            return optimal_assignment(value).cell
        cell, ue = serving.argmax(axis=1), np.arange(len(value))
        both_ends = observation["handover_delay"].astype(np.float64)
        both_ends += both_ends[ue, cell][:, None]
        both_ends[ue, cell] = 0.0
        both_ends *= self.lam
        return optimal_assignment(value - both_ends, start=cell).cell


@dataclass(eq=False)
class StickyFiltered(StickyOptimum):
    """`StickyOptimum` on exponentially averaged log rates: the newest slot has weight ``alpha``."""

    lam: float = ranged(5.0, low=0)
    alpha: float = ranged(0.5, above=0, high=1)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._average: NDArray | None = None

    def act(self, observation: Observation) -> NDArray:
        return self._sticky(self._filtered(observation), observation)

    def _filtered(self, observation: Observation) -> NDArray:
        """The averaged log rates, the newest slot included."""
        value = log_rate(observation)
        self._average = value if self._average is None else self._average + self.alpha * (value - self._average)
        return self._average


class StaticOracle(Policy):
    """The exact optimum of an episode whose SINR never changes: the slot's optimum, held for good.

    No association has a higher utility in any slot, and standing still costs nothing.
    """

    knowledge = Knowledge.ORACLE

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        trace = task.episode()
        if not is_static(trace):
            raise WrongValue(
                "static_oracle: a trace whose SINR is the same in every slot wanted (scenario 'static'), got one that "
                "changes; use the policy 'hindsight'"
            )
        cap = task.model(CellAssociation).params.max_spectral_efficiency
        self._cell = optimal_assignment(log_rates(trace, [1], cap)[0]).cell

    def act(self, observation: Observation) -> NDArray:
        return self._cell


class Hindsight(Policy):
    """The best plan found for an episode that is known in advance.

    With the additive handover cost (``sum``) it is within a proved gap of the optimum, about 1e-5 per slot and UE; with
    the root (``norm``) a local optimum, the best known value. It does not plan for radio link failures.
    """

    knowledge = Knowledge.ORACLE

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        trace, params = task.episode(), task.model(CellAssociation).params
        stages = stages_of(trace, params.max_spectral_efficiency)
        solve = plan_norm if params.handover_cost == "norm" else plan_additive
        plan = solve(stages.value, stages.delay, params.handover_weight, stages.weight)
        self._plan = np.repeat(plan.cell, stages.weight.astype(np.int64), axis=0)
        self._slots = iter(self._plan)

    def act(self, observation: Observation) -> NDArray:
        return next(self._slots)


@dataclass(frozen=True)
class Stages:
    """An episode's slots 1..T, runs of equal slots joined: ``value`` (N, I, J) log10 rate of each empty cell,
    ``delay`` (N or 1, I, J) in slots, ``weight`` (N,) number of slots."""

    value: NDArray
    delay: NDArray
    weight: NDArray


def log_rates(trace: Trace, slots: Iterable[int], max_spectral_efficiency: float | None = None) -> NDArray:
    """log10 of each empty cell's rate in Mbit/s in the given slots, (N, I, J) float64."""
    sinr_db = np.stack([trace.slot(int(t))["sinr_db"] for t in slots])
    return np.log10(shannon_rate_mbps(sinr_db, trace.constants["bandwidth_mhz"], max_spectral_efficiency))


def is_static(trace: Trace) -> bool:
    """Whether the SINR is the same in all slots 1..T."""
    first = trace.slot(1)["sinr_db"]
    return all(np.array_equal(trace.slot(t)["sinr_db"], first) for t in range(2, trace.horizon + 1))


def stages_of(trace: Trace, max_spectral_efficiency: float | None = None) -> Stages:
    """What a plan has to choose from: slots are joined where neither SINR nor delays change."""
    sinr_db = trace.slots["sinr_db"][1:-1]
    varying = "handover_delay" in trace.slots
    delay = trace.slots["handover_delay"][1:-1] if varying else trace.constants["handover_delay"][None]
    changed = [varying or not np.array_equal(now, before) for before, now in zip(sinr_db, sinr_db[1:], strict=False)]
    first = np.flatnonzero([True, *changed])
    weight = np.diff(np.append(first, len(sinr_db))).astype(np.float64)
    return Stages(log_rates(trace, first + 1, max_spectral_efficiency), delay.astype(np.float64), weight)
