"""QosClustering: which cells share a predictor of their quality of service."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NotRequired, TypedDict

import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete, Space
from numpy.typing import NDArray

from rangym.envs.core import Frame, Outcome, Slot, SystemModel, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import hellinger_kernel
from rangym.envs.learning.heads import (
    HeadMemory,
    adapted_heads,
    initial_memory,
    members,
    remember,
    row_losses,
    statistics_of,
)
from rangym.envs.params import require
from rangym.envs.qos_clustering import imported, scenario
from rangym.envs.qos_clustering.generator import PERIOD_S
from rangym.envs.qos_clustering.params import FITTED, SCENARIOS, QosClusteringParams
from rangym.envs.qos_clustering.predictor import TARGETS, load, predictor_files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEMORY = 0.9
"""Of the moving average of the losses."""
PRIOR_RIDGE = 1e-2
"""Added to the calibration days' mean Gram matrix, which is what adapting heads start from."""
BYTES_PER_NUMBER = 4
MAX_FEATURE_LANES = 64
"""Lanes whose traces hold every sampled row; each may take megabytes."""
MAX_FEATURE_BYTES = 256 * 2**20
"""More lanes are taken only where all their traces are no larger than this."""


class ClusteringState(TypedDict):
    """What a slot leaves to the next one."""

    slot_of_cell: NDArray[np.int64]  # (L, N) the head slot that each cell uses, 0 the global one
    average_loss: NDArray[np.float64]  # (L, N, C + 1) moving average of the known losses, up to the slot before
    heads: NotRequired[NDArray[np.float64]]  # (L, C + 1, p, 9) with eta above 0, like the two below
    head_gram: NotRequired[NDArray[np.float64]]  # (L, C + 1, p, p) S, what each head remembers of phi phi'
    head_cross: NotRequired[NDArray[np.float64]]  # (L, C + 1, p, 9) R, and of phi y'


