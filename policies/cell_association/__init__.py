"""CellAssociation's policies: adapters between observations and the algorithms."""

from rangym.policies.registry import Entry

POLICIES = {
    "max_sinr": Entry("rangym.policies.cell_association.rules:MaxSinr", "strongest cell of the previous slot"),
    "lda": Entry(
        "rangym.policies.cell_association.lda:Lda",
        "Kalntis et al., Smooth Handovers, Algorithm 1",
        "reference",
        "model",
    ),
    "a3": Entry("rangym.policies.cell_association.rules:A3", "3GPP TS 38.331, event A3", knowledge="model"),
    "load_aware": Entry(
        "rangym.policies.cell_association.rules:LoadAware", "greedy proportional-fair choice in index order"
    ),
    "slot_optimum": Entry(
        "rangym.policies.cell_association.optima:SlotOptimum", "exact assignment for the previous slot"
    ),
    "sticky_optimum": Entry(
        "rangym.policies.cell_association.optima:StickyOptimum", "exact assignment with a moving cost"
    ),
    "sticky_filtered": Entry(
        "rangym.policies.cell_association.optima:StickyFiltered", "the same on averaged log rates"
    ),
    "sticky_guarded": Entry(
        "rangym.policies.cell_association.places:StickyGuarded", "the same with a penalty on weak cells"
    ),
    "map_forecast": Entry(
        "rangym.policies.cell_association.places:MapForecast", "exact assignment on a learned map's forecast"
    ),
    "static_oracle": Entry(
        "rangym.policies.cell_association.optima:StaticOracle",
        "exact optimum where the SINR never changes",
        "oracle",
        "oracle",
    ),
    "hindsight": Entry(
        "rangym.policies.cell_association.optima:Hindsight",
        "price decomposition and Viterbi paths on the trace",
        "oracle",
        "oracle",
    ),
}
