"""QosClustering's policies: adapters between observations and the prediction algorithms."""

from rangym.policies.registry import Entry

OWN_HEADS = {"library": "global", "num_heads": 11}
STATISTICS = {"observe": "statistics"}

POLICIES = {
    "global_frozen": Entry("rangym.policies.qos_clustering.rules:GlobalFrozen", "all cells on the global head"),
    "static_library": Entry(
        "rangym.policies.qos_clustering.rules:StaticLibrary",
        "the head that suits the kind of each site, for good",
        knowledge="model",
    ),
    "greedy_last_loss": Entry(
        "rangym.policies.qos_clustering.rules:GreedyLastLoss", "the head that predicted the last label best"
    ),
    "greedy_smoothed": Entry("rangym.policies.qos_clustering.rules:GreedySmoothed", "the head of least average loss"),
    "sticky_smoothed": Entry(
        "rangym.policies.qos_clustering.rules:StickySmoothed",
        "average losses with cut, slots and migrations",
        knowledge="model",
    ),
    "bayes_filter": Entry(
        "rangym.policies.qos_clustering.rules:BayesFilter",
        "switching filter on the concepts' loss statistics",
        knowledge="model",
    ),
    "k_means_cells": Entry(
        "rangym.policies.qos_clustering.clusterings:KMeansCells", "K-means of the cells' Gaussians, matched to heads"
    ),
    "spectral_cells": Entry(
        "rangym.policies.qos_clustering.clusterings:SpectralCells",
        "spectral clustering of their kernel, matched to heads",
        knowledge="model",
    ),
    "bcd_assignment": Entry(
        "rangym.policies.qos_clustering.clusterings:BcdAssignment",
        "Stenhammar et al., Block 2, exact prox, on average losses",
        "reference",
        "model",
    ),
    "bcd_periodic": Entry(
        "rangym.policies.qos_clustering.clusterings:BcdPeriodic",
        "Stenhammar et al., Algorithm 1, exact prox, on a window of labels",
        "reference",
        "model",
        overrides=STATISTICS,
    ),
    "local_online": Entry(
        "rangym.policies.qos_clustering.rules:LocalOnline",
        "a head for each cell that learns from its own labels",
        knowledge="model",
        overrides=OWN_HEADS,
    ),
    "global_online": Entry(
        "rangym.policies.qos_clustering.rules:GlobalOnline", "one head that learns from all labels", knowledge="model"
    ),
    "true_groups": Entry(
        "rangym.policies.qos_clustering.oracles:TrueGroups",
        "the head that suits each cell's present concept",
        "oracle",
        "oracle",
    ),
    "hindsight_plan": Entry(
        "rangym.policies.qos_clustering.oracles:HindsightPlan",
        "Viterbi paths of one cell after the other on the day's losses",
        "oracle",
        "oracle",
    ),
}
