"""How long Stable-Baselines3's PPO takes to reach the tuned A3, and what share of that is the environment's.

CellAssociation at the size of mobile-env's medium scenario, 15 UEs and 7 cells, on native lanes (`Sb3VecEnv`), on
DummyVecEnv and on SubprocVecEnv, under two learners:

- plain: PPO("MlpPolicy") with SB3's defaults on one flat vector, as in mobile-env's example, also on one environment;
- shared: one policy for all UEs, with the settings of our recipe ppo_shared, on rollouts of the same 2,048 steps.

Beside them mobile-env's own example, PPO("MlpPolicy") on mobile-medium-central-v0, for as many environment steps; it
runs in the Python of --mobile-env-python (python3 -m venv VENV; VENV/bin/pip install mobile-env stable-baselines3).

The level is the mean reward of A3 on the evaluation traces, with options tuned for this size; it is measured before
anything is trained. Times are wall-clock times; those of measuring the policy on the evaluation traces are left out,
and starting the lanes has a column of its own. Repetitions are interleaved, and medians reported.

Example: python tests/benchmarks/speed_learning.py --mobile-env-python VENV/bin/python --out learning.json
         python tests/benchmarks/speed_learning.py --table learning.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import functools
import json
import math
import multiprocessing
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from shared_ues import SharedUes
from speed_environments import measured, processor, progress
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv
from timed_learning import MOBILE_ENV, Clock, TimedLanes

import rangym
from rangym.baselines.agent import TrainedAgent
from rangym.baselines.cell_association.per_ue import SharedPpo
from rangym.baselines.learner import LinearDecay, actor
from rangym.baselines.recipes import RECIPES
from rangym.envs.files import write_whole
from rangym.evaluation.episode import Episode, make_env
from rangym.evaluation.places import new_file
from rangym.evaluation.protocol import training_seeds
from rangym.policies import Policy, Predictor, make

ENV_ID, SCENARIO = "rangym/CellAssociation-v0", "small"
SIZE: dict[str, object] = {"num_ues": 15, "num_cells": 7, "sites": ()}
A3 = "a3:offset_db=0,time_to_trigger=3,filter_coefficient=2"
TUNED_BY = (
    "rangym tune a3 --scenario small --set num_ues=15 --set num_cells=7 --set sites=() --grid offset_db=-3,-2,-1,0,1,2 "
    "--grid time_to_trigger=2,3,4,6 --grid filter_coefficient=0,2,4,6 --seeds 10000:10016"
)
LANES, ROLLOUT = 32, 2048
RECIPE = RECIPES["ppo_shared"]
"""Its rollouts are of 1,600 steps, in 8 batches a pass; here they are of 2,048, in 15."""


@dataclass(frozen=True)
class Case:
    """A row: who learns, on what kind of lanes, and on how many."""

    learner: str
    lanes: str
    number: int


KINDS = ("native", "DummyVecEnv", "SubprocVecEnv")
OURS = [
    Case("plain", "DummyVecEnv", 1),
    *(Case(learner, kind, LANES) for learner in ("plain", "shared") for kind in KINDS),
]
EXAMPLE = Case("plain", "mobile-env", 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=16_384, help="environment steps a row (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="agents a row (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="evaluation traces (default: %(default)s)")
    parser.add_argument(
        "--start-method",
        choices=multiprocessing.get_all_start_methods(),
        default="fork",
        help="of SubprocVecEnv's processes (default: %(default)s; SB3's is forkserver, which imports all in each)",
    )
    parser.add_argument("--mobile-env-python", metavar="PATH", help="a Python with mobile-env; without it no such row")
    parser.add_argument("--out", type=new_file, help="write what was measured as JSON, whole or not at all")
    parser.add_argument("--table", type=measured, metavar="FILE", help="only print such a file's table, in Markdown")
    args = parser.parse_args()
    if args.table:
        print(markdown(args.table))
        return
    if min(args.steps, args.repetitions, args.seeds) < 1:
        parser.error("--steps, --repetitions, --seeds: at least 1 wanted")
    cases = [*OURS, EXAMPLE]
    if args.mobile_env_python is None:
        cases.remove(EXAMPLE)
        progress("no --mobile-env-python: the row of mobile-env's example is left out")

    torch.set_num_threads(1)
    levels = {word: score(make(word, scenario=SCENARIO), args.seeds) for word in (A3, "a3:tuned", "random")}
    progress(f"the level to reach is {levels[A3]:.4f}, of {A3}")
    runs: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for k in range(args.repetitions):
        for case in cases:
            progress(f"repetition {k + 1} of {args.repetitions}: {title(case)}")
            started = example(args.mobile_env_python, args.steps) if case is EXAMPLE else learn(case, k, args)
            runs[case].append({**started, "load": os.getloadavg()[0]})
    content = {
        "command": command_line(args),
        "environment": {"env_id": ENV_ID, "scenario": SCENARIO, **SIZE},
        "level": levels[A3],
        "levels": levels,
        "a3_tuned_by": TUNED_BY,
        "evaluation_seeds": f"0:{args.seeds}",
        "versions": versions(),
        "rows": [{**asdict(case), "runs": found} for case, found in runs.items()],
    }
    print(markdown(content))
    for learner in ("plain", "shared"):
        if not learnt_the_same([runs[Case(learner, kind, LANES)] for kind in KINDS]):
            sys.exit(f"PROBLEM: {learner}: the kinds of lanes wanted to teach the same, bit for bit, and they did not")
    if args.out:
        write_whole(args.out, (json.dumps(content, indent=1) + "\n").encode())
        progress(f"wrote {args.out}")


def command_line(args: argparse.Namespace) -> str:
    """What repeats the run, on any machine."""
    sizes = f"--steps {args.steps} --repetitions {args.repetitions} --seeds {args.seeds}"
    beside = " --mobile-env-python VENV/bin/python" if args.mobile_env_python else ""
    return f"python tests/benchmarks/speed_learning.py {sizes} --start-method {args.start_method}{beside}"


def learn(case: Case, agent: int, args: argparse.Namespace) -> dict[str, Any]:
    """One of our runs: its seconds, those of its lanes, and its curve on the evaluation traces."""
    start = time.perf_counter()
    timed = TimedLanes(lanes(case, args.start_method))
    start_s = time.perf_counter() - start
    seed = training_seeds(agent)[0]
    if case.learner == "shared":
        env: VecEnv = SharedUes(timed, make_env(ENV_ID, SCENARIO, SIZE).system.params.handover_weight)
        settings = {**RECIPE.kwargs, "n_steps": ROLLOUT // case.number, "batch_size": ROLLOUT}
        network = {"net_arch": list(RECIPE.hidden)}
        rate = LinearDecay(RECIPE.learning_rate)
        model = PPO("MlpPolicy", env, learning_rate=rate, policy_kwargs=network, seed=seed, device="cpu", **settings)
    else:
        env, settings = timed, {"n_steps": ROLLOUT // case.number}  # SB3's default for one environment
        model = PPO("MlpPolicy", env, seed=seed, device="cpu", **settings)
    per_step = env.num_envs // case.number
    every = 1 if case.learner == "shared" else 2  # it takes longer to measure
    clock = Clock(lambda: score(policy(case, model), args.seeds), every, per_step, title(case))
    model.learn(args.steps * per_step, clock)
    seconds = clock.seconds
    clock.measure()
    env.close()
    steps = model.num_timesteps // per_step
    return {"steps": steps, "seconds": seconds, "env_seconds": timed.seconds, "start_s": start_s, "curve": clock.curve}


def lanes(case: Case, start_method: str) -> VecEnv:
    flat = case.learner == "plain"
    if case.lanes == "native":
        native = gym.make_vec(ENV_ID, case.number, scenario=SCENARIO, flat=flat, autoreset_mode="SameStep", **SIZE)
        return rangym.Sb3VecEnv(native)
    one = functools.partial(gym.make, f"rangym:{ENV_ID}", scenario=SCENARIO, flat=flat, **SIZE)  # type: ignore[arg-type]
    if case.lanes == "DummyVecEnv":
        return DummyVecEnv([one] * case.number)
    return SubprocVecEnv([one] * case.number, start_method=start_method)


def policy(case: Case, model: PPO) -> Policy:
    """What has been learned so far, to be played."""
    if case.learner == "plain":
        return Predictor(model, flat=True)
    params = make_env(ENV_ID, SCENARIO, SIZE).system.params
    config = {
        "recipe": {"name": RECIPE.name, "scenario": SCENARIO},
        "constants": {"handover_weight": params.handover_weight},
    }
    return SharedPpo(agent=TrainedAgent(actor(model), config))


def score(policy: Policy, seeds: int) -> float:
    """Mean reward per slot over the first evaluation traces."""
    env = make_env(ENV_ID, SCENARIO, SIZE)
    episodes = (Episode(env, policy, np.random.default_rng(seed), seed=seed) for seed in range(seeds))
    return float(np.mean([step.reward for episode in episodes for step in episode]))


def example(python: str, steps: int) -> dict[str, Any]:
    """One run of mobile-env's example, in its own Python."""
    script = Path(__file__).with_name("timed_learning.py")
    done = subprocess.run([python, str(script), "--steps", str(steps)], stdout=subprocess.PIPE, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "curve": []}


