"""NomaAllocation's policies: adapters between observations and the matching algorithms."""

from rangym.policies.registry import Entry

POLICIES = {
    "random_fixed": Entry(
        "rangym.policies.noma_allocation.rules:RandomPairs",
        "heuristic",
        "observation",
        "random pairs at full power (R-F)",
        {"action": "native", "power": "fixed"},
    ),
    "random_kkt": Entry(
        "rangym.policies.noma_allocation.rules:RandomPairs",
        "heuristic",
        "observation",
        "random pairs, least energy",
        {"action": "native", "power": "kkt"},
    ),
    "max_gain": Entry(
        "rangym.policies.noma_allocation.rules:MaxGain",
        "heuristic",
        "observation",
        "greatest sum of SNR in dB",
        {"action": "native", "power": "kkt"},
    ),
    "2es_kkt": Entry(
        "rangym.policies.noma_allocation.matching:TwoSidedExchange",
        "reference",
        "model",
        "Lin et al., Algorithm 2 with Definition 3",
        {"action": "native", "power": "kkt"},
    ),
    "mba_fixed": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "reference",
        "model",
        "Lin et al., MBA at full power",
        {"action": "native", "power": "fixed"},
    ),
    "mba_kkt": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "reference",
        "model",
        "Lin et al., swaps that lower the sum",
        {"action": "native", "power": "kkt"},
    ),
    "ils_kkt": Entry(
        "rangym.policies.noma_allocation.matching:IteratedLocalSearch",
        "heuristic",
        "model",
        "alternating Hungarian, swaps, restarts",
        {"action": "native", "power": "kkt"},
    ),
    "oma_matching": Entry(
        "rangym.policies.noma_allocation.matching:SwapMatching",
        "heuristic",
        "model",
        "swaps, optimal TDMA",
        {"action": "native", "power": "kkt", "access": "oma_opt"},
    ),
    "exact": Entry(
        "rangym.policies.noma_allocation.matching:Exact",
        "heuristic",
        "model",
        "optimum of the round, dynamic programme",
        {"action": "native", "power": "kkt"},
    ),
}
