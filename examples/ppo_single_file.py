"""PPO in one file, in CleanRL's style: the whole algorithm to read and to change, on native lanes, with torch alone.

The trained network meets rules and the bound in the table, through a `predict` of a few lines.
Takes 10 s. Needs torch: pip install torch
"""

from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
from torch import nn

from rangym.evaluation import Benchmark, evaluate
from rangym.policies import Predictor


@dataclass
class Args:
    env_id: str = "rangym:rangym/CellAssociation-v0"
    scenario: str = "tiny"
    seed: int = 20_000  # training begins here: below are the seeds of evaluation and tuning
    num_envs: int = 64
    num_steps: int = 20  # of each lane between updates: one episode
    iterations: int = 32
    epochs: int = 5  # passes over what was collected
    minibatches: int = 4
    learning_rate: float = 1e-3
    gamma: float = 0.9
    gae_lambda: float = 0.95
    clip: float = 0.2
    value_weight: float = 0.5
    max_grad_norm: float = 0.5


class Agent(nn.Module):
    def __init__(self, inputs, choices):
        super().__init__()
        self.choices = choices  # of each UE
        self.critic = self.network(inputs, 1, 1.0)
        self.actor = self.network(inputs, sum(choices), 0.01)

    def network(self, inputs, outputs, gain):
        sizes, layers = [(inputs, 64, 2**0.5), (64, 64, 2**0.5), (64, outputs, gain)], []
        for before, after, scale in sizes:
            linear = nn.Linear(before, after)
            nn.init.orthogonal_(linear.weight, scale)
            nn.init.zeros_(linear.bias)
            layers += [linear, nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    def value(self, seen):
        return self.critic(seen)[:, 0]

    def evaluate(self, seen, action=None):
        """Actions (sampled where none are given), their log-probabilities and the entropy, summed over the UEs."""
        each = [torch.distributions.Categorical(logits=part) for part in self.actor(seen).split(self.choices, dim=1)]
        action = torch.stack([one.sample() for one in each], dim=1) if action is None else action
        chance = sum(one.log_prob(action[:, i]) for i, one in enumerate(each))
        return action, chance, sum(one.entropy() for one in each)

    @torch.no_grad()
    def predict(self, observation, state=None, episode_start=None, deterministic=True):
        """The most likely action: what `Predictor` asks for."""
        logits = self.actor(torch.as_tensor(observation)).split(self.choices, dim=-1)
        return torch.stack([part.argmax(dim=-1) for part in logits], dim=-1).numpy(), state


def train(args):
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    kind = {"scenario": args.scenario, "flat": True, "autoreset_mode": "SameStep"}
    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, **kind)
    inputs, choices = envs.single_observation_space.shape[0], envs.single_action_space.nvec.tolist()
    agent = Agent(inputs, choices)
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = (args.num_steps, args.num_envs)
    seen, actions = torch.zeros(*shape, inputs), torch.zeros(*shape, len(choices), dtype=torch.long)
    chances, rewards, values, ends = (torch.zeros(shape) for _ in range(4))
    observation = torch.as_tensor(envs.reset(seed=args.seed)[0])
    for iteration in range(args.iterations):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - iteration / args.iterations)
        with torch.no_grad():
            for t in range(args.num_steps):
                seen[t], values[t] = observation, agent.value(observation)
                actions[t], chances[t], _ = agent.evaluate(observation)
                observation, reward, terminated, truncated, _ = envs.step(actions[t].numpy())
                observation, rewards[t] = torch.as_tensor(observation), torch.as_tensor(reward)
                ends[t] = torch.as_tensor(terminated | truncated)
            advantages, last, after = torch.zeros(shape), 0.0, agent.value(observation)
            for t in reversed(range(args.num_steps)):  # an episode ends after its last slot: nothing to bootstrap from
                going = 1.0 - ends[t]
                error = rewards[t] + args.gamma * going * after - values[t]
                advantages[t] = last = error + args.gamma * args.gae_lambda * going * last
                after = values[t]
        flat = [x.flatten(0, 1) for x in (seen, actions, chances, advantages, advantages + values)]
        for _ in range(args.epochs):
            for some in np.array_split(rng.permutation(args.num_steps * args.num_envs), args.minibatches):
                o, a, before, advantage, target = (x[some] for x in flat)
                _, chance, _ = agent.evaluate(o, a)
                ratio, advantage = (chance - before).exp(), (advantage - advantage.mean()) / advantage.std()
                gain = torch.min(ratio * advantage, ratio.clamp(1 - args.clip, 1 + args.clip) * advantage).mean()
                loss = args.value_weight * (agent.value(o) - target).square().mean() - gain
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
        if iteration % 8 == 7:
            print(f"after {(iteration + 1) * args.num_steps * args.num_envs} steps: {rewards.mean():.3f} per slot")
    return agent


if __name__ == "__main__":
    torch.set_num_threads(1)  # small networks are slower on more
    args = Args()
    mine = Predictor(train(args), name="mine", flat=True)
    print(evaluate([mine, "max_sinr", "random"], Benchmark(args.env_id, args.scenario, range(20))))
