"""How fast the matching algorithms of NomaAllocation are, and how they compare with the integer program.

CPU times of one core, least of the repetitions. Instances are rounds of the scenario `urban` (every method pays for
the same ones); compiling is done before. Ratios of one run count, absolute times depend on the machine.

Example: python tests/benchmarks/speed_matching.py --out matching.json
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy is imported

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import rangym  # noqa: F401
from rangym.envs.noma_allocation.params import SCENARIOS
from rangym.envs.noma_allocation.scenario import sample
from rangym.policies.algorithms.pairing.exact import column_generation, milp_matching, subset_dp
from rangym.policies.algorithms.pairing.matching import (
    alternating_hungarian,
    iterated_local_search,
    random_places,
    swap_matching,
)
from rangym.policies.algorithms.pairing.pair_costs import pair_energy_table
from rangym.policies.algorithms.pairing.pairing_kernels import PairCosts
from rangym.policies.noma_allocation.matching import round_costs

HUNGARIAN_STEPS = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="urban")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--largest", type=int, default=2000, help="users of the largest case")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    args = parser.parse_args()
    rows = []
    for users, name, limit_ms, work in cases(args.scenario, args.largest):
        slow = limit_ms is None or limit_ms > 1000
        repetitions = min(args.repetitions, 2) if slow else args.repetitions
        print(f"{name}, {users} users", file=sys.stderr, flush=True)
        work()  # compiles, and warms the cache
        times, cost = [], 0.0
        for _ in range(repetitions):
            start = time.process_time()
            cost = work()
            times.append(1e3 * (time.process_time() - start))
        rows.append({"users": users, "work": name, "ms": min(times), "limit_ms": limit_ms, "cost": cost})
    print(table(rows))
    if args.out:
        args.out.write_text(json.dumps(rows, indent=1) + "\n")


def cases(scenario: str, largest: int):
    """(users, what, limit in ms or None, work) of every row; work returns the cost reached."""
    for users in (20, 200, largest):
        p, gain, training = drawn(scenario, users)
        costs = round_costs(p, gain, training)
        place = random_places(costs, np.random.default_rng(0))
        if users == 20:
            yield users, "mba_kkt (costs and swaps)", 1.0, whole_round(p, gain, training)
        if users <= 200:
            yield users, "swaps, 2es", None, lambda c=costs, q=place: swap_matching(c, q, "2es").cost
            yield users, "swaps, sum", 60.0 if users == 200 else None, lambda c=costs, q=place: swap_matching(c, q).cost
            yield users, "pair-energy table", 1000.0, lambda c=costs: float(pair_energy_table(c).min())
            yield users, "local search, 3 kicks", None, searched(iterated_local_search, costs, place)
            yield users, "column generation", None, lambda c=costs: column_generation(c).cost
        if users == 20:
            yield users, "integer program", None, lambda c=costs: milp_matching(c).cost
            yield users, "subset programme", None, lambda c=costs: subset_dp(c).cost
        limit = 5000.0 if users == largest else None
        yield users, f"alternating Hungarian, {HUNGARIAN_STEPS} steps", limit, hungarian(costs, place)


def drawn(scenario: str, users: int):
    p = dataclasses.replace(SCENARIOS[scenario], num_ues=users, num_subchannels=users // 2, horizon=1)
    slot = sample(p, np.random.default_rng(0)).slot(1)
    return p, slot["gain"], slot["training_time_s"]


def whole_round(p, gain, training) -> Callable[[], float]:
    def work() -> float:
        costs = round_costs(p, gain, training)
        return swap_matching(costs, random_places(costs, np.random.default_rng(0))).cost

    return work


def searched(search, costs: PairCosts, place) -> Callable[[], float]:
    return lambda: search(costs, place, np.random.default_rng(0)).cost


def hungarian(costs: PairCosts, place) -> Callable[[], float]:
    return lambda: alternating_hungarian(costs, place, np.random.default_rng(0), HUNGARIAN_STEPS).cost


def table(rows: list[dict]) -> str:
    """Rows with the limit and the ratio to the integer program of the same number of users."""
    program = {r["users"]: r["ms"] for r in rows if r["work"] == "integer program"}
    lines = [f"{'users':>6}  {'work':<34}{'ms':>12}{'limit':>8}{'speed-up':>10}{'cost':>14}"]
    for r in rows:
        limit = "" if r["limit_ms"] is None else f"{r['limit_ms']:g}"
        ratio = f"{program[r['users']] / r['ms']:.3g}x" if r["users"] in program else ""
        lines.append(f"{r['users']:>6}  {r['work']:<34}{r['ms']:>12.3f}{limit:>8}{ratio:>10}{r['cost']:>14.6g}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
