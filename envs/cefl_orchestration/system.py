"""CeflOrchestration: where federated learning computes, and at which data centre its models meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypedDict, cast

import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration import scenario
from rangym.envs.cefl_orchestration.codings import Decision, action_space, decode
from rangym.envs.cefl_orchestration.network import draw_network
from rangym.envs.cefl_orchestration.params import SCENARIOS, CeflOrchestrationParams
from rangym.envs.core import Frame, Outcome, Slot, SystemModel, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.learning.convergence import GAP_RANGE, ConvergenceTerms, convergence_terms, next_gap
from rangym.envs.learning.round_cost import cost_parts
from rangym.envs.physics.federated_round import ENERGIES, FederatedRound, RoundDecision, federated_round

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REWARD_UNIT = 100.0
"""The reward is minus the objective over this number, at every size."""
LOG10_POINTS, LOG10_BPS, LOG10_DRIFT = (1.0, 6.0), (3.0, 10.0), (-6.0, 0.0)
LEAST_DRIFT = 1e-6
CAPACITY_TOLERANCE = 1e-9


class OrchestrationState(TypedDict):
    """What a round leaves to the next one."""

    gap: NDArray[np.float64]  # (L,) optimality gap F_0 - F*; moves under the reward `gap`
    last_aggregator: NDArray[np.int64]  # (L,) DC of the round before, 0 at the start


class CeflOrchestration(SystemModel[CeflOrchestrationParams, OrchestrationState, Decision]):
    """Where federated learning computes, how hard, and at which data centre its models meet.

    ## Description
    User equipments (UE), base stations (BS) and data centres (DC) train one model. In every round each UE keeps a part
    of its data and offloads the rest over BSs to DCs; UEs and DCs make gamma steps of SGD on mini-batches of a share m
    of their data; all vectors meet at one DC, the floating aggregator; the new model goes back to all. The decision of
    a round has all of it: shares, clocks and speeds, step counts, mini-batches, the BSs a UE talks and listens to, and
    the aggregator. It is judged by a bound on the learning (`rangym.envs.learning.convergence`), by the round's delay
    and by its energy (`rangym.envs.physics.federated_round`). The S sub-networks are well connected inside and poorly
    with each other; the network is drawn from `network_seed` and the same in all episodes. Data, rates and drift of a
    round are announced before its decision; multipliers of the sub-networks' data are correlated in time, all else is
    drawn anew.

    ## Action Space
    `Box(-1, 1, float32)`, any vector is a feasible decision; u = (a + 1) / 2. Blocks in order, each in C order:

    | coding | blocks |
    |---|---|
    | `compact` (default), S + 4N + BS + 3S | S aggregator scores (argmax); N offloaded shares u, split over the BSs with at least half of the best uplink rate, proportional to rate; (B, S) scores, softmax of 5a over the DCs; for the UEs N clocks f_min (f_max / f_min)^u, N iterations round(1 + (gamma_max - 1) u), N mini-batches m_min (1 / m_min)^u; for the DCs S speeds (.3 + .7u) C, S iterations, S mini-batches |
    | `macro`, 2S + 7 | S aggregator scores; one offloaded share; S DC scores, softmax of 5a + log(R_bs / max_s R_bs) in every BS; one clock, iterations, mini-batch for all UEs; one speed, iterations, mini-batch for all DCs |
    | `full`, S + N(B + 1) + BS + 3N + 3S | as `compact`, but (N, B + 1) scores, softmax of 5a; the last is the kept share |
    | `native`, 3NB + BS + 3N + 4S | `Box(0, 1, float64)`: aggregator (S, argmax), offloaded shares (N, B), forwarded shares (B, S), clock / f_max (N), iterations / gamma_max (N), mini-batch (N), speed / C (S), iterations / gamma_max (S), mini-batch (S), UE to BS (N, B, argmax of a row), BS to UE (B, N, argmax of a column) |

    Outside `native` a UE sends its vector over the BS with the least delay to the aggregator and listens to the BS with
    the best downlink. Under `native`, rows of offloaded shares are divided by their sum where it is above 1, rows of
    forwarded shares by their sum (a row of zeros becomes uniform), both counted in `projected`; settings are rounded
    and clipped to their ranges (speed at least .05 C); argmax takes the lower index of a tie.

    ## Observation Space
    A `Dict` of float32 boxes.

    | field | shape | unit | range |
    |---|---|---|---|
    | log10_data_points | (N,) | log10 data points of each UE in the coming round | [1, 6] |
    | log10_uplink_bps | (N, B) | log10 bit/s | [3, 10] |
    | log10_downlink_bps | (B, N) | log10 bit/s | [3, 10] |
    | log10_backhaul_bps | (B, S) | log10 bit/s, BS to DC | [3, 10] |
    | log10_dc_to_bs_bps | (S, B) | log10 bit/s | [3, 10] |
    | log10_dc_to_dc_bps | (S, S) | log10 bit/s; 9 on the diagonal | [3, 10] |
    | last_aggregator | (S,) | one-hot, DC 0 at the start | {0, 1} |
    | log10_drift_per_s | (1,) | log10 of the drift in loss/s, at least 1e-6 | [-6, 0] |
    | gap | (1,) | optimality gap F_0 - F* | [0, 10] |
    | time | (1,) | (t - 1) / T, t the round to be decided | [0, 1] |

    ## Rewards
    `reward="objective"`: minus the paper's objective of the round, J = pi_1 Xi + pi_2 tau + pi_3 sum pi_3x E_x, over
    100: terms `learning_a` .. `learning_e` for the five terms of Xi, `delay`, and `energy_` + `ue_data`, `bs_data`,
    `ue_compute`, `dc_compute`, `aggregation`, `reception`. Rounds do not depend on each other: a contextual bandit.
    `reward="gap"`: one term `learning` instead of five, -pi_1 gap' / 100 with the optimality gap after the round
    (`rangym.envs.learning.convergence.next_gap`), which then is the state: a Markov decision process.
    Both: `switching` = -switching_weight where the aggregator changed (0 in all scenarios).

    `info["metrics"]` holds per round: J (in both: -100 times the reward without `switching`), delay,
    delay_aggregation, delay_reception (s), energy (J, weighted by pi_3x) and the six terms' energies with the ending
    `_j`, xa .. xe, xi, vartheta (the server's scale), aggregator (S,) one-hot, switched, projected, offloaded_share (of
    all data), iterations (mean over the UEs and DCs that have data), minibatch_share (mean weighted by data).
    `env.unwrapped.decision` is the decision itself. The wrapper `rangym.envs.cefl_orchestration.training.TrainedRounds`
    trains a network on real samples as each round decides, and puts its loss in the place of the learning terms.

    ## Starting State
    The gap is `initial_gap` (2, in `small_gap` 3); DC 0 counts as the last aggregator.

    ## Episode End
    Truncated after T rounds.

    ## Arguments
    `scenario`: `small` (default; 6 UEs, 3 BSs, 3 DCs), `tiny`, `paper` (20, 10, 5), `congested` (the links of `small`
    at the sizes of `paper`), `small_fixed`, `paper_fixed`, `congested_fixed` (with a constant server scale, where a
    certified optimum is known), `small_gap` (reward `gap`). The heavy models and varying links of `tiny`, `small` and
    `congested` were chosen because there the aggregator and the state matter: a test bed for policies, and no evidence
    for the paper's figures. Every field of `rangym.envs.cefl_orchestration.params.CeflOrchestrationParams` overrides
    the scenario's value:

    >>> import gymnasium as gym
    >>> env = gym.make("rangym:rangym/CeflOrchestration-v0", scenario="paper", action="macro", bs_energy="once")

    ## References
    B. Ganguly, S. Hosseinalipour, K. T. Kim, C. G. Brinton, V. Aggarwal, D. J. Love, M. Chiang, "Multi-Edge
    Server-Assisted Dynamic Federated Learning With an Optimized Floating Aggregation Point", arXiv 2203.13950.

    ## Version History
    - v0: first release
    """  # noqa: E501 (a table's row is one line)

    scenarios: ClassVar[Mapping[str, CeflOrchestrationParams]] = SCENARIOS
    threaded = ()

    def __init__(self, params: CeflOrchestrationParams):
        self.params, self.horizon = params, params.horizon
        self.network = draw_network(params)
        self.action_space = action_space(params)
        ues, bss, dcs = params.num_ues, params.num_bss, params.num_dcs
        self.shapes = {
            "data_points": (ues,),  # of each UE, in each round as all that follows
            "uplink_bps": (ues, bss),  # bit/s
            "downlink_bps": (bss, ues),  # bit/s
            "backhaul_bps": (bss, dcs),  # bit/s, within each DC's capacity
            "dc_to_bs_bps": (dcs, bss),  # bit/s
            "dc_to_dc_bps": (dcs, dcs),  # bit/s, the diagonal is ignored
            "drift_per_s": (),  # loss/s
            "minibatch_key": (),  # seeds what a training of the model draws in the round
        }
        rates = {f"log10_{f}": Box(*LOG10_BPS, self.shapes[f], np.float32) for f in RATES}
        self.observation_space = Dict(
            {
                "log10_data_points": Box(*LOG10_POINTS, (ues,), np.float32),
                **rates,
                "last_aggregator": Box(0, 1, (dcs,), np.float32),
                "log10_drift_per_s": Box(*LOG10_DRIFT, (1,), np.float32),
                "gap": Box(0, GAP_RANGE[1], (1,), np.float32),
            }
        )
        # Mini-batches are drawn after the decision; everything else of a round is announced.
        self.reveal = {field: int(field == "minibatch_key") for field in self.shapes}

    @classmethod
    def large_arrays(cls, params: CeflOrchestrationParams) -> Sequence[Mapping[str, int]]:
        return ({name: getattr(params, name) for name in ("horizon", "num_ues", "num_bss", "num_dcs")},)

    def sample(self, rng: np.random.Generator) -> Trace:
        return scenario.sample_lanes(self.params, self.network, [rng]).lane(0)

    def sample_lanes(self, rngs: Sequence[np.random.Generator]) -> Trace:
        return scenario.sample_lanes(self.params, self.network, rngs)

    def check_trace(self, trace: Trace) -> None:
        for field, axis, ends in (("uplink_bps", 1, "UE"), ("backhaul_bps", 2, "DC")):
            lost = (trace.slots[field] <= 0.0).all(axis=1 if axis == 1 else 2)  # (T + 2, B)
            if lost.any():
                t, b = np.argwhere(lost)[0]
                raise WrongValue(
                    f"trace: {field!r} above 0 wanted, got BS {b} without any link to a {ends} in slot {t}"
                )
        for field in ("data_points", *RATES):
            _refuse(field, trace.slots[field] > 0.0, "above 0", trace.slots[field])
        _refuse("drift_per_s", trace.slots["drift_per_s"] >= 0.0, "of at least 0", trace.slots["drift_per_s"])
        keys = trace.slots["minibatch_key"]
        _refuse("minibatch_key", (keys >= 0) & (keys.dtype.kind in "iu"), "with integers of at least 0", keys)
        total = trace.slots["backhaul_bps"].sum(axis=1)  # (T + 2, S)
        fits = total <= self.network.dc_capacity_bps * (1.0 + CAPACITY_TOLERANCE)
        _refuse("backhaul_bps", fits, "with a sum within each DC's capacity", total)

    def initial(self, slot: Slot) -> OrchestrationState:
        lanes = len(slot["drift_per_s"])
        return {
            "gap": np.full(lanes, self.params.initial_gap),
            "last_aggregator": np.zeros(lanes, dtype=np.int64),
        }

    def decode(self, action: NDArray, state: OrchestrationState, public: Slot) -> Decision:
        return decode(self.params, self.network, action, public)

    def cost(
        self, decision: RoundDecision | Mapping[str, NDArray], conditions: Slot, gap: NDArray | float
    ) -> RoundCost:
        """What a decision costs in a round; any leading axes, conditions broadcast to the decision's."""
        p = self.params
        done = federated_round(self.network.federated, conditions, decision, p.bs_energy)
        learning = convergence_terms(
            done.points,
            np.concatenate([decision["ue_iterations"], decision["dc_iterations"]], axis=-1),
            np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]], axis=-1),
            self.network.gradient_noise,
            done.delay_s,
            conditions["drift_per_s"],
            gap,
            p.learning,
        )
        return RoundCost(p, done, learning, conditions["drift_per_s"], gap)

    def transition(
        self, state: OrchestrationState, decision: Decision, slot: Slot
    ) -> tuple[OrchestrationState, Outcome]:
        p = self.params
        cost = self.cost(decision, slot, state["gap"])
        switched = decision["aggregator"] != state["last_aggregator"]
        terms = {name: -value / REWARD_UNIT for name, value in cost.parts().items()}
        terms["switching"] = -p.switching_weight * switched
        metrics = {"J": cost.total, **cost.metrics(), **self._describe(decision, cost.round)}
        metrics["switched"] = switched.astype(np.int64)
        after = cost.next_gap if p.reward == "gap" else state["gap"]
        return {"gap": after, "last_aggregator": decision["aggregator"]}, Outcome(terms, metrics)

    def _describe(self, decision: Decision, done: FederatedRound) -> dict[str, NDArray]:
        """Metrics of the decision, whatever it cost."""
        points, total = done.points, done.points.sum(axis=1)
        active = points > 0.0
        iterations = np.concatenate([decision["ue_iterations"], decision["dc_iterations"]], axis=1)
        minibatch = np.concatenate([decision["ue_minibatch"], decision["dc_minibatch"]], axis=1)
        return {
            "aggregator": decision["aggregator"][:, None] == np.arange(self.params.num_dcs),
            "projected": decision["projected"],
            "offloaded_share": done.dc_points.sum(axis=1) / total,
            "iterations": (iterations * active).sum(axis=1) / active.sum(axis=1),
            "minibatch_share": (minibatch * points).sum(axis=1) / total,
        }

    def observation(self, state: OrchestrationState, public: Slot) -> dict[str, NDArray]:
        return {
            "log10_data_points": np.log10(public["data_points"]),
            **{f"log10_{f}": np.log10(public[f]) for f in RATES},
            "last_aggregator": state["last_aggregator"][:, None] == np.arange(self.params.num_dcs),
            "log10_drift_per_s": np.log10(np.maximum(public["drift_per_s"], LEAST_DRIFT))[:, None],
            "gap": state["gap"][:, None],
        }

    def draw(self, figure: Figure, frame: Frame[OrchestrationState, Decision]) -> None:
        from rangym.envs.cefl_orchestration.render import draw

        draw(figure, self, frame)


