"""MaskablePPO of sb3-contrib: the environment's `action_masks` hide cells that a UE did not receive.

In the table a policy sees observations only, so it makes the masks from what they say.
Takes 20 s. Needs the extra `rl`: pip install -e ".[rl]"
"""

from dataclasses import dataclass

import torch
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_util import make_vec_env

from rangym.baselines.spaces import FlattenObservation
from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CellAssociation-v0", "tiny"


@dataclass(eq=False)
class Masked(Predictor):
    """The model with the masks of `CellAssociation.action_masks`: cells above the floor, the best, the serving one."""

    def act(self, observation):
        sinr_db = observation["sinr_db"]
        seen = (sinr_db > sinr_db.min()) | (sinr_db == sinr_db.max(axis=1, keepdims=True))
        seen |= observation["serving"] > 0
        return self.model.predict(self._flatten(observation), action_masks=seen.ravel(), deterministic=True)[0]


if __name__ == "__main__":
    torch.set_num_threads(1)
    kind = {"env_kwargs": {"scenario": SCENARIO}, "wrapper_class": FlattenObservation}
    env = make_vec_env(ENV_ID, n_envs=16, seed=20_000, **kind)
    model = MaskablePPO("MlpPolicy", env, n_steps=40, batch_size=160, gamma=0.9, learning_rate=1e-3, seed=20_000)
    model.learn(20_480)
    print(evaluate([Masked(model, name="mine", flat=True), "random"], Benchmark(ENV_ID, SCENARIO, range(20))))
