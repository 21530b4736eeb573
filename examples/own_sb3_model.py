"""A model of stable-baselines3, trained as usual, in the table beside rules and the bound.

Training starts at seed 20000: `make_vec_env(..., seed=0)` would learn the very traces that the table is made from.
Takes 10 s. Needs the extra `rl`: pip install -e ".[rl]"
"""

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CellAssociation-v0", "tiny"  # 4 UEs, 3 cells, 20 slots

torch.set_num_threads(1)  # small networks are slower on more
env = make_vec_env(ENV_ID, n_envs=16, seed=20_000, env_kwargs={"scenario": SCENARIO, "flat": True})
model = PPO(
    "MlpPolicy", env, n_steps=40, batch_size=160, n_epochs=5, gamma=0.9, learning_rate=2e-3, seed=20_000, device="cpu"
)
model.learn(10_240)

mine = Predictor(model, name="mine", flat=True)  # it saw the observation as one vector
print(evaluate([mine, "max_sinr", "lda", "random"], Benchmark(ENV_ID, SCENARIO, range(20))))
