"""How CeflOrchestration is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/CeflOrchestration-v0"

SLOW = ("convex_reference", "local_search", "priced", "primal_dual", "primal_dual_consensus")
"""Policies that solve a programme in each round."""


def _look_up(scenario: str) -> tuple[str, ...]:
    """The tuned constant with the best aggregator of each round."""
    return (f"tuned_constant:constant={scenario},aggregator=lookup",)


CARD = Card(
    bound="rangym.evaluation.problems.cefl_orchestration.bound:bound",
    quick=(Benchmark(ENV_ID, "small", range(10), without=SLOW, variants=_look_up("small")),),
    full=(
        Benchmark(ENV_ID, "small", variants=_look_up("small"), without=("priced",)),
        Benchmark(ENV_ID, "small_fixed", variants=_look_up("small_fixed"), without=("priced",)),
        Benchmark(ENV_ID, "small_gap", variants=_look_up("small_gap")),
        Benchmark(ENV_ID, "congested_fixed", variants=_look_up("congested_fixed"), without=("priced",)),
    ),
)