class QosClustering(SystemModel[QosClusteringParams, ClusteringState, NDArray[np.int64]]):
    """Which cells share a head of the network that predicts their quality of service, while their behaviour drifts.

    ## Description
    Every 15 minutes each of N cells sums up its latency, jitter and received power as a Gaussian of (ln ms, ln ms,
    dBm). A predictor maps what a cell measures now to its Gaussian an hour (h = 4 periods) later. All cells use one
    frozen network; its last linear layer, the head, is shared by the cells of a cluster. The decision is which head
    each cell uses: slot 0, the global head that was trained on all cells, or one of the C heads of a library. How a
    cell's load will move depends on a hidden concept (which of four groups its demand belongs to), which nothing
    observed names and which drifts; so the head that is right for a cell has to be found from how well the heads
    predicted, and that is known an hour late. A cluster costs, a cell that moves to another head costs, and so does it
    to separate cells whose Gaussians are alike.

    With frozen heads (`eta=0`) and `kappa=0` no decision touches what comes later: the task is a contextual bandit with
    full, delayed feedback. With `eta` above 0 the heads follow the labels of the cells that use them.

    All numbers come from a generator (vehicles on a radio map, queues, hidden load dynamics) that was built so that
    clustering matters; they say what methods can do, not how a real network behaves.

    ## Action Space
    `action="native"` is the only coding: `MultiDiscrete([C + 1] * N)`, the slot of each cell, 0 the global head.

    ## Observation Space
    A `Dict` of float32 boxes. t is the slot to be decided, statistics are z-scored codes (means, then the Cholesky
    factor with the logarithm of its diagonal), losses are mean squared errors of these codes.

    | field | shape | unit | range |
    |---|---|---|---|
    | statistics | (N, 9) | Gaussian of period t | [-10, 10] |
    | statistics_before | (N, 9) | Gaussian of period t - h | [-10, 10] |
    | load | (N,) | background load in t | [0, 1] |
    | load_before | (N,) | background load in t - h | [0, 1] |
    | slot | (N, C + 1) | one-hot, the slot in use before t | {0, 1} |
    | last_loss | (N, C + 1) | loss of every head on the pair (t - h, t), minus the row's mean | [-10, 10] |
    | average_loss | (N, C + 1) | its moving average of memory 0.9, minus the row's mean | [-10, 10] |
    | mean_loss | (N,) | the row's mean that was taken out of last_loss | [0, 10] |
    | known_gram | (N, p, p) | `observe="statistics"` only: mean phi phi' of the rows of period t - h | [-1000, 1000] |
    | known_feature_mean | (N, p) | `observe="statistics"` only: mean phi of these rows | [-50, 50] |
    | time | (1,) | (t - 1) / T | [0, 1] |

    ## Rewards
    Four terms, each divided by N: `loss` = -sum of the cells' losses on the pair (t, t + h) under their heads, without
    any ridge term; `cut` = -lam times the kernel summed over ordered pairs of cells on different slots; `clusters` =
    -beta times the slots in use, the global one included; `migrations` = -kappa times the cells that left the slot of
    the period before (slot 0 at the start).

    `info["metrics"]` holds per slot: loss (mean over the cells), cut, clusters, migrations, bytes (4 bytes a weight of
    the head for each migration; where heads adapt also for each cell up and each used slot down), global_loss (loss
    had all cells used slot 0), cell_loss (N,), and with the library `ifca` right_head, the share of cells on the head
    that suits their true group: a diagnosis that policies do not see.

    ## Starting State
    Every cell is on slot 0; the moving average is the loss known in slot 0.

    ## Episode End
    Truncated after T slots.

    ## Arguments
    `scenario`: `small` (default: 12 cells, 4 heads, a day of 88 slots, concepts that wander), `tiny`, `paper` (the
    paper's network, zero to three drift events, no migration cost), `adaptive` (heads that adapt), `large` (100 cells,
    10 heads), `imported` (needs `days`, your own logs out of `rangym map import --kind qos`: windows of the file's
    second half, with a predictor that was fitted to the first; no concepts are known there, and since windows of one
    file overlap, an interval over seeds says nothing beyond that file). Every field of
    `rangym.envs.qos_clustering.params.QosClusteringParams` overrides the scenario's value:

    >>> import gymnasium as gym
    >>> env = gym.make("rangym:rangym/QosClustering-v0", scenario="tiny", eta=0.003, observe="statistics")

    Train with `day_pool=64`: fixed days, none of them an evaluation day, drawn once. `RANGYM_CACHE` names a folder in
    which days are kept between runs.

    ## References
    O. Stenhammar, G. Fodor, C. Fischione, clustered predictors for quality of service by block coordinate descent.

    ## Version History
    - v0: first release
    """

    scenarios: ClassVar = SCENARIOS

    def __init__(self, params: QosClusteringParams):
        if params.imported:
            params = imported.resolved(params)
        super().__init__(params)
        self.horizon = params.horizon
        self.predictor = imported.predictor_of(params) if params.imported else load(params.predictor)
        h = self.predictor.label_delay
        require(
            params.label_delay == h, "label_delay", f"{h}, that of predictor {params.predictor!r},", params.label_delay
        )
        self.heads = scenario.initial_heads(params, self.predictor)
        self.prior = self.predictor.mean_gram.astype(np.float64) + PRIOR_RIDGE * np.eye(self.predictor.num_features)
        self.kpis, self.period_h = scenario.kpis_and_period(params)
        self.head_of_group = None
        if params.library == "ifca" and not params.imported:
            self.head_of_group = self.predictor.library(params.num_heads).head_of_group
        self.action_space = MultiDiscrete([params.num_slots] * params.num_cells)
        self.observation_space = Dict(self._boxes())
        self.shapes = self._shapes()
        later = {"loss", "features", "target", "true_group"}
        constant = {"cell_position_m", "site_group"}
        self.reveal = {f: self.horizon + 2 if f in later else 0 for f in self.shapes if f not in constant}

    def _boxes(self) -> dict[str, Space]:
        cells, slots, p = self.params.num_cells, self.params.num_slots, self.predictor.num_features
        boxes: dict[str, Space] = {
            "statistics": Box(-10, 10, (cells, TARGETS), np.float32),
            "statistics_before": Box(-10, 10, (cells, TARGETS), np.float32),
            "load": Box(0, 1, (cells,), np.float32),
            "load_before": Box(0, 1, (cells,), np.float32),
            "slot": Box(0, 1, (cells, slots), np.float32),
            "last_loss": Box(-10, 10, (cells, slots), np.float32),
            "average_loss": Box(-10, 10, (cells, slots), np.float32),
            "mean_loss": Box(0, 10, (cells,), np.float32),
        }
        if self.params.observe == "statistics":
            boxes["known_gram"] = Box(-1000, 1000, (cells, p, p), np.float32)
            boxes["known_feature_mean"] = Box(-50, 50, (cells, p), np.float32)
        return boxes

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        cells, slots = self.params.num_cells, self.params.num_slots
        rows = scenario.day_shapes(self.params, self.predictor)["features"][1:]
        shapes: dict[str, tuple[int, ...]] = {
            "cell_position_m": (cells, 2),
            "load": (cells,),
            "load_before": (cells,),
            "statistics": (cells, TARGETS),
            "statistics_before": (cells, TARGETS),
            "kernel": (cells, cells),
            "target": (cells, TARGETS),
        }
        if not self.params.imported:
            shapes |= {"site_group": (cells,), "true_group": (cells, len(scenario.GROUPS))}
        if not self.params.adapts:
            shapes |= {"known_loss": (cells, slots), "loss": (cells, slots)}
        if self.params.adapts or self.params.observe == "statistics":
            shapes["known_features"] = rows
        if self.params.adapts:
            shapes["features"] = rows
        return shapes

    @classmethod
    def large_arrays(cls, params: QosClusteringParams) -> Sequence[Mapping[str, int]]:
        if params.imported:  # the sizes are those of the file
            return ()
        a_period = f"rows of a period at sampling_s={params.sampling_s:g}"
        rows = {"num_vehicles": params.num_vehicles, a_period: math.ceil(PERIOD_S / params.sampling_s)}
        pairs = {"num_cells": params.num_cells, "cells": params.num_cells}
        return ({"periods": params.periods, **rows}, {"periods": params.periods, **pairs})

    def data_files(self) -> Sequence[Path]:
        """The recorded days and the predictor."""
        days = [Path(self.params.days)] if self.params.days else []
        own = self.params.imported and self.params.predictor == FITTED
        return [*days, *([] if own else predictor_files(self.params.predictor))]

    def sample(self, rng: np.random.Generator) -> Trace:
        return scenario.draw_trace(self.params, self.predictor, rng, keep=True)

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        """As the contract says; fresh days of several lanes are not kept, since they are never drawn again."""
        self.check_lanes(len(rngs))
        keep = len(rngs) == 1
        return Trace.stack([scenario.draw_trace(self.params, self.predictor, rng, keep) for rng in rngs])

    def check_lanes(self, lanes: int) -> None:
        numbers = sum(int(np.prod(shape)) for shape in self.shapes.values())
        size = lanes * (self.horizon + 2) * numbers * BYTES_PER_NUMBER
        if "known_features" in self.shapes and lanes > MAX_FEATURE_LANES and size > MAX_FEATURE_BYTES:
            raise WrongValue(
                f"num_envs: at most {MAX_FEATURE_LANES} lanes, or traces of {MAX_FEATURE_BYTES / 2**20:.0f} MiB, with "
                f"eta above 0 or observe='statistics' wanted, got {lanes}, whose traces would take "
                f"{size / 2**20:.0f} MiB"
            )

    def check_trace(self, trace: Trace) -> None:
        limits = {"load": (0, 1), "load_before": (0, 1), "kernel": (0, 1 + 1e-6), "true_group": (-1e-6, 1 + 1e-6)}
        for field in (limits.keys() | {"loss", "known_loss"}) & trace.slots.keys():
            low, high = limits.get(field, (0, np.inf))
            values = trace.slots[field]
            if values.min() < low or values.max() > high:
                raise WrongValue(
                    f"trace: {field!r} within [{low:.3g}, {high:.3g}] wanted, got [{values.min()}, {values.max()}]"
                )
        if self.params.imported:
            return
        groups = trace.constants["site_group"]
        if groups.dtype.kind not in "iu" or groups.min() < 0 or groups.max() >= len(scenario.GROUPS):
            raise WrongValue(f"trace: 'site_group' of integers 0..{len(scenario.GROUPS) - 1} wanted, got {groups}")

    def initial(self, slot: Slot) -> ClusteringState:
        lanes, cells = slot["load"].shape
        state = ClusteringState(
            slot_of_cell=np.zeros((lanes, cells), dtype=np.int64),
            average_loss=np.zeros((lanes, cells, self.params.num_slots)),
        )
        if self.params.adapts:
            heads = np.broadcast_to(self.heads.astype(np.float64), (lanes, *self.heads.shape)).copy()
            memory = initial_memory(heads, self.prior)
            state.update({"heads": heads, "head_gram": memory.gram, "head_cross": memory.cross})
        state["average_loss"] = self.known_loss(state, slot)
        return state

    def known_loss(self, state: ClusteringState, public: Slot) -> NDArray:
        """Loss ``(L, N, C + 1)`` float64 of the present heads on the pair (t - h, t), the last one with a label."""
        if not self.params.adapts:
            return public["known_loss"].astype(np.float64)
        return row_losses(public["known_features"], public["statistics"][:, :, None], state["heads"])

    def kernel(self, statistics: NDArray) -> NDArray:
        """Hellinger kernel ``(..., N, N)`` of Gaussians given by their z-scored codes ``(..., N, 9)``."""
        return hellinger_kernel(*self.predictor.gaussian(statistics))

    def transition(self, state: ClusteringState, decision: NDArray, slot: Slot) -> tuple[ClusteringState, Outcome]:
        """Adapting heads learn from the pair whose label is known before they are scored on the one to come."""
        average = MEMORY * state["average_loss"] + (1.0 - MEMORY) * self.known_loss(state, slot)
        following = ClusteringState(slot_of_cell=decision, average_loss=average)
        if self.params.adapts:
            memory, heads = self._adapted(state, decision, slot)
            following.update({"heads": heads, "head_gram": memory.gram, "head_cross": memory.cross})
            table = row_losses(slot["features"], slot["target"][:, :, None], following["heads"])
        else:
            table = slot["loss"].astype(np.float64)
        return following, self._outcome(state["slot_of_cell"], decision, table, slot)

    def _adapted(self, state: ClusteringState, decision: NDArray, slot: Slot) -> tuple[HeadMemory, NDArray]:
        """What the heads remember, and what they become, after learning from the pair known in ``slot``."""
        p = self.params
        pairs = statistics_of(slot["known_features"], slot["statistics"][:, :, None])
        before = HeadMemory(state["head_gram"], state["head_cross"])
        memory = remember(before, pairs, members(decision, p.num_slots), p.eta)
        return memory, adapted_heads(memory, self.prior, self.heads, p.anchor)

    def _outcome(self, before: NDArray, decision: NDArray, table: NDArray, slot: Slot) -> Outcome:
        p = self.params
        cell_loss = np.take_along_axis(table, decision[:, :, None], axis=2)[:, :, 0]
        apart = decision[:, :, None] != decision[:, None, :]
        lanes = len(decision)
        cut = np.where(apart, slot["kernel"].astype(np.float64), 0.0).reshape(lanes, -1).sum(axis=1)
        clusters = (decision[:, :, None] == np.arange(p.num_slots)).any(axis=1).sum(axis=1)
        migrations = (decision != before).sum(axis=1)
        loss = cell_loss.sum(axis=1)
        terms = {
            "loss": -loss / p.num_cells,
            "cut": -p.lam * cut / p.num_cells,
            "clusters": -p.beta * clusters / p.num_cells,
            "migrations": -p.kappa * migrations / p.num_cells,
        }
        sent = migrations + (p.num_cells + clusters if p.adapts else 0)
        metrics = {
            "loss": loss / p.num_cells,
            "cut": cut,
            "clusters": clusters,
            "migrations": migrations,
            "bytes": BYTES_PER_NUMBER * self.heads[0].size * sent,
            "global_loss": np.ascontiguousarray(table[:, :, 0]).sum(axis=1) / p.num_cells,
            "cell_loss": cell_loss,
        }
        if self.head_of_group is not None:
            right = 1 + self.head_of_group[slot["true_group"].argmax(axis=2)]
            metrics["right_head"] = (decision == right).mean(axis=1)
        return Outcome(terms, metrics)

    def observation(self, state: ClusteringState, public: Slot) -> dict[str, NDArray]:
        known = self.known_loss(state, public)
        average = MEMORY * state["average_loss"] + (1.0 - MEMORY) * known
        mean_loss = known.mean(axis=2)
        seen = {
            "statistics": public["statistics"],
            "statistics_before": public["statistics_before"],
            "load": public["load"],
            "load_before": public["load_before"],
            "slot": state["slot_of_cell"][:, :, None] == np.arange(self.params.num_slots),
            "last_loss": known - mean_loss[:, :, None],
            "average_loss": average - average.mean(axis=2, keepdims=True),
            "mean_loss": mean_loss,
        }
        if self.params.observe == "statistics":
            phi = public["known_features"]
            seen["known_gram"] = np.swapaxes(phi, -1, -2) @ phi / np.float32(phi.shape[-2])
            seen["known_feature_mean"] = phi.mean(axis=2)
        return seen

    def draw(self, figure: Figure, frame: Frame[ClusteringState, NDArray[np.int64]]) -> None:
        from rangym.envs.qos_clustering.render import draw

        draw(figure, self, frame)
