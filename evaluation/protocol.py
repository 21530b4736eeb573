"""What an evaluation is: one environment, one scenario, the seeds of its traces, and which seeds are for what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rangym.envs.params import nearest

EVALUATION_SEEDS = range(0, 10_000)
"""Published numbers: no decision about a policy is ever taken on these."""
TUNING_SEEDS = range(10_000, 20_000)
"""Thresholds, penalties, hyperparameters."""
FIRST_TRAINING_SEED = 20_000
TRAINING_SEEDS_PER_AGENT = 1_000


def training_seeds(agent: int) -> range:
    """The seeds on which the agent with training seed ``agent`` learns."""
    if agent < 0:
        raise ValueError(f"agent: a training seed of at least 0 wanted, got {agent}")
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
            raise ValueError(f"seeds: FIRST:END (end excluded) or a list such as 0,5,7 wanted, got {text!r}") from None
    if not seeds:
        raise ValueError(f"seeds: at least one seed wanted, got {text!r}")
    return tuple(seeds)


@dataclass(frozen=True)
class Protocol:
    """The traces on which policies are compared.

    Attributes
    ----------
    env_id, scenario, overrides : which environment, as for ``gymnasium.make(env_id, scenario=scenario, **overrides)``.
    seeds : one trace each; every policy sees the same ones.
    allow_any_seed : also take seeds outside the evaluation range (tuning and training need it).
    """

    env_id: str
    scenario: str = "small"
    seeds: Iterable[int] = range(20)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    allow_any_seed: bool = False

    def __post_init__(self) -> None:
        import gymnasium as gym

        if self.env_id not in gym.registry:
            ours = [name for name in gym.registry if name.startswith("rangym/")]
            raise ValueError(f"env_id: one of {ours} wanted, got {self.env_id!r}{nearest(str(self.env_id), ours)}")
        seeds = tuple(self.seeds)
        for seed in seeds:
            if isinstance(seed, bool) or not hasattr(seed, "__index__") or seed < 0:
                raise ValueError(f"seeds: integers of at least 0 wanted, got {seed!r}")
        seeds = tuple(int(seed) for seed in seeds)
        if not seeds:
            raise ValueError("seeds: at least one seed wanted, got none")
        if len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds: each seed once, got {sorted(s for s in set(seeds) if seeds.count(s) > 1)} again")
        outside = [seed for seed in seeds if seed not in EVALUATION_SEEDS]
        if outside and not self.allow_any_seed:
            raise ValueError(
                f"seeds: {outside[0]} is kept for {seed_range(outside[0])}; evaluation seeds are "
                f"0..{EVALUATION_SEEDS.stop - 1} (allow_any_seed=True, --any-seed, takes others)"
            )
        try:
            overrides = json.loads(json.dumps(dict(self.overrides), allow_nan=False, default=_python))
        except (TypeError, ValueError) as error:
            raise ValueError(f"overrides: plain values (numbers, words, lists) wanted: {error}") from None
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "overrides", overrides)


ZERO_POLICIES = {("rangym/CellAssociation-v0", "measured"): "max_sinr"}


def zero_policy(env_id: str, scenario: str) -> str:
    """The policy whose mean reward scores 0: ``random``, but for scenarios where most actions mean nothing.

    In `measured` about 3 of 25 cells can be heard, so that any rule at all would score near 1 against random choice.
    """
    return ZERO_POLICIES.get((env_id, scenario), "random")


def _python(value: Any) -> Any:
    """NumPy's scalars and arrays as Python's numbers and lists."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r}")