def learnt_the_same(kinds: Sequence[Sequence[Mapping[str, Any]]]) -> bool:
    """Whether each agent had the same curve on every kind of lanes, its times apart."""
    curves = [[[(steps, reward) for steps, _, reward in run["curve"]] for run in runs] for runs in kinds]
    return all(curve == curves[0] for curve in curves)


def reached(run: Mapping[str, Any], level: float) -> tuple[float, float]:
    """Seconds and environment steps when the policy was first measured at the level; infinite where it never was."""
    return next(((seconds, steps) for steps, seconds, reward in run["curve"] if reward >= level), (math.inf, math.inf))


COLUMNS = (
    "learner",
    "environments",
    "steps",
    "seconds",
    "of these the environment's",
    "to start",
    "to A3's level",
    "best",
)


def markdown(content: Mapping[str, Any]) -> str:
    """The table: medians over the repetitions."""
    lines = [COLUMNS, ["---", "---", *["--:"] * 6], *(cells(row, content["level"]) for row in content["rows"])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cells(row: Mapping[str, Any], level: float) -> list[str]:
    runs = row["runs"]
    steps, seconds, start_s = (statistics.median(run[name] for run in runs) for name in ("steps", "seconds", "start_s"))
    share = statistics.median(run["env_seconds"] / run["seconds"] for run in runs)
    case = environments(Case(row["learner"], row["lanes"], row["number"]))
    measured = [row["learner"], case, f"{steps:,.0f}", f"{seconds:.1f}", f"{100 * share:.1f} %", f"{start_s:.1f}"]
    if row["lanes"] == EXAMPLE.lanes:
        return [*measured, "its reward is another one", ""]
    best = statistics.median(max(reward for *_, reward in run["curve"]) for run in runs)
    firsts = [reached(run, level) for run in runs]
    level_s, level_steps = (statistics.median(first[k] for first in firsts) for k in range(2))
    when = "not reached" if math.isinf(level_s) else f"{level_s:.1f} ({level_steps:,.0f} steps)"
    return [*measured, when, f"{best:.3f}"]


def title(case: Case) -> str:
    return f"{case.learner}, {environments(case)}"


def environments(case: Case) -> str:
    kind = f"mobile-env's {MOBILE_ENV}" if case.lanes == "mobile-env" else case.lanes
    return f"{case.number} in {kind}" if case.lanes in KINDS else kind


def versions() -> dict[str, str]:
    """What ours ran on; the runs of mobile-env have their own."""
    names = ("gymnasium", "stable-baselines3", "torch", "numpy")
    found = {name: version(name) for name in names}
    machine = {"processor": processor(), "cores": str(os.cpu_count())}
    return {"rangym": rangym.__version__, **found, "python": platform.python_version(), **machine}


if __name__ == "__main__":
    main()
