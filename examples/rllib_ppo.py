"""PPO of RLlib on an environment of rangym, and the result in the table.

RLlib pins Gymnasium (1.2.2 at Ray 2.60), so it gets a virtual environment of its own, and no extra of ours brings it:

    python3 -m venv rllib && rllib/bin/pip install "ray[rllib]" torch==2.13.0 -e .
    rllib/bin/python examples/rllib_ppo.py

Takes 50 s. Needs RLlib: pip install "ray[rllib]"
"""

import gymnasium as gym
import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.tune.registry import register_env

from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CeflOrchestration-v0", "tiny"  # rounds of federated learning, 4 an episode

register_env("orchestration", lambda config: gym.make(ENV_ID, flat=True, **config))
config = (
    PPOConfig()
    .environment("orchestration", env_config={"scenario": SCENARIO})
    .env_runners(num_env_runners=0, num_envs_per_env_runner=8)
    .training(train_batch_size_per_learner=1024, minibatch_size=128, num_epochs=10, gamma=0.9, lr=1e-3)
    .debugging(seed=20_000)
)


class Mean:
    """The middle of the module's distribution, under the name that `Predictor` asks for."""

    def __init__(self, module):
        self.module = module

    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        with torch.no_grad():
            found = self.module.forward_inference({Columns.OBS: torch.as_tensor(observation)[None]})
        middle, _ = found[Columns.ACTION_DIST_INPUTS][0].chunk(2)
        return middle.clamp(-1, 1).numpy(), state


if __name__ == "__main__":
    algorithm = config.build_algo()
    for iteration in range(10):
        result = algorithm.train()
        print(f"{iteration}: {result['env_runners']['episode_return_mean'] / 4:.2f} per slot")
    mine = Predictor(Mean(algorithm.get_module()), name="mine", flat=True)
    print(evaluate([mine, "random"], Benchmark(ENV_ID, SCENARIO, range(10))))
    algorithm.stop()
    ray.shutdown()
