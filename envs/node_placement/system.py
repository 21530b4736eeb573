"""NodePlacement: where mobile radio nodes hover while their users move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, TypedDict

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from rangym.envs.core import Frame, Outcome, Slot, SystemModel, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.node_placement import scenario
from rangym.envs.node_placement.params import SCENARIOS, NodePlacementParams
from rangym.envs.node_placement.scenario import kernels
from rangym.envs.physics.power_law import PowerLaw, SharedRates, Summary, jain_index, shared_rates, summary
from rangym.envs.physics.units import linear_to_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSITY_BINS = 16
TRAIL_SLOTS = 12
LOW = 0.05
"""Share of the users below the rate of the metric `p5_rate_mbps`."""


class PlacementState(TypedDict):
    """What a slot leaves to the next one."""

    node_position_m: NDArray[np.float64]  # (L, K, 2) m
    load: NDArray[np.float64]  # (L, K) users per node
    node_trail_m: NDArray[np.float64]  # (L, 12, K, 2) m, the positions of the last slots, newest last, for pictures


class PlacementDecision(TypedDict):
    """Where the nodes go."""

    node_position_m: NDArray[np.float64]  # (L, K, 2) m
    shortened: NDArray[np.int64]  # (L,) moves that were longer than the limit


class NodePlacement(SystemModel[NodePlacementParams, PlacementState, PlacementDecision]):
    """Where K mobile radio nodes hover above a square while their N users move.

    ## Description
    Each user is served by the node it receives best, on one carrier that all nodes use at full power; a node shares
    its bandwidth equally among its users. So user i at node l of N_l users gets R_i = W / N_l min(cap, log2(1 +
    SINR_il)), with received powers P_il proportional to (d_il^2 + h^2)^(-gamma/2). In every slot the users are
    announced, each node moves by at most `v_max_m`, and the slot is scored. Hotspots move faster than nodes, so that
    tracking them is not enough: it pays to be where they will be.

    With `v_max_m=None` (the scenarios `static_*`) there is no limit: an episode is one slot, and the action places the
    nodes. That is the placement problem of the reference below.

    ## Action Space
    `Box(-1, 1, (K, 2))`: displacements in units of `v_max_m`. One longer than 1 is shortened to 1, and positions are
    clipped to the area. Without a speed limit: positions, side (a + 1) / 2.

    ## Observation Space
    A `Dict` of float32 boxes. The users are those of the slot to be decided.

    | field | shape | unit | range |
    |---|---|---|---|
    | user_position_m | (N, 2) | m; a user keeps its row until it leaves and a new one takes it | [0, side] |
    | user_density | (16, 16) | share of the users in each square of the area, x first | [0, 1] |
    | node_position_m | (K, 2) | m, before the move | [0, side] |
    | load | (K,) | users per node in the previous slot | [0, N] |
    | time | (1,) | (t - 1) / T, t the slot to be decided | [0, 1] |

    ## Rewards
    Term `utility`: with `reward="proportional_fair"` mean_i ln(R_i / 1 Mbit/s), the logarithm of the geometric mean
    rate; with `"mean_rate"` the mean of R_i in Mbit/s; with `"min_sinr"` the lowest SINR of a user in dB; with
    `"jain"` Jain's index of the loads. Term `movement`: -c_move times the mean distance moved, in metres
    (`movement_weight`, 0 in every scenario).

    The sum of received powers, which the reference maximises, is none of these: its optimum puts each node on the head
    of one user.

    `info["metrics"]` holds per slot: mean_rate_mbps, geo_mean_rate_mbps, p5_rate_mbps (5 % quantile of the users),
    min_sinr_db, load_jain, moved_m (mean over the nodes), shortened (moves longer than the limit).

    ## Starting State
    Nodes where K-means on the users of slot 0 puts them from a uniform draw; without a speed limit, the uniform draw.

    ## Episode End
    Truncated after T slots; terminated after the only slot of `static_*`.

    ## Arguments
    `scenario`: `small` (default: 30 users, 4 nodes, 3 hotspots), `tiny`, `drift` (100 users, 9 nodes, 5 hotspots),
    `static_uniform` (alias `paper`), `static_thomas`, `static_hotspot`, `static_ring`, `static_highway`,
    `static_grid`. Every field of `rangym.envs.node_placement.params.NodePlacementParams` overrides the scenario's
    value:

    >>> import gymnasium as gym
    >>> env = gym.make("rangym:rangym/NodePlacement-v0", scenario="drift", movement_weight=0.01)

    ## References
    G. Ghatak, "Weighted K-Harmonic Means Clustering: Convergence Analysis and Applications to Wireless
    Communications".

    ## Version History
    - v0: first release
    """

    scenarios: ClassVar[Mapping[str, NodePlacementParams]] = SCENARIOS

    def __init__(self, params: NodePlacementParams):
        self.params, self.horizon = params, params.horizon
        ues, nodes, side = params.num_ues, params.num_nodes, params.side_m
        self.radio = PowerLaw(params.snr_1m_db, params.path_loss_exponent, params.distance_floor_m2)
        self.action_space = Box(-1, 1, (nodes, 2), np.float32)
        self.observation_space = Dict(
            {
                "user_position_m": Box(0, side, (ues, 2), np.float32),
                "user_density": Box(0, 1, (DENSITY_BINS, DENSITY_BINS), np.float32),
                "node_position_m": Box(0, side, (nodes, 2), np.float32),
                "load": Box(0, ues, (nodes,), np.float32),
            }
        )
        self.shapes = {
            "initial_node_position_m": (nodes, 2),  # m
            "user_position_m": (ues, 2),  # m, in each slot
        }
        self.reveal = {"user_position_m": 0}

    @classmethod
    def large_arrays(cls, params: NodePlacementParams) -> Sequence[Mapping[str, int]]:
        return ({"horizon": params.horizon, "num_ues": params.num_ues, "num_nodes": params.num_nodes},)

    def sample(self, rng: np.random.Generator) -> Trace:
        return scenario.sample_lanes(self.params, [rng]).lane(0)

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        return scenario.sample_lanes(self.params, rngs)

    def check_trace(self, trace: Trace) -> None:
        for name, values in {**trace.constants, **trace.slots}.items():
            if values.min() < 0 or values.max() > self.params.side_m:
                raise WrongValue(
                    f"trace: {name!r} within [0, {self.params.side_m}] m wanted, got [{values.min()}, {values.max()}]"
                )

    def initial(self, slot: Slot) -> PlacementState:
        nodes = slot["initial_node_position_m"]
        load = self.summary(slot["user_position_m"], nodes).load
        return {"node_position_m": nodes, "load": load, "node_trail_m": np.repeat(nodes[:, None], TRAIL_SLOTS, axis=1)}

    def decode(self, action: NDArray, state: PlacementState, public: Slot) -> PlacementDecision:
        """Positions ``(L, K, 2)``, and how many moves were longer than the limit."""
        p = self.params
        if p.v_max_m is None:
            position = p.side_m * (action.astype(np.float64) + 1.0) / 2.0
            return {"node_position_m": position, "shortened": np.zeros(len(action), np.int64)}
        before = state["node_position_m"]
        after, shortened = np.empty(before.shape), np.empty(len(before), np.int64)
        kernels().move(action, before, p.v_max_m, p.side_m, after, shortened)
        return {"node_position_m": after, "shortened": shortened}

    def action_towards(self, target_m: NDArray, position_m: NDArray) -> NDArray:
        """Native action ``(..., K, 2)`` that takes nodes to ``target_m``, or as far on the way as the limit allows."""
        p = self.params
        if p.v_max_m is None:
            return np.clip(2.0 * target_m / p.side_m - 1.0, -1.0, 1.0).astype(np.float32)
        way = (target_m - position_m) / p.v_max_m
        length = np.sqrt((way * way).sum(axis=-1, keepdims=True))
        return np.clip(way / np.maximum(length, 1.0), -1.0, 1.0).astype(np.float32)

    def rates(self, user_m: NDArray, node_m: NDArray) -> SharedRates:
        """Rates, SINR and loads of nodes ``(..., K, 2)`` over users ``(..., N, 2)``; leading axes broadcast."""
        p = self.params
        soft = p.association == "soft"
        return shared_rates(self.radio.snr(user_m, node_m), p.bandwidth_mhz, p.max_spectral_efficiency, soft)

    def summary(self, user_m: NDArray, node_m: NDArray) -> Summary:
        """Means over the users of `rates`, and the loads."""
        p = self.params
        soft = p.association == "soft"
        return summary(self.radio, user_m, node_m, p.bandwidth_mhz, p.max_spectral_efficiency, soft, LOW)

    def utility(self, user_m: NDArray, node_m: NDArray) -> NDArray:
        """The reward's term of that name, ``(...)``, for nodes ``(..., K, 2)`` over users ``(..., N, 2)``."""
        return self._utility(self.summary(user_m, node_m))

    def _utility(self, found: Summary) -> NDArray:
        kind = self.params.reward
        if kind == "proportional_fair":
            return found.mean_log_rate
        if kind == "mean_rate":
            return found.mean_rate_mbps
        if kind == "min_sinr":
            return linear_to_db(found.min_sinr)
        return jain_index(found.load)

    def transition(
        self, state: PlacementState, decision: PlacementDecision, slot: Slot
    ) -> tuple[PlacementState, Outcome]:
        nodes, moved = decision["node_position_m"], np.empty(len(decision["node_position_m"]))
        kernels().mean_distance(state["node_position_m"], nodes, moved)
        found = self.summary(slot["user_position_m"], nodes)
        terms = {"utility": self._utility(found), "movement": -self.params.movement_weight * moved}
        metrics = {
            "mean_rate_mbps": found.mean_rate_mbps,
            "geo_mean_rate_mbps": np.exp(found.mean_log_rate),
            "p5_rate_mbps": found.low_rate_mbps,
            "min_sinr_db": linear_to_db(found.min_sinr),
            "load_jain": jain_index(found.load),
            "moved_m": moved,
            "shortened": decision["shortened"],
        }
        trail = np.concatenate([state["node_trail_m"][:, 1:], nodes[:, None]], axis=1)
        return {"node_position_m": nodes, "load": found.load, "node_trail_m": trail}, Outcome(terms, metrics)

    def observation(self, state: PlacementState, public: Slot) -> dict[str, NDArray]:
        users = public["user_position_m"]
        density = np.empty((len(users), DENSITY_BINS, DENSITY_BINS), np.float32)
        kernels().density(users, self.params.side_m, density)
        return {
            "node_position_m": state["node_position_m"],
            "load": state["load"],
            "user_position_m": users,
            "user_density": density,
        }

    def draw(self, figure: Figure, frame: Frame[PlacementState, PlacementDecision]) -> None:
        from rangym.envs.node_placement.render import draw

        draw(figure, self, frame)
