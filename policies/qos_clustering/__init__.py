"""QosClustering's policies: adapters between observations and the prediction algorithms."""

from rangym.policies.registry import Entry

POLICIES = {
    "global_frozen": Entry(
        "rangym.policies.qos_clustering.rules:GlobalFrozen", "heuristic", "observation", "all cells on the global head"
    ),
    "static_library": Entry(
        "rangym.policies.qos_clustering.rules:StaticLibrary",
        "heuristic",
        "model",
        "the head that suits the kind of each site, for good",
    ),
    "greedy_last_loss": Entry(
        "rangym.policies.qos_clustering.rules:GreedyLastLoss",
        "heuristic",
        "observation",
        "the head that predicted the last label best",
    ),
    "greedy_smoothed": Entry(
        "rangym.policies.qos_clustering.rules:GreedySmoothed",
        "heuristic",
        "observation",
        "the head of least average loss",
    ),
    "sticky_smoothed": Entry(
        "rangym.policies.qos_clustering.rules:StickySmoothed",
        "heuristic",
        "model",
        "average losses with cut, slots and migrations",
    ),
    "bayes_filter": Entry(
        "rangym.policies.qos_clustering.rules:BayesFilter",
        "heuristic",
        "model",
        "switching filter on the concepts' loss statistics",
    ),
    "k_means_cells": Entry(
        "rangym.policies.qos_clustering.clusterings:KMeansCells",
        "heuristic",
        "observation",
        "K-means of the cells' Gaussians, matched to heads",
    ),
    "spectral_cells": Entry(
        "rangym.policies.qos_clustering.clusterings:SpectralCells",
        "heuristic",
        "model",
        "spectral clustering of their kernel, matched to heads",
    ),
    "bcd_assignment": Entry(
        "rangym.policies.qos_clustering.clusterings:BcdAssignment",
        "reference",
        "model",
        "Stenhammar et al., Block 2, exact prox, on average losses",
    ),
    "bcd_periodic": Entry(
        "rangym.policies.qos_clustering.clusterings:BcdPeriodic",
        "reference",
        "model",
        "Stenhammar et al., Algorithm 1, exact prox, on a window of labels",
        {"observe": "statistics"},
    ),
    "local_online": Entry(
        "rangym.policies.qos_clustering.rules:LocalOnline",
        "heuristic",
        "model",
        "a head for each cell that learns from its own labels",
        {"library": "global", "num_heads": 11},
    ),
    "global_online": Entry(
        "rangym.policies.qos_clustering.rules:GlobalOnline",
        "heuristic",
        "model",
        "one head that learns from all labels",
    ),
    "true_groups": Entry(
        "rangym.policies.qos_clustering.oracles:TrueGroups",
        "oracle",
        "oracle",
        "the head that suits each cell's present concept",
    ),
    "hindsight_plan": Entry(
        "rangym.policies.qos_clustering.oracles:HindsightPlan",
        "oracle",
        "oracle",
        "Viterbi paths of one cell after the other on the day's losses",
    ),
}
