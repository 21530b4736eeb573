"""Series of "Smooth Handovers" over the seeds, from its rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers.jobs import HINDSIGHT, MAX_SINR, RANDOM, ROUNDED, SYNTHETIC_GAMMA, Source
from rangym.evaluation.results import EXCESS


def means(
    rows: Rows,
    name: str,
    scenario: str,
    policy: str | Source,
    gamma: float = SYNTHETIC_GAMMA,
    forecaster: str | None = None,
) -> NDArray:
    """A mean over the slots (f, g, h, handovers, ho_delay_slots) of each seed's episode, (seeds,)."""
    policy, name = _named(policy, name)
    kind = "episode" if scenario == "desk" else "curve"
    return rows.values(kind, name, scenario=scenario, policy=policy, gamma=gamma, forecaster=forecaster)


def num_ues(rows: Rows, scenario: str) -> int:
    """The number of UEs of a scenario."""
    kind = "episode" if scenario == "desk" else "curve"
    return int(next(row["num_ues"] for row in rows.by_kind[kind] if row["scenario"] == scenario))


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
    for scenario in ("static", "volatile"):
        limits = {row["seed"]: row["upper"] for row in rows.where("bound", scenario=scenario)}
        for policy in (*(s.policy for s in ROUNDED), MAX_SINR, RANDOM):
            for row in rows.where("curve", scenario=scenario, policy=policy):
                limit = limits.get(row["seed"], np.inf)
                if row["f"] > limit + EXCESS * abs(limit):
                    yield f"{policy}, {scenario}, seed {row['seed']}: f = {row['f']:.9g} above {limit:.9g}"


def _named(policy: str | Source, name: str) -> tuple[str, str]:
    if isinstance(policy, str):
        return policy, name
    return policy.policy, f"relaxed_{name}" if policy.relaxed else name
