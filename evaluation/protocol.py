"""What an evaluation is: an environment, the traces, the policies that meet on them, and which seeds are for what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rangym.envs.core import Trace
from rangym.envs.errors import WrongType, WrongValue
from rangym.policies import registry
from rangym.policies.base import Policy

EVALUATION_SEEDS = range(0, 10_000)
"""Published numbers: no decision about a policy is ever taken on these."""
TUNING_SEEDS = range(10_000, 20_000)
"""Thresholds, penalties, hyperparameters."""
FIRST_TRAINING_SEED = 20_000
TRAINING_SEEDS_PER_AGENT = 1_000


def training_seeds(agent: int) -> range:
    """The seeds on which the agent with training seed ``agent`` learns."""
    if agent < 0:
        raise WrongValue(f"agent: a training seed of at least 0 wanted, got {agent}")
    first = FIRST_TRAINING_SEED + TRAINING_SEEDS_PER_AGENT * agent
    return range(first, first + TRAINING_SEEDS_PER_AGENT)


def seed_range(seed: int) -> str:
    """What a seed is for: ``"evaluation"``, ``"tuning"`` or ``"training of agent k"``."""
    if seed in EVALUATION_SEEDS:
        return "evaluation"
    if seed in TUNING_SEEDS:
        return "tuning"
    return f"training of agent {(seed - FIRST_TRAINING_SEED) // TRAINING_SEEDS_PER_AGENT}"


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"0:20"`` (end excluded), ``"3"``, or a comma-separated list of both."""
    seeds: list[int] = []
    for part in text.split(","):
        first, colon, end = part.strip().partition(":")
        try:
            seeds.extend(range(int(first), int(end)) if colon else [int(first)])
        except ValueError:
            raise WrongValue(f"seeds: FIRST:END (end excluded) or a list such as 0,5,7 wanted, got {text!r}") from None
    if not seeds:
        raise WrongValue(f"seeds: at least one seed wanted, got {text!r}")
    return tuple(seeds)


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One table: the traces of one environment, and the policies that meet on them.

    Attributes
    ----------
    env_id, scenario, overrides : which environment, as for ``gymnasium.make(env_id, scenario=scenario, **overrides)``.
    seeds : one trace each; every policy sees the same ones.
    traces : recorded traces, files or objects, in place of seeds; each is named by the hash of its content.
    policies : None means all that are registered for the environment, with the options tuned for the scenario where
        there are any, but those in ``without``, which say nothing there or would take most of the time.
    variants : further policies on top.
    any_seed : also take seeds outside the evaluation range (tuning and training need it).
    """

    env_id: str = field(kw_only=False)
    scenario: str = field(default="small", kw_only=False)
    seeds: Iterable[int] = field(default=range(20), kw_only=False)
    overrides: Mapping[str, object] = field(default_factory=dict, kw_only=False)
    traces: Sequence[Trace | str | Path] = ()
    policies: Sequence[str | Policy] | None = None
    without: tuple[str, ...] = ()
    variants: tuple[str | Policy, ...] = ()
    any_seed: bool = False

    def __post_init__(self) -> None:
        if self.traces and self.seeds != range(20):
            raise WrongValue("traces: recorded traces in place of seeds wanted, got both")
        seeds = () if self.traces else checked_seeds(self.seeds, self.any_seed)
        for trace in self.traces:
            if not isinstance(trace, Trace | str | Path):
                raise WrongType(f"traces: Trace objects or files wanted, got {type(trace).__name__}")
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "overrides", plain_values(self.overrides, "overrides"))

    def chosen(self) -> list[str | Policy]:
        """The policies of the table, as `evaluate` takes them."""
        if self.policies is not None:
            return [*self.policies, *self.variants]
        names = [name for name in registry.names(self.env_id) if name not in self.without]
        stored = (f"{name}:tuned" if self.scenario in registry.tuned(name) else name for name in names)
        return [*stored, *self.variants]


@dataclass(frozen=True)
class Card:
    """All that evaluation knows of a problem.

    Attributes
    ----------
    bound : ``"module:function"`` of the bound of a trace, ``(system, trace) -> rangym.evaluation.Bound``; None: none.
    zero_policy : the policy whose mean reward scores 0, by scenario; ``random`` where it is not listed.
    quick : tables of a benchmark of a minute or so.
    full : further tables that are published.
    """

    bound: str | None = None
    zero_policy: Mapping[str, str] = field(default_factory=dict)
    quick: tuple[Benchmark, ...] = ()
    full: tuple[Benchmark, ...] = ()


def checked_seeds(given: Iterable[int], any_seed: bool) -> tuple[int, ...]:
    """The seeds as integers, each once and, unless ``any_seed``, of the evaluation range."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise WrongType(f"seeds: a range or list of integers wanted, got {given!r}")
    seeds = tuple(given)
    for seed in seeds:
        if isinstance(seed, bool) or not hasattr(seed, "__index__") or seed < 0:
            raise WrongValue(f"seeds: integers of at least 0 wanted, got {seed!r}")
    seeds = tuple(int(seed) for seed in seeds)
    if not seeds:
        raise WrongValue("seeds: at least one seed wanted, got none")
    if len(set(seeds)) < len(seeds):
        raise WrongValue(f"seeds: each seed once, got {sorted(s for s in set(seeds) if seeds.count(s) > 1)} again")
    outside = [seed for seed in seeds if seed not in EVALUATION_SEEDS]
    if outside and not any_seed:
        raise WrongValue(
            f"seeds: {outside[0]} is kept for {seed_range(outside[0])}; evaluation seeds are "
            f"0..{EVALUATION_SEEDS.stop - 1} (any_seed=True, --any-seed, takes others)"
        )
    return seeds


def plain_values(values: Mapping[str, object], name: str) -> dict[str, object]:
    """``values`` as JSON's own types; what has no stable value is refused with ``name``."""
    try:
        if not isinstance(values, Mapping):
            raise TypeError(f"a dictionary wanted, got {type(values).__name__}")
        found: dict[str, object] = json.loads(json.dumps(dict(values), allow_nan=False, default=_python))
    except (TypeError, ValueError) as error:
        raise WrongValue(f"{name}: plain values (numbers, words, lists) wanted: {error}") from None
    return found


def _python(value: object) -> object:
    """NumPy's scalars and arrays as Python's numbers and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r}")
