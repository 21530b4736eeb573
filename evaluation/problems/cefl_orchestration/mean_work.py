"""The mean work of CE-FL on the tuning seeds, which the FedNova policies set as well: iterations and mini-batches.

    python -m rangym.evaluation.problems.cefl_orchestration.mean_work --scenarios small \
        --save policies/cefl_orchestration/tuned.json

CE-FL is `convex_reference`. What a round counts as are the environment's metrics: iterations averaged over the units
that have data, shares of mini-batches weighted by data. Their means are `fednova_dpu`'s options, which `fednova_ue`
shares: FedNova works as hard as CE-FL in the mean, but not where and when it pays.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.problems.cefl_orchestration import ENV_ID
from rangym.evaluation.problems.cefl_orchestration.orchestrate import MATCHED
from rangym.evaluation.protocol import TUNING_SEEDS
from rangym.evaluation.tune import tuned_options, write_json
from rangym.policies import registry

CE_FL, FEDNOVA = "convex_reference", "fednova_dpu"
EPISODES, ROUNDS, DIGITS = 6, 20, 3
"""Tuning episodes, first rounds of each, significant digits that are kept."""


def mean_work(scenario: str, episodes: int = EPISODES, rounds: int = ROUNDS) -> dict[str, float]:
    """The options of a FedNova policy that works as hard as CE-FL in the first rounds of the tuning episodes."""
    policy = registry.make(CE_FL)
    env = make_env(ENV_ID, scenario, policy.overrides)
    played = []
    for seed in TUNING_SEEDS[:episodes]:
        steps = Episode(env, policy, episode_rng(policy, seed), seed=seed)
        played += [step.metrics for step in itertools.islice(steps, rounds)]
    means = {option: np.mean([metrics[name] for metrics in played]) for option, name in MATCHED.items()}
    return {option: float(f"{mean:.{DIGITS}g}") for option, mean in means.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Give FedNova the mean work of CE-FL on the tuning seeds.")
    parser.add_argument("--scenarios", nargs="+", default=["small"])
    parser.add_argument("--episodes", type=int, default=EPISODES)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="the first rounds of each episode")
    parser.add_argument("--save", type=Path, help="file to add to, such as the shipped tuned.json")
    given = parser.parse_args(arguments)
    words = arguments or sys.argv[1:]
    for scenario in given.scenarios:
        options = mean_work(scenario, given.episodes, given.rounds)
        print(f"{scenario}: {options}", flush=True)
        if given.save:
            kept = tuned_options(given.save)
            kept.setdefault(FEDNOVA, {})[scenario] = {
                "options": options,
                "seeds": f"{TUNING_SEEDS[0]}:{TUNING_SEEDS[0] + given.episodes}",
                "command": " ".join(["python -m rangym.evaluation.problems.cefl_orchestration.mean_work", *words]),
            }
            write_json(given.save, kept)


if __name__ == "__main__":
    main()
