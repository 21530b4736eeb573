"""A grid of jobs on a Ray cluster: here two nodes of one CPU each on this machine, elsewhere yours.

On a cluster that runs already, `ray.init(address="auto")` takes the place of the first three lines. Whatever the
backend, the rows are the same; they are written by this process alone.
Takes 30 s. Needs the extra `cluster`: pip install -e ".[cluster]"
"""

import joblib
import numpy as np
import ray
from ray.cluster_utils import Cluster
from ray.util.joblib import register_ray

from rangym.evaluation import Benchmark, evaluate

POLICIES, BENCHMARK = ["max_sinr", "a3:tuned", "random"], Benchmark("rangym/CellAssociation-v0", "small", range(8))

if __name__ == "__main__":
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    print("nodes:", sum(node["Alive"] for node in ray.nodes()), "CPUs:", int(ray.cluster_resources()["CPU"]))

    register_ray()
    with joblib.parallel_config("ray"):
        results = evaluate(POLICIES, BENCHMARK, workers=2)
    print(results)

    here = evaluate(POLICIES, BENCHMARK)
    same = all(np.array_equal(results.rewards(name), here.rewards(name)) for name in ("max_sinr", "a3", "random"))
    print("the same rows as in this process:", same)
    ray.shutdown()
    cluster.shutdown()
