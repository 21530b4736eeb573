"""CPU time of one LDA slot (decide + observe) against plain NumPy float64, in the same run.

    python tests/benchmarks/speed_lda.py [--ues 1000 --cells 25 --horizon 10000 --slots 200]

The comparator is the tests' reference: array operations, projection by sorting, the same random numbers.
"""

import argparse
import runpy
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from rangym.policies.algorithms.association.lda import LDA

reference = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "papers" / "lda_reference.py")))
META_STEP, HANDOVER_WEIGHT = 1e-2, 20.0


def milliseconds_per_slot(lda, channel, delay):
    """Median CPU time of decide + observe, without the first tenth of the slots (compilation, cold caches)."""
    taken = []
    for log_rate in channel:
        start = time.process_time()
        lda.decide()
        lda.observe(log_rate, delay)
        taken.append(time.process_time() - start)
    return 1e3 * float(np.median(taken[len(taken) // 10 :]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("ues", 1000), ("cells", 25), ("horizon", 10_000), ("slots", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    size = parser.parse_args()
    rng = np.random.default_rng(0)
    shape = (size.ues, size.cells)
    delay = rng.uniform(0.02, 0.9, shape)
    walk = np.cumsum(rng.normal(0, 0.02, (size.slots, *shape)), axis=0)
    channel = np.log10(rng.uniform(5, 150, shape)) + walk

    lda = LDA(*shape, size.horizon, handover_weight=HANDOVER_WEIGHT, rng=0, meta_step=META_STEP)
    steps = lda.steps
    plain = reference.ReferenceLDA(*shape, steps, META_STEP, HANDOVER_WEIGHT, np.random.default_rng(0))
    fast, slow = milliseconds_per_slot(lda, channel, delay), milliseconds_per_slot(plain, channel, delay)
    print(f"{size.ues} UEs x {size.cells} cells x {len(steps)} experts, CPU ms per slot (median)")
    print(f"numba float32  {fast:8.2f}\nNumPy float64  {slow:8.2f}\nratio          {slow / fast:8.1f}")
    print(f"largest difference of the mixtures at the end: {np.abs(lda.mixture - plain.mix).max():.1e}")


if __name__ == "__main__":
    main()
