"""The environments' Gymnasium ids: strings only, so a spec survives JSON and pickle and importing costs nothing."""

from __future__ import annotations

import gymnasium as gym

SYSTEMS = {
    "rangym/CellAssociation-v0": "rangym.envs.cell_association.system:CellAssociation",
    "rangym/NodePlacement-v0": "rangym.envs.node_placement.system:NodePlacement",
    "rangym/NomaAllocation-v0": "rangym.envs.noma_allocation.system:NomaAllocation",
    "rangym/CeflOrchestration-v0": "rangym.envs.cefl_orchestration.system:CeflOrchestration",
}


def register_envs() -> None:
    """Register every environment once; calling it again changes nothing.

    ``max_episode_steps`` stays unset: ``gym.make_vec`` would forward it to the vector class, and the horizon is the
    system's own.
    """
    for env_id, system in SYSTEMS.items():
        if env_id not in gym.registry:
            gym.register(
                id=env_id,
                entry_point="rangym.envs.core:SystemEnv",
                vector_entry_point="rangym.envs.core:SystemVectorEnv",
                kwargs={"system": system},
            )
