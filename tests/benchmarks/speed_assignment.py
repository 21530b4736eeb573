"""Slot optimum at 1000 UEs x 25 cells, and against SciPy's linear assignment on replicated slots where that fits.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/speed_assignment.py``. Process time, the least and the median of many.
"""

import statistics
import time

import gymnasium as gym
import numpy as np
from scipy.optimize import linear_sum_assignment

import rangym  # noqa: F401 (registers the environments)
from rangym.envs.physics.channel import shannon_rate_mbps
from rangym.envs.physics.sharing import load_cost
from rangym.policies.algorithms.association.assignment import optimal_assignment

SLOTS = 40
COPIES_LIMIT = 60  # UEs of the comparison: the linear assignment has I x (I J) entries


def log_rates(law: str, num_ues: int, num_cells: int) -> tuple[np.ndarray, np.ndarray]:
    """SINR (T, I, J) float32 in dB and bandwidths (J,) of SLOTS slots."""
    options = dict(num_ues=num_ues, num_cells=num_cells, horizon=SLOTS, law=law)
    if law == "volatile":
        options["block_slots"] = 1
    env = gym.make("rangym/CellAssociation-v0", scenario="mobility", **options).unwrapped
    env.reset(seed=0)
    return env.trace.slots["sinr_db"][1:-1], env.trace.constants["bandwidth_mhz"]


def replicated_slots(value: np.ndarray) -> float:
    """The same optimum as a linear assignment onto I copies of each cell, the k-th costing phi(k) - phi(k - 1)."""
    ues, cells = value.shape
    table = (value[:, :, None] - np.diff(load_cost(ues))).reshape(ues, cells * ues)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return float(table[rows, columns].sum())


def timed(work, items) -> tuple[list[float], list]:
    times, results = [], []
    for item in items:
        start = time.process_time()
        results.append(work(*item))
        times.append(1e3 * (time.process_time() - start))
    return times, results


def line(name: str, times: list[float], more: str = "") -> None:
    print(f"{name:52s} least {min(times):8.3f} ms   median {statistics.median(times):8.3f} ms   {more}")


def main() -> None:
    optimal_assignment(np.zeros((3, 2)))  # compile
    for law in ("mobility", "volatile"):
        sinr_db, bandwidth_mhz = log_rates(law, 1000, 25)
        times, values = timed(lambda s, w=bandwidth_mhz: np.log10(shannon_rate_mbps(s, w)), [(s,) for s in sinr_db])
        print(f"{law}, 1000 x 25")
        line("  log rates", times)
        cold, found = timed(optimal_assignment, [(v,) for v in values])
        line("  optimum, from the best cells", cold, f"cycles {np.mean([x.cycles for x in found]):.0f}")
        starts = [x.cell for x in found]
        pairs = [(v, None, s) for v, s in zip(values[1:], starts[:-1], strict=True)]
        warm, again = timed(optimal_assignment, pairs)
        line("  optimum, from the slot before", warm, f"cycles {np.mean([x.cycles for x in again]):.0f}")
        both = [a + b for a, b in zip(times[1:], warm, strict=True)]
        line("  observed dB to answer, from the slot before", both)

        sinr_db, bandwidth_mhz = log_rates(law, COPIES_LIMIT, 25)
        values = [(np.log10(shannon_rate_mbps(s, bandwidth_mhz)),) for s in sinr_db[:10]]
        ours, found = timed(optimal_assignment, values)
        theirs, reference = timed(replicated_slots, values)
        worst = max(abs(a.value - b) for a, b in zip(found, reference, strict=True))
        print(f"{law}, {COPIES_LIMIT} x 25")
        line("  optimum, from the best cells", ours)
        ratio = statistics.median(theirs) / statistics.median(ours)
        line(
            "  linear_sum_assignment on replicated slots", theirs, f"ratio {ratio:.0f}, largest difference {worst:.1e}"
        )


if __name__ == "__main__":
    main()
