"""QosClustering's agents: each cell chooses its own head."""

from rangym.envs.slicing import Kind, Slicing

_CODES = ("statistics", "statistics_before", "load", "load_before")
_LOSSES = ("last_loss", "average_loss", "mean_loss")
_ROWS = ("known_gram", "known_feature_mean")

SLICING = Slicing(
    kinds=(
        Kind(
            name="cell",
            count="num_cells",
            fields=dict.fromkeys((*_CODES, "slot", *_LOSSES, *_ROWS), 0),
            others=("slot",),
        ),
    ),
    own_reward="rangym.baselines.qos_clustering.per_cell:CellReward",
)
"""A cell sees its own statistics and losses, and which slots the others use."""
