"""Many agents: every UE learns by itself which cells serve it well, through PettingZoo's parallel API.

Takes 3 s. Needs the extra `agents`. Each UE keeps a moving average of its own reward on each cell and mostly takes the
best of those that its mask allows: an epsilon-greedy bandit, beside UEs that choose at random.
"""

import numpy as np

import rangym

EXPLORE, STEP = 0.05, 0.2


def play(env, seed, explore, rng):
    """The shared reward per slot of an episode in which all UEs learn from their own."""
    _, infos = env.reset(seed=seed)
    value = {agent: np.zeros(env.action_space(agent).n) for agent in env.agents}  # UEs are elsewhere in each episode
    shared = []
    while env.agents:
        actions = {}
        for agent in env.agents:
            allowed = np.flatnonzero(infos[agent]["action_mask"])
            best = allowed[value[agent][allowed].argmax()]
            actions[agent] = rng.choice(allowed) if rng.random() < explore else best
        _, rewards, _, _, infos = env.step(actions)
        for agent, reward in rewards.items():
            value[agent][actions[agent]] += STEP * (reward - value[agent][actions[agent]])
        shared.append(sum(infos["ue_0"]["terms"].values()))
    return np.mean(shared)


rng = np.random.default_rng(0)
env = rangym.parallel_env("CellAssociation", scenario="small", reward="own")  # "shared": the same reward for all
print(f"{len(env.possible_agents)} agents; ue_0 sees {list(env.observation_space('ue_0'))}")
for name, explore in (("random", 1.0), ("learning", EXPLORE)):
    scores = [play(env, 20_000 + episode, explore, rng) for episode in range(5)]  # training starts at seed 20,000
    print(f"{name}: {np.mean(scores):.3f} per slot")
