"""Options of a policy chosen on the tuning seeds, never on those that are published.

The budget of a published table, the same for every policy: at most `BUDGET` points of a grid, on the tuning seeds
10000:10016, and the best value of an option is not the first or last of those tried unless the option's range ends
there; a grid whose optimum does is moved and searched again. Options that buy computing time (evaluations, rounds,
restarts, sites) or that name another algorithm (a form, a rule) may stay as they are. The constants of
CeflOrchestration have a budget of their own: 4,000 evaluations on 20 tuning seeds
(`rangym.evaluation.problems.cefl_orchestration.best_constants`).
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rangym.envs.errors import WrongValue
from rangym.envs.files import write_whole
from rangym.envs.params import Overrides, is_number, ranges
from rangym.evaluation.grid import check_jobs
from rangym.evaluation.identity import options_of
from rangym.evaluation.protocol import TUNING_SEEDS, Benchmark, checked_seeds
from rangym.evaluation.results import Results
from rangym.evaluation.runner import evaluate
from rangym.evaluation.summary import Summary, summarise
from rangym.policies import registry, words

Options = dict[str, Any]
BUDGET = 256
"""Points of a grid, times `SEEDS`."""
SEEDS = TUNING_SEEDS[:16]


@dataclass(frozen=True)
class Tuning:
    """What a grid search found."""

    policy: str
    env_id: str
    scenario: str
    seeds: tuple[int, ...]
    grid: Mapping[str, Sequence[Any]]
    options: Mapping[str, object]
    """The options with the best mean reward, the fixed ones included."""
    score: float
    summary: Summary
    results: Results

    @property
    def at_edge(self) -> list[str]:
        """See `at_edge`."""
        return at_edge(self.policy, self.grid, self.options)


def at_edge(policy: str, grid: Mapping[str, Sequence[object]], options: Mapping[str, object]) -> list[str]:
    """Options whose best value is the first or last number tried: the optimum may lie outside the grid.

    An end of the option's own range is no edge, as nothing lies beyond.
    """
    declared = ranges(registry.entry(policy).policy_class)
    found = []
    for key, values in grid.items():
        numbers = [v for v in values if is_number(v)]
        ends = (declared[key].low, declared[key].high) if key in declared else ()
        tried = len(numbers) > 1 and options[key] in (min(numbers), max(numbers))
        if tried and options[key] not in ends:
            found.append(key)
    return found


def tune(
    word: str,
    env_id: str,
    scenario: str,
    grid: Mapping[str, Sequence[Any]],
    *,
    seeds: Iterable[int] = SEEDS,
    overrides: Overrides | None = None,
    workers: int = 1,
    out: str | Path | None = None,
) -> Tuning:
    """Try every combination of ``grid`` (option -> values) on the same tuning traces.

    Options named in ``word`` stay fixed. Raises `ValueError` for seeds outside the tuning range, an empty grid, or an
    option that is both fixed and tried.
    """
    seeds = checked_seeds(seeds, any_seed=True)
    if outside := [seed for seed in seeds if seed not in TUNING_SEEDS]:
        raise WrongValue(
            f"seeds: tuning seeds, {TUNING_SEEDS.start}..{TUNING_SEEDS.stop - 1}, wanted, got {outside[0]}"
        )
    asked = words.parse(word)
    registry.entry(word)
    if not grid or not all(grid.values()):
        raise WrongValue(f"grid: at least one value for each option wanted, got {dict(grid)}")
    if both := asked.options.keys() & grid.keys():
        raise WrongValue(f"grid: {sorted(both)} cannot be tried, {word!r} fixes it")
    check_jobs(math.prod(len(values) for values in grid.values()) * len(seeds), "grid x seeds")
    fixed: Options = dict(asked.options)
    trials = [fixed | dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    benchmark = Benchmark(env_id, scenario, seeds, overrides or {}, any_seed=True)
    tried = [registry.make(asked.name, **trial) for trial in trials]
    results = evaluate(tried, benchmark, workers=workers, out=out, bounds=False)
    summary = summarise(results.comparison()) if results.comparisons else None
    if summary is None or results.errors:
        raise WrongValue("tuning failed: " + "; ".join(results.problems[:3]))
    best = summary.policies[0]
    kept = summary.comparison.first(best.policy)["options"]
    options = next(trial for trial in trials if _kept(asked.name, trial) == kept)
    return Tuning(asked.name, env_id, scenario, seeds, dict(grid), options, best.reward.value, summary, results)


def _kept(name: str, options: Options) -> dict[str, object]:
    """The options as a row keeps them: without those that are the constructor's defaults."""
    return options_of(registry.make(name, **options))[0]


def save(tuning: Tuning, command: str, path: str | Path) -> None:
    """Add the options found to a JSON file: policy -> scenario -> options, and how they were found.

    A file of this form named ``tuned.json`` beside a problem's policies is what ``"NAME:tuned"`` reads. There a policy
    may also have the name of another one, whose options it shares.
    """
    path = Path(path)
    kept = tuned_options(path)
    kept.setdefault(tuning.policy, {})[tuning.scenario] = {
        "options": dict(tuning.options),
        "score": round(tuning.score, 6),
        "grid": {key: list(values) for key, values in tuning.grid.items()},
        "seeds": f"{min(tuning.seeds)}:{max(tuning.seeds) + 1}",
        "command": command,
    }
    write_json(path, kept)


def tuned_options(path: Path) -> dict[str, Any]:
    """What the file holds to which `save` adds: nothing where there is none."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except ValueError as error:  # not UTF-8, not JSON
        raise WrongValue(f"{path}: a file of tuned options, or a new one, wanted ({error})") from error
    if not isinstance(kept, dict) or not all(isinstance(found, dict | str) for found in kept.values()):
        raise WrongValue(f"{path}: a file of tuned options, or a new one, wanted, got something else")
    return kept


def write_json(path: Path, content: object) -> None:
    """Write a JSON file, whole or not at all, with each list on one line."""
    text = json.dumps(content, indent=1, sort_keys=True)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    write_whole(path, f"{text}\n".encode())
