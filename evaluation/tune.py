"""Options of a policy chosen on the tuning seeds, never on those that are published."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rangym.evaluation.protocol import TUNING_SEEDS, Protocol
from rangym.evaluation.results import Results
from rangym.evaluation.runner import TUNED, evaluate, tuned
from rangym.evaluation.summary import Summary, summarise
from rangym.policies import registry


@dataclass(frozen=True)
class Tuning:
    """What a grid search found."""

    policy: str
    env_id: str
    scenario: str
    seeds: tuple[int, ...]
    grid: Mapping[str, Sequence[Any]]
    options: Mapping[str, Any]
    """The options with the best mean reward, the fixed ones included."""
    score: float
    summary: Summary
    results: Results

    @property
    def at_edge(self) -> list[str]:
        """Numeric options whose best value is the first or last tried: the optimum may lie outside the grid."""
        return [
            key
            for key, values in self.grid.items()
            if len(values) > 1
            and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
            and self.options[key] in (min(values), max(values))
        ]


def tune(
    spec: str,
    env_id: str,
    scenario: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Iterable[int] = TUNING_SEEDS[:16],
    overrides: Mapping[str, Any] | None = None,
    workers: int = 1,
    out: str | Path | None = None,
) -> Tuning:
    """Try every combination of ``grid`` (option -> values) on the same tuning traces.

    Options named in ``spec`` stay fixed. Raises `ValueError` for seeds outside the tuning range, an empty grid, or an
    option that is both fixed and tried.
    """
    seeds = tuple(seeds)
    if outside := [seed for seed in seeds if seed not in TUNING_SEEDS]:
        raise ValueError(
            f"seeds: tuning seeds, {TUNING_SEEDS.start}..{TUNING_SEEDS.stop - 1}, wanted, got {outside[0]}"
        )
    name, fixed = spec.partition(":")[0], registry.parse_options(spec)
    registry.entry(name)
    if not grid or not all(grid.values()):
        raise ValueError(f"grid: at least one value for each option wanted, got {dict(grid)}")
    if both := fixed.keys() & grid.keys():
        raise ValueError(f"grid: {sorted(both)} cannot be tried, {spec!r} fixes it")
    trials = [{**fixed, **dict(zip(grid, values, strict=True))} for values in itertools.product(*grid.values())]
    protocol = Protocol(env_id, scenario, seeds, overrides or {}, allow_any_seed=True)
    specs = [f"{name}:{','.join(f'{k}={v}' for k, v in options.items())}" for options in trials]
    results = evaluate(specs, protocol, workers=workers, out=out, bounds=False)
    summary = summarise(results.comparison()) if results.comparisons else None
    if summary is None or results.errors:
        raise ValueError("tuning failed: " + "; ".join(results.problems[:3]))
    best = summary.policies[0]
    row = summary.comparison.first(best.policy)
    return Tuning(name, env_id, scenario, seeds, dict(grid), row["options"], best.reward.value, summary, results)


def save(tuning: Tuning, command: str, path: Path = TUNED) -> None:
    """Keep the options found as those that `evaluate` uses for the scenario."""
    kept = tuned(path)
    kept.setdefault(tuning.policy, {}).setdefault(tuning.env_id, {})[tuning.scenario] = {
        "options": dict(tuning.options),
        "score": round(tuning.score, 6),
        "grid": {key: list(values) for key, values in tuning.grid.items()},
        "seeds": f"{min(tuning.seeds)}:{max(tuning.seeds) + 1}",
        "command": command,
    }
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
