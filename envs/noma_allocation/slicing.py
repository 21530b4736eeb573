"""NomaAllocation's agents: each user chooses its own sub-channel, or none."""

from rangym.envs.slicing import Kind, Slicing

_RIVALS = ("snr_db", "training_time", "scheduled")

SLICING = Slicing(
    kinds=(
        Kind(
            name="ue",
            count="num_ues",
            fields=dict.fromkeys((*_RIVALS, "rounds_since_served", "data_share"), 0),
            others=_RIVALS,
        ),
    ),
    overrides={"action": "native"},
)
"""A user sees its rivals too: whom it shares a sub-channel with decides whether both deliver.

There is no reward of its own: the baselines compare whole decisions of a round with one another.
"""
