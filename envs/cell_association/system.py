"""CellAssociation: which cell serves which UE, with handover (HO) costs."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NotRequired, TypedDict

import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete, Space
from numpy.typing import NDArray

from rangym.envs.cell_association.params import SCENARIOS, CellAssociationParams
from rangym.envs.cell_association.scenario import delay_bound_slots, sample_lanes
from rangym.envs.cell_association.stream import is_streamed
from rangym.envs.core import Array, Frame, Outcome, Slot, SystemModel, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.model import Each, serially
from rangym.envs.physics.radio_link import link_failures
from rangym.envs.physics.sharing import load_cost

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rangym.envs.cell_association.association_kernels import Rules
    from rangym.envs.cell_association.city import City

PING_PONG_SLOTS = 5
WEAK_TARGET_DB = -8.0
MAX_BANDWIDTH_MHZ = 100.0
LARGE_SLOT = 2000
"""Pairs of a UE and a cell from which two threads step 256 lanes faster than one."""


class AssociationState(TypedDict):
    """What a slot leaves to the next one."""

    serving: NDArray[np.int64]  # (L, I) the cell of each UE; -1 before slot 1
    previous_serving: NDArray[np.int64]  # (L, I) the cell before the last HO; -1 before the first
    slots_since_ho: NDArray[np.int64]  # (L, I) slots since the last HO; T at the start
    load: NDArray[np.int64]  # (L, J) UEs per cell
    slots_out: NotRequired[NDArray[np.int64]]  # (L, I) slots out of sync in a row, where links may fail


class CellAssociation(SystemModel[CellAssociationParams, AssociationState, Array]):
    """Which cell serves which user equipment (UE), when every handover (HO) costs time.

    ## Description
    I UEs move through the coverage of J cells. In every slot the network assigns each UE to one cell; a cell shares
    its time equally among its UEs, so UE i at cell j with y_j UEs gets c_ij / y_j, where c_ij = w_j log2(1 + s_ij)
    is the Shannon rate in Mbit/s at SINR s_ij, or w_j `max_spectral_efficiency` where that is less. Moving a UE
    interrupts it for a delay that depends on the device and on the radio technologies of both cells. The decision for
    slot t sees the SINR of slots before t only; the SINR of *all* pairs is seen one slot late (full-information
    feedback). The goal is a high proportional-fair utility at few handovers.

    With `failure_slots` a link may fail: below -8 dB it is out of sync, and in sync again from -6 dB on; so many slots
    out of sync in a row, or a handover that ends below -8 dB, are a radio link failure. It costs `failure_delay_slots`
    for re-establishment, at the cell that serves.

    In `urban` line of sight and shadowing belong to the place, so what a UE meets somewhere it meets there again, and
    so do others: a place can be learned. `map_seed` names the place; see `rangym.envs.cell_association.place`.

    `munich` and `florence` are real places, by ray tracing: 600 m of a city with four roof sites of three sectors
    (1.8 GHz) and six street cells (3.5 GHz), through whose streets UEs drive, and in `florence` some walk. The maps are
    shipped; `rangym map raytrace` makes others.

    `city` is large rather than real: 10,000 UEs among 200 cells on 18 square kilometres, the carriers, distances and
    motion of `mobility` (1,000 UEs, 25 cells); a UE hears nine of the cells. An observation has 24 MB, and an episode,
    which is drawn slot by slot, would have 8 GB. `rangym evaluate max_sinr --env CellAssociation --scenario city
    --seeds 0:1` takes three minutes, two of them for the bound. What a slot costs each policy, and how that grows with
    UEs and cells: `python -m rangym.evaluation.problems.cell_association.scaling --rows
    evaluation/published/scaling.jsonl`.

    ## Action Space
    `MultiDiscrete([J] * I)`: the serving cell of each UE. Every choice is legal; a cell out of reach gives the rate
    of the SINR floor. `action_masks()` (sb3-contrib's layout) marks the cells that were received in the previous
    slot.

    ## Observation Space
    A `Dict` of float32 boxes.

    | field | shape | unit | range |
    |---|---|---|---|
    | sinr_db | (I, J) | dB, of the previous slot | [-10, 30]; [-20, 30] in `measured`, `munich`, `florence` |
    | serving | (I, J) | one-hot serving cell; zeros before slot 1 | {0, 1} |
    | load | (J,) | UEs per cell | [0, I] |
    | bandwidth_mhz | (J,) | MHz | [0, 100] |
    | handover_delay | (I, J) | slots to attach to or leave a cell | [0, 2], or more where `slot_s` is short |
    | max_spectral_efficiency | (1,) | cap in bit/s/Hz; where one is set | the cap |
    | position_m | (I, 2) | m, of the previous slot; `urban`, `munich`, `florence` | [0, side of the area] |
    | covered | (I, J) | cell measured at the UE's place, previous slot; `measured` only | {0, 1} |
    | time | (1,) | (t - 1) / T, t the slot to be decided | [0, 1] |

    ## Rewards
    f / I with f = g + h: term `utility` = g / I, g = sum_i log10 c_i,x(i) - sum_j y_j log10 y_j; term `handover` =
    h / I. With moved UEs M and a the delays of the left and of the entered cell, `handover_cost="sum"` charges h =
    -gamma sum_M (a_old + a_new), which is additive; `"norm"`, the paper's, charges -gamma sqrt(sum_M (a_old +
    a_new)), under which 100 handovers at once cost as much as 10 single ones. Slot 1 has no handovers. Where links may
    fail, n failures add the term `failure` = -gamma n failure_delay_slots / I, which counts in f.

    `info["metrics"]` holds per slot: g, h, f; throughput_mbps (mean c/y); handovers; ho_delay_slots;
    ping_pongs (a HO back within 5 slots); weak_targets (HOs to a cell below -8 dB); load_jain (Jain index of the
    loads); uncovered (share of UEs on a cell that does not cover them; `measured` only); failures (where links may).

    ## Starting State
    Nobody is served; the SINR of slot 0 has been measured.

    ## Episode End
    Truncated after T slots.

    ## Arguments
    `scenario`: `small` (default: two macro and four small cells, ten vehicles), `tiny`, `urban` (the cells of `small`
    in a place, ten pedestrians and vehicles, links may fail), `static`, `volatile`, `desk`, `mobility` (alias
    `paper`), `city` (`mobility` at city size), `munich` and `florence` (ray-traced places, 40 UEs, 18 cells),
    `measured` (needs `map`, which brings `num_cells`). Every field of
    `rangym.envs.cell_association.params.CellAssociationParams` overrides the scenario's value:

    >>> import gymnasium as gym
    >>> env = gym.make("rangym:rangym/CellAssociation-v0", scenario="small", handover_weight=4.0, handover_cost="norm")

    The SINR of `measured` comes from drive logs in which a cell is seen only where it served: a radio map, not a
    physical SINR field. Its scores depend on map, floor and bandwidths and are not comparable with other scenarios.

    The limits of `munich` and `florence`: all cells transmit at full load; no people, vehicles or trees; one scattering
    coefficient for all walls; a modelled floor where no ray arrives; intervals over seeds are over UEs on one map.

    ## References
    A. Kalntis et al., "Smooth Handovers via Smoothed Online Learning". 3GPP TR 38.901 (channel), TS 36.331/38.331
    (A3 event, radio link failure).

    ## Version History
    - v0: first release
    """

    scenarios: ClassVar[Mapping[str, CellAssociationParams]] = SCENARIOS
    ratio_metrics = {
        "ping_pong": ("ping_pongs", "handovers"),
        "ho_below_threshold": ("weak_targets", "handovers"),
    }

    def __init__(self, params: CellAssociationParams):
        params = _with_sizes(params)  # refuses a missing or unfitting map here rather than at the first reset
        self.params, self.horizon = params, params.horizon
        ues, cells = params.num_ues, params.num_cells
        self.has_coverage, self.delays_vary = False, params.delay_variation > 0
        self.area_m = np.full(2, params.side_m) if params.law == "urban" else None
        self.city: City | None = None
        if params.law == "measured":
            from rangym.envs.cell_association.measured import radio_map

            source = radio_map(params)
            self.city, self.has_coverage = source.city, source.city is None
            self.area_m = source.size_m if source.city else None
        self.delay_bound = delay_bound_slots(params)
        self.action_space = MultiDiscrete([cells] * ues)
        fields: dict[str, Space] = {
            "sinr_db": Box(params.sinr_floor_db, params.sinr_ceiling_db, (ues, cells), np.float32),
            "serving": Box(0, 1, (ues, cells), np.float32),
            "load": Box(0, ues, (cells,), np.float32),
            "bandwidth_mhz": Box(0, MAX_BANDWIDTH_MHZ, (cells,), np.float32),
            "handover_delay": Box(0, self.delay_bound, (ues, cells), np.float32),
        }
        self.shapes = {
            "bandwidth_mhz": (cells,),  # MHz
            "cell_position_m": (cells, 2),  # m
            "cell_rat": (cells,),  # 5, 4, 3 or 2 for 5G, LTE, 3G and 2G
            "device_type": (ues,),  # 0 smartphone, 1 modem, 2 IoT
            "handover_delay": (ues, cells),  # slots; of each slot where the delays vary, else constant
            "sinr_db": (ues, cells),  # dB, in each slot
            "user_position_m": (ues, 2),  # m, in each slot
        }
        self.reveal = {"sinr_db": 1, "user_position_m": 1}
        if self.delays_vary:
            self.reveal["handover_delay"] = 1
        if self.has_coverage:
            fields["covered"] = Box(0, 1, (ues, cells), np.float32)
            self.shapes["covered"] = (ues, cells)  # whether the cell was measured at the UE's place, in each slot
            self.reveal["covered"] = 1
        if self.area_m is not None:
            high = np.broadcast_to(self.area_m.astype(np.float32), (ues, 2))
            fields["position_m"] = Box(np.zeros_like(high), high, dtype=np.float32)
        self._cap: dict[str, NDArray] = {}
        if params.max_spectral_efficiency is not None:
            cap = np.full(1, params.max_spectral_efficiency, np.float32)
            fields["max_spectral_efficiency"] = Box(0, cap[0], (1,), np.float32)
            self._cap["max_spectral_efficiency"] = cap
        self.observation_space = Dict(fields)
        self._cells = np.arange(cells)
        self._load_cost = load_cost(ues)

    @cached_property
    def _rules(self) -> Rules:
        from rangym.envs.cell_association.association_kernels import Rules

        p = self.params
        cap = np.inf if p.max_spectral_efficiency is None else p.max_spectral_efficiency
        is_norm = p.handover_cost == "norm"
        return Rules(float(p.handover_weight), is_norm, float(cap), PING_PONG_SLOTS, WEAK_TARGET_DB)

    @property
    def threaded(self) -> Collection[str]:
        """A slot is short work unless it is large."""
        size = math.prod(self.shapes["sinr_db"])
        return ("draw", "step") if size >= LARGE_SLOT else ("draw",)

    @classmethod
    def large_arrays(cls, params: CellAssociationParams) -> Sequence[Mapping[str, int]]:
        params = _with_sizes(params)
        slot = {"num_ues": params.num_ues, "num_cells": params.num_cells}
        if is_streamed(params):  # SINR and its variates, delays, the observation's fields
            return ({**slot, "arrays of a slot": 6},)
        return ({"horizon": params.horizon, **slot},)

    def data_files(self) -> Sequence[Path]:
        if not self.params.map:
            return ()
        from rangym.envs.cell_association.measured import map_file

        return (map_file(self.params.map),)

    def sample(self, rng: np.random.Generator) -> Trace:
        return sample_lanes(self.params, [rng]).lane(0)

    def sample_lanes(self, rngs: Sequence[np.random.Generator], each: Each = serially) -> Trace:
        return sample_lanes(self.params, rngs, each)

    def check_trace(self, trace: Trace) -> None:
        fields = {**trace.constants, **trace.slots}
        low, high = self.params.sinr_floor_db, self.params.sinr_ceiling_db
        _within("sinr_db", fields["sinr_db"], low, high, "dB")
        _within("handover_delay", fields["handover_delay"], 0, self.delay_bound, "slots")
        _within("bandwidth_mhz", fields["bandwidth_mhz"], 1e-3, MAX_BANDWIDTH_MHZ, "MHz")

    def initial(self, slot: Slot) -> AssociationState:
        lanes, ues, cells = slot["sinr_db"].shape
        nobody = np.full((lanes, ues), -1)
        state: AssociationState = {
            "serving": nobody,
            "previous_serving": nobody,
            "slots_since_ho": np.full((lanes, ues), self.horizon),
            "load": np.zeros((lanes, cells), dtype=np.int64),
        }
        if self.params.failure_slots is not None:
            state["slots_out"] = np.zeros((lanes, ues), dtype=np.int64)
        return state

    def transition(self, state: AssociationState, decision: Array, slot: Slot) -> tuple[AssociationState, Outcome]:
        """``decision`` (L, I), the cell of each UE. In slot 1 nobody is served yet, so there is no HO cost."""
        from rangym.envs.cell_association import association_kernels as kernels

        p, ues = self.params, decision.shape[1]
        served = kernels.room(decision, p.num_cells, slot["sinr_db"].dtype)
        kernels.account(
            decision,
            state["serving"],
            state["previous_serving"],
            state["slots_since_ho"],
            slot["sinr_db"],
            slot["bandwidth_mhz"],
            slot["handover_delay"],
            tuple(self._rules),
            self._load_cost,
            kernels.EXP,
            kernels.LOG1P,
            kernels.LOG10,
            *served,
        )
        values, (handovers, ping_pongs, weak_targets) = served.values, served.counts
        metrics = {
            "g": values[kernels.UTILITY],
            "h": values[kernels.HANDOVER],
            "f": values[kernels.OBJECTIVE],
            "throughput_mbps": values[kernels.THROUGHPUT_MBPS],
            "handovers": handovers,
            "ho_delay_slots": values[kernels.HO_DELAY_SLOTS],
            "ping_pongs": ping_pongs,
            "weak_targets": weak_targets,
            "load_jain": values[kernels.LOAD_JAIN],
        }
        terms = {"utility": values[kernels.UTILITY_A_UE], "handover": values[kernels.HANDOVER_A_UE]}
        if self.has_coverage:
            covered = np.take_along_axis(slot["covered"], decision[:, :, None], axis=2)
            metrics["uncovered"] = 1.0 - covered.sum(axis=(1, 2)) / ues
        new: AssociationState = {
            "serving": decision,
            "previous_serving": served.previous_serving,
            "slots_since_ho": served.slots_since_ho,
            "load": served.load,
        }
        if p.failure_slots is not None:
            failed, new["slots_out"] = link_failures(served.sinr_db, served.moved, state["slots_out"], p.failure_slots)
            failures = failed.sum(axis=1)
            failure = -p.handover_weight * p.failure_delay_slots * failures
            terms["failure"] = failure / ues
            metrics |= {"f": metrics["f"] + failure, "failures": failures}
        return new, Outcome(terms, metrics)

    def observation(self, state: AssociationState, public: Slot) -> dict[str, NDArray]:
        from rangym.envs.cell_association.association_kernels import one_hot

        fields = {f: public[f] for f in ("sinr_db", "bandwidth_mhz", "handover_delay")}
        if self.has_coverage:
            fields["covered"] = public["covered"]
        if self.area_m is not None:
            fields["position_m"] = public["user_position_m"]
        for name, value in self._cap.items():
            fields[name] = np.broadcast_to(value, (len(state["load"]), *value.shape))
        serving = np.zeros((*state["serving"].shape, self.params.num_cells), np.float32)
        one_hot(state["serving"], serving)
        return {**fields, "serving": serving, "load": state["load"]}

    def action_masks(self, state: AssociationState, public: Slot) -> NDArray:
        """Cells seen in the previous slot (above the floor, or covered); the serving and the best one always."""
        sinr_db = public["sinr_db"]
        seen = public["covered"] > 0 if self.has_coverage else sinr_db > self.params.sinr_floor_db
        seen = seen | (state["serving"][:, :, None] == self._cells) | (sinr_db == sinr_db.max(axis=2, keepdims=True))
        return seen.reshape(len(seen), -1)

    def draw(self, figure: Figure, frame: Frame[AssociationState, Array]) -> None:
        from rangym.envs.cell_association.render import draw

        draw(figure, self, frame)


def _with_sizes(params: CellAssociationParams) -> CellAssociationParams:
    """The parameters with the number of cells, which a radio map brings."""
    if params.law != "measured":
        return params
    from rangym.envs.cell_association.measured import resolved

    return resolved(params)


def _within(name: str, values: NDArray, low: float, high: float, unit: str) -> None:
    if values.min() < low or values.max() > high:
        raise WrongValue(f"trace: {name!r} within [{low}, {high}] {unit} wanted, got [{values.min()}, {values.max()}]")
