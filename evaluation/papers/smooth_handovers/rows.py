"""What a row of the reproduction of "Smooth Handovers" measures: an episode, a bound, a timing."""

from __future__ import annotations

import functools
import hashlib
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.evaluation import runner
from rangym.evaluation.grid import Cell, Row
from rangym.policies import registry
from rangym.policies.algorithms.association.lda import LDA
from rangym.policies.base import Task
from rangym.policies.cell_association.lda import Lda

CHECKPOINTS = 200
METRICS = ("f", "g", "h", "handovers", "ho_delay")


def cell(row: str, **arguments: Any) -> Cell:
    """A cell of the grid; its key changes with the code that simulates and with the code that measures."""
    return {"row": row, **arguments, "source": runner.source_hash(), "measured_by": _own_hash()}


@functools.cache
def _own_hash() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]


def run_cell(cell: Cell) -> Row:
    """One ``episode``, the ``bound`` of one trace, or one ``timing``."""
    return {"episode": _episode, "bound": _bound, "timing": _timing}[cell["row"]](cell)


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


def _episode(cell: Cell) -> Row:
    """Means over the slots and cumulative f at the checkpoints; for LDA also those of its relaxed association x^m."""
    env, trace = _environment(cell)
    params = env.system.params
    if params.handover_cost != "norm":
        raise ValueError(f"handover_cost: the paper's 'norm' wanted, got {params.handover_cost!r}")
    entry = registry.entry(cell["policy"])
    options = registry.parse_options(cell["policy"])
    if cell.get("forecaster"):
        options["forecaster"] = registry.make(cell["forecaster"])
    policy = entry.policy_class(**options)
    observation, _ = env.reset(options={"trace": trace})
    policy.reset(Task.of(env, policy.knowledge), runner.episode_rng(entry, cell["seed"]))
    slots = np.empty((params.horizon, len(METRICS)))
    relaxed = np.empty((params.horizon, 2))  # g, h
    previous = None
    for t in range(params.horizon):
        observation, _, _, _, info = env.step(policy.act(observation))
        slots[t] = [info["metrics"][name] for name in METRICS]
        if isinstance(policy, Lda):
            slot, mixture = trace.slot(t + 1), policy.mixture.astype(np.float64)
            log_rate = np.log10(shannon_rate_mbps(slot["sinr_db"], slot["bandwidth_mhz"]))
            moved_from = mixture if previous is None else previous
            relaxed[t, 0] = relaxed_utility(mixture, log_rate)
            relaxed[t, 1] = relaxed_handover(mixture, moved_from, slot["handover_delay"], params.handover_weight)
            previous = mixture
    kept = checkpoints(params.horizon) - 1
    row: Row = {"slots": (kept + 1).tolist(), **dict(zip(METRICS, slots.mean(axis=0).tolist(), strict=True))}
    row["f_spread"] = float(np.ptp(slots[:, 0]))
    row["f_sum"] = _sums(slots[:, 0], kept)
    if isinstance(policy, Lda):
        g, h = relaxed.mean(axis=0).tolist()
        row |= {"relaxed_f": g + h, "relaxed_g": g, "relaxed_h": h, "relaxed_f_sum": _sums(relaxed.sum(axis=1), kept)}
    return row


def _sums(values: NDArray, kept: NDArray) -> list[float]:
    return np.round(np.cumsum(values)[kept], 4).tolist()


def _bound(cell: Cell) -> Row:
    """What no association exceeds, and the best one known, in units of f per slot."""
    from rangym.evaluation.bounds import bound

    env, trace = _environment(cell)
    found, ues = bound(env.system, trace), env.system.params.num_ues
    if found.kind != "certified" or found.value is None or found.lower is None:
        raise ValueError(f"scenario: one with a certified bound wanted, got {cell['scenario']!r} ({found.kind})")
    return {"upper": found.value * ues, "lower": found.lower * ues, "what": found.what}


def _timing(cell: Cell) -> Row:
    """CPU time of LDA's observe() and decide(), median over the slots, in ms (after a warm-up)."""
    ues, cells = cell["num_ues"], cell["num_cells"]
    rng = np.random.default_rng(cell["seed"])
    options = registry.parse_options(cell["policy"])
    lda = LDA(ues, cells, cell["horizon"], handover_weight=cell["gamma"], rng=rng, **options)
    delay = rng.uniform(0.05, 1.0, (ues, cells))
    elapsed = []
    for t in range(cell["slots"] + 5):
        log_rate = np.log10(rng.uniform(1.0, 150.0, (ues, cells)))
        start = time.process_time()
        lda.decide()
        lda.observe(log_rate, delay)
        if t >= 5:
            elapsed.append(1e3 * (time.process_time() - start))
    return {"ms": float(np.median(elapsed)), "experts": len(lda.weights)}


def _environment(cell: Cell):
    env = runner.make_env("rangym/CellAssociation-v0", cell["scenario"], cell["overrides"])
    env.reset(seed=cell["seed"])
    return env, env.trace
