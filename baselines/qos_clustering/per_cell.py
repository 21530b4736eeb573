"""QosClustering's agents: one policy shared by all cells, and a flat one that shows why it is needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from rangym.baselines.policy import FlatPolicy, Sb3Policy
from rangym.baselines.view import AgentsView
from rangym.envs.core import SystemVectorEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.qos_clustering.params import QosClusteringParams
from rangym.envs.qos_clustering.slicing import SLICING
from rangym.envs.qos_clustering.system import QosClustering
from rangym.envs.slicing import OwnReward
from rangym.policies.base import Knowledge, Observation, Task

MEMORIES = (0.5, 0.8, 0.9, 0.97)
LOSS_LIMIT, STATISTICS_LIMIT = 3.0, 5.0
RECENT = 3
"""Slots whose load is looked at: the present one and the two before."""
STRIDE = 4
"""Slots between the older loads that are looked at."""
OLDER = 3
LOSS_FEATURES = 1 + len(MEMORIES)
SLOT_FEATURES = LOSS_FEATURES + 2
"""Features for each of the C + 1 slots: its losses, whether the cell is on it, the share of cells on it."""
CELL_FEATURES = 3 * 9 + RECENT + OLDER
"""Features whatever the number of slots: three times nine statistics and the loads."""


def num_features(slots: int) -> int:
    """Width of a cell's row where it chooses among ``slots``, C + 1."""
    return SLOT_FEATURES * slots + CELL_FEATURES


