"""NodePlacement's agents: how each is trained, and their entries as policies. Only strings: nothing is imported."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

_NODES = dict(
    n_steps=64,  # slots a lane between updates: 64 x 64 = 4096 transitions
    batch_size=1024,  # 4 batches a pass
    n_epochs=4,  # passes over them
    gamma=0.95,  # a node needs some 20 slots to where it should be
    gae_lambda=0.95,  # SB3's default
    ent_coef=0.0,  # SB3's default
)

RECIPES: dict[str, Recipe] = {
    "ppo_tracking": Recipe(
        name="ppo_tracking",
        algorithm="PPO",
        policy="rangym.baselines.node_placement.per_node:TrackingPpo",
        env_id="rangym/NodePlacement-v0",
        scenario="small",
        num_envs=64,
        total_steps=245_760,  # 60 updates: 35 s of one core
        learning_rate=8e-4,
        hidden=(64, 64),
        kwargs=_NODES,
    ),
    "ppo_tracking_drift": Recipe(
        name="ppo_tracking_drift",
        algorithm="PPO",
        policy="rangym.baselines.node_placement.per_node:TrackingPpoDrift",
        env_id="rangym/NodePlacement-v0",
        scenario="drift",
        num_envs=64,
        total_steps=245_760,  # 60 updates: 90 s of one core
        learning_rate=8e-4,
        hidden=(64, 64),
        kwargs=_NODES,
    ),
    "ppo_direct": Recipe(
        name="ppo_direct",
        algorithm="PPO",
        policy="rangym.baselines.node_placement.per_node:DirectPpo",
        env_id="rangym/NodePlacement-v0",
        scenario="small",
        num_envs=64,
        total_steps=245_760,  # 60 updates, as ppo_tracking
        learning_rate=8e-4,
        hidden=(64, 64),
        kwargs=_NODES,
    ),
    "ppo_plain": Recipe(
        name="ppo_plain",
        algorithm="PPO",
        policy="rangym.baselines.node_placement.per_node:FlatNodesPpo",
        env_id="rangym/NodePlacement-v0",
        scenario="small",
        num_envs=64,
        total_steps=655_360,  # 160 updates: about the CPU time of ppo_tracking
        learning_rate=8e-4,
        hidden=(64, 64),
        kwargs=_NODES,
    ),
    "sac_plain": Recipe(
        name="sac_plain",
        algorithm="SAC",
        policy="rangym.baselines.node_placement.per_node:FlatNodesSac",
        env_id="rangym/NodePlacement-v0",
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
}

AGENTS: dict[str, Entry] = {
    "ppo_tracking": Entry(
        "rangym.baselines.node_placement.per_node:TrackingPpo",
        "PPO correcting K-means, one policy shared by nodes; small",
        "agent",
        "model",
    ),
    "ppo_tracking_drift": Entry(
        "rangym.baselines.node_placement.per_node:TrackingPpoDrift", "the same; trained on drift", "agent", "model"
    ),
    "ppo_direct": Entry(
        "rangym.baselines.node_placement.per_node:DirectPpo",
        "the same without K-means; trained on small",
        "agent",
        "model",
    ),
    "ppo_plain": Entry(
        "rangym.baselines.node_placement.per_node:FlatNodesPpo",
        "PPO over the flat observation; trained on small",
        "agent",
    ),
    "sac_plain": Entry(
        "rangym.baselines.node_placement.per_node:FlatNodesSac",
        "SAC over the flat observation; trained on small",
        "agent",
    ),
}
