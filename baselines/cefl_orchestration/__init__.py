"""CeflOrchestration's agents: how each is trained, and their entries as policies. Only strings: nothing is imported."""

from rangym.baselines.recipe import Recipe
from rangym.policies.registry import Entry

COMPACT = {"action": "compact"}
_ROUNDS = dict(
    n_steps=20,  # slots a lane between updates: one episode, 128 x 20 = 2560 transitions
    batch_size=640,  # 4 batches a pass
    n_epochs=5,  # passes over them
    ent_coef=0.0,  # SB3's default
    policy_kwargs=dict(log_std_init=-0.7),  # half of SB3's standard deviation, at which a third of the noise is clipped
)
_MYOPIC = dict(**_ROUNDS, gamma=0.0)  # rounds do not depend on one another, or are taken so

RECIPES: dict[str, Recipe] = {
    "ppo_rounds": Recipe(
        name="ppo_rounds",
        algorithm="PPO",
        policy="rangym.baselines.cefl_orchestration.rounds:RoundsPpo",
        env_id="rangym/CeflOrchestration-v0",
        scenario="small",
        num_envs=128,
        total_steps=204_800,  # 80 updates: 10 s of one core
        learning_rate=3e-3,
        hidden=(64, 64),
        kwargs=_MYOPIC,
        overrides=COMPACT,
    ),
    "ppo_constant": Recipe(
        name="ppo_constant",
        algorithm="PPO",
        policy="rangym.baselines.cefl_orchestration.correction:CorrectingPpo",
        env_id="rangym/CeflOrchestration-v0",
        scenario="small",
        num_envs=128,
        total_steps=204_800,  # as ppo_rounds
        learning_rate=3e-3,
        hidden=(64, 64),
        kwargs=_MYOPIC,
        overrides=COMPACT,
    ),
    "sac_rounds": Recipe(
        name="sac_rounds",
        algorithm="SAC",
        policy="rangym.baselines.cefl_orchestration.rounds:RoundsSac",
        env_id="rangym/CeflOrchestration-v0",
        scenario="small",
        num_envs=64,
        total_steps=40_960,  # 40 updates: 23 s of one core
        learning_rate=2e-3,
        hidden=(64, 64),
        kwargs=dict(
            train_freq=16,  # slots a lane between updates: 1024 transitions
            gradient_steps=96,  # batches then
            batch_size=256,  # SB3's default
            buffer_size=40_960,  # all of the run
            learning_starts=2048,  # random actions at first
            gamma=0.0,  # as above
            ent_coef="auto_0.05",  # starts at .05, since rewards differ by some tenths
            target_entropy=-90.0,  # two nats an entry of the action; SB3 takes one, which is more noise
        ),
        overrides=COMPACT,
    ),
    "ppo_gap": Recipe(
        name="ppo_gap",
        algorithm="PPO",
        policy="rangym.baselines.cefl_orchestration.rounds:GapPpo",
        env_id="rangym/CeflOrchestration-v0",
        scenario="small_gap",
        num_envs=128,
        total_steps=614_400,  # 240 updates: half a minute of one core
        learning_rate=2e-3,
        hidden=(64, 64),
        kwargs=dict(**_ROUNDS, gamma=0.9),
        overrides=COMPACT,
    ),
    "ppo_gap_myopic": Recipe(
        name="ppo_gap_myopic",
        algorithm="PPO",
        policy="rangym.baselines.cefl_orchestration.rounds:MyopicGapPpo",
        env_id="rangym/CeflOrchestration-v0",
        scenario="small_gap",
        num_envs=128,
        total_steps=614_400,  # as ppo_gap
        learning_rate=2e-3,
        hidden=(64, 64),
        kwargs=_MYOPIC,
        overrides=COMPACT,
    ),
}

AGENTS: dict[str, Entry] = {
    "ppo_rounds": Entry(
        "rangym.baselines.cefl_orchestration.rounds:RoundsPpo",
        "PPO over the flat observation; trained on small",
        "agent",
        overrides=COMPACT,
    ),
    "ppo_constant": Entry(
        "rangym.baselines.cefl_orchestration.correction:CorrectingPpo",
        "PPO that adds to the tuned constant action; trained on small",
        "agent",
        overrides=COMPACT,
    ),
    "sac_rounds": Entry(
        "rangym.baselines.cefl_orchestration.rounds:RoundsSac",
        "SAC over the flat observation; trained on small",
        "agent",
        overrides=COMPACT,
    ),
    "ppo_gap": Entry(
        "rangym.baselines.cefl_orchestration.rounds:GapPpo",
        "PPO with a discount; trained on small_gap",
        "agent",
        overrides=COMPACT,
    ),
    "ppo_gap_myopic": Entry(
        "rangym.baselines.cefl_orchestration.rounds:MyopicGapPpo",
        "the same with discount 0",
        "agent",
        overrides=COMPACT,
    ),
}
