"""NodePlacement's policies: targets for the nodes, approached as fast as the limit allows."""

from rangym.policies.registry import Entry

POLICIES = {
    "static": Entry(
        "rangym.policies.node_placement.layouts:Static", "heuristic", "model", "nodes stay where they start"
    ),
    "grid": Entry("rangym.policies.node_placement.layouts:Grid", "heuristic", "model", "nodes in even rows"),
    "k_means": Entry(
        "rangym.policies.node_placement.clusterings:KMeans",
        "heuristic",
        "model",
        "Lloyd's K-means of the present users",
    ),
    "constrained_k_means": Entry(
        "rangym.policies.node_placement.clusterings:ConstrainedKMeans",
        "heuristic",
        "model",
        "Bradley et al.: K-means with equal loads",
    ),
    "k_centers": Entry(
        "rangym.policies.node_placement.clusterings:KCenters",
        "heuristic",
        "model",
        "Gonzalez: least largest distance, within 2",
    ),
    "khm": Entry(
        "rangym.policies.node_placement.clusterings:KHarmonicMeans",
        "heuristic",
        "model",
        "Zhang: K-harmonic means (p=2: fuzzy c-means)",
    ),
    "gmm": Entry(
        "rangym.policies.node_placement.clusterings:GaussianMixture",
        "heuristic",
        "model",
        "means of a Gaussian mixture",
    ),
    "wkhm": Entry(
        "rangym.policies.node_placement.clusterings:Wkhm",
        "reference",
        "model",
        "Ghatak: weighted K-harmonic means, corrected",
    ),
    "harmonic": Entry(
        "rangym.policies.node_placement.clusterings:Harmonic", "heuristic", "model", "alpha-fair received power"
    ),
    "greedy_step": Entry(
        "rangym.policies.node_placement.searches:GreedyStep", "heuristic", "model", "best next step on the true utility"
    ),
    "swap": Entry(
        "rangym.policies.node_placement.searches:Swap",
        "heuristic",
        "model",
        "one-swap local search on the true utility",
    ),
    "cma": Entry(
        "rangym.policies.node_placement.searches:Cma", "heuristic", "model", "Hansen: CMA-ES on the true utility"
    ),
    "mpc": Entry(
        "rangym.policies.node_placement.horizon:Mpc",
        "heuristic",
        "model",
        "receding horizon, users at constant velocity",
    ),
    "mpc_oracle": Entry(
        "rangym.policies.node_placement.horizon:MpcOracle",
        "oracle",
        "oracle",
        "receding horizon on the true users to come",
    ),
}
