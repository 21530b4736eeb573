"""How fast QosClustering steps, how long a new day takes, and how much memory days take.

Stepping walks whole episodes with random actions and SAME_STEP autoreset, so that drawing traces is included; days come
from a pool that was filled beforehand, as in training. CPU times of one core, medians of interleaved repetitions.
The exit status is 1 where a row misses its limit; absolute times depend on the machine, ratios of one run less.

Example: python tests/benchmarks/speed_qos.py --out qos.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported
os.environ.pop("RANGYM_CACHE", None)  # a new day is drawn, not read

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from speed_environments import POOL, timed, walk

import rangym  # noqa: F401
from rangym.envs.core import build
from rangym.envs.errors import WrongValue
from rangym.envs.qos_clustering.system import MAX_FEATURE_LANES

ENV_ID, SYSTEM = "rangym/QosClustering-v0", "rangym.envs.qos_clustering.system:QosClustering"
HORIZON = 88
DAYS = 64
"""Of the pool."""
FILLING = 8 * DAYS
"""Episodes drawn beforehand: each day of the pool is among them but for a chance of 2 %."""
EPISODES = {1: 20, 32: 2, 1024: 1}
"""Whole episodes of each lane in one walk."""
STEPS = (("small", 1, 8_000), ("small", 32, 100_000), ("small", 1024, 150_000), ("adaptive", 1, 1_500))
"""Scenario, lanes, least lane-steps per second."""
SYNC_LANES, LEAST_RATIO = 32, 10.0
FLAT_LANES, LEAST_FLAT = 1024, 0.8
"""The speed with ``flat=True`` over that with named fields."""
NEW_DAYS = (("small", 600.0), ("tiny", 25.0))
"""Scenario, most milliseconds of an episode on a day that nobody has drawn."""
DAY_KB, LANES_MB = 300.0, 400.0
"""Most of the trace of a frozen day, and of 1,024 lanes that step."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()
    rows = [*stepping(args.repetitions), *new_days(args.repetitions), *memory()]
    print(table(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    return int(not all(row["kept"] for row in rows))


def stepping(repetitions: int) -> list[dict]:
    """Lane-steps per second of each vector environment, and the ratio to Gymnasium's vector of single ones."""
    vectors = {(scenario, lanes): vector(scenario, lanes) for scenario, lanes, _ in STEPS}
    works = {name: stepped(env, EPISODES[name[1]]) for name, env in vectors.items()}
    works["flat", FLAT_LANES] = stepped(vector("small", FLAT_LANES, flat=True), EPISODES[FLAT_LANES])
    works["sync", SYNC_LANES] = stepped(synchronous(), 1)
    rate = {name: 1.0 / seconds for name, seconds in medians(works, repetitions).items()}
    rows = [
        row(f"{scenario}, {lanes} lanes", rate[scenario, lanes], "lane-steps/s", least)
        for scenario, lanes, least in STEPS
    ]
    ratio = rate["small", SYNC_LANES] / rate["sync", SYNC_LANES]
    flat = rate["flat", FLAT_LANES] / rate["small", FLAT_LANES]
    return [
        *rows,
        row(f"small, {SYNC_LANES} lanes to SyncVectorEnv", ratio, "times", LEAST_RATIO),
        row(f"small, {FLAT_LANES} lanes, flat to named", flat, "times", LEAST_FLAT),
    ]


def vector(scenario: str, lanes: int, flat: bool = False) -> VectorEnv:
    return gym.make_vec(ENV_ID, lanes, scenario=scenario, day_pool=DAYS, autoreset_mode="SameStep", flat=flat)


def synchronous() -> VectorEnv:
    one = lambda: gym.make(ENV_ID, scenario="small", day_pool=DAYS)  # noqa: E731
    return SyncVectorEnv([one] * SYNC_LANES, autoreset_mode=AutoresetMode.SAME_STEP)


def stepped(env: VectorEnv, episodes: int) -> Callable[[], float]:
    """What walks ``episodes`` whole episodes and returns seconds a lane and slot, the pool being filled."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(POOL)]
    slots = episodes * HORIZON
    for seed in range(-(-FILLING // env.num_envs)):
        env.reset(seed=seed * env.num_envs)

    def work() -> float:
        return timed(lambda: walk(env, actions, slots)) / (env.num_envs * slots)

    return work


def new_days(repetitions: int) -> list[dict]:
    """Milliseconds of an episode on a fresh day, the radio map being there."""
    systems = {scenario: build(SYSTEM, scenario, {}) for scenario, _ in NEW_DAYS}
    rng = np.random.default_rng(0)
    for system in systems.values():
        system.sample(rng)
    works = {name: lambda s=system: timed(lambda: s.sample(rng)) for name, system in systems.items()}
    seconds = medians(works, repetitions)
    return [row(f"{name}, a new day", 1e3 * seconds[name], "ms", most, most=True) for name, most in NEW_DAYS]


def memory() -> list[dict]:
    """Bytes of a frozen day's trace; what 1,024 lanes hold; whether rows of too many lanes are refused."""
    system = build(SYSTEM, "small", {"day_pool": DAYS})
    rngs = [np.random.default_rng(b) for b in range(1024)]
    day, lanes = (trace_bytes(system.sample_lanes(rngs[:n])) for n in (1, len(rngs)))
    adaptive = build(SYSTEM, "adaptive", {})
    try:
        adaptive.sample_lanes(rngs[: MAX_FEATURE_LANES + 1])
        refused = ""
    except WrongValue as error:
        refused = str(error)
    print(refused)
    return [
        row("small, trace of a day", day / 1e3, "kB", DAY_KB, most=True),
        row("small, traces of 1,024 lanes", lanes / 1e6, "MB", LANES_MB, most=True),
        row(f"adaptive, {MAX_FEATURE_LANES + 1} lanes refused with their size", "MiB" in refused, "", 1),
    ]


def trace_bytes(trace) -> int:
    return sum(v.nbytes for v in (*trace.constants.values(), *trace.slots.values()))


def medians(works: Mapping, repetitions: int) -> dict:
    """Median of each work's result over interleaved repetitions."""
    found: dict = {name: [] for name in works}
    for _ in range(repetitions):
        for name, work in works.items():
            found[name].append(work())
    return {name: statistics.median(values) for name, values in found.items()}


def row(name: str, value: float, unit: str, limit: float, most: bool = False) -> dict:
    kept = value <= limit if most else value >= limit
    return {"row": name, "value": float(value), "unit": unit, "limit": limit, "most": most, "kept": bool(kept)}


def table(rows: list[dict]) -> str:
    lines = [f"{'row':<44}{'value':>12}{'limit':>12}  {'unit':<14}kept"]
    for r in rows:
        digits = 0 if r["value"] >= 1000 else 1
        lines.append(f"{r['row']:<44}{r['value']:>12,.{digits}f}{r['limit']:>12,g}  {r['unit']:<14}{r['kept']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
