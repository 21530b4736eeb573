"""NomaAllocation: which users share which sub-channel, and at which power."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, ClassVar, NotRequired, TypedDict

import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete
from numpy.typing import NDArray

from rangym.envs.core import Frame, Outcome, Slot, SystemModel, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.noma_allocation import scenario
from rangym.envs.noma_allocation.params import SCENARIOS, NomaAllocationParams
from rangym.envs.physics.energy import computing_energy_j
from rangym.envs.physics.pair_upload import PairUpload, pair_upload
from rangym.envs.physics.units import linear_to_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SNR_DB = (-40.0, 100.0)
MAX_TRAINING_SHARE = 1.5
AGENT_POWER_DECADES = 4.0
"""Range of an agent's power: P_max down to P_max / 10^4."""


class AllocationState(TypedDict):
    """What a round leaves to the next one."""

    rounds_since_served: NDArray[np.int64]  # (L, N) rounds since the last upload, or the start


class AllocationDecision(TypedDict):
    """Who gets which sub-channel, and how loud users are where the agent decides that."""

    subchannel: NDArray[np.int64]  # (L, N) the sub-channel of each user, K for none; at most two users on each
    displaced: NDArray[np.int64]  # (L,) users that lost their place to two with larger gains
    power_w: NotRequired[NDArray[np.float64]]  # (L, N) W, with power="agent"


