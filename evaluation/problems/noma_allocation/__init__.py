"""How NomaAllocation is evaluated."""

from rangym.evaluation.protocol import Benchmark, Card

ENV_ID = "rangym/NomaAllocation-v0"

CARD = Card(
    bound="rangym.evaluation.problems.noma_allocation.bound:bound",
    quick=(Benchmark(ENV_ID, "small", without=("ppo_pairs_tight",)),),
    full=(Benchmark(ENV_ID, "tight", without=("ppo_pairs",)),),
)
