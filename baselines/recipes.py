"""How each agent is trained: typed, one line a hyperparameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that, with a seed, defines a training run.

    Attributes
    ----------
    name : its key in `RECIPES`; the policy that plays its agents has the same name in the policy registry.
    algorithm : ``PPO``, ``SAC`` (stable-baselines3) or ``MaskablePPO`` (sb3-contrib).
    policy : ``"module:Class"`` of the `Sb3Policy` that gives the view that learns and plays the result.
    env_id, scenario, overrides : the environment.
    num_envs : lanes that run side by side.
    total_steps : decisions of all learners together; a lane counts once a slot, or once a slot and UE where UEs share
        a policy.
    learning_rate : at the start; it falls linearly to zero at ``total_steps``.
    hidden : widths of the actor's and of the critic's hidden layers, with tanh between (SAC: ReLU).
    kwargs : further arguments of the algorithm.
    """

    name: str
    algorithm: str
    policy: str
    env_id: str
    scenario: str
    num_envs: int
    total_steps: int
    learning_rate: float
    hidden: tuple[int, ...]
    kwargs: Mapping[str, Any]
    overrides: Mapping[str, Any] = field(default_factory=dict)


_NOMA = "rangym/NomaAllocation-v0"
_NOMA_POLICIES = "rangym.baselines.noma_allocation.pairs:"

_PAIRS = dict(
    n_steps=10,  # rounds a lane between updates
    n_epochs=8,  # passes over them
    gamma=0.0,  # rounds do not depend on one another
    clip_range=0.5,  # at SB3's .2 the standard deviation hardly falls in so few updates
    ent_coef=0.0,  # SB3's default
)

_CELL = "rangym/CellAssociation-v0"
_CELL_POLICIES = "rangym.baselines.cell_association.per_ue:"

_FLAT = dict(
    n_steps=200,  # slots a lane between updates: one episode, 32 x 200 = 6400 transitions
    batch_size=1600,  # 4 batches a pass
    n_epochs=10,  # passes over them
    gamma=0.95,  # a handover pays back within some 20 slots
    gae_lambda=0.9,  # less noise than SB3's .95: ten UEs share one reward
    ent_coef=0.0,  # SB3's default
)

_NODE = "rangym/NodePlacement-v0"
_NODE_POLICIES = "rangym.baselines.node_placement.per_node:"

_NODES = dict(
    n_steps=64,  # slots a lane between updates: 64 x 64 = 4096 transitions
    batch_size=1024,  # 4 batches a pass
    n_epochs=4,  # passes over them
    gamma=0.95,  # a node needs some 20 slots to where it should be
    gae_lambda=0.95,  # SB3's default
    ent_coef=0.0,  # SB3's default
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="ppo_pairs",
            algorithm="PPO",
            policy=_NOMA_POLICIES + "PairsPpo",
            env_id=_NOMA,
            scenario="small",
            num_envs=32,  # x 8 decisions x 18 pairs = 4608 learners
            total_steps=921_600,  # 20 updates: 10 s of one core
            learning_rate=3e-3,
            hidden=(32, 32),
            kwargs=dict(**_PAIRS, batch_size=4608),  # 10 batches a pass
            overrides={"action": "scores"},
        ),
        Recipe(
            name="ppo_pairs_tight",
            algorithm="PPO",
            policy=_NOMA_POLICIES + "PairsPpoTight",
            env_id=_NOMA,
            scenario="tight",
            num_envs=8,  # x 8 decisions x 200 pairs = 12,800 learners
            total_steps=4_096_000,  # 32 updates: 35 s of one core
            learning_rate=3e-3,
            hidden=(32, 32),
            kwargs=dict(**_PAIRS, batch_size=12_800),  # 10 batches a pass
            overrides={"action": "scores"},
        ),
        Recipe(
            name="ppo_shared",
            algorithm="PPO",
            policy=_CELL_POLICIES + "SharedPpo",
            env_id=_CELL,
            scenario="small",
            num_envs=32,  # x 10 UEs = 320 learners
            total_steps=960_000,  # 60 updates, 15 episodes a lane; half a minute of one core, flat after half of it
            learning_rate=1e-3,  # large, since each batch holds many UEs
            hidden=(128, 128),
            kwargs=dict(
                n_steps=50,  # slots between updates: 16,000 transitions
                batch_size=2000,  # 8 batches a pass
                n_epochs=5,  # passes over them
                gamma=0.95,  # a handover pays back within some 20 slots
                gae_lambda=0.95,  # SB3's default
                ent_coef=0.0,  # SB3's default: the reward differs enough between cells
            ),
        ),
        Recipe(
            name="ppo_flat",
            algorithm="PPO",
            policy=_CELL_POLICIES + "FlatPpo",
            env_id=_CELL,
            scenario="small",
            num_envs=32,
            total_steps=256_000,  # 40 updates: about the CPU time of ppo_shared
            learning_rate=1e-3,
            hidden=(64, 64),
            kwargs=_FLAT,
        ),
        Recipe(
            name="ppo_maskable",
            algorithm="MaskablePPO",
            policy=_CELL_POLICIES + "MaskablePpo",
            env_id=_CELL,
            scenario="small",
            num_envs=32,
            total_steps=224_000,  # 35 updates: about the CPU time of ppo_shared, masks make a step dearer
            learning_rate=1e-3,
            hidden=(64, 64),
            kwargs=_FLAT,
        ),
        Recipe(
            name="ppo_tracking",
            algorithm="PPO",
            policy=_NODE_POLICIES + "TrackingPpo",
            env_id=_NODE,
            scenario="small",
            num_envs=64,
            total_steps=245_760,  # 60 updates: 35 s of one core
            learning_rate=8e-4,
            hidden=(64, 64),
            kwargs=_NODES,
        ),
        Recipe(
            name="ppo_tracking_drift",
            algorithm="PPO",
            policy=_NODE_POLICIES + "TrackingPpoDrift",
            env_id=_NODE,
            scenario="drift",
            num_envs=64,
            total_steps=245_760,  # 60 updates: 90 s of one core
            learning_rate=8e-4,
            hidden=(64, 64),
            kwargs=_NODES,
        ),
        Recipe(
            name="ppo_direct",
            algorithm="PPO",
            policy=_NODE_POLICIES + "DirectPpo",
            env_id=_NODE,
            scenario="small",
            num_envs=64,
            total_steps=245_760,  # 60 updates, as ppo_tracking
            learning_rate=8e-4,
            hidden=(64, 64),
            kwargs=_NODES,
        ),
        Recipe(
            name="ppo_plain",
            algorithm="PPO",
            policy=_NODE_POLICIES + "FlatNodesPpo",
            env_id=_NODE,
            scenario="small",
            num_envs=64,
            total_steps=655_360,  # 160 updates: about the CPU time of ppo_tracking
            learning_rate=8e-4,
            hidden=(64, 64),
            kwargs=_NODES,
        ),
        Recipe(
            name="sac_plain",
            algorithm="SAC",
            policy=_NODE_POLICIES + "FlatNodesSac",
            env_id=_NODE,
            scenario="small",
            num_envs=16,
            total_steps=49_152,  # 48 updates: about the CPU time of ppo_tracking
            learning_rate=8e-4,
            hidden=(64, 64),
            kwargs=dict(
                train_freq=64,  # slots a lane between updates: 1024 transitions
                gradient_steps=128,  # batches then
                batch_size=256,  # SB3's default
                buffer_size=49_152,  # all of the run
                learning_starts=2048,  # random actions at first
                gamma=0.95,  # as above
            ),
        ),
    )
}
