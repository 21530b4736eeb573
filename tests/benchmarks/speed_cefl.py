"""How fast CeflOrchestration judges and decodes decisions, in a batch and one by one, and trains a round on digits.

CPU times of one core, least of the repetitions, which are interleaved. A batch is 1,024 random decisions, each with
its own conditions; the loop calls the same functions once a decision. Ratios of one run count, absolute times depend
on the machine. A training round is one of `TrainedRounds` with 20 UEs and 5 DCs, half of the data offloaded, the test
set included; the second row has all data at one DC and full batches, the most that can be asked of it. The exit status
is 1 where a ratio, decoding against the cost, or the training misses its limit.

Example: python tests/benchmarks/speed_cefl.py --out cefl.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

import rangym  # noqa: F401
from rangym.envs.cefl_orchestration.codings import encode
from rangym.envs.cefl_orchestration.params import CODINGS
from rangym.envs.cefl_orchestration.training import TrainedRounds
from rangym.envs.core import build
from rangym.evaluation.episode import make_env
from rangym.policies import make
from rangym.policies.base import Task

SYSTEM = "rangym.envs.cefl_orchestration.system:CeflOrchestration"
BATCH = 1024
LOOPED = 128
"""Decisions of the loop; its time is scaled up to the batch."""
LIMITS = {"small": (400_000, 50.0), "paper": (100_000, 12.0)}
"""Least costs a second of a batch, and least ratio to the loop."""
ROUNDS_PER_SECOND = 10.0
"""Least rounds of training a second."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=10)
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()
    rows = [row for scenario in LIMITS for row in measure(scenario, args.repetitions)]
    rows += training(args.repetitions)
    print(table(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")
    return int(not all(row["kept"] for row in rows))


def measure(scenario: str, repetitions: int) -> list[dict]:
    """The cost of a batch and decoding under every coding."""
    per_second, least_ratio = LIMITS[scenario]
    system = build(SYSTEM, scenario, {})
    slot, decision = batch(system)
    ones = [(part(decision, b), part(slot, b)) for b in range(LOOPED)]
    works: dict[str, Callable[[], object]] = {
        "cost": lambda: system.cost(decision, slot, 2.0).total,
        "loop": lambda: [system.cost(d, c, 2.0).total for d, c in ones],
    }
    for coding in CODINGS:
        coded = build(SYSTEM, scenario, {"action": coding})
        action = actions(coded)
        works[f"decode {coding}"] = lambda s=coded, a=action: s.decode(a, {}, slot)
    seconds = least_times(works, repetitions)
    loop = seconds.pop("loop") * BATCH / LOOPED
    rows = []
    for work, took in seconds.items():
        ratio = loop / took if work == "cost" else None
        kept = ratio >= least_ratio if ratio else took <= seconds["cost"]
        limit = per_second if work == "cost" else None
        row = {"scenario": scenario, "work": work, "per_second": BATCH / took, "limit_per_second": limit}
        rows.append({**row, "ratio": ratio, "least_ratio": least_ratio if ratio else None, "kept": bool(kept)})
    return rows


def training(repetitions: int) -> list[dict]:
    """A round of training under FedNova's decision, and under one that puts all samples in one place."""
    env = TrainedRounds(make_env("rangym/CeflOrchestration-v0", "paper", {"action": "native", "horizon": repetitions}))
    observation, _ = env.reset(seed=0)
    policy = make("fednova_dpu")
    policy.reset(Task.of(env, policy.knowledge), np.random.default_rng(0))
    half, p = policy.act(observation), env.unwrapped.system.params
    env.step(half)
    decision = {name: value for name, value in env.unwrapped.decision.items() if name != "projected"}
    decision["offload_share"] = np.full((p.num_ues, p.num_bss), 1.0 / p.num_bss)
    decision["forward_share"] = np.tile(np.eye(p.num_dcs)[0], (p.num_bss, 1))
    for unit in ("ue", "dc"):
        decision[f"{unit}_iterations"] = np.full_like(decision[f"{unit}_iterations"], p.max_iterations)
        decision[f"{unit}_minibatch"] = np.ones_like(decision[f"{unit}_minibatch"])
    rows = []
    for name, action in (
        ("half offloaded", half),
        ("all at one DC", encode(p, env.unwrapped.system.network, decision)),
    ):
        env.reset(seed=0)
        took = least_times({name: lambda a=action: env.step(a)}, repetitions)[name]
        row = {"scenario": "paper", "work": f"train, {name}", "per_second": 1.0 / took}
        limits = {"limit_per_second": ROUNDS_PER_SECOND, "ratio": None, "least_ratio": None}
        rows.append({**row, **limits, "kept": bool(1.0 / took >= ROUNDS_PER_SECOND)})
    return rows


def batch(system):
    """Conditions of one round in each lane, and random decisions for them."""
    slot = system.sample_lanes([np.random.default_rng(b) for b in range(BATCH)]).slot(1)
    decision = system.decode(actions(system), system.initial(slot), slot)
    return {f: np.ascontiguousarray(v) for f, v in slot.items()}, decision


def actions(system) -> np.ndarray:
    space, rng = system.action_space, np.random.default_rng(0)
    return rng.uniform(space.low, space.high, (BATCH, *space.shape)).astype(space.dtype)


def part(values: Mapping[str, np.ndarray], b: int) -> dict[str, np.ndarray]:
    return {name: v[b] for name, v in values.items()}


def least_times(works: Mapping[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """CPU seconds of each work, the least over the repetitions."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(repetitions):
        for name, work in works.items():
            start = time.process_time()
            work()
            best[name] = min(best[name], time.process_time() - start)
    return best


def table(rows: list[dict]) -> str:
    lines = [f"{'scenario':<10}{'work':<23}{'1/s':>12}{'limit':>10}{'x loop':>9}{'limit':>8}  ratio kept"]
    for r in rows:
        ratio = f"{r['ratio']:>9.1f}{r['least_ratio']:>8g}" if r["ratio"] else f"{'':>9}{'':>8}"
        limit = r["limit_per_second"] or ""
        lines.append(f"{r['scenario']:<10}{r['work']:<23}{r['per_second']:>12,.0f}{limit:>10}{ratio}  {r['kept']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
