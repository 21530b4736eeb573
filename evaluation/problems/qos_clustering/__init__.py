"""How QosClustering is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/QosClustering-v0"
ONLINE = ("local_online", "global_online")
"""For heads that adapt."""
SLOW = ("bcd_periodic",)
AGENTS = ("ppo_cells", "ppo_cells_flat", "ppo_cells_large")
"""The last one was trained on `large`, the others on `small`, all with frozen heads."""

CARD = Card(
    bound="rangym.evaluation.problems.qos_clustering.bound:bound",
    quick=(Benchmark(ENV_ID, "small", without=(*ONLINE, *SLOW, "ppo_cells_large")),),
    full=(
        Benchmark(ENV_ID, "small", policies=SLOW),
        # Losses depend on the decisions there: no plan of the whole day; and no head stays frozen.
        Benchmark(ENV_ID, "adaptive", range(10), without=("hindsight_plan", "global_frozen", *SLOW, *AGENTS)),
        Benchmark(ENV_ID, "large", range(10), without=(*ONLINE, *SLOW, "ppo_cells", "ppo_cells_flat")),
    ),
)
