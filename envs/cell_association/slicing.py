"""CellAssociation's agents: each UE chooses its own cell."""

from rangym.envs.slicing import Kind, Slicing

SLICING = Slicing(
    kinds=(
        Kind(
            name="ue",
            count="num_ues",
            fields={"sinr_db": 0, "serving": 0, "handover_delay": 0, "position_m": 0, "covered": 0},
        ),
    ),
    own_reward="rangym.baselines.cell_association.per_ue:UserReward",
)
"""A UE sees what concerns itself, and of the others how many each cell had: `load`."""
