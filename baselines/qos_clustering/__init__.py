"""QosClustering's agents: how each is trained, and their entries as policies. Only strings: nothing is imported."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

# Discount, gae_lambda and entropy are the best of six settings, tried with one agent each on the 32 tuning days from
# seed 10,000: gamma .9, .8, .6, .4 with lambda .9 and entropy .003; (.8, .5, .003); (.9, .9, .01). So for ppo_cells and
# for ppo_cells_flat; ppo_cells_large, tried with gamma .9 and .6 on 8 days, agrees with ppo_cells.
_CELLS = dict(
    n_steps=88,  # slots a lane between updates: one day
    batch_size=2112,  # 8 batches a pass
    n_epochs=5,  # passes over them
    gamma=0.6,  # little that a cell does touches its later slots, and what the others do is noise
    gae_lambda=0.9,  # less noise than SB3's .95
    ent_coef=0.003,  # heads differ little, so choices would settle too early
)

RECIPES: dict[str, Recipe] = {
    "ppo_cells": Recipe(
        name="ppo_cells",
        algorithm="PPO",
        policy="rangym.baselines.qos_clustering.per_cell:CellsPpo",
        env_id="rangym/QosClustering-v0",
        scenario="small",
        num_envs=16,  # x 12 cells = 192 learners: 16,896 transitions a day
        total_steps=675_840,  # 40 updates: 20 s of one core
        learning_rate=1e-3,
        hidden=(64, 64),
        kwargs=_CELLS,
        overrides={"day_pool": 64},
    ),
    "ppo_cells_large": Recipe(
        name="ppo_cells_large",
        algorithm="PPO",
        policy="rangym.baselines.qos_clustering.per_cell:CellsPpoLarge",
        env_id="rangym/QosClustering-v0",
        scenario="large",
        num_envs=2,  # x 100 cells = 200 learners: 17,600 transitions a day
        total_steps=704_000,  # 40 updates: 20 s of one core
        learning_rate=1e-3,
        hidden=(64, 64),
        kwargs=_CELLS,
        overrides={"day_pool": 32},
    ),
    "ppo_cells_flat": Recipe(
        name="ppo_cells_flat",
        algorithm="PPO",
        policy="rangym.baselines.qos_clustering.per_cell:FlatCellsPpo",
        env_id="rangym/QosClustering-v0",
        scenario="small",
        num_envs=16,
        total_steps=78_848,  # 56 updates: the CPU time of ppo_cells
        learning_rate=1e-3,
        hidden=(64, 64),
        kwargs={**_CELLS, "gamma": 0.4, "batch_size": 352},  # 4 batches a pass over 1408 transitions
        overrides={"day_pool": 64},
    ),
}

AGENTS: dict[str, Entry] = {
    "ppo_cells": Entry(
        "rangym.baselines.qos_clustering.per_cell:CellsPpo",
        "PPO, one policy shared by all cells; trained on small",
        "agent",
    ),
    "ppo_cells_large": Entry(
        "rangym.baselines.qos_clustering.per_cell:CellsPpoLarge", "the same; trained on large", "agent"
    ),
    "ppo_cells_flat": Entry(
        "rangym.baselines.qos_clustering.per_cell:FlatCellsPpo", "PPO over all cells at once; trained on small", "agent"
    ),
}
