"""Series of "Smooth Handovers" over the seeds, from its rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers.jobs import (
    HINDSIGHT,
    MAX_SINR,
    RANDOM,
    ROUNDED,
    STAND_IN,
    SYNTHETIC_GAMMA,
    Source,
)
from rangym.evaluation.papers.smooth_handovers.measure import player_name
from rangym.evaluation.results import EXCESS


def means(rows: Rows, name: str, scenario: str, policy: str | Source) -> NDArray:
    """A mean over the slots (f, g, h, handovers, ho_delay_slots) of each seed's synthetic episode, (seeds,)."""
    policy, name = _named(policy, name)
    return rows.values("curve", name, scenario=scenario, policy=policy)


def stand_in(
    rows: Rows, name: str, policy: str | Source, gamma: float = SYNTHETIC_GAMMA, forecaster: str | None = None
) -> NDArray:
    """`means` on the stand-in scenario."""
    policy, name = _named(policy, name)
    return rows.values("walk", "played", player_name(policy, forecaster), name, gamma=gamma)


def num_ues(rows: Rows, scenario: str) -> int:
    """The number of UEs of a scenario."""
    if scenario == STAND_IN:
        return int(rows.values("walk", "played", MAX_SINR, "num_ues", gamma=SYNTHETIC_GAMMA)[0])
    return int(next(row["num_ues"] for row in rows.by_kind["curve"] if row["scenario"] == scenario))


def bounds(rows: Rows, scenario: str, end: str) -> NDArray:
    """The ``upper`` or ``lower`` end of what is known of the optimum of each seed, (seeds,)."""
    return rows.values("bound", end, scenario=scenario)


def sums(rows: Rows, scenario: str, policy: str | Source) -> NDArray:
    """Cumulative f at the checkpoints, (seeds, n)."""
    policy, name = _named(policy, "f_sum")
    return rows.values("curve", name, scenario=scenario, policy=policy)


def slots(rows: Rows, scenario: str) -> NDArray:
    """The checkpoints, (n,)."""
    return rows.values("curve", "slots", scenario=scenario, policy=MAX_SINR)[0].astype(int)


def running_mean(rows: Rows, scenario: str, policy: str | Source) -> NDArray:
    """Mean of f over the slots so far, at the checkpoints, (seeds, n)."""
    return sums(rows, scenario, policy) / slots(rows, scenario)


def average_regret(rows: Rows, scenario: str, policy: str | Source) -> NDArray:
    """Average regret at the checkpoints, (seeds, n): in `static` to the exact optimum, in `volatile` to the best plan
    known in hindsight, for the seeds that have one."""
    mean = running_mean(rows, scenario, policy)
    if scenario == "static":
        return bounds(rows, "static", "upper")[: len(mean), None] - mean
    plan = running_mean(rows, scenario, HINDSIGHT)
    return plan - mean[: len(plan)]


def beyond_bounds(rows: Rows) -> Iterator[str]:
    """Episodes whose f exceeds the certified bound of their trace: an error of the simulator or of the bound."""
    for scenario in ("static", "volatile", STAND_IN):
        limits = {row["seed"]: row["upper"] for row in rows.where("bound", scenario=scenario)}
        for name, seed, f in _scores(rows, scenario):
            limit = limits.get(seed, np.inf)
            if f > limit + EXCESS * abs(limit):
                yield f"{name}, {scenario}, seed {seed}: f = {f:.9g} above {limit:.9g}"


def _scores(rows: Rows, scenario: str) -> Iterator[tuple[str, int, float]]:
    """Player, seed and f of all episodes whose trace is that of the scenario's bound."""
    if scenario == STAND_IN:
        for row in rows.by_kind["walk"]:
            yield from ((name, row["seed"], played["f"]) for name, played in row["played"].items())
        return
    for policy in (*(s.policy for s in ROUNDED), MAX_SINR, RANDOM):
        for row in rows.where("curve", scenario=scenario, policy=policy):
            yield policy, row["seed"], row["f"]


def _named(policy: str | Source, name: str) -> tuple[str, str]:
    if isinstance(policy, str):
        return policy, name
    return policy.policy, f"relaxed_{name}" if policy.relaxed else name
