"""Policies that set everything by rule: equal shares, and FedNova over UEs or over all data processing units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.params import ranged, require
from rangym.envs.physics.federated_round import energy_optimal_speed
from rangym.policies.base import Knowledge, Observation, Policy, Task

OFFLOADED = 0.5
"""Share of its data that a UE offloads under `FednovaDpu`."""


class Rule(Policy):
    """What these rules share: each UE talks and listens to the BS with the best rate."""

    knowledge: ClassVar[Knowledge] = Knowledge.MODEL

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._system, self._rng = task.model(CeflOrchestration), rng

    def native(self, observation: Observation, settings: Mapping[str, NDArray | float]) -> NDArray:
        """The native action of ``settings``, numbers for all UEs, BSs or DCs or one for each of them."""
        p, net = self._system.params, self._system.network
        shapes = {
            "offload_share": (p.num_ues, p.num_bss),
            "forward_share": (p.num_bss, p.num_dcs),
            **dict.fromkeys(("clock_hz", "ue_iterations", "ue_minibatch"), (p.num_ues,)),
            **dict.fromkeys(("points_per_s", "dc_iterations", "dc_minibatch"), (p.num_dcs,)),
        }
        decision = {name: np.broadcast_to(settings[name], shape) for name, shape in shapes.items()}
        decision["aggregator"] = np.asarray(settings["aggregator"], dtype=np.int64)
        decision["ue_to_bs"] = observation["log10_uplink_bps"].argmax(axis=1)
        decision["bs_to_ue"] = observation["log10_downlink_bps"].argmax(axis=0)
        return encode(p, net, decision)


class Uniform(Rule):
    """Every UE keeps 1 / (B + 1) of its data and sends as much to each BS, each BS evenly to all DCs; DC 0 aggregates.

    Clocks and mini-batches are in the geometric middle of their ranges, two iterations, the DCs' most economical speed.
    """

    def act(self, observation: Observation) -> NDArray:
        p, net = self._system.params, self._system.network
        iterations, minibatch = min(2, p.max_iterations), np.sqrt(p.min_minibatch)
        return self.native(
            observation,
            {
                "aggregator": 0,
                "offload_share": 1.0 / (p.num_bss + 1),
                "forward_share": 1.0 / p.num_dcs,
                "clock_hz": np.sqrt(1e9 * p.min_clock_ghz * net.max_clock_hz),
                "ue_iterations": iterations,
                "ue_minibatch": minibatch,
                "points_per_s": energy_optimal_speed(p.dynamic_share) * net.federated.machine_points_per_s,
                "dc_iterations": iterations,
                "dc_minibatch": minibatch,
            },
        )


@dataclass(eq=False)
class FednovaUe(Rule):
    """FedNova over the UEs: no data leave them.

    Clocks in the middle of their ranges, DCs at half speed, mini-batches of ``mean_minibatch``, and in each round new
    counts of iterations around ``mean_iterations`` (`counts_around`): with equal counts FedNova is FedAvg. The options
    tuned for a scenario are the means of CE-FL's decisions on the tuning seeds.
    """

    mean_minibatch: float = ranged(0.2, above=0, high=1)
    mean_iterations: float = ranged(2.0, low=1)
    aggregator: int = ranged(0, low=0)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        dcs = self._system.params.num_dcs
        require(self.aggregator < dcs, "aggregator", f"one of 0..{dcs - 1}", self.aggregator)

    def act(self, observation: Observation) -> NDArray:
        p, net = self._system.params, self._system.network
        counts = counts_around(self.mean_iterations, p.max_iterations, self._rng.random(p.num_ues + p.num_dcs))
        minibatch = max(self.mean_minibatch, p.min_minibatch)
        return self.native(
            observation,
            {
                "aggregator": self.aggregator,
                "offload_share": self.offloaded * net.own_bs / net.own_bs.sum(axis=1, keepdims=True),
                "forward_share": net.inside.astype(np.float64),
                "clock_hz": (1e9 * p.min_clock_ghz + net.max_clock_hz) / 2.0,
                "ue_iterations": counts[: p.num_ues],
                "ue_minibatch": minibatch,
                "points_per_s": net.federated.machine_points_per_s / 2.0,
                "dc_iterations": counts[p.num_ues :],
                "dc_minibatch": minibatch,
            },
        )

    @property
    def offloaded(self) -> float:
        """Share of its data that each UE gives away, evenly over its own BSs; they send it to their own DC."""
        return 0.0


class FednovaDpu(FednovaUe):
    """FedNova over all data processing units: half of the data goes evenly over a UE's own BSs to their own DC."""

    @property
    def offloaded(self) -> float:
        return OFFLOADED


def counts_around(mean: float, most: int, drawn: NDArray) -> NDArray:
    """Whole counts in 1 .. ``most``, ``mean`` on average, from numbers ``drawn`` uniformly in [0, 1).

    A count is a number x, uniform in the widest range around the mean that 1 and ``most`` allow, rounded up with the
    probability of its fraction and else down, which keeps the mean: count <= k where x + u < k + 1 for a uniform u.
    A mean above ``most`` is ``most``.

    >>> counts_around(2.0, 6, np.array([0.0, 0.2, 0.3, 0.7, 0.8]))
    array([1., 1., 2., 2., 3.])
    """
    mean = min(mean, float(most))
    width = min(mean - 1.0, most - mean)
    if width == 0.0:
        return np.full(len(drawn), mean)

    def area(to: NDArray) -> NDArray:
        """The integral from minus infinity of the probability that u < z."""
        return np.clip(to, 0.0, 1.0) ** 2 / 2.0 + np.maximum(to - 1.0, 0.0)

    above = np.arange(2.0, most + 1.0)
    at_most = (area(above - mean + width) - area(above - mean - width)) / (2.0 * width)
    return 1.0 + (drawn[:, None] >= at_most).sum(axis=1)
