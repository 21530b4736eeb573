"""NodePlacement's policies: targets for the nodes, approached as fast as the limit allows."""

from rangym.policies.registry import Entry

POLICIES = {
    "static": Entry("rangym.policies.node_placement.layouts:Static", "nodes stay where they start", knowledge="model"),
    "grid": Entry("rangym.policies.node_placement.layouts:Grid", "nodes in even rows", knowledge="model"),
    "k_means": Entry(
        "rangym.policies.node_placement.clusterings:KMeans", "Lloyd's K-means of the present users", knowledge="model"
    ),
    "constrained_k_means": Entry(
        "rangym.policies.node_placement.clusterings:ConstrainedKMeans",
        "Bradley et al.: K-means with equal loads",
        knowledge="model",
    ),
    "k_centers": Entry(
        "rangym.policies.node_placement.clusterings:KCenters",
        "Gonzalez: least largest distance, within 2",
        knowledge="model",
    ),
    "khm": Entry(
        "rangym.policies.node_placement.clusterings:KHarmonicMeans",
        "Zhang: K-harmonic means (p=2: fuzzy c-means)",
        knowledge="model",
    ),
    "gmm": Entry(
        "rangym.policies.node_placement.clusterings:GaussianMixture", "means of a Gaussian mixture", knowledge="model"
    ),
    "wkhm": Entry(
        "rangym.policies.node_placement.clusterings:Wkhm",
        "Ghatak: weighted K-harmonic means, corrected",
        "reference",
        "model",
    ),
    "harmonic": Entry(
        "rangym.policies.node_placement.clusterings:Harmonic", "alpha-fair received power", knowledge="model"
    ),
    "greedy_step": Entry(
        "rangym.policies.node_placement.searches:GreedyStep", "best next step on the true utility", knowledge="model"
    ),
    "swap": Entry(
        "rangym.policies.node_placement.searches:Swap", "one-swap local search on the true utility", knowledge="model"
    ),
    "cma": Entry(
        "rangym.policies.node_placement.searches:Cma", "Hansen: CMA-ES on the true utility", knowledge="model"
    ),
    "mpc": Entry(
        "rangym.policies.node_placement.horizon:Mpc", "receding horizon, users at constant velocity", knowledge="model"
    ),
    "mpc_oracle": Entry(
        "rangym.policies.node_placement.horizon:MpcOracle",
        "receding horizon on the true users to come",
        "oracle",
        "oracle",
    ),
}
