"""How fast the vector environments are, against Gymnasium's own vector of single environments in the same run.

The column `flat` is what ``flat=True`` leaves of the speed with named fields: at least .8 at 1,024 lanes. The last
column is how much faster two threads are than one, by the clock on the wall, on two processors that do nothing else;
what a system does in threads is what this column showed to be faster so.

Both walk two whole episodes with random actions, with SAME_STEP autoreset, so each pays for two traces; the cost of
drawing traces is also given apart. Repetitions are interleaved; all other times are CPU times of one core, and their
medians are reported. SyncVectorEnv is cut short above ``--sync-budget`` lane-steps: then its slots and its resets are
timed apart and joined in the proportion of a whole episode (marked ``*``).

Example: python tests/benchmarks/speed_environments.py --lanes 1 32 1024 --out speed.json
         python tests/benchmarks/speed_environments.py --table speed.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import rangym
from rangym.envs.files import write_whole
from rangym.evaluation.places import new_file

EPISODES = 2
POOL = 16
"""Random joint actions that a run cycles through, drawn beforehand so that drawing them is not measured."""


@dataclass(frozen=True)
class Case:
    env_id: str
    scenario: str
    overrides: dict


CASES = {
    "cell_association": Case("rangym/CellAssociation-v0", "small", {"num_ues": 15, "num_cells": 7, "sites": ()}),
    "cell_association_small": Case("rangym/CellAssociation-v0", "small", {}),
    "node_placement_small": Case("rangym/NodePlacement-v0", "small", {}),
    "node_placement_drift": Case("rangym/NodePlacement-v0", "drift", {}),
    "noma_allocation": Case("rangym/NomaAllocation-v0", "tight", {"action": "native"}),
    "noma_allocation_small": Case("rangym/NomaAllocation-v0", "small", {}),
    "cefl_orchestration_small": Case("rangym/CeflOrchestration-v0", "small", {}),
    "cefl_orchestration_paper": Case("rangym/CeflOrchestration-v0", "paper", {}),
    "qos_clustering_small": Case("rangym/QosClustering-v0", "small", {"day_pool": 32}),
}


@dataclass(frozen=True)
class Row:
    """Medians over the repetitions; rates in lane-steps per second, sampling in microseconds a lane and slot."""

    case: str
    lanes: int
    horizon: int
    native: float
    native_without_sampling: float
    native_flat: float
    sampling_us: float
    sync: float
    sync_cut_short: bool
    ratio: float
    flat_ratio: float
    threads_ratio: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=["cell_association"])
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 32, 1024])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--sync-budget", type=int, default=50_000, help="most lane-steps of one SyncVectorEnv run")
    parser.add_argument("--out", type=new_file, help="write the rows and the versions as JSON")
    parser.add_argument("--table", type=measured, metavar="FILE", help="only print such a file's table, in Markdown")
    args = parser.parse_args()
    if args.table:
        print(markdown(args.table))
        return
    if min(*args.lanes, args.repetitions, args.sync_budget) < 1:
        parser.error("--lanes, --repetitions, --sync-budget: at least 1 wanted")

    rows = [measure(case, lanes, args.repetitions, args.sync_budget) for case in args.cases for lanes in args.lanes]
    print(table(rows))
    if args.out:
        versions = {
            "rangym": rangym.__version__,
            "gymnasium": gym.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "processor": processor(),
        }
        sizes = f"--lanes {' '.join(map(str, args.lanes))} --repetitions {args.repetitions}"
        command = f"python tests/benchmarks/speed_environments.py --cases {' '.join(args.cases)} {sizes}"
        content = {"command": command, "versions": versions, "rows": [asdict(r) for r in rows]}
        write_whole(args.out, (json.dumps(content, indent=1) + "\n").encode())
        progress(f"wrote {args.out}")


def measured(path: str) -> dict[str, Any]:
    """What ``--out`` of this script wrote."""
    wanted = f"a file written by {Path(sys.argv[0]).name} --out wanted, got {path}"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        command, _ = str(content["command"]), content["rows"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{wanted} ({error!r})") from error
    if Path(sys.argv[0]).name not in command:
        raise argparse.ArgumentTypeError(f"{wanted}, of {command!r}")
    return content


def measure(name: str, lanes: int, repetitions: int, sync_budget: int) -> Row:
    """One row: the native vector environment and SyncVectorEnv, interleaved."""
    case = CASES[name]
    same_step = AutoresetMode.SAME_STEP
    native, flat, threaded = (
        gym.make_vec(case.env_id, lanes, scenario=case.scenario, autoreset_mode=same_step, **kind, **case.overrides)
        for kind in ({"threads": 1}, {"threads": 1, "flat": True}, {"threads": 2})
    )
    sync = SyncVectorEnv(
        [lambda: gym.make(case.env_id, scenario=case.scenario, **case.overrides) for _ in range(lanes)],
        autoreset_mode=same_step,
    )
    system = native.unwrapped.system  # type: ignore[attr-defined]
    native.action_space.seed(0)
    flat.action_space.seed(0)
    pool, flat_pool = ([env.action_space.sample() for _ in range(POOL)] for env in (native, flat))
    slots, whole = system.horizon, EPISODES * system.horizon
    sync_slots = whole if lanes * whole <= sync_budget else max(min(sync_budget // lanes, slots - 1), 1)
    rngs = [np.random.default_rng(b) for b in range(lanes)]
    native_s, flat_s, sampling_s, sync_s, threads_ratio = [], [], [], [], []  # per lane and slot
    for k in range(repetitions):
        progress(f"{name}, {lanes} lanes: repetition {k + 1} of {repetitions}, native")
        native.reset(seed=k)
        start = time.perf_counter()
        native_s.append(timed(lambda: walk(native, pool, whole)) / (lanes * whole))
        if threaded.threads > 1:  # type: ignore[attr-defined]
            one_s = time.perf_counter() - start
            threaded.reset(seed=k)
            start = time.perf_counter()
            walk(threaded, pool, whole)
            threads_ratio.append(one_s / (time.perf_counter() - start))
        flat.reset(seed=k)
        flat_s.append(timed(lambda: walk(flat, flat_pool, whole)) / (lanes * whole))
        sampling_s.append(timed(lambda: system.sample_lanes(rngs)) / (lanes * slots))
        progress(f"{name}, {lanes} lanes: repetition {k + 1} of {repetitions}, SyncVectorEnv over {sync_slots} slots")
        reset_s = timed(lambda k=k: sync.reset(seed=k)) / (lanes * slots)
        step_s = timed(lambda: walk(sync, pool, sync_slots)) / (lanes * sync_slots)
        sync_s.append(step_s if sync_slots == whole else step_s + reset_s)
    native.close()
    flat.close()
    threaded.close()
    sync.close()
    with_sampling, sampling = statistics.median(native_s), statistics.median(sampling_s)
    return Row(
        case=name,
        lanes=lanes,
        horizon=slots,
        native=1.0 / with_sampling,
        native_flat=1.0 / statistics.median(flat_s),
        native_without_sampling=1.0 / (with_sampling - sampling),
        sampling_us=1e6 * sampling,
        sync=1.0 / statistics.median(sync_s),
        sync_cut_short=sync_slots != whole,
        ratio=statistics.median(sync_s) / with_sampling,
        flat_ratio=with_sampling / statistics.median(flat_s),
        threads_ratio=statistics.median(threads_ratio) if threads_ratio else None,
    )


def walk(env: VectorEnv, pool: list, slots: int) -> None:
    for t in range(slots):
        env.step(pool[t % POOL])


def timed(work: Callable[[], object]) -> float:
    """CPU seconds of ``work``."""
    start = time.process_time()
    work()
    return time.process_time() - start


def table(rows: list[Row]) -> str:
    names = ("native /s", "no sampling /s", "sampling us", "SyncVector /s")
    lines = [
        f"{'case':<24}{'lanes':>6}"
        + "".join(f"{n:>15}" for n in names)
        + f"{'ratio':>8}{'flat':>6}{'threads 2 / 1':>15}"
    ]
    for r in rows:
        mark = "*" if r.sync_cut_short else " "
        lines.append(
            f"{r.case:<24}{r.lanes:>6}{r.native:>15,.0f}{r.native_without_sampling:>15,.0f}{r.sampling_us:>15.2f}"
            f"{r.sync:>14,.0f}{mark}{r.ratio:>8.1f}{r.flat_ratio:>6.2f}"
            + (f"{r.threads_ratio:>15.2f}" if r.threads_ratio else f"{'':>15}")
        )
    return "\n".join(lines)


def markdown(content: dict) -> str:
    """The rows of several lanes, as a table for the page on vector environments."""
    names = ("environment", "lanes", "lane-steps a second", "against SyncVectorEnv", "two threads against one")
    lines = ["| " + " | ".join(names) + " |", "| --- | --: | --: | --: | --: |"]
    for r in content["rows"]:
        case = CASES[r["case"]]
        name = case.env_id.removeprefix("rangym/").removesuffix("-v0")
        sizes = "".join(f", {key}={value!r}" for key, value in case.overrides.items())
        rate, ratio, threads = f"{r['native']:,.0f}", f"{r['ratio']:.0f}", f"{r['threads_ratio'] or 1.0:.2f}"
        lines.append(f"| {name} `{case.scenario}`{sizes} | {r['lanes']:,} | {rate} | {ratio} | {threads} |")
    return "\n".join(lines)


def processor() -> str:
    """The processor's name where the system tells it, else its architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
