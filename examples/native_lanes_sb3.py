"""The native vector environment under stable-baselines3: one array program in place of a list of environments.

PPO learns from 64 lanes; then both kinds of lanes take the same random steps, so that their speeds can be compared.
Takes 10 s. Needs the extra `rl`: pip install -e ".[rl]"
"""

import time

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecMonitor

import rangym
from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CellAssociation-v0", "tiny"

torch.set_num_threads(1)
lanes = gym.make_vec(ENV_ID, num_envs=64, scenario=SCENARIO, flat=True, autoreset_mode="SameStep")
env = VecMonitor(rangym.Sb3VecEnv(lanes))
model = PPO("MlpPolicy", env, n_steps=20, batch_size=320, n_epochs=5, gamma=0.9, learning_rate=1e-3, seed=20_000)
model.learn(30_720)
print(evaluate([Predictor(model, name="mine", flat=True), "random"], Benchmark(ENV_ID, SCENARIO, range(20))))

listed = make_vec_env(ENV_ID, n_envs=64, seed=20_000, env_kwargs={"scenario": SCENARIO, "flat": True})
speed = {}
for name, vector in (("native lanes", env), ("a list of environments", listed)):
    vector.reset()
    start = time.perf_counter()
    for _ in range(40):  # two episodes, with the sampling of their traces
        vector.step(np.random.default_rng(0).integers(3, size=(64, 4)))
    speed[name] = 40 * 64 / (time.perf_counter() - start)
    print(f"{name}: {speed[name]:,.0f} steps/s")
