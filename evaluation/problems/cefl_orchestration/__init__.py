"""How CeflOrchestration is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/CeflOrchestration-v0"

SLOW = ("convex_reference", "local_search", "priced", "primal_dual", "primal_dual_consensus")
"""Policies that solve a programme in each round."""
BANDIT_AGENTS = ("ppo_rounds", "ppo_constant", "sac_rounds")
"""Trained on `small`."""
GAP_AGENTS = ("ppo_gap", "ppo_gap_myopic")
"""Trained on `small_gap`."""


def _look_up(scenario: str) -> tuple[str, ...]:
    """The tuned constant with the best aggregator of each round."""
    return (f"tuned_constant:constant={scenario},aggregator=lookup",)


SMALL = Benchmark(ENV_ID, "small", variants=_look_up("small"), without=("priced", *GAP_AGENTS))

CARD = Card(
    bound="rangym.evaluation.problems.cefl_orchestration.bound:bound",
    quick=(Benchmark(ENV_ID, "small", range(10), without=(*SLOW, *GAP_AGENTS), variants=_look_up("small")),),
    full=(
        SMALL,
        Benchmark(
            ENV_ID,
            "small_fixed",
            variants=_look_up("small_fixed"),
            without=("priced", *BANDIT_AGENTS, *GAP_AGENTS),
        ),
        Benchmark(ENV_ID, "small_gap", variants=_look_up("small_gap"), without=BANDIT_AGENTS),
        Benchmark(
            ENV_ID,
            "congested_fixed",
            variants=_look_up("congested_fixed"),
            without=("priced", *BANDIT_AGENTS, *GAP_AGENTS),
        ),
    ),
    published=(SMALL,),
)
