"""Policies that minimise the round's cost: swap matching, iterated local search, the exact optimum.

Each takes the costs of the environment's own multiple access and power control, so registry entries with other
overrides (`mba_fixed`, `oma_matching`) are the same classes.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.noma_allocation.params import NomaAllocationParams
from rangym.envs.noma_allocation.system import NomaAllocation
from rangym.envs.params import ranged
from rangym.envs.physics.units import db_to_linear
from rangym.policies.algorithms.pairing.exact import MAX_DP_USERS, subset_dp
from rangym.policies.algorithms.pairing.matching import (
    RULES,
    Matching,
    iterated_local_search,
    random_places,
    swap_matching,
)
from rangym.policies.algorithms.pairing.pair_costs import upload_costs
from rangym.policies.algorithms.pairing.pairing_kernels import PairCosts
from rangym.policies.base import Knowledge, Observation, Policy, Task


def round_costs(params: NomaAllocationParams, gain: NDArray, training_time_s: NDArray) -> PairCosts:
    """The matching problem of users with ``gain`` (n, K) and ``training_time_s`` (n,) in one round."""
    return upload_costs(
        gain,
        training_time_s,
        bits_per_hz=params.bits_per_hz,
        deadline_s=params.deadline_s,
        max_power_w=params.max_power_w,
        drop_cost_j=params.rho_j,
        access=params.access,
        fixed_power=params.power == "fixed",
    )


class _CostMatching(Policy):
    """The observation as a matching problem, and its solution as an action."""

    knowledge = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._params, self._rng = task.model(NomaAllocation).params, rng

    def act(self, observation: Observation) -> NDArray:
        p = self._params
        competing = np.flatnonzero(observation["scheduled"])
        subchannel = np.full(p.num_ues, p.num_subchannels)
        if len(competing):
            gain = db_to_linear(observation["snr_db"][competing].astype(np.float64)) / p.max_power_w
            training = observation["training_time"][competing].astype(np.float64) * p.deadline_s
            subchannel[competing] = self._match(round_costs(p, gain, training)).subchannel
        return subchannel

    @abstractmethod
    def _match(self, costs: PairCosts) -> Matching:
        """The assignment of the competing users."""


@dataclass(eq=False)
class SwapMatching(_CostMatching):
    """Swap matching from random pairs; ``rule`` says which exchanges count."""

    rule: str = ranged("sum", words=RULES)

    def _match(self, costs: PairCosts) -> Matching:
        return swap_matching(costs, random_places(costs, self._rng), self.rule)


class TwoSidedExchange(_CostMatching):
    """Swap matching until two-sided exchange stability, the paper's Definition 3."""

    def _match(self, costs: PairCosts) -> Matching:
        return swap_matching(costs, random_places(costs, self._rng), "2es")


@dataclass(eq=False)
class IteratedLocalSearch(_CostMatching):
    """Alternating Hungarian assignment and swaps, restarted from ``kicks`` shuffles of the best."""

    kicks: int = ranged(3, low=0)

    def _match(self, costs: PairCosts) -> Matching:
        return iterated_local_search(costs, random_places(costs, self._rng), self._rng, self.kicks)


class Exact(_CostMatching):
    """The round's optimum by the subset dynamic programme, for at most 20 users and places."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        size = max(self._params.num_ues, 2 * self._params.num_subchannels)
        if size > MAX_DP_USERS:
            raise WrongValue(f"exact: at most {MAX_DP_USERS} users and places wanted, got {size}; use ils_kkt")

    def _match(self, costs: PairCosts) -> Matching:
        return subset_dp(costs)
