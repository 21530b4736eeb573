"""How CeflOrchestration is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/CeflOrchestration-v0"

CARD = Card(
    bound="rangym.evaluation.problems.cefl_orchestration.bound:bound",
    quick=(Benchmark(ENV_ID, "small", range(10), without=("convex_reference",)),),
    full=(
        Benchmark(ENV_ID, "small"),
        Benchmark(ENV_ID, "small_fixed"),
        Benchmark(ENV_ID, "small_gap"),
        Benchmark(ENV_ID, "congested_fixed"),
    ),
)
