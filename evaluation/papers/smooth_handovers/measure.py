"""What the jobs of "Smooth Handovers" measure: an episode, a bound, a timing."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.core import SystemEnv, Trace
from rangym.envs.errors import WrongValue
from rangym.envs.params import Overrides
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.evaluation import cards
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.grid import Row
from rangym.policies import registry, words
from rangym.policies.algorithms.association.lda import LDA, initial_weights, theory_constants
from rangym.policies.cell_association.lda import Lda

ENV_ID = "rangym/CellAssociation-v0"
CHECKPOINTS = 200
METRICS = ("f", "g", "h", "handovers", "ho_delay_slots")


def checkpoints(horizon: int) -> NDArray:
    """The slots (at most 200, evenly spaced, the last included) at which curves are kept."""
    return np.unique(np.ceil(np.linspace(0, horizon, CHECKPOINTS + 1)[1:]).astype(int))


def relaxed_utility(mixture: NDArray, log_rate: NDArray) -> float:
    """g(x) = sum_ij x_ij log10 c_ij - sum_j y_j log10 y_j of a fractional association (I, J), with 0 log 0 = 0."""
    load = mixture.sum(axis=0)
    return float((mixture * log_rate).sum() - (load * np.log10(np.where(load > 0, load, 1.0))).sum())


def relaxed_handover(mixture: NDArray, previous: NDArray, delay: NDArray, weight: float) -> float:
    """h = -gamma sqrt(sum_ij a_ij d_ij^2), d the change of a fractional association (I, J): the paper's norm."""
    return -weight * float(np.sqrt((delay * (mixture - previous) ** 2).sum()))


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


def episode(
    *, scenario: str, overrides: Overrides, gamma: float, policy: str, seed: int, forecaster: str | None = None
) -> Row:
    """Means over the slots of an episode; for LDA also those of its relaxed association x^m."""
    return play(scenario, overrides, gamma, policy, seed, forecaster).means()


def curve(*, scenario: str, overrides: Overrides, gamma: float, policy: str, seed: int) -> Row:
    """An `episode` with cumulative f at the checkpoints."""
    played = play(scenario, overrides, gamma, policy, seed)
    return {**played.means(), **played.sums()}


def play(
    scenario: str, overrides: Overrides, gamma: float, policy: str, seed: int, forecaster: str | None = None
) -> Played:
    """Replay the trace of ``seed`` with a policy, LDA perhaps with another policy as its forecaster."""
    env, trace = _environment(scenario, overrides, gamma, seed)
    params = env.system.params
    if params.handover_cost != "norm":
        raise WrongValue(f"handover_cost: the paper's 'norm' wanted, got {params.handover_cost!r}")
    added: Overrides = {} if forecaster is None else {"forecaster": registry.make(forecaster)}
    player = registry.make(policy, **added)
    slots, relaxed = [], []
    previous = None
    for t, step in enumerate(Episode(env, player, episode_rng(player, seed), trace), 1):
        slots.append([step.metrics[name] for name in METRICS])
        if isinstance(player, Lda):
            slot, mixture = trace.slot(t), player.mixture.astype(np.float64)
            log_rate = np.log10(shannon_rate_mbps(slot["sinr_db"], slot["bandwidth_mhz"]))
            before = mixture if previous is None else previous
            h = relaxed_handover(mixture, before, slot["handover_delay"], params.handover_weight)
            relaxed.append([relaxed_utility(mixture, log_rate), h])
            previous = mixture
    return Played(params.num_ues, np.array(slots, dtype=float), np.array(relaxed, dtype=float).reshape(-1, 2))


def _sums(values: NDArray, kept: NDArray) -> list[float]:
    return np.round(np.cumsum(values)[kept], 4).tolist()


def bound(*, scenario: str, overrides: Overrides, gamma: float, seed: int) -> Row:
    """What no association exceeds, and the best one known, in units of f per slot."""
    env, trace = _environment(scenario, overrides, gamma, seed)
    found, ues = cards.bound(env.system, trace), env.system.params.num_ues
    if found.kind != "certified" or found.value is None or found.lower is None:
        raise WrongValue(f"scenario: one with a certified bound wanted, got {scenario!r} ({found.kind})")
    return {"upper": found.value * ues, "lower": found.lower * ues, "what": found.what}


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
