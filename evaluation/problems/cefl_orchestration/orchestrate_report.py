"""Tables of orchestrated trainings: rounds, delay and energy to each target, and what the first method saves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from rangym.envs.errors import WrongValue
from rangym.evaluation.columns import aligned, counted, paragraph
from rangym.evaluation.grid import Row, Stored
from rangym.evaluation.problems.cefl_orchestration.orchestrate import TARGETS, Method, best_rates
from rangym.evaluation.problems.cefl_orchestration.training_study import STAY, Curves, Reached
from rangym.evaluation.statistics import Interval, mean_interval
from rangym.evaluation.studies import by_study

METHOD = ["policy", "aggregation", "rate"]
HEADER = ["target", *METHOD, "reached", "rounds", "delay s", "energy J", "saves delay", "saves energy"]
LAST_ROUNDS = 5
NOTES = (
    f"reached: seeds whose test accuracy was at or above the target in {STAY} rounds in a row; rounds, delay and "
    "energy up to the first of them, means over these seeds, +- half the 95 % interval.",
    "saves: what the first method saves against this one, the mean of 1 - its / this one's over the seeds in which "
    "both reached the target, on the same traces.",
    f"final: test accuracy, mean of the last {LAST_ROUNDS} rounds.",
    "rate: of local SGD; * chosen on the tuning seeds by the accuracy averaged over all rounds, same trials for every "
    "method.",
)
COSTS = ("delay_s", "energy_j")
"""What is compared."""
Runs = dict[int, Curves]
"""The curves of a method by seed."""


def text_report(
    rows: Iterable[Row],
    tuning_rows: Iterable[Row] = (),
    targets: Sequence[float] = TARGETS,
    order: Sequence[Method] = (),
) -> str:
    """All studies in ``rows`` as plain text; ``order`` are the methods, the one that is compared with the others first.

    ``tuning_rows`` are those that learning rates were chosen from.
    """
    check_targets(targets)
    trials = by_study(tuning_rows)
    parts = []
    for study, found in by_study(rows).items():
        chosen = best_rates(trials.get(study, ()))
        runs = _by_method(found, order)
        finals = final_table(runs, chosen)
        cells = table(runs, chosen, targets)
        parts += [paragraph(heading(json.loads(study), found)), "", aligned(HEADER, cells, "lllrrrrrrr"), ""]
        parts += [aligned([*METHOD, "final"], finals, "llrr"), ""]
    return "\n".join([*parts, *map(paragraph, NOTES)])


def stored_report(stored: Stored, targets: Sequence[float] = TARGETS) -> str:
    """The tables of a results file, methods in the order of its rows."""
    rows = [row for row in stored.rows.values() if "aggregation" in row and "study" in row]
    if not rows:
        raise WrongValue(f"rows of `rangym orchestrate` wanted, got none or others; {stored.fault}")
    own = [row for row in rows if row["seed_range"] == "evaluation"]
    tuning = [row for row in rows if row["seed_range"] == "tuning"]
    return text_report(own, tuning, targets)


def check_targets(targets: Sequence[float]) -> None:
    """Refuse targets that are no accuracies."""
    if not targets:
        raise WrongValue("targets: at least one wanted, got none")
    if wrong := [target for target in targets if not 0 < target <= 1]:
        raise WrongValue(f"targets: accuracies above 0 and of at most 1 wanted, got {wrong[0]!r}")


def heading(study: dict, rows: Sequence[Row]) -> str:
    """What was trained, in one line."""
    given = "".join(f", {k}={v}" for part in ("overrides", "training") for k, v in study[part].items())
    seeds = sorted({row["seed"] for row in rows})
    return (
        f"scenario {study['scenario']}, {counted(study['rounds'], 'rounds')}{given}, "
        f"{counted(len(seeds), 'seeds')} ({seeds[0]}..{seeds[-1]})"
    )


def table(
    runs: dict[tuple[str, str, float], Runs], chosen: dict[Method, float], targets: Sequence[float]
) -> list[list[str]]:
    """Cells of the table: every method for every target."""
    cells = []
    for target in targets:
        reached = {key: _reached(own, target) for key, own in runs.items()}
        first = next(iter(reached.values()))
        for key, found in reached.items():
            means = [_mean(found, name) for name in ("rounds", *COSTS)]
            savings = ["", ""] if found is first else [_text(saving(first, found, n), "+", percent=True) for n in COSTS]
            cells.append([f"{target:.0%}", *_named(key, chosen), f"{len(found)}/{len(runs[key])}", *means, *savings])
    return cells


def saving(own: dict[int, Reached], other: dict[int, Reached], name: str) -> Interval | None:
    """The mean of 1 - own / other over the seeds that both have, for one cost; None where there are none."""
    seeds = sorted(own.keys() & other.keys())
    if not seeds:
        return None
    return mean_interval([1.0 - getattr(own[s], name) / getattr(other[s], name) for s in seeds])


def final_table(runs: dict[tuple[str, str, float], Runs], chosen: dict[Method, float]) -> list[list[str]]:
    """Cells of the accuracies at the end."""
    return [
        [*_named(key, chosen), _text(mean_interval([np.mean(c.accuracy[-LAST_ROUNDS:]) for c in own.values()]))]
        for key, own in runs.items()
    ]


def _reached(runs: Runs, target: float) -> dict[int, Reached]:
    found = {seed: curves.to_target(target) for seed, curves in runs.items()}
    return {seed: reached for seed, reached in found.items() if reached is not None}


def _named(key: tuple[str, str, float], chosen: dict[Method, float]) -> list[str]:
    policy, aggregation, rate = key
    return [policy, aggregation, f"{rate:g}{'*' if chosen.get((policy, aggregation)) == rate else ''}"]


def _by_method(rows: Sequence[Row], order: Sequence[Method]) -> dict[tuple[str, str, float], Runs]:
    runs: dict[tuple[str, str, float], Runs] = {}
    for row in sorted(rows, key=lambda row: row["seed"]):
        runs.setdefault((row["policy"], row["aggregation"], row["learning_rate"]), {})[row["seed"]] = Curves.of(row)
    place = {method: number for number, method in enumerate(order)}
    return dict(sorted(runs.items(), key=lambda item: place.get(item[0][:2], len(place))))


def _mean(found: dict[int, Reached], name: str) -> str:
    return _text(mean_interval([getattr(r, name) for r in found.values()]) if found else None)


def _text(found: Interval | None, sign: str = "", percent: bool = False) -> str:
    if found is None:
        return "-"
    if percent:
        half = "" if np.isnan(found.half_width) else f" +-{100 * found.half_width:.1f}"
        return f"{100 * found.value:{sign}.1f}{half} %"
    digits = 3 if abs(found.value) < 1 else 1 if abs(found.value) < 1000 else 0
    half = "" if np.isnan(found.half_width) else f" +-{found.half_width:.{digits}f}"
    return f"{found.value:{sign}.{digits}f}{half}"
