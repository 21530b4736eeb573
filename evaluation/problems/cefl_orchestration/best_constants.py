"""Tune the constant action of each scenario on the tuning seeds, by CMA-ES over whole episodes.

    python -m rangym.evaluation.problems.cefl_orchestration.best_constants --scenarios small \
        --save policies/cefl_orchestration/constants.json

A trial is one compact action for all rounds of all traces. What is found has the scenario's name as the option
``constant`` of `tuned_constant` and of the other policies around a constant.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.codings import blocks
from rangym.envs.cefl_orchestration.system import CeflOrchestration
from rangym.envs.core import Trace
from rangym.evaluation.episode import make_env
from rangym.evaluation.protocol import TUNING_SEEDS
from rangym.evaluation.tune import write_json
from rangym.policies.algorithms.placement.search import cma_es
from rangym.policies.base import Knowledge, Task

ENV_ID = "rangym/CeflOrchestration-v0"
TRACES, EVALUATIONS, SPREAD, DIGITS = 20, 4000, 0.3, 3
"""Tuning traces, trials in all, first standard deviation in a box of [-1, 1], decimals that are kept."""


def mean_rewards(system: CeflOrchestration, trace: Trace, actions: NDArray) -> NDArray:
    """Mean reward (k,) of each of the constant actions (k, size) on all lanes of a stacked trace."""
    count, lanes = len(actions), len(trace.slots["drift_per_s"][0])
    everywhere = np.repeat(actions, lanes, axis=0)
    many = [{f: np.concatenate([v] * count) for f, v in trace.slot(t).items()} for t in range(trace.horizon + 1)]
    state, total = system.initial(many[0]), np.zeros(count * lanes)
    for slot in many[1:]:
        state, outcome = system.transition(state, system.decode(everywhere, state, slot), slot)
        total = total + sum(outcome.terms.values())
    return total.reshape(count, lanes).mean(axis=1) / system.horizon


def best_constant(scenario: str, evaluations: int = EVALUATIONS) -> tuple[NDArray, float]:
    """The best action found, rounded, and its mean reward on the tuning traces."""
    env = make_env(ENV_ID, scenario)
    system = Task.of(env, Knowledge.MODEL).model(CeflOrchestration)
    traces = []
    for seed in TUNING_SEEDS[:TRACES]:
        env.reset(seed=seed)  # the trace that `evaluate` replays
        traces.append(env.trace)
    trace = Trace.stack(traces)
    size = sum(math.prod(shape) for shape in blocks(system.params).values())
    found = cma_es(
        lambda actions: mean_rewards(system, trace, actions),
        np.zeros(size),
        -1.0,
        1.0,
        np.random.default_rng(0),
        spread=SPREAD,
        evaluations=evaluations,
    )
    action = np.round(found.position, DIGITS)
    return action, float(mean_rewards(system, trace, action[None])[0])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Tune the constant action of scenarios on the tuning seeds.")
    parser.add_argument("--scenarios", nargs="+", default=["small"])
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    parser.add_argument("--save", type=Path, help="file to add to, such as the shipped constants.json")
    given = parser.parse_args(arguments)
    words = arguments or sys.argv[1:]
    for scenario in given.scenarios:
        constant, score = best_constant(scenario, given.evaluations)
        print(f"{scenario}: mean reward {score:.4f}", flush=True)
        if given.save:
            kept = json.loads(given.save.read_text(encoding="utf-8")) if given.save.exists() else {}
            kept[scenario] = {
                "action": constant.tolist(),
                "score": round(score, 6),
                "evaluations": given.evaluations,
                "seeds": f"{TUNING_SEEDS[0]}:{TUNING_SEEDS[0] + TRACES}",
                "command": " ".join(["python -m rangym.evaluation.problems.cefl_orchestration.best_constants", *words]),
            }
            write_json(given.save, kept)


if __name__ == "__main__":
    main()
