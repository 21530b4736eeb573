"""What the jobs of "Smooth Handovers" measure: episodes, a bound, a timing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.params import Overrides
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.evaluation import cards
from rangym.evaluation.episode import Episode, Step, episode_rng, make_env
from rangym.evaluation.grid import Row
from rangym.policies import registry, words
from rangym.policies.algorithms.association.lda import LDA, initial_weights, theory_constants
from rangym.policies.base import Observation, Policy, Task
from rangym.policies.cell_association.lda import Lda

ENV_ID = "rangym/CellAssociation-v0"
CHECKPOINTS = 200
METRICS = ("f", "g", "h", "handovers", "ho_delay_slots")
Player: TypeAlias = tuple[str, str | None]
"""A policy, and for LDA perhaps another one as its forecaster."""


def checkpoints(horizon: int) -> NDArray:
    """The slots (at most 200, evenly spaced, the last included) at which curves are kept."""
    return np.unique(np.ceil(np.linspace(0, horizon, CHECKPOINTS + 1)[1:]).astype(int))


def relaxed_utility(mixture: NDArray, log_rate: NDArray) -> float:
    """g(x) = sum_ij x_ij log10 c_ij - sum_j y_j log10 y_j of a fractional association (I, J), with 0 log 0 = 0."""
    load = mixture.sum(axis=0)
    return float(np.vdot(mixture, log_rate) - (load * np.log10(np.where(load > 0, load, 1.0))).sum())


def relaxed_handover(mixture: NDArray, previous: NDArray, delay: NDArray, weight: float) -> float:
    """h = -gamma sqrt(sum_ij a_ij d_ij^2), d the change of a fractional association (I, J): the paper's norm."""
    change = mixture - previous
    return -weight * float(np.sqrt(np.einsum("ij,ij,ij->", delay, change, change)))


@dataclass(frozen=True)
class Played:
    """One episode: the metrics of its slots, (T, 5), and g and h of LDA's relaxed association x^m, (T, 2) or (0, 2)."""

    num_ues: int
    slots: NDArray
    relaxed: NDArray

    def means(self) -> Row:
        """Means over the slots, and the number of UEs that they are sums over."""
        row: Row = dict(zip(METRICS, self.slots.mean(axis=0).tolist(), strict=True))
        row["num_ues"] = self.num_ues
        row["f_spread"] = float(np.ptp(self.slots[:, 0]))
        if len(self.relaxed):
            g, h = self.relaxed.mean(axis=0).tolist()
            row |= {"relaxed_f": g + h, "relaxed_g": g, "relaxed_h": h}
        return row

    def sums(self) -> Row:
        """Cumulative f at the checkpoints."""
        kept = checkpoints(len(self.slots)) - 1
        row: Row = {"slots": (kept + 1).tolist(), "f_sum": _sums(self.slots[:, 0], kept)}
        if len(self.relaxed):
            row["relaxed_f_sum"] = _sums(self.relaxed.sum(axis=1), kept)
        return row


def episode(*, scenario: str, overrides: Overrides, gamma: float, policy: str, seed: int) -> Row:
    """Means over the slots of an episode; for LDA also those of its relaxed association x^m."""
    return play(scenario, overrides, gamma, [(policy, None)], seed)[0].means()


def curve(*, scenario: str, overrides: Overrides, gamma: float, policy: str, seed: int) -> Row:
    """An `episode` with cumulative f at the checkpoints."""
    (played,) = play(scenario, overrides, gamma, [(policy, None)], seed)
    return {**played.means(), **played.sums()}


def walk(*, scenario: str, overrides: Overrides, gamma: float, players: Sequence[Player], seed: int) -> Row:
    """Means over the slots of one episode for each of the ``players``, by their `player_name`."""
    played = play(scenario, overrides, gamma, players, seed)
    names = [player_name(*player) for player in players]
    return {"played": {name: found.means() for name, found in zip(names, played, strict=True)}}


def player_name(policy: str, forecaster: str | None = None) -> str:
    """How a walk's row names a policy with its forecaster."""
    return policy if forecaster is None else f"{policy} with {forecaster}"


def play(scenario: str, overrides: Overrides, gamma: float, players: Sequence[Player], seed: int) -> list[Played]:
    """Replay the trace of ``seed`` with every player, slot by slot side by side, so that it is drawn once for all.

    A forecaster that also plays, before its LDA, proposes what it does there: it is asked once for all.
    """
    env, trace = _environment(scenario, overrides, gamma, seed)
    params = env.system.params
    if params.handover_cost != "norm":
        raise WrongValue(f"handover_cost: the paper's 'norm' wanted, got {params.handover_cost!r}")
    done: dict[str, NDArray] = {}
    seats = []
    for name, forecaster in players:
        policy = _policy(name, forecaster, done)
        own = make_env(ENV_ID, scenario, {**overrides, "handover_weight": gamma})
        seats.append(_Seat(policy, Episode(own, policy, episode_rng(policy, seed), trace)))
        if forecaster is None:
            done[name] = np.empty(0, int)
    any_lda = any(isinstance(seat.policy, Lda) for seat in seats)
    running = [iter(seat.episode) for seat in seats]
    for t in range(1, params.horizon + 1):
        slot = trace.slot(t)
        log_rate = np.log10(shannon_rate_mbps(slot["sinr_db"], slot["bandwidth_mhz"])) if any_lda else np.empty(0)
        for (name, forecaster), seat, steps in zip(players, seats, running, strict=True):
            step = next(steps)
            if forecaster is None:
                done[name] = step.action
            seat.record(step, log_rate, slot["handover_delay"], params.handover_weight)
    return [Played(params.num_ues, _table(seat.slots, len(METRICS)), _table(seat.relaxed, 2)) for seat in seats]


