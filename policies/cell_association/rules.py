"""Rules that operators use: strongest cell, the A3 event, load-aware choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.params import ranged, require
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.envs.physics.sharing import load_cost
from rangym.policies.base import Knowledge, Observation, Policy, Task

FILTER_COEFFICIENTS = (*range(10), 11, 13, 15, 17, 19)
"""Those that TS 38.331 allows."""
FILTER_PERIOD_S = 0.2
"""The coefficient is that of a filter which is fed so often."""


def log_rate(observation: Observation) -> NDArray:
    """log10 of each empty cell's rate in Mbit/s, ``(I, J)``, from the last SINR seen."""
    return log_rate_at(observation["sinr_db"], observation)


def log_rate_at(sinr_db: NDArray, observation: Observation) -> NDArray:
    """log10 of each empty cell's rate in Mbit/s, ``(..., J)``, at the SINR ``sinr_db`` ``(..., J)``."""
    cap = observation.get("max_spectral_efficiency")  # (1,), where there is one
    return np.log10(shannon_rate_mbps(sinr_db, observation["bandwidth_mhz"], cap))


def ues_and_cells(task: Task) -> tuple[int, int]:
    """(I, J) of a task."""
    ues, cells = task.box("sinr_db").shape
    return ues, cells


class MaxSinr(Policy):
    """Each UE at the cell that was strongest in the previous slot; ignores load and handover cost."""

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return observation["sinr_db"].argmax(axis=1)


@dataclass(eq=False)
class A3(Policy):
    """Event A3 of 3GPP TS 38.331 (5.5.4.4): hand over once a neighbour has been offset better for long enough.

    A neighbour enters when its SINR exceeds the serving cell's by more than ``offset_db + hysteresis_db``. When that
    held in ``time_to_trigger`` consecutive slots, the UE moves to the strongest neighbour for which it did. Since the
    handover follows the report at once, a triggered event never has to be left. The first slot takes the strongest
    cell.

    Parameters
    ----------
    offset_db, hysteresis_db : margins in steps of .5 dB.
    time_to_trigger : slots.
    filter_coefficient : k of the layer-3 filter (5.5.3.2), which averages what is measured in dB: over 200 ms it keeps
        the share 1 - 2^(-k/4) of the past, over a slot that share to the power slot_s / .2 s; 0: no filter.
    """

    knowledge: ClassVar[Knowledge] = Knowledge.MODEL  # the length of a slot

    offset_db: float = ranged(3.0, low=-15, high=15)
    hysteresis_db: float = ranged(0.0, low=0, high=15)
    time_to_trigger: int = ranged(2, low=1)
    filter_coefficient: int = ranged(0, low=0, high=19)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("offset_db", "hysteresis_db"):
            require((2 * getattr(self, name)) % 1 == 0, name, "a multiple of .5 dB", getattr(self, name))
        k = self.filter_coefficient
        require(k in FILTER_COEFFICIENTS, "filter_coefficient", f"one of {list(FILTER_COEFFICIENTS)}", k)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        self._slots_entered = np.zeros(ues_and_cells(task), dtype=np.int32)
        self._kept = 0.0
        if self.filter_coefficient:
            slot_s = task.model(CellAssociation).params.slot_s
            self._kept = (1 - 2 ** (-self.filter_coefficient / 4)) ** (slot_s / FILTER_PERIOD_S)
        self._filtered_db: NDArray[np.float64] | None = None

    def act(self, observation: Observation) -> NDArray:
        sinr_db, serving = observation["sinr_db"].astype(np.float64), observation["serving"] > 0
        if self._kept:
            past_db = sinr_db if self._filtered_db is None else self._filtered_db
            sinr_db = self._kept * past_db + (1 - self._kept) * sinr_db
        self._filtered_db = sinr_db
        if not serving.any():
            return sinr_db.argmax(axis=1)
        serving_db = sinr_db[serving][:, None]
        entered = ~serving & (sinr_db > serving_db + (self.offset_db + self.hysteresis_db))
        self._slots_entered = (self._slots_entered + 1) * entered
        triggered = self._slots_entered >= self.time_to_trigger
        moves = triggered.any(axis=1)
        cell = serving.argmax(axis=1)
        cell[moves] = np.where(triggered[moves], sinr_db[moves], -np.inf).argmax(axis=1)
        self._slots_entered[moves] = 0
        return cell


class LoadAware(Policy):
    """UEs in the order of their index, each to the cell where it adds most to the utility, given those before it.

    Adding a UE to a cell of y UEs changes g by log10 c_ij - [phi(y + 1) - phi(y)]; rates are those of the previous
    slot. Ignores handover cost.
    """

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        ues, self._num_cells = ues_and_cells(task)
        self._entry_cost = np.diff(load_cost(ues))

    def act(self, observation: Observation) -> NDArray:
        value = log_rate(observation)
        load = np.zeros(self._num_cells, dtype=np.int64)
        cell = np.empty(len(value), dtype=np.int64)
        for i, row in enumerate(value):
            cell[i] = (row - self._entry_cost[load]).argmax()
            load[cell[i]] += 1
        return cell
