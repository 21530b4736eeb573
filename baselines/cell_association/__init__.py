"""CellAssociation's agents: how each is trained, and their entries as policies. Only strings: nothing is imported."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

_SHARED = dict(
    n_steps=50,  # slots between updates: 16,000 transitions
    batch_size=2000,  # 8 batches a pass
    n_epochs=5,  # passes over them
    gamma=0.95,  # a handover pays back within some 20 slots
    gae_lambda=0.95,  # SB3's default
    ent_coef=0.0,  # SB3's default: the reward differs enough between cells
)
_FLAT = dict(
    n_steps=200,  # slots a lane between updates: one episode, 32 x 200 = 6400 transitions
    batch_size=1600,  # 4 batches a pass
    n_epochs=10,  # passes over them
    gamma=0.95,  # a handover pays back within some 20 slots
    gae_lambda=0.9,  # less noise than SB3's .95: ten UEs share one reward
    ent_coef=0.0,  # SB3's default
)

RECIPES: dict[str, Recipe] = {
    "ppo_shared": Recipe(
        name="ppo_shared",
        algorithm="PPO",
        policy="rangym.baselines.cell_association.per_ue:SharedPpo",
        env_id="rangym/CellAssociation-v0",
        scenario="small",
        num_envs=32,  # x 10 UEs = 320 learners
        total_steps=960_000,  # 60 updates, 15 episodes a lane; half a minute of one core, flat after half of it
        learning_rate=1e-3,  # large, since each batch holds many UEs
        hidden=(128, 128),
        kwargs=_SHARED,
    ),
    "ppo_place": Recipe(
        name="ppo_place",
        algorithm="PPO",
        policy="rangym.baselines.cell_association.per_place:PlacePpo",
        env_id="rangym/CellAssociation-v0",
        scenario="urban",
        num_envs=32,
        total_steps=960_000,
        learning_rate=1e-3,
        hidden=(128, 128),
        kwargs=_SHARED,
    ),
    "ppo_city": Recipe(
        name="ppo_city",
        algorithm="PPO",
        policy="rangym.baselines.cell_association.per_ue:CityPpo",
        env_id="rangym/CellAssociation-v0",
        scenario="munich",
        num_envs=8,  # x 40 UEs = 320 learners
        total_steps=480_000,  # 30 updates, 5 episodes a lane
        learning_rate=1e-3,
        hidden=(128, 128),
        kwargs=_SHARED,
    ),
    "ppo_flat": Recipe(
        name="ppo_flat",
        algorithm="PPO",
        policy="rangym.baselines.cell_association.per_ue:FlatPpo",
        env_id="rangym/CellAssociation-v0",
        scenario="small",
        num_envs=32,
        total_steps=256_000,  # 40 updates: about the CPU time of ppo_shared
        learning_rate=1e-3,
        hidden=(64, 64),
        kwargs=_FLAT,
    ),
    "ppo_maskable": Recipe(
        name="ppo_maskable",
        algorithm="MaskablePPO",
        policy="rangym.baselines.cell_association.per_ue:MaskablePpo",
        env_id="rangym/CellAssociation-v0",
        scenario="small",
        num_envs=32,
        total_steps=224_000,  # 35 updates: about the CPU time of ppo_shared, masks make a step dearer
        learning_rate=1e-3,
        hidden=(64, 64),
        kwargs=_FLAT,
    ),
}

AGENTS: dict[str, Entry] = {
    "ppo_shared": Entry(
        "rangym.baselines.cell_association.per_ue:SharedPpo",
        "PPO, one policy shared by all UEs; trained on small",
        "agent",
    ),
    "ppo_place": Entry(
        "rangym.baselines.cell_association.per_place:PlacePpo",
        "the same with a learned map's forecast; trained on urban",
        "agent",
    ),
    "ppo_city": Entry(
        "rangym.baselines.cell_association.per_ue:CityPpo",
        "PPO, one policy shared by all UEs; trained on munich",
        "agent",
    ),
    "ppo_flat": Entry(
        "rangym.baselines.cell_association.per_ue:FlatPpo", "PPO over all UEs at once; trained on small", "agent"
    ),
    "ppo_maskable": Entry(
        "rangym.baselines.cell_association.per_ue:MaskablePpo", "MaskablePPO over all UEs; trained on small", "agent"
    ),
}