def _policy(name: str, forecaster: str | None, done: Mapping[str, NDArray]) -> Policy:
    if forecaster is None:
        return registry.make(name)
    added: Overrides = {"forecaster": Echo(done, forecaster) if forecaster in done else registry.make(forecaster)}
    return registry.make(name, **added)


@dataclass(eq=False)
class Echo(Policy):
    """What the player ``name`` has just done."""

    done: Mapping[str, NDArray]
    name: str

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        pass

    def act(self, observation: Observation) -> NDArray:
        return self.done[self.name]


@dataclass(eq=False)
class _Seat:
    """A player of a walk, and what is known of its slots so far."""

    policy: Policy
    episode: Episode
    slots: list[list[float]] = field(default_factory=list)
    relaxed: list[list[float]] = field(default_factory=list)
    previous: NDArray | None = None

    def record(self, step: Step, log_rate: NDArray, delay: NDArray, weight: float) -> None:
        """The metrics of a slot; for LDA also g and h of its relaxed association."""
        self.slots.append([float(step.metrics[name]) for name in METRICS])
        if not isinstance(self.policy, Lda):
            return
        mixture = self.policy.mixture.astype(np.float64)
        before = mixture if self.previous is None else self.previous
        h = relaxed_handover(mixture, before, delay, weight)
        self.relaxed.append([relaxed_utility(mixture, log_rate), h])
        self.previous = mixture


def _table(rows: Sequence[Sequence[float]], width: int) -> NDArray:
    return np.array(rows, dtype=float).reshape(-1, width)


def _sums(values: NDArray, kept: NDArray) -> list[float]:
    return np.round(np.cumsum(values)[kept], 4).tolist()


def bound(*, scenario: str, overrides: Overrides, gamma: float, seed: int) -> Row:
    """What no association exceeds, and the best one known, if one is, in units of f per slot."""
    env, trace = _environment(scenario, overrides, gamma, seed)
    found, ues = cards.bound(env.system, trace), env.system.params.num_ues
    if found.kind != "certified" or found.value is None:
        raise WrongValue(f"scenario: one with a certified bound wanted, got {scenario!r} ({found.kind})")
    lower = None if found.lower is None else found.lower * ues
    return {"upper": found.value * ues, "lower": lower, "what": found.what}


def theorem(*, scenario: str, overrides: Overrides, gamma: float, seed: int) -> Row:
    """What the printed bounds on the regret come to at least, per slot of the trace of ``seed``.

    ``lemma`` is `least_regret_bound`; Theorem 1 adds G_f sqrt(I - I/J), and ``rounding`` is the root.
    """
    env, trace = _environment(scenario, overrides, gamma, seed)
    p, max_delay = env.system.params, float(np.max(trace.slot(1)["handover_delay"]))
    return {
        "lemma": least_regret_bound(p.num_ues, p.num_cells, p.horizon, max_delay),
        "rounding": float(np.sqrt(p.num_ues - p.num_ues / p.num_cells)),
    }


def least_regret_bound(num_ues: int, num_cells: int, horizon: int, max_delay: float) -> float:
    """(18) over T, for a benchmark that never moves and so has the first expert as its best; no other has less.

    (sqrt(nu) (1 + ln 1/w_1^1) + sqrt(G^2 + 2 G_A) D_A) / sqrt(T), with nu and G^2 + 2 G_A taken from the constants that
    they make: beta = 1/sqrt(T nu) and theta_1 = D_A / sqrt(T (G^2 + 2 G_A)).
    """
    constants = theory_constants(num_ues, num_cells, horizon, max_delay, 1.0, "printed")
    first = initial_weights(len(constants.steps))[0]
    squared_diameter = 2 * num_ues * max_delay  # D_A^2
    meta = (1 + np.log(1 / first)) / constants.meta_step
    return float((meta + squared_diameter / constants.steps[0]) / horizon)


def timing(*, policy: str, num_ues: int, num_cells: int, horizon: int, slots: int, gamma: float, seed: int) -> Row:
    """CPU time of LDA's observe() and decide(), median over the slots, in ms (after a warm-up)."""
    rng = np.random.default_rng(seed)
    options: Overrides = words.parse(policy).options
    lda = LDA(num_ues, num_cells, horizon, handover_weight=gamma, rng=rng, **options)
    delay = rng.uniform(0.05, 1.0, (num_ues, num_cells))
    elapsed = []
    for t in range(slots + 5):
        log_rate = np.log10(rng.uniform(1.0, 150.0, (num_ues, num_cells)))
        start = time.process_time()
        lda.decide()
        lda.observe(log_rate, delay)
        if t >= 5:
            elapsed.append(1e3 * (time.process_time() - start))
    return {"ms": float(np.median(elapsed)), "experts": len(lda.weights)}


def _environment(scenario: str, overrides: Overrides, gamma: float, seed: int) -> tuple[SystemEnv, Trace]:
    env = make_env(ENV_ID, scenario, {**overrides, "handover_weight": gamma})
    env.reset(seed=seed)
    return env, env.trace
