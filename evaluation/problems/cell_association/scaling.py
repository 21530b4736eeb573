"""What a slot of CellAssociation costs, against the numbers of UEs, cells and slots: times, memory and a figure.

python -m rangym.evaluation.problems.cell_association.scaling --out scaling.jsonl --figure scaling.png

Each row is measured in a process of its own: CPU times of one core, and its peak memory over that of the interpreter.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.errors import WrongValue
from rangym.envs.files import write_whole
from rangym.envs.params import derive
from rangym.evaluation.episode import episode_rng, make_env
from rangym.evaluation.forms import COUNT, DICTIONARY, NUMBER, TEXT, form
from rangym.evaluation.grid import Job, Row, job_key, read, run_grid
from rangym.evaluation.problems.cell_association import ENV_ID
from rangym.evaluation.problems.cell_association.bound import slot_bounds
from rangym.evaluation.versions import versions
from rangym.policies import registry
from rangym.policies.base import Task

BOUND = "slot bound"
"""What stands for a policy in the rows of the bound, the exact optimum of each slot."""
POLICIES = ("max_sinr", "a3", "lda", "sticky_optimum", "ppo_shared")
SEED = 0
FIRST_SLOTS = 2
"""Left out of the times: the first decisions start from nothing."""
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Plan:
    """What is measured: sizes around `city`, horizons around `mobility`.

    Attributes
    ----------
    ues, cells : sizes, each beside the other one of `city`; cells keep their distances, so the area grows with them.
    horizons : of `mobility`, played to their ends; all are drawn in blocks.
    entries, least_slots : (slot, UE, cell) entries that are walked through for a size, and the fewest slots.
    policies : those that decide, and `BOUND`.
    city, mobility : further overrides.
    """

    ues: Sequence[int] = (1_000, 2_000, 5_000, 10_000, 20_000, 40_000)
    cells: Sequence[int] = (25, 50, 100, 200, 400, 800)
    horizons: Sequence[int] = (400, 2_000, 10_000)
    entries: int = 2**24
    least_slots: int = 10
    policies: Sequence[str] = (*POLICIES, BOUND)
    city: Mapping[str, object] = field(default_factory=dict)
    mobility: Mapping[str, object] = field(default_factory=dict)

    def jobs(self) -> list[Job]:
        """One a size and policy; the size of `city` itself belongs to two directions."""
        sizes: list[dict[str, object]] = [{"num_ues": n} for n in self.ues]
        sizes += [_with_cells(n) for n in self.cells]
        places = [("city", {**self.city, **size}) for size in sizes]
        places += [("mobility", {**self.mobility, "horizon": n}) for n in self.horizons]
        jobs = [
            {"scenario": scenario, "overrides": overrides, "policy": policy, "slots": self._slots(scenario, overrides)}
            for scenario, overrides in places
            for policy in self.policies
        ]
        return list({job_key(job): job for job in jobs}.values())

    def _slots(self, scenario: str, overrides: Mapping[str, object]) -> int:
        p = derive(SCENARIOS, scenario, overrides)
        enough = max(self.least_slots, self.entries // (p.num_ues * p.num_cells))
        return p.horizon if scenario == "mobility" else min(p.horizon, enough)


def _with_cells(number: int) -> dict[str, object]:
    city = SCENARIOS["city"]
    if number == city.num_cells:
        return {"num_ues": city.num_ues}  # as the other direction says it
    return {"num_cells": number, "side_m": round(city.side_m * math.sqrt(number / city.num_cells), 1)}


FULL = Plan()


def measure(job: Job) -> Row:
    """What the row of ``job`` adds to it; to be run in a fresh process."""
    for _ in _walk({**job, "scenario": "mobility", "overrides": {"num_ues": 50}, "slots": 5}):
        pass  # imports and compiles
    interpreter_mb = _peak_mb()
    times = np.array([*_walk(job)][FIRST_SLOTS:])
    sampling, decision, step = 1e3 * times.mean(axis=0)
    params = make_env(ENV_ID, job["scenario"], job["overrides"]).system.params
    sizes = {name: getattr(params, name) for name in ("num_ues", "num_cells", "horizon")}
    cost = {"sampling_ms": sampling, "decision_ms": decision, "step_ms": step, "peak_mb": _peak_mb() - interpreter_mb}
    return {**sizes, **cost, "versions": versions()}


def _walk(job: Job) -> Iterator[tuple[float, float, float]]:
    """CPU seconds of each slot: drawing it, deciding, and transition with observation (0 for the bound)."""
    env = make_env(ENV_ID, job["scenario"], job["overrides"])
    clock = time.process_time
    observation, _ = env.reset(seed=SEED)
    trace = env.trace
    if job["policy"] == BOUND:
        bounds = slot_bounds(trace, env.system.params.max_spectral_efficiency)
    else:
        policy = registry.make(job["policy"])
        policy.reset(Task.of(env, policy.knowledge), episode_rng(policy, SEED))
    for t in range(1, job["slots"] + 1):
        start = clock()
        trace.slot(t)
        drawn = clock()
        if job["policy"] == BOUND:
            next(bounds)
            yield drawn - start, clock() - drawn, 0.0
            continue
        action = policy.act(observation)
        decided = clock()
        observation, *_ = env.step(action)
        yield drawn - start, decided - drawn, clock() - decided


def _peak_mb() -> float:
    """The most memory that this process has held so far, in MB."""
    if not STATUS.is_file():
        raise WrongValue(f"peak memory: a system with {STATUS} wanted, which is Linux, got another")
    kilobytes = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")).split()[1]
    return int(kilobytes) * 1024 / 1e6


def measured(plan: Plan, path: str | Path | None = None) -> list[Row]:
    """The rows of ``plan``, each from a process of its own; those that ``path`` holds are kept, and new ones added."""
    stored, _ = run_grid(_in_a_fresh_process, plan.jobs(), path, title="scaling", form=ROW)
    for row in stored.errors.values():
        raise WrongValue(f"{row['policy']} in {row['scenario']} with {row['overrides']}: {row['error']}")
    return list(stored.rows.values())


def _in_a_fresh_process(job: Job) -> Row:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, job).result()


SIZES = ("num_ues", "num_cells", "horizon")
COSTS = ("sampling_ms", "decision_ms", "step_ms", "peak_mb")
ROW = form(
    {"scenario": TEXT, "overrides": DICTIONARY, "policy": TEXT, "slots": COUNT}
    | dict.fromkeys(SIZES, COUNT)
    | dict.fromkeys(COSTS, NUMBER)
)


def load(path: str | Path) -> list[Row]:
    """The rows of a file that this module wrote; anything else is refused."""
    if not Path(path).exists():
        raise WrongValue(f"{path}: rows of the scaling wanted, got no such file")
    stored = read(path, ROW)
    if stored.torn or not stored.rows:
        raise WrongValue(f"{path}: rows of the scaling wanted, got {stored.fault or 'none'}")
    return list(stored.rows.values())


def main(words: Sequence[str] | None = None) -> None:
    from rangym.evaluation.problems.cell_association.scaling_report import png, text

    parser = argparse.ArgumentParser(
        description="What a slot of CellAssociation costs, by size.",
        epilog="Example: python -m rangym.evaluation.problems.cell_association.scaling --out rows.jsonl",
    )
    parser.add_argument(
        "--out", metavar="FILE.jsonl", help="measure, some ten minutes; goes on where it was interrupted"
    )
    parser.add_argument("--rows", metavar="FILE.jsonl", help="take these rows in place of measuring")
    parser.add_argument("--figure", metavar="FILE.png", help="draw them")
    args = parser.parse_args(words)
    if (args.out is None) == (args.rows is None):
        parser.error("one of --out and --rows wanted")
    try:
        if args.out:
            measured(FULL, args.out)
        rows = load(args.rows or args.out)
        if args.figure:
            write_whole(args.figure, png(rows))
    except (WrongValue, OSError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        parser.exit(130, "interrupted; the same command goes on from the rows that are finished\n")
    print(text(rows))


if __name__ == "__main__":
    main()