class CellFeatures:
    """What one cell looks at: `num_features` numbers of its own and of where the others are.

    In this order, t the slot to be decided:

    - last_loss, and its moving averages of memory .5, .8, .9 and .97 (all less the row's mean, clipped to 3), which
      start from the average that the first observation shows;
    - whether the cell is on each slot, and the share of all cells on each slot;
    - half the statistics of t, of t - 1 and of t - h, clipped to 5 before;
    - 2 x - .7 of the loads x of t, t - 1 and t - 2, and of t - h, t - h - 4 and t - h - 8.

    What lies before the first observation and is not in it is taken as the earliest of its kind that was seen.

    Keeps what it needs from call to call: call it once a slot, and `reset` it at the start of an episode.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._averages: list[NDArray] = []
        self._statistics: NDArray | None = None
        self._loads: list[NDArray] = []  # the last ones of the field, the latest first; so are the loads h slots older
        self._older_loads: list[NDArray] = []

    def __call__(self, observation: Observation) -> NDArray[np.float32]:
        """Features ``(L, N, num_features)``."""
        last, statistics = observation["last_loss"], observation["statistics"]
        self._remember(observation)
        loss = np.stack([last, *self._averages], axis=2).clip(-LOSS_LIMIT, LOSS_LIMIT)  # (L, N, 5, C + 1)
        before = statistics if self._statistics is None else self._statistics
        self._statistics = statistics
        codes = np.stack([statistics, before, observation["statistics_before"]], axis=2)
        codes = codes.clip(-STATISTICS_LIMIT, STATISTICS_LIMIT) / 2
        slot = observation["slot"]
        share = np.broadcast_to(slot.mean(axis=1, keepdims=True), slot.shape)
        loads = [_at(self._loads, k) for k in range(RECENT)]
        loads += [_at(self._older_loads, STRIDE * k) for k in range(OLDER)]
        parts = (_rows(loss), slot, share, _rows(codes), 2 * np.stack(loads, axis=2) - 0.7)
        return np.concatenate(parts, axis=2).astype(np.float32)

    def _remember(self, observation: Observation) -> None:
        if self._averages:
            last = observation["last_loss"]
            self._averages = [m * a + (1 - m) * last for m, a in zip(MEMORIES, self._averages, strict=True)]
        else:
            self._averages = [observation["average_loss"].astype(np.float64)] * len(MEMORIES)
        self._loads = [observation["load"], *self._loads[: RECENT - 1]]
        self._older_loads = [observation["load_before"], *self._older_loads[: STRIDE * (OLDER - 1)]]


def _at(loads: list[NDArray], age: int) -> NDArray:
    return loads[min(age, len(loads) - 1)]


def _rows(values: NDArray) -> NDArray:
    return values.reshape(*values.shape[:2], -1)


def cell_rewards(
    params: QosClusteringParams, loss: NDArray, kernel: NDArray, before: NDArray, decision: NDArray
) -> NDArray[np.float64]:
    """Each cell's training reward for a slot, ``(L, N)``: what it adds to N times the environment's.

    -(its loss - the mean over heads) - kappa [moved] - 2 lam (its own cut) - beta [alone on its slot]. The mean over
    heads depends on the trace only and takes most of the noise away. A cell that changes its own choice changes this
    reward by exactly N times the change of the environment's.

    Parameters
    ----------
    loss, kernel : the slot's losses of all heads ``(L, N, C + 1)``, and its kernel ``(L, N, N)``.
    before, decision : the slots in use before and now, ``(L, N)``.
    """
    own = np.take_along_axis(loss, decision[:, :, None], axis=2)[:, :, 0] - loss.mean(axis=2)
    apart = decision[:, :, None] != decision[:, None, :]
    cut = (kernel * apart).sum(axis=2)
    alone = (~apart).sum(axis=2) == 1
    return -own - params.kappa * (decision != before) - 2 * params.lam * cut - params.beta * alone


class CellReward(OwnReward):
    """`cell_rewards`, for which the losses of all heads have to be in the trace: heads are frozen.

    A cell that changes its own choice changes its reward by exactly N times the change of the environment's.
    """

    def __init__(self, system: QosClustering):
        self._params = params = system.params
        if params.adapts:
            raise WrongValue(f"eta: 0 wanted to train on the losses of all heads, got {params.eta}")

    def start(self, traces: Sequence[Trace]) -> None:
        self._trace, self._t = Trace.stack(traces), 1

    def __call__(self, reward: NDArray, before: Observation, after: Observation) -> NDArray[np.float64]:
        loss, kernel = (self._trace.slots[f][self._t].astype(np.float64) for f in ("loss", "kernel"))
        self._t += 1
        return cell_rewards(self._params, loss, kernel, *(x["slot"].argmax(axis=2) for x in (before, after)))


class PerCellView(AgentsView):
    """The vector environment as L * N learners that share one policy: each chooses its cell's slot.

    Learner l * N + i sees `CellFeatures` of cell i in lane l and gets its `CellReward`.
    """

    def __init__(self, env: SystemVectorEnv):
        system = Task.of(env, Knowledge.MODEL).model(QosClustering)
        self._features = CellFeatures()
        super().__init__(env, SLICING, CellReward(system), num_features(system.params.num_slots))

    def forget(self) -> None:
        super().forget()
        self._features.reset()

    def rows(self, observation: Observation) -> NDArray[np.float32]:
        return self._features(observation)


class CellsPpo(Sb3Policy):
    """One PPO policy shared by all cells, trained on ``small``; acts for any number of cells, under the same library.

    It knows the observation only, and of the kernel not even its values: cut and price of a slot reach it through where
    the others are. Heads that adapt, another price or another drift are not what it was trained for. It knows a head by
    its number alone: in ``imported``, or with another predictor, as many heads are other ones. Nothing that is observed
    tells, so it plays there without a warning, and its rows say how well it carries over, no more. Six settings were
    tried with one agent each on tuning days (see `rangym.baselines.qos_clustering`), no evaluation day was looked at.

    Parameters
    ----------
    agent : number of a shipped agent, or the path of one that ``rangym train`` wrote; by default each episode draws
        one of the shipped agents, so that intervals over episodes cover the variation between training runs.
    """

    recipe = "ppo_cells"

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return PerCellView(env)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        slots = task.box("slot").shape[1]
        self._check_sizes(num_features(slots), slots)
        self._features = CellFeatures()

    def act(self, observation: Observation) -> NDArray[np.int64]:
        features = self._features({f: v[None] for f, v in observation.items()})
        return self.trained.network(features)[0].argmax(axis=1)


class CellsPpoLarge(CellsPpo):
    """`CellsPpo` trained on ``large``: 100 cells and ten heads."""

    recipe = "ppo_cells_large"


class FlatCellsPpo(FlatPolicy):
    """Plain PPO over the whole observation and all cells at once: a negative result.

    Trained as long as `CellsPpo`, on the environment's own reward, with the best of as many settings.
    """

    recipe = "ppo_cells_flat"
