"""What `evaluate` returns: rows grouped into comparisons of policies on equal traces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import MissingExtra, WrongValue, printable, shown
from rangym.envs.params import listed, nearest
from rangym.evaluation.forms import evaluated
from rangym.evaluation.grid import Row, Stored, read, write
from rangym.policies import words

if TYPE_CHECKING:
    import pandas

Seed = int | str
EXCESS = 1e-9
"""Relative excess over a certified bound that rounding may cause; more is an error of the bound or of the simulator."""


def label(row: Row) -> str:
    """The policy of a row with its resolved options, as `evaluate` would take it."""
    return words.spell(row["policy"], row["options"])


def is_named(label: str, policy: str) -> bool:
    """Whether ``policy`` is that label or its bare name."""
    return policy in (label, label.partition(":")[0])


@dataclass(frozen=True)
class Comparison:
    """Policies on the same traces of one environment; every array runs over ``seeds``, in the same order.

    A recorded trace has the hash of its content in place of a seed.
    """

    env_id: str
    scenario: str
    overrides: Mapping[str, object]
    seeds: tuple[Seed, ...]
    dropped_seeds: int
    """Seeds left out because a policy has no row for them."""
    rows: Mapping[str, Mapping[Seed, Row]]
    """Policy label -> seed -> row."""
    bounds: Mapping[Seed, Row]
    """Seed -> bound (value, kind, what, lower)."""

    @property
    def title(self) -> str:
        listed = ", ".join(f"{k}={v}" for k, v in self.overrides.items())
        name = f"{self.env_id.removeprefix('rangym/')}, {self.scenario}"
        return f"{name} ({listed})" if listed else name

    def find(self, policy: str) -> str:
        """The label of a policy given by its label, or by its bare name where only one of that name was run."""
        named = [known for known in self.rows if is_named(known, policy)]
        if policy in self.rows or len(named) == 1:
            return policy if policy in self.rows else named[0]
        known = listed(named or self.rows, policy)
        raise WrongValue(f"policy: one of {known} wanted, got {shown(policy)}{nearest(policy, self.rows)}")

    def rewards(self, policy: str) -> NDArray[np.float64]:
        """Mean reward per slot of each episode, (seeds,)."""
        by_seed = self.rows[self.find(policy)]
        return np.array([by_seed[seed]["reward"] for seed in self.seeds])

    def first(self, policy: str) -> Row:
        """One row of the policy, for what is the same in all of them."""
        return self.rows[policy][self.seeds[0]]

    def field(self, policy: str, group: str, name: str) -> NDArray[np.float64]:
        """A metric or term of each episode, (seeds,); NaN where an episode has none."""
        values = [self.rows[policy][seed][group].get(name) for seed in self.seeds]
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    @property
    def bound_kind(self) -> str:
        """``certified``, ``best known`` or ``none``: the weakest of the traces'."""
        kinds = {self.bounds[seed]["kind"] if seed in self.bounds else "none" for seed in self.seeds}
        return next(kind for kind in ("none", "best known", "certified") if kind in kinds)

    def bound(self, which: str = "value") -> NDArray[np.float64] | None:
        """The bound on each episode's mean reward (or its ``lower`` end, what is known to be reachable)."""
        values = [self.bounds[seed][which] if seed in self.bounds else None for seed in self.seeds]
        return None if None in values else np.array(values, dtype=float)


