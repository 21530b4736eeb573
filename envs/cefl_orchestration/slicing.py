"""CeflOrchestration's agents: each UE, base station and data centre decides what happens at its own place."""

from rangym.envs.cefl_orchestration.codings import blocks
from rangym.envs.slicing import Kind, Slicing

SLICING = Slicing(
    kinds=(
        Kind(
            name="ue",
            count="num_ues",
            fields={"log10_data_points": 0, "log10_uplink_bps": 0, "log10_downlink_bps": 1},
            action={
                "offload_share": 0,
                "clock": 0,
                "ue_iterations": 0,
                "ue_minibatch": 0,
                "ue_to_bs": 0,
                "bs_to_ue": 1,
            },
        ),
        Kind(
            name="bs",
            count="num_bss",
            fields={
                "log10_uplink_bps": 1,
                "log10_downlink_bps": 0,
                "log10_backhaul_bps": 0,
                "log10_dc_to_bs_bps": 1,
            },
            action={"forward_share": 0},
        ),
        Kind(
            name="dc",
            count="num_dcs",
            fields={"log10_backhaul_bps": 1, "log10_dc_to_bs_bps": 0, "log10_dc_to_dc_bps": 0, "last_aggregator": 0},
            action={"aggregator": 0, "speed": 0, "dc_iterations": 0, "dc_minibatch": 0},
        ),
    ),
    overrides={"action": "native"},
    blocks=blocks,
)
"""Everyone sees its own links; a data centre's score for the aggregator is its bid, and the highest bid wins.

There is no reward of its own: the baselines train with the environment's.
"""
