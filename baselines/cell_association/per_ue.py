"""CellAssociation's agents: one policy shared by all UEs, and two flat ones that show why it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray

from rangym.baselines.policy import FlatPolicy, Sb3Policy
from rangym.baselines.view import AgentsView
from rangym.envs.cell_association.slicing import SLICING
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import SystemVectorEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.envs.physics.radio_link import link_failures
from rangym.envs.physics.sharing import load_cost
from rangym.envs.slicing import OwnReward
from rangym.policies.base import Knowledge, Observation, Task

FEATURES = (
    "sinr",  # SINR / 20 dB
    "sinr_change",  # its change since the slot before, / 6 dB; 0 in the first slot
    "margin",  # 2 clip(m - m of the serving cell), m = log10 c - [phi(y + 1) - phi(y)]
    "rate_average",  # 2 clip(EMA(.3) of log10 c - that of the serving cell)
    "rate",  # log10 c - 1.5, c in Mbit/s
    "serving",  # 1 for the serving cell
    "handover",  # gamma (a_old + a_new) - 1; 0 for the serving cell, -1 (no cost) for all before the first decision
    "load",  # 3 y / I - .5
    "variability",  # EMA(.1) of the UE's mean absolute SINR change, / 4 dB - .5; equal for its cells
)
RATE_MEMORY, CHANGE_MEMORY = 0.3, 0.1


class UserFeatures:
    """What one UE looks at: for each cell the nine numbers of `FEATURES`, from slots before the decision only.

    phi(y) = y log10 y is the load term of the utility, and y the load without the UE itself, so the margin m is what
    the UE would have added to the previous slot's utility at that cell. Cells are sorted: the serving one first, the
    others by falling margin; so a choice of 0 means "stay" and the numbering of the cells does not matter. Before the
    first decision no cell serves, and the best margin takes the serving cell's place as the reference.

    Keeps the averages from call to call: call it once a slot, and `reset` it at the start of an episode.

    Parameters
    ----------
    handover_weight : gamma, the weight of the handover cost.
    """

    names: ClassVar[tuple[str, ...]] = FEATURES

    def __init__(self, handover_weight: float):
        self.handover_weight = handover_weight
        self.reset()

    def reset(self) -> None:
        """Forget the episode."""
        self._sinr_db: NDArray | None = None

    def __call__(
        self, observation: Observation, choices: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Features ``(L, I, K * n)``, n `names`, and the sorting ``(L, I, K)``: ``order[l, i, rank]`` is a cell.

        ``choices`` is K, how many cells of the sorting are looked at; None: all J.
        """
        sinr_db = np.asarray(observation["sinr_db"], np.float64)  # (L, I, J), as all below
        serving = np.asarray(observation["serving"]) > 0.5
        lanes, ues, cells = sinr_db.shape
        log_rate = log_rates(sinr_db, observation)
        self._remember(sinr_db, log_rate)

        others = np.rint(observation["load"]).astype(np.int64)[:, None, :] - serving
        margin = log_rate - np.diff(load_cost(ues))[np.minimum(others, ues - 1)]
        served = serving.any(axis=2, keepdims=True)
        reference = np.where(served, serving.argmax(axis=2)[..., None], margin.argmax(axis=2)[..., None])
        order = ranked(np.where(serving, -np.inf, -margin), choices or cells)

        chosen = np.arange(lanes * ues).reshape(lanes, ues, 1) * cells + order  # into (L, I, J)
        delay = np.asarray(observation["handover_delay"])
        left, entered = at_cell(delay, reference).astype(np.float64), delay.take(chosen).astype(np.float64)
        cost = self.handover_weight * (left + entered) * served

        columns = np.empty((*order.shape, len(self.names)))
        columns[..., 0] = sinr_db.take(chosen) / 20
        columns[..., 1] = self._change.take(chosen) / 6
        columns[..., 2] = 2 * clipped(margin.take(chosen) - at_cell(margin, reference))
        columns[..., 3] = 2 * clipped(self._rate_average.take(chosen) - at_cell(self._rate_average, reference))
        columns[..., 4] = log_rate.take(chosen) - 1.5
        columns[..., 5] = serving.take(chosen)
        columns[..., 6] = np.where(serving.take(chosen), 0.0, cost - 1)
        columns[..., 7] = 3 * others.take(chosen) / ues - 0.5
        columns[..., 8] = self._variability / 4 - 0.5
        self._add(columns[..., 9:], observation, reference, chosen)
        return columns.reshape(lanes, ues, -1).astype(np.float32), order

    def _add(self, columns: NDArray, observation: Observation, reference: NDArray, chosen: NDArray) -> None:
        """Fill the further ``columns`` ``(L, I, K, n - 9)`` of a subclass.

        ``reference`` ``(L, I, 1)`` serves; ``chosen`` ``(L, I, K)`` are the cells, as indices into ``(L, I, J)``.
        """

    def _remember(self, sinr_db: NDArray, log_rate: NDArray) -> None:
        if self._sinr_db is None:
            self._change = np.zeros_like(sinr_db)
            self._rate_average = log_rate
            self._variability = np.zeros((*sinr_db.shape[:2], 1))
        else:
            self._change = sinr_db - self._sinr_db
            self._rate_average = self._rate_average + RATE_MEMORY * (log_rate - self._rate_average)
            size = np.abs(self._change).mean(axis=2, keepdims=True)
            self._variability = self._variability + CHANGE_MEMORY * (size - self._variability)
        self._sinr_db = sinr_db