class NomaAllocation(SystemModel[NomaAllocationParams, AllocationState, AllocationDecision]):
    """Which users of federated learning share which sub-channel, when all must upload before a deadline.

    ## Description
    In every round N users train a model and upload it to the base station over K sub-channels, at most two users on
    each. A user trains for t_i seconds, then has until the deadline T_max to deliver D bits over bandwidth B. With
    non-orthogonal multiple access (NOMA) both users of a sub-channel transmit at once and the receiver cancels
    successively; since users finish training at different times, the early one is alone at first. Powers, decode
    order and timing of a pair are optimal in closed form (`rangym.envs.physics.sic`), so the decision is the
    assignment. A user that cannot meet the deadline within its power cap is dropped. Gains, training times and who
    competes are announced before the decision; gains fade anew every round.

    ## Action Space
    `action="scores"` (default): `Box(-1, 1, (N K,))`, a score for each user and sub-channel; the assignment with the
    greatest total score is taken, each sub-channel having two places. `"keys"`: `Box(-1, 1, (N,))`; users in the order
    of descending keys fill the sub-channels two by two. `"native"`: `MultiDiscrete([K + 1] * N)`, the sub-channel of
    each user, K for none; where more than two want one sub-channel, the two with the largest gains stay. Entries of
    users that are not scheduled are ignored. With `power="agent"` the codings `scores` and `keys` have N more entries
    a in [-1, 1]: the powers P_max 10^(2(a - 1)), constant until the bits are out.
    `rangym.envs.noma_allocation.sequential.Sequential` assigns one user at a time, with action masks.

    ## Observation Space
    A `Dict` of float32 boxes.

    | field | shape | unit | range |
    |---|---|---|---|
    | snr_db | (N, K) | dB, SNR of the user alone at P_max in the coming round | [-40, 100] |
    | training_time | (N,) | share of the deadline | [0, 1.5] |
    | scheduled | (N,) | competes in the coming round | {0, 1} |
    | rounds_since_served | (N,) | rounds since the last upload, or the start | [0, T] |
    | data_share | (N,) | share of all training samples | [0, 1] |
    | time | (1,) | (t - 1) / T, t the round to be decided | [0, 1] |

    ## Rewards
    Minus the cost of the round, per scheduled user and in units of rho, the cost of a dropped user (P_max T_max by
    default): term `energy` = -sum E_tx / (rho N_s), term `drops` = -dropped / N_s.

    `info["metrics"]` holds per round: energy_tx_j, energy_com_j (of the scheduled users), served (N,) mask,
    num_served, dropped (scheduled, not served), displaced (beyond two on a sub-channel), power_w (N, 2) (while
    alone on the sub-channel, while sharing it), decoded_first (N,) (the user of a NOMA pair that is decoded first).

    ## Starting State
    Places, amounts of data and processors are drawn once an episode; nobody has been served.

    ## Episode End
    Truncated after T rounds.

    ## Arguments
    `scenario`: `small` (default, alias `toy`: 6 users, 3 sub-channels, a tight deadline), `tiny`, `tight` (20 users,
    10 sub-channels), `urban` (the same with a loose deadline), `paper`. In `urban` and more so in `paper` nearly
    everybody is served whatever the assignment, and the reward is almost flat. Every field of
    `rangym.envs.noma_allocation.params.NomaAllocationParams` overrides the scenario's value:

    >>> import gymnasium as gym
    >>> env = gym.make("rangym:rangym/NomaAllocation-v0", scenario="tight", access="oma_opt", action="keys")

    A pair keeps one decode order for the whole round. Where caps make the better order infeasible, sharing time
    between both orders could serve about 0.2 % more pairs; that is left out.

    ## References
    C. Lin, J. Wang, Z. Ding, "Clustered federated learning with NOMA", arXiv 2403.03157.

    ## Version History
    - v0: first release
    """

    scenarios: ClassVar[Mapping[str, NomaAllocationParams]] = SCENARIOS

    def __init__(self, params: NomaAllocationParams):
        self.params, self.horizon = params, params.horizon
        ues, channels = params.num_ues, params.num_subchannels
        coded = {"scores": ues * channels, "keys": ues}.get(params.action, 0)
        powers = ues if params.power == "agent" else 0
        native = MultiDiscrete([channels + 1] * ues)
        self.action_space = Box(-1, 1, (coded + powers,), np.float32) if coded else native
        self.observation_space = Dict(
            {
                "snr_db": Box(*SNR_DB, (ues, channels), np.float32),
                "training_time": Box(0, MAX_TRAINING_SHARE, (ues,), np.float32),
                "scheduled": Box(0, 1, (ues,), np.float32),
                "rounds_since_served": Box(0, self.horizon, (ues,), np.float32),
                "data_share": Box(0, 1, (ues,), np.float32),
            }
        )
        self.shapes = {
            "distance_m": (ues,),  # m, to the base station
            "cluster": (ues,),  # 0..num_clusters - 1
            "gain": (ues, channels),  # 1/W, channel gain over noise power, in each round
            "training_time_s": (ues,),  # s, in each round
            "data_samples": (ues,),  # training samples, in each round
            "scheduled": (ues,),  # 0 or 1, whether the user competes, in each round
        }
        self.reveal = {"gain": 0, "training_time_s": 0, "data_samples": 0, "scheduled": 0}

    @property
    def threaded(self) -> Collection[str]:
        """The codings of numbers are decoded lane by lane, in many short pieces of work."""
        return ("step",) if self.params.action == "native" else ()

    @classmethod
    def large_arrays(cls, params: NomaAllocationParams) -> Sequence[Mapping[str, int]]:
        sizes = {"horizon": params.horizon, "num_ues": params.num_ues, "num_subchannels": params.num_subchannels}
        return (sizes,)

    def sample(self, rng: np.random.Generator) -> Trace:
        return scenario.sample(self.params, rng)

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        return scenario.sample_lanes(self.params, rngs)

    def check_trace(self, trace: Trace) -> None:
        for field, low, high in (
            ("gain", np.finfo(np.float64).tiny, 1e30),
            ("training_time_s", np.finfo(np.float64).tiny, np.inf),
            ("data_samples", 1, np.inf),
            ("scheduled", 0, 1),
        ):
            values = trace.slots[field]
            if values.min() < low or values.max() > high:
                raise WrongValue(
                    f"trace: {field!r} within [{low:.3g}, {high:.3g}] wanted, got [{values.min()}, {values.max()}]"
                )

        if not np.isin(trace.slots["scheduled"], (0, 1)).all():
            raise WrongValue("trace: 'scheduled' is 0 or 1, got something between")

    def initial(self, slot: Slot) -> AllocationState:
        return {"rounds_since_served": np.zeros(slot["scheduled"].shape, dtype=np.int64)}

    def decode(self, action: NDArray, state: AllocationState, public: Slot) -> AllocationDecision:
        """The assignment that an action of any coding stands for, without more than two users on a sub-channel."""
        ues, channels = self.params.num_ues, self.params.num_subchannels
        scheduled, gain = public["scheduled"].astype(bool), public["gain"]
        if self.params.action == "native":
            wanted = np.where(scheduled, action, channels)
        else:
            coded = action[:, : ues * channels if self.params.action == "scores" else ues]
            assign = _best_total_score if self.params.action == "scores" else _by_rank
            wanted = np.stack([assign(row, on, channels) for row, on in zip(coded, scheduled, strict=True)])
        subchannel, displaced = compiled_places().keep_two(wanted, gain)
        decision: AllocationDecision = {"subchannel": subchannel, "displaced": displaced}
        if self.params.power == "agent":
            exponent = AGENT_POWER_DECADES / 2.0 * (action[:, -ues:].astype(np.float64) - 1.0)
            decision["power_w"] = self.params.max_power_w * 10.0**exponent
        return decision

    def upload(self, decision: AllocationDecision, slot: Slot) -> tuple[NDArray, PairUpload]:
        """The users of each sub-channel (L, K, 2), -1 for an empty place, and what they do."""
        p, places = self.params, compiled_places()
        users = places.two_largest(decision["subchannel"], slot["gain"])
        gain, window = places.at_places(users, slot["gain"], p.deadline_s - slot["training_time_s"])
        power = None
        if p.power == "fixed":
            power = np.full(users.shape, p.max_power_w)
        elif p.power == "agent":
            power = decision["power_w"][np.arange(len(users))[:, None, None], np.maximum(users, 0)]
        return users, pair_upload(gain, window, users >= 0, p.bits_per_hz, p.max_power_w, p.rho_j, p.access, power)

    def transition(
        self, state: AllocationState, decision: AllocationDecision, slot: Slot
    ) -> tuple[AllocationState, Outcome]:
        p = self.params
        users, done = self.upload(decision, slot)
        served, power, first = compiled_places().to_users(
            users, p.num_ues, done.served, done.power_w, done.decoded_first
        )
        scheduled = slot["scheduled"].astype(bool)
        competing, num_served = scheduled.sum(axis=1), served.sum(axis=1)
        num_scheduled, dropped = np.maximum(competing, 1), competing - num_served
        energy = done.energy_j.sum(axis=(1, 2))
        # A dropped user costs rho: the sum of both terms is -(energy + rho dropped) / (rho N_s).
        terms = {"energy": -energy / (p.rho_j * num_scheduled), "drops": -dropped / num_scheduled}
        cycles = p.cycles_per_sample * slot["data_samples"]
        computing = computing_energy_j(cycles, slot["training_time_s"], p.switched_capacitance)
        metrics = {
            "energy_tx_j": energy,
            "energy_com_j": (computing * scheduled).sum(axis=1),
            "served": served,
            "num_served": num_served,
            "dropped": dropped,
            "displaced": decision["displaced"],
            "power_w": power,
            "decoded_first": first,
        }
        return {"rounds_since_served": np.where(served, 0, state["rounds_since_served"] + 1)}, Outcome(terms, metrics)

    def observation(self, state: AllocationState, public: Slot) -> dict[str, NDArray]:
        samples = public["data_samples"]
        return {
            "snr_db": linear_to_db(public["gain"] * self.params.max_power_w),
            "training_time": public["training_time_s"] / self.params.deadline_s,
            "scheduled": public["scheduled"],
            "rounds_since_served": state["rounds_since_served"],
            "data_share": samples / np.maximum(samples.sum(axis=1, keepdims=True), 1),
        }

    @property
    def has_action_masks(self) -> bool:
        return self.params.action == "native"

    def action_masks(self, state: AllocationState, public: Slot) -> NDArray:
        """Under `native`: users that are not scheduled can only choose "none"."""
        if self.params.action != "native":
            return super().action_masks(state, public)
        masks = np.repeat(public["scheduled"].astype(bool)[:, :, None], self.params.num_subchannels + 1, axis=2)
        masks[:, :, -1] = True
        return masks.reshape(len(masks), -1)

    def draw(self, figure: Figure, frame: Frame[AllocationState, AllocationDecision]) -> None:
        from rangym.envs.noma_allocation.render import draw

        draw(figure, self, frame)


@cache
def compiled_places() -> ModuleType:
    """Loaded with the first decision, and numba with it: looking at an environment takes no compiler."""
    from rangym.envs.noma_allocation import place_kernels as kernels

    return kernels


def _best_total_score(scores: NDArray, scheduled: NDArray, channels: int) -> NDArray:
    """The assignment of scheduled users to two places a sub-channel with the greatest total score, ``(N,)``."""
    from scipy.optimize import linear_sum_assignment

    competing = np.flatnonzero(scheduled)
    places = np.repeat(scores.reshape(len(scheduled), channels)[competing], 2, axis=1)
    rows, columns = linear_sum_assignment(places, maximize=True)
    subchannel = np.full(len(scheduled), channels)
    subchannel[competing[rows]] = columns // 2
    return subchannel


def _by_rank(keys: NDArray, scheduled: NDArray, channels: int) -> NDArray:
    """Scheduled users in the order of descending keys (ties by index), two by two, ``(N,)``."""
    competing = np.flatnonzero(scheduled)
    ranked = competing[np.argsort(-keys[competing], kind="stable")][: 2 * channels]
    subchannel = np.full(len(scheduled), channels)
    subchannel[ranked] = np.arange(len(ranked)) // 2
    return subchannel
