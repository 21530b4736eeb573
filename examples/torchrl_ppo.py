"""PPO of TorchRL: its wrapper, collector, advantage and loss on an environment of rangym, and the result in the table.

Takes 30 s. Needs TorchRL: pip install torchrl
"""

import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymEnv
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor

ENV_ID, SCENARIO = "rangym:rangym/CeflOrchestration-v0", "tiny"  # rounds of federated learning, 4 an episode

torch.set_num_threads(1)
torch.manual_seed(20_000)
env = GymEnv(ENV_ID, scenario=SCENARIO, flat=True, device="cpu")  # observation and action in [-1, 1]
env.set_seed(20_000)
inputs = env.observation_spec["observation"].shape[-1]


def network(outputs, *last):
    return nn.Sequential(nn.Linear(inputs, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, outputs), *last)


location = network(2 * env.action_spec.shape[-1], NormalParamExtractor())
actor = ProbabilisticActor(
    TensorDictModule(location, in_keys=["observation"], out_keys=["loc", "scale"]),
    in_keys=["loc", "scale"],
    distribution_class=TanhNormal,
    return_log_prob=True,
)
critic = ValueOperator(network(1), in_keys=["observation"])
advantage = GAE(gamma=0.9, lmbda=0.95, value_network=critic)
loss = ClipPPOLoss(actor, critic, entropy_coeff=1e-3)
optimizer = torch.optim.Adam(loss.parameters(), lr=1e-3)

for batch in Collector(env, actor, frames_per_batch=512, total_frames=8192):
    for _ in range(10):
        advantage(batch)
        for some in batch.reshape(-1)[torch.randperm(512)].split(128):
            found = loss(some)
            optimizer.zero_grad()
            (found["loss_objective"] + found["loss_critic"] + found["loss_entropy"]).backward()
            nn.utils.clip_grad_norm_(loss.parameters(), 0.5)
            optimizer.step()
    print(f"{batch['next', 'reward'].mean():.2f} per slot")


class Mean:
    """The middle of the actor's distribution, under the name that `Predictor` asks for."""

    @torch.no_grad()
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        middle, _ = location(torch.as_tensor(observation))
        return middle.tanh().numpy(), state


print(evaluate([Predictor(Mean(), name="mine", flat=True), "random"], Benchmark(ENV_ID, SCENARIO, range(10))))
