"""MaskablePPO of sb3-contrib: the environment's `action_masks` hide cells that a UE did not receive.

In the table a policy sees observations only, so the model gets masks that are made from what they say.
Takes 10 s. Needs the extra `rl`: pip install -e ".[rl]"
"""

import gymnasium as gym
import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_util import make_vec_env

from rangym.envs.flat import Flatten
from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CellAssociation-v0", "tiny"


class Masked:
    """The model with the masks of `CellAssociation`: cells above the floor, the best one, the serving one."""

    def __init__(self, model, space):
        self.model, self.flatten, self.floor_db = model, Flatten(space), space["sinr_db"].low.min()

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        sinr_db = observation["sinr_db"]
        seen = (sinr_db > self.floor_db) | (sinr_db == sinr_db.max(axis=1, keepdims=True))
        masks = seen | (observation["serving"] > 0)
        return self.model.predict(self.flatten(observation), action_masks=masks.ravel(), deterministic=deterministic)


if __name__ == "__main__":
    torch.set_num_threads(1)
    env = make_vec_env(ENV_ID, n_envs=16, seed=20_000, env_kwargs={"scenario": SCENARIO, "flat": True})
    model = MaskablePPO(
        "MlpPolicy", env, n_steps=40, batch_size=160, n_epochs=5, gamma=0.9, learning_rate=2e-3, seed=20_000
    )
    model.learn(10_240)
    mine = Predictor(Masked(model, gym.make(ENV_ID, scenario=SCENARIO).observation_space), name="mine")
    print(evaluate([mine, "random"], Benchmark(ENV_ID, SCENARIO, range(20))))
