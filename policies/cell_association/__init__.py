"""CellAssociation's policies: adapters between observations and the algorithms."""

from rangym.policies.registry import Entry

POLICIES = {
    "max_sinr": Entry(
        "rangym.policies.cell_association.rules:MaxSinr",
        "heuristic",
        "observation",
        "strongest cell of the previous slot",
    ),
    "lda": Entry(
        "rangym.policies.cell_association.lda:Lda",
        "reference",
        "model",
        "Kalntis et al., Smooth Handovers, Algorithm 1",
    ),
    "a3": Entry("rangym.policies.cell_association.rules:A3", "heuristic", "observation", "3GPP TS 38.331, event A3"),
    "load_aware": Entry(
        "rangym.policies.cell_association.rules:LoadAware",
        "heuristic",
        "observation",
        "greedy proportional-fair choice in index order",
    ),
    "slot_optimum": Entry(
        "rangym.policies.cell_association.optima:SlotOptimum",
        "heuristic",
        "observation",
        "exact assignment for the previous slot",
    ),
    "sticky_optimum": Entry(
        "rangym.policies.cell_association.optima:StickyOptimum",
        "heuristic",
        "observation",
        "exact assignment with a moving cost",
    ),
    "sticky_filtered": Entry(
        "rangym.policies.cell_association.optima:StickyFiltered",
        "heuristic",
        "observation",
        "the same on averaged log rates",
    ),
    "static_oracle": Entry(
        "rangym.policies.cell_association.optima:StaticOracle",
        "oracle",
        "oracle",
        "exact optimum where the SINR never changes",
    ),
    "hindsight": Entry(
        "rangym.policies.cell_association.optima:Hindsight",
        "oracle",
        "oracle",
        "price decomposition and Viterbi paths on the trace",
    ),
}