def log_rates(sinr_db: NDArray, observation: Observation) -> NDArray[np.float64]:
    """log10 of each empty cell's rate in Mbit/s, ``(..., L, I, J)``, at the SINR of the same shape."""
    cap = observation.get("max_spectral_efficiency")  # (L, 1), where there is one
    cap = None if cap is None else cap[:, None, :]
    return np.log10(shannon_rate_mbps(sinr_db, observation["bandwidth_mhz"][:, None, :], cap))


def ranked(key: NDArray, count: int) -> NDArray[np.int64]:
    """The first ``count`` entries of a stable sort of ``key`` ``(L, I, J)`` along its last axis, ``(L, I, count)``."""
    if count == key.shape[2]:
        return np.argsort(key, axis=2, kind="stable")
    key, order = key.copy(), np.empty((*key.shape[:2], count), np.int64)
    for rank in range(count):  # the first of equal ones, as a stable sort has it
        order[..., rank] = key.argmin(axis=2)
        np.put_along_axis(key, order[..., rank, None], np.inf, axis=2)
    return order


def at_cell(values: NDArray, cell: NDArray) -> NDArray:
    return np.take_along_axis(values, cell, axis=2)


def clipped(values: NDArray) -> NDArray:
    return np.minimum(np.maximum(values, -1.0), 1.0)


def user_rewards(before: Observation, after: Observation, handover_weight: float) -> NDArray[np.float64]:
    """Each UE's training reward for the slot between two observations, ``(L, I)``.

    log10 c - [phi(y) - phi(y - 1)] - gamma (a_old + a_new) [moved] - max_j log10 c_j: what the UE adds to the slot's
    f = g + h (mode ``sum``), minus a term that depends on the trace only and takes most of the noise away. A UE that
    changes its own choice changes this reward by exactly the change of f, but for link failures.
    """
    log_rate = log_rates(after["sinr_db"], after)  # (L, I, J)
    cell = after["serving"].argmax(axis=2)[..., None]
    old = before["serving"].argmax(axis=2)[..., None]
    load = np.rint(after["load"]).astype(np.int64)
    crowding = np.diff(load_cost(log_rate.shape[1]), prepend=0.0)  # phi(y) - phi(y - 1), entry 0 unused
    share = crowding[np.take_along_axis(load, cell[..., 0], axis=1)]
    delay = np.asarray(after["handover_delay"], np.float64)
    moved = (cell != old)[..., 0] & before["serving"].any(axis=2)
    cost = handover_weight * (at_cell(delay, old) + at_cell(delay, cell))[..., 0] * moved
    return at_cell(log_rate, cell)[..., 0] - share - cost - log_rate.max(axis=2)


