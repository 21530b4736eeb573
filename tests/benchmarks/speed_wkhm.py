"""CPU time of one WKHM iteration against one of scikit-learn's K-means (Lloyd), in the same run, on one thread.

    OMP_NUM_THREADS=1 python tests/benchmarks/speed_wkhm.py [--memory]

An iteration of WKHM is a whole pass: objective, gradient and step sizes of every node. K-means is timed as the
difference of two fits from the same start that stop after different numbers of iterations, so that its set-up does not
count; each is the least of several runs. ``--memory`` prints the peak of one iteration at a million users and a hundred
nodes instead.
"""

import argparse
import resource
import sys
import time
import warnings

import numpy as np

SIZES = ((100, 9), (10_000, 50), (100_000, 100))
LIMIT = {"float32": 0.7, "float64": 1.0}


def least(action, repeats):
    """Least CPU time of ``action()`` in seconds."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)


def users_and_nodes(num_users, num_nodes, dtype):
    rng = np.random.default_rng(0)
    return rng.uniform(0, 100, (num_users, 2)).astype(dtype), rng.uniform(0, 100, (num_nodes, 2))


def wkhm_iteration(users, nodes):
    from rangym.policies.algorithms.placement.ascent import HarmonicObjective
    from rangym.policies.algorithms.placement.harmonic_kernels import CORRECTED

    objective = HarmonicObjective(users, 9.0, CORRECTED, 2.0, 4.0, 1.0)
    objective.at(nodes)  # compiles
    batch = max(1, 20_000 // len(users))
    return least(lambda: [objective.at(nodes) for _ in range(batch)], 15) / batch


def k_means_iteration(users, nodes):
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    def fit(iterations):
        model = KMeans(
            len(nodes), init=nodes.astype(users.dtype), n_init=1, max_iter=iterations, tol=0, algorithm="lloyd"
        )
        return model.fit(users).n_iter_

    batch = max(1, 2_000 // len(users))
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge
        few, many = fit(2), fit(8 if len(users) <= 100 else 12)
        times = [least(lambda n=n: [fit(n) for _ in range(batch)], 15) / batch for n in (few, many)]
    return (times[1] - times[0]) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", action="store_true")
    if parser.parse_args().memory:
        users, nodes = users_and_nodes(1_000_000, 100, np.float32)
        seconds = wkhm_iteration(users, nodes)
        unit = 1024**3 if sys.platform == "darwin" else 1024**2
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        print(f"1,000,000 users x 100 nodes, float32: {1e3 * seconds:.0f} ms an iteration, peak memory {peak:.2f} GiB")
        return
    print("CPU ms per iteration, p = 2, q = 4\n\n   users  nodes  dtype      WKHM  K-means  ratio  wanted")
    for num_users, num_nodes in SIZES:
        for dtype, limit in LIMIT.items():
            users, nodes = users_and_nodes(num_users, num_nodes, dtype)
            ours, theirs = wkhm_iteration(users, nodes), k_means_iteration(users, nodes)
            print(
                f"{num_users:8,} {num_nodes:6}  {dtype}  {1e3 * ours:7.4f}  {1e3 * theirs:7.4f} {ours / theirs:6.2f}"
                f"   {limit:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
