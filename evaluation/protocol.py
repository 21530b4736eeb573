"""What an evaluation is: an environment, the traces, the policies that meet on them, and which seeds are for what."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rangym.envs import registration
from rangym.envs.core import Trace
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.params import count_of, derive, is_number
from rangym.envs.registration import ENV_ID, OURS
from rangym.policies import registry
from rangym.policies.base import Policy

EVALUATION_SEEDS = range(0, 10_000)
"""Published numbers: no decision about a policy is ever taken on these."""
TUNING_SEEDS = range(10_000, 20_000)
"""Thresholds, penalties, hyperparameters."""
FIRST_TRAINING_SEED = 20_000
TRAINING_SEEDS_PER_AGENT = 1_000
MOST_SEEDS = 100_000
"""Of one evaluation."""


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
    if not isinstance(text, str):
        raise WrongType(f"seeds: FIRST:END (end excluded) or a list such as 0,5,7 wanted, got {shown(text)}")
    spans: list[range] = []
    for part in text.split(","):
        first, colon, end = part.strip().partition(":")
        try:
            begin = int(first)
            spans.append(range(begin, int(end) if colon else begin + 1))
        except ValueError:
            wanted = "FIRST:END (end excluded) or a list such as 0,5,7"
            raise WrongValue(f"seeds: {wanted} wanted, got {shown(text)}") from None
    count = sum(max(0, span.stop - span.start) for span in spans)  # len() ends at the machine's word
    if not 1 <= count <= MOST_SEEDS:
        wanted = f"at most {MOST_SEEDS:,} seeds" if count else "at least one seed"
        raise WrongValue(f"seeds: {wanted} wanted, got {shown(text)}, which is {shown(count)}")
    return tuple(seed for span in spans for seed in span)


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
        if not isinstance(self.any_seed, bool):
            raise WrongType(f"any_seed: True or False wanted, got {shown(self.any_seed)}")
        if not isinstance(self.traces, list | tuple):
            raise WrongType(f"traces: a list of Trace objects or files wanted, got {shown(self.traces)}")
        for trace in self.traces:
            if not isinstance(trace, Trace | str | Path):
                raise WrongType(f"traces: Trace objects or files wanted, got {shown(trace)}")
        for name in ("policies", "without", "variants"):
            self._check_words(name)
        if self.traces and not (isinstance(self.seeds, range) and self.seeds == range(20)):
            raise WrongValue(f"traces: recorded traces in place of seeds wanted, got both, seeds {shown(self.seeds)}")
        object.__setattr__(self, "seeds", () if self.traces else checked_seeds(self.seeds, self.any_seed))
        object.__setattr__(self, "overrides", plain_values(self.overrides, "overrides"))
        self._check_environment()

    def _check_environment(self) -> None:
        """A user's card may name a problem that its module registers later: `evaluate` refuses what is wrong there."""
        if not isinstance(self.scenario, str):
            raise WrongType(f"scenario: a text wanted, got {shown(self.scenario)}")
        users = isinstance(self.env_id, str) and ENV_ID.fullmatch(self.env_id.rpartition(":")[2])
        if users and self.env_id not in OURS and not self.env_id.startswith("rangym/"):
            return
        derive(registration.problem(self.env_id).system_class.scenarios, self.scenario, self.overrides)

    def _check_words(self, name: str) -> None:
        given, kinds = getattr(self, name), str if name == "without" else str | Policy
        if given is None and name == "policies":
            return
        if not isinstance(given, list | tuple):
            raise WrongType(f"{name}: a list of policies wanted, got {shown(given)}")
        for word in given:
            if not isinstance(word, kinds):
                raise WrongType(f"{name}: words of the registry or Policy objects wanted, got {shown(word)}")

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
    full : further tables.
    published : the tables that README is made from; empty: the quick ones.
    """

    bound: str | None = None
    zero_policy: Mapping[str, str] = field(default_factory=dict)
    quick: tuple[Benchmark, ...] = ()
    full: tuple[Benchmark, ...] = ()
    published: tuple[Benchmark, ...] = ()


def checked_seeds(given: Iterable[int], any_seed: bool) -> tuple[int, ...]:
    """The seeds as integers, each once and, unless ``any_seed``, of the evaluation range."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise WrongType(f"seeds: a range or list of integers wanted, got {shown(given)}")
    if isinstance(given, range) and given.stop - given.start > MOST_SEEDS * abs(given.step):
        raise WrongValue(f"seeds: at most {MOST_SEEDS:,} wanted, got {given}")
    seeds = tuple(itertools.islice(given, MOST_SEEDS + 1))
    if len(seeds) > MOST_SEEDS:
        raise WrongValue(f"seeds: at most {MOST_SEEDS:,} wanted, got more, from {shown(seeds[:3])} on")
    for seed in seeds:
        if count_of(seed) is None:
            raise WrongValue(f"seeds: integers of at least 0 wanted, got {shown(seed)}")
    seeds = tuple(int(seed) for seed in seeds)
    if not seeds:
        raise WrongValue("seeds: at least one seed wanted, got none")
    if len(set(seeds)) < len(seeds):
        again = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
        raise WrongValue(f"seeds: each seed once, got {shown(again)} again")
    outside = [seed for seed in seeds if seed not in EVALUATION_SEEDS]
    if outside and not any_seed:
        raise WrongValue(
            f"seeds: {shown(outside[0])} is kept for {seed_range(outside[0])}; evaluation seeds are "
            f"0..{EVALUATION_SEEDS.stop - 1} (any_seed=True, --any-seed, takes others)"
        )
    return seeds


def plain_values(values: Mapping[str, object], name: str, *, gaps: bool = False) -> dict[str, object]:
    """``values`` as JSON's own types: NumPy's scalars and arrays and tuples as numbers and lists, at any depth.

    What has no stable value is refused with ``name``; with ``gaps`` a number that is not finite, which JSON has not,
    becomes None.
    """
    if not isinstance(values, Mapping):
        raise WrongType(f"{name}: a dictionary wanted, got {shown(values)}")
    return {_name(key, name): _plain(value, f"{name}: {key}", gaps) for key, value in values.items()}


def _name(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise WrongType(f"{where}: names wanted, got {shown(key)}")
    return key


def _plain(value: object, where: str, gaps: bool) -> object:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(entry, where, gaps) for entry in value]
    if isinstance(value, Mapping):
        return {_name(key, where): _plain(entry, f"{where}: {key}", gaps) for key, entry in value.items()}
    if gaps and isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool) or is_number(value):
        return value
    raise WrongValue(f"{where}: plain values (finite numbers, words, lists) wanted, got {shown(value)}")
