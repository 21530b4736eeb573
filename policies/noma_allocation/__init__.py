"""NomaAllocation's policies: adapters between observations and the matching algorithms."""

from rangym.policies.registry import Entry

FIXED = {"action": "native", "power": "fixed"}
KKT = {"action": "native", "power": "kkt"}
TDMA = {"action": "native", "power": "kkt", "access": "oma_opt"}

POLICIES = {
    "random_fixed": Entry(
        "rangym.policies.noma_allocation.rules:RandomPairs", "random pairs at full power (R-F)", overrides=FIXED
    ),
    "random_kkt": Entry(
        "rangym.policies.noma_allocation.rules:RandomPairs", "random pairs, least energy", overrides=KKT
    ),
    "max_gain": Entry("rangym.policies.noma_allocation.rules:MaxGain", "greatest sum of SNR in dB", overrides=KKT),
    "2es_kkt": Entry(
        "rangym.policies.noma_allocation.matching:TwoSidedExchange",
        "Lin et al., Algorithm 2 with Definition 3",
        "reference",
        "model",
        overrides=KKT,
    ),
    "mba_fixed": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "Lin et al., MBA at full power",
        "reference",
        "model",
        overrides=FIXED,
    ),
    "mba_kkt": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "Lin et al., swaps that lower the sum",
        "reference",
        "model",
        overrides=KKT,
    ),
    "ils_kkt": Entry(
        "rangym.policies.noma_allocation.matching:IteratedLocalSearch",
        "alternating Hungarian, swaps, restarts",
        knowledge="model",
        overrides=KKT,
    ),
    "oma_matching": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "swaps, optimal TDMA",
        knowledge="model",
        overrides=TDMA,
    ),
    "exact": Entry(
        "rangym.policies.noma_allocation.matching:Exact",
        "optimum of the round, dynamic programme",
        knowledge="model",
        overrides=KKT,
    ),
}
