"""How NodePlacement is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/NodePlacement-v0"
AGENTS = ("ppo_tracking", "ppo_direct", "ppo_plain", "sac_plain")
"""Trained on `small`."""
FORMS = ("wkhm:form=printed,eps=1e-6", "wkhm:eps=100")
PLACEMENTS = ("random", "grid", "k_means", "constrained_k_means", "k_centers", "khm", "gmm", "wkhm", "harmonic", "swap")
"""Of a single slot; what plans ahead says nothing there."""
LONG_SEARCH = "cma:evaluations=25000"

CARD = Card(
    bound="rangym.evaluation.problems.node_placement.bound:bound",
    quick=(Benchmark(ENV_ID, "small", without=("ppo_tracking_drift",), variants=FORMS),),
    full=(
        Benchmark(ENV_ID, "drift", range(10), without=("cma", *AGENTS), variants=FORMS),
        *(
            Benchmark(ENV_ID, f"static_{law}", range(10), policies=PLACEMENTS, variants=(*FORMS, LONG_SEARCH))
            for law in ("uniform", "thomas", "hotspot", "grid")
        ),
    ),
)
