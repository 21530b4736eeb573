"""NodePlacement's agents: each node moves itself."""

from rangym.envs.slicing import Kind, Slicing

SLICING = Slicing(
    kinds=(
        Kind(
            name="node",
            count="num_nodes",
            fields={"node_position_m": 0, "load": 0},
            others=("node_position_m",),
        ),
    ),
    own_reward="rangym.baselines.node_placement.per_node:BeyondKMeans",
)
"""A node sees all users, where it and the others are, and how many users it had itself."""