RATES = ("uplink_bps", "downlink_bps", "backhaul_bps", "dc_to_bs_bps", "dc_to_dc_bps")


@dataclass(frozen=True, eq=False)
class RoundCost:
    """The objective of a round in its parts, in the shape of the decision's leading axes."""

    params: CeflOrchestrationParams
    round: FederatedRound
    learning: ConvergenceTerms
    drift_per_s: NDArray
    gap: NDArray | float

    @property
    def next_gap(self) -> NDArray:
        """The optimality gap after the round."""
        p = self.params
        return next_gap(
            np.asarray(self.gap), self.learning, self.round.delay_s, self.drift_per_s, p.contraction, p.step_size
        )

    @property
    def energy_j(self) -> NDArray:
        """The six energies, weighted by pi_3x, summed one by one: a product with weights would not keep its bits."""
        weighted = zip(self.params.energy_weights, self.round.energies_j().values(), strict=True)
        return cast(NDArray, sum(weight * energy for weight, energy in weighted))

    def parts(self) -> dict[str, NDArray]:
        """J by reward terms: weighted, positive."""
        if self.params.reward == "gap":
            learned = {"learning": self.next_gap}
        else:
            learned = {f"learning_{x}": getattr(self.learning, f"x{x}") for x in "abcde"}
        return cost_parts(self.params.weights, learned, self.round)

    @property
    def total(self) -> NDArray:
        """J."""
        return cast(NDArray, sum(self.parts().values()))

    def metrics(self) -> dict[str, NDArray]:
        """Delays, energies and terms of the bound."""
        done = self.round
        return {
            "delay": done.delay_s,
            "delay_aggregation": done.aggregation_s,
            "delay_reception": done.reception_s,
            "energy": self.energy_j,
            **{f"energy_{name}_j": done.energies_j()[name] for name in ENERGIES},
            **{f"x{x}": getattr(self.learning, f"x{x}") for x in "abcde"},
            "xi": self.learning.xi,
            "vartheta": self.learning.server_scale,
        }


def _refuse(field: str, allowed: NDArray, wanted: str, values: NDArray) -> None:
    """Refuse a trace's field with the place of the first value that is not allowed."""
    if not allowed.all():
        place = tuple(int(i) for i in np.argwhere(~allowed)[0])
        raise WrongValue(f"trace: {field!r} {wanted} wanted, got {values[place]} at {place}")