@dataclass(frozen=True)
class Results:
    """Rows of episodes and bounds, the errors among the jobs, and how many jobs were run just now.

    ``print(results)`` is the table of every comparison, with the jobs that failed.
    """

    episodes: tuple[Row, ...]
    bounds: tuple[Row, ...]
    errors: tuple[Row, ...]
    torn: tuple[int, ...] = ()
    """Lines of the file that are no rows of `evaluate`; the jobs they held are run again by the next `evaluate`."""
    computed: int = 0

    @staticmethod
    def of(stored: Stored, computed: int = 0) -> Results:
        rows = list(stored.rows.values())
        return Results(
            tuple(r for r in rows if r["row"] == "episode"),
            tuple(r for r in rows if r["row"] == "bound"),
            tuple(stored.errors.values()),
            stored.torn,
            computed,
        )

    @staticmethod
    def load(path: str | Path) -> Results:
        """Everything a results file holds; the newest row counts where the code has changed in between."""
        if not Path(path).is_file():
            raise WrongValue(f"{path}: no such results file")
        stored = read(path, evaluated)
        good = {_identity(row) for row in stored.rows.values()}
        errors = {key: row for key, row in stored.errors.items() if _identity(row) not in good}
        results = Results.of(Stored(stored.rows, errors, stored.torn, stored.fault))
        if not results.episodes:
            why = f"; {stored.fault}" if stored.fault else ""
            raise WrongValue(f"{path}: no result of `rangym evaluate` or `bench` in it{why}")
        return results

    def save(self, path: str | Path) -> Path:
        """Write all rows as JSON lines, which `load` and ``rangym report`` read."""
        return write([*self.episodes, *self.bounds, *self.errors], path)

    def to_frame(self) -> pandas.DataFrame:
        """One line an episode: environment, scenario, policy, seed, reward, bound, terms and metrics; needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_frame needs pandas: pip install pandas") from error
        bounds = {(_where(row), row["seed"]): row["bound"] for row in self.bounds}
        lines = []
        for row in self.episodes:
            found = bounds.get((_where(row), row["seed"]), {"value": None, "kind": "none"})
            line = {"env_id": row["env_id"], "scenario": row["scenario"], "policy": label(row), "seed": row["seed"]}
            line |= {"knowledge": row["knowledge"], "reward": row["reward"]}
            line |= {"bound": found["value"], "bound_kind": found["kind"], "cpu_ms_per_slot": row["cpu_ms_per_slot"]}
            lines.append(line | {f"term.{k}": v for k, v in row["terms"].items()} | row["metrics"])
        return pandas.DataFrame(lines)

    def __str__(self) -> str:
        from rangym.evaluation.summary import summarise_all, text_report

        tables = [text_report(summary) for summary in summarise_all(self)]
        return printable("\n\n".join([*tables, *(f"PROBLEM: {problem}" for problem in self.problems)])) or "no results"

    @staticmethod
    def merge(parts: Iterable[Results]) -> Results:
        parts = list(parts)
        return Results(
            tuple(row for p in parts for row in p.episodes),
            tuple(row for p in parts for row in p.bounds),
            tuple(row for p in parts for row in p.errors),
            tuple(sorted({line for p in parts for line in p.torn})),
            sum(p.computed for p in parts),
        )

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """One comparison for each environment, scenario and set of overrides."""
        groups: dict[str, dict[str, dict[Seed, Row]]] = {}
        for row in self.episodes:
            groups.setdefault(_where(row), {}).setdefault(label(row), {})[row["seed"]] = row
        found: dict[str, dict[Seed, Row]] = {}
        for row in self.bounds:
            found.setdefault(_where(row), {})[row["seed"]] = row["bound"]
        comparisons = []
        for where, rows in groups.items():
            env_id, scenario, overrides, _ = json.loads(where)
            shared = set.intersection(*(set(by_seed) for by_seed in rows.values()))
            every = set.union(*(set(by_seed) for by_seed in rows.values()))
            dropped = len(every) - len(shared)
            seeds = tuple(sorted(shared, key=lambda seed: (isinstance(seed, str), seed)))
            comparisons.append(Comparison(env_id, scenario, overrides, seeds, dropped, rows, found.get(where, {})))
        return tuple(c for c in comparisons if c.seeds)

    def comparison(self) -> Comparison:
        """The only comparison."""
        if len(self.comparisons) != 1:
            raise WrongValue(f"one comparison wanted, got {[c.title for c in self.comparisons]}")
        return self.comparisons[0]

    def rewards(self, policy: str) -> NDArray[np.float64]:
        """Mean reward per slot of each episode of ``policy``, (seeds,), where there is one comparison."""
        return self.comparison().rewards(policy)

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What makes these results untrustworthy: failed jobs, and rewards above a certified bound."""
        failed: dict[tuple[str, ...], list[Seed]] = {}
        for row in self.errors:
            what = "bound" if row["row"] == "bound" else label(row)
            failed.setdefault((what, row["scenario"], row["error"], row["where"]), []).append(row["seed"])
        found = []
        for (what, scenario, error, where), seeds in failed.items():
            listed = ", ".join(map(str, seeds[:5])) + (f" and {len(seeds) - 5} more" if len(seeds) > 5 else "")
            found.append(f"{what}, {scenario}, seed {listed} failed: {error} ({where})")
        for c in self.comparisons:
            for policy, by_seed in c.rows.items():
                for seed, row in by_seed.items():
                    bound = c.bounds.get(seed)
                    if bound is None or bound["kind"] != "certified":
                        continue
                    if row["reward"] > bound["value"] + EXCESS * abs(bound["value"]):
                        found.append(
                            f"{policy}, {c.title}, seed {seed}: mean reward {row['reward']:.9g} is above the certified "
                            f"bound {bound['value']:.9g}"
                        )
        return tuple(found)


def _where(row: Row) -> str:
    """Which traces: environment, scenario, overrides, and the content of the files that they are read from."""
    return json.dumps([row["env_id"], row["scenario"], row["overrides"], row["files"]], sort_keys=True)


def _identity(row: Row) -> tuple[str, str, int]:
    """What a row is about, whatever the code that made it."""
    return (label(row) if row["row"] == "episode" else row["row"], _where(row), row["seed"])
