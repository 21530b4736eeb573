"""Step an environment: what an observation holds, what a step gives, the same episode again, many lanes at once.

Takes 2 s. Needs rangym alone.
"""

import gymnasium as gym
import numpy as np

from rangym import policies

env = gym.make("rangym:rangym/CellAssociation-v0", scenario="small")  # 10 UEs, 6 cells, 200 slots of 1 s
observation, info = env.reset(seed=0)
for field, values in observation.items():
    print(f"{field:15} {values.shape!s:8} within [{values.min():.3g}, {values.max():.3g}]")

policy = policies.bind("a3:tuned", env)  # event A3 of 3GPP, with the options tuned for this scenario
state, ended, total = None, True, 0.0
for _ in range(env.unwrapped.system.horizon):
    action, state = policy.predict(observation, state, episode_start=ended)  # the cell of each UE
    observation, reward, terminated, truncated, info = env.step(action)
    ended, total = terminated or truncated, total + reward
print("terms of the last reward:", {name: round(float(value), 3) for name, value in info["terms"].items()})
print(f"a3:tuned: {total / 200:.3f} per slot")

# Chance does not depend on the actions, so that another policy can meet the very same episode.
trace, total = env.unwrapped.trace, 0.0
observation, info = env.reset(options={"trace": trace})
for _ in range(trace.horizon):
    observation, reward, *_ = env.step(observation["sinr_db"].argmax(axis=1))  # the strongest cell
    total += reward
print(f"strongest cell, same episode: {total / 200:.3f} per slot")

# Lane b of the vector environment is the single environment with seed s + b, bit for bit.
lanes = gym.make_vec("rangym:rangym/CellAssociation-v0", num_envs=64, scenario="small")
observations, infos = lanes.reset(seed=0)
_, rewards, *_ = lanes.step(observations["sinr_db"].argmax(axis=2))
env.reset(seed=63)
_, reward, *_ = env.step(observations["sinr_db"][63].argmax(axis=1))
print("64 lanes:", rewards.shape, "and lane 63 equals the environment of seed 63:", np.float64(reward) == rewards[63])
