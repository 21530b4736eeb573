"""NomaAllocation's agents: how each is trained, and their entries as policies. Only strings: nothing is imported."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

_PAIRS = dict(
    n_steps=10,  # rounds a lane between updates
    n_epochs=8,  # passes over them
    gamma=0.0,  # rounds do not depend on one another
    clip_range=0.5,  # at SB3's .2 the standard deviation hardly falls in so few updates
    ent_coef=0.0,  # SB3's default
)

RECIPES: dict[str, Recipe] = {
    "ppo_pairs": Recipe(
        name="ppo_pairs",
        algorithm="PPO",
        policy="rangym.baselines.noma_allocation.pairs:PairsPpo",
        env_id="rangym/NomaAllocation-v0",
        scenario="small",
        num_envs=32,  # x 8 decisions x 18 pairs = 4608 learners
        total_steps=921_600,  # 20 updates: 10 s of one core
        learning_rate=3e-3,
        hidden=(32, 32),
        kwargs=dict(**_PAIRS, batch_size=4608),  # 10 batches a pass
        overrides={"action": "scores"},
    ),
    "ppo_pairs_tight": Recipe(
        name="ppo_pairs_tight",
        algorithm="PPO",
        policy="rangym.baselines.noma_allocation.pairs:PairsPpoTight",
        env_id="rangym/NomaAllocation-v0",
        scenario="tight",
        num_envs=8,  # x 8 decisions x 200 pairs = 12,800 learners
        total_steps=4_096_000,  # 32 updates: 35 s of one core
        learning_rate=3e-3,
        hidden=(32, 32),
        kwargs=dict(**_PAIRS, batch_size=12_800),  # 10 batches a pass
        overrides={"action": "scores"},
    ),
}

SCORES = {"action": "scores"}

AGENTS: dict[str, Entry] = {
    "ppo_pairs": Entry(
        "rangym.baselines.noma_allocation.pairs:PairsPpo",
        "PPO, one policy scores all pairs; trained on small",
        "agent",
        overrides=SCORES,
    ),
    "ppo_pairs_tight": Entry(
        "rangym.baselines.noma_allocation.pairs:PairsPpoTight",
        "PPO, one policy scores all pairs; trained on tight",
        "agent",
        overrides=SCORES,
    ),
}