class UserReward(OwnReward):
    """`user_rewards`, less what a failure of the UE's link costs; mode ``sum``, whose handover cost is additive.

    A UE that changes its own choice changes its reward by exactly I times the change of the environment's.
    """

    def __init__(self, system: CellAssociation):
        self._params = params = system.params
        if params.handover_cost != "sum":
            raise WrongValue(f"handover_cost: 'sum' wanted to share rewards among UEs, got {params.handover_cost!r}")
        self._failure_slots = params.failure_slots or 0  # 0: links do not fail
        self._failure_cost = params.handover_weight * params.failure_delay_slots

    def start(self, traces: Sequence[Trace]) -> None:
        self._slots_out = np.zeros((len(traces), self._params.num_ues), np.int64)

    def __call__(self, reward: NDArray, before: Observation, after: Observation) -> NDArray[np.float64]:
        own = user_rewards(before, after, self._params.handover_weight)
        if self._failure_slots:
            own = own - self._failure_cost * self._failed(before["serving"], after)
        return own

    def _failed(self, before: NDArray, after: Observation) -> NDArray[np.bool_]:
        cell = after["serving"].argmax(axis=2)[..., None]
        moved = before.any(axis=2) & (cell[..., 0] != before.argmax(axis=2))
        sinr_db = at_cell(after["sinr_db"], cell)[..., 0]
        failed, self._slots_out = link_failures(sinr_db, moved, self._slots_out, self._failure_slots)
        return failed


class PerUserView(AgentsView):
    """The vector environment as L * I learners that share one policy: each chooses its UE's cell, by rank.

    Learner l * I + i sees `UserFeatures` of UE i in lane l and gets its `UserReward`.
    """

    def __init__(self, env: SystemVectorEnv, features: type[UserFeatures] = UserFeatures):
        system = Task.of(env, Knowledge.MODEL).model(CellAssociation)
        self._features = features(system.params.handover_weight)
        super().__init__(env, SLICING, UserReward(system), system.params.num_cells * len(features.names))

    def forget(self) -> None:
        super().forget()
        self._features.reset()

    def rows(self, observation: Observation) -> NDArray[np.float32]:
        features, self._order = self._features(observation)
        return features

    def native(self, actions: NDArray) -> NDArray[np.int64]:
        return at_cell(self._order, super().native(actions)[..., None])[..., 0]


class SharedPpo(Sb3Policy):
    """One PPO policy shared by all UEs, trained on ``small``; acts for any number of UEs.

    With more UEs it does about as well as in training. Where there are more cells, each UE chooses among its serving
    one and those with the best margins: it runs, but another channel or handover cost is not what it was trained for,
    and a simple rule may do better. The policy knows the observation only, so the handover weight in its features is
    the one it was trained with.

    Parameters
    ----------
    agent : number of a shipped agent, or the path of one that ``rangym train`` wrote; by default each episode draws
        one of the shipped agents, so that intervals over episodes cover the variation between training runs.
    """

    recipe = "ppo_shared"
    features: ClassVar[type[UserFeatures]] = UserFeatures

    @classmethod
    def view(cls, env: SystemVectorEnv) -> VectorEnv:
        return PerUserView(env, cls.features)

    @staticmethod
    def constants(env: SystemVectorEnv) -> dict[str, float]:
        return {"handover_weight": Task.of(env, Knowledge.MODEL).model(CellAssociation).params.handover_weight}

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        cells = task.box("load").shape[0]
        self._choices = min(cells, self.trained.network.sizes[1])
        self._check_sizes(self._choices * len(self.features.names), self._choices)
        self._features = self._looking(task)

    def _looking(self, task: Task) -> UserFeatures:
        """The features of an episode."""
        return self.features(self._constant_of_training("handover_weight"))

    def act(self, observation: Observation) -> NDArray[np.int64]:
        features, order = self._features({f: v[None] for f, v in observation.items()}, self._choices)
        rank = self.trained.network(features[0]).argmax(axis=1)
        return np.take_along_axis(order[0], rank[:, None], axis=1)[:, 0]


class CityPpo(SharedPpo):
    """`SharedPpo` trained on ``munich``, where each UE chooses among all 18 cells."""

    recipe = "ppo_city"


class FlatPpo(FlatPolicy):
    """PPO over the whole observation and all UEs at once: a negative result, trained as long as `SharedPpo`."""

    recipe = "ppo_flat"


class MaskablePpo(FlatPolicy):
    """`FlatPpo` that may not choose cells out of reach (MaskablePPO): a negative result too."""

    recipe = "ppo_maskable"

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        super().reset(task, rng)
        self._floor_db = task.box("sinr_db").low

    def mask(self, observation: Observation) -> NDArray[np.bool_]:
        sinr_db = observation["sinr_db"]
        seen = observation["covered"] > 0 if "covered" in observation else sinr_db > self._floor_db
        seen = seen | (observation["serving"] > 0) | (sinr_db == sinr_db.max(axis=1, keepdims=True))
        return seen.ravel()
