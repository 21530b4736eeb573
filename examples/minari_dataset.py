"""A Minari data set of reference policies, for offline learning: written, read back, and scored as the tables are.

`ref_min_score` and `ref_max_score` are the returns of `random` and of the hindsight optimum on the evaluation seeds, so
that 0 and 1 mean what they mean in our tables. The recorded episodes are those of training seeds.
Takes 5 s. Needs Minari: pip install "minari[hdf5]"
"""

import os
import tempfile

import gymnasium as gym
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

from rangym import policies
from rangym.evaluation import Benchmark, evaluate

folder = tempfile.TemporaryDirectory()
os.environ["MINARI_DATASETS_PATH"] = folder.name  # leave this out to keep the data set in ~/.minari

ENV_ID, SCENARIO, NAME = "rangym:rangym/CellAssociation-v0", "tiny", "rangym/cell-association/mixed-v0"
WORDS = ["random", "max_sinr", "a3", "lda"]

env = gym.make(ENV_ID, scenario=SCENARIO)
horizon = env.unwrapped.system.horizon


def played(word, seed):
    """One episode in Minari's form: T + 1 observations, T of everything else; `env` is the single environment."""
    policy = policies.bind(word, env, rng=seed)
    observations, actions, rewards, state = [env.reset(seed=seed)[0]], [], [], None
    for _ in range(horizon):
        action, state = policy.predict(observations[-1], state)
        observation, reward, *_ = env.step(action)
        observations, actions, rewards = [*observations, observation], [*actions, action], [*rewards, reward]
    last = [t == horizon - 1 for t in range(horizon)]
    fields = {name: [one[name] for one in observations] for name in env.observation_space}
    never = [False] * horizon
    return EpisodeBuffer(
        seed=seed, observations=fields, actions=actions, rewards=rewards, terminations=never, truncations=last
    )


buffers = [played(word, seed) for word in WORDS for seed in range(20_000, 20_010)]
known = evaluate(["random", "hindsight"], Benchmark(ENV_ID, SCENARIO, range(20)))
low, high = (horizon * known.rewards(name).mean() for name in ("random", "hindsight"))
minari.create_dataset_from_buffers(
    NAME,
    buffers,
    env=env,
    algorithm_name=", ".join(WORDS),
    ref_min_score=low,
    ref_max_score=high,
    description="CellAssociation, scenario tiny: ten episodes of each of four policies.",
)

dataset = minari.load_dataset(NAME)
episodes = list(dataset.iterate_episodes())
returns = np.array([episode.rewards.sum() for episode in episodes])
print(f"{dataset.total_episodes} episodes, {dataset.total_steps} steps; 0 is a return of {low:.2f}, 1 of {high:.2f}")
score = minari.get_normalized_score(dataset, returns).reshape(len(WORDS), -1).mean(axis=1)
print("score:", dict(zip(WORDS, score.round(3).tolist(), strict=True)))

again = dataset.recover_environment()  # the same environment, from what the data set says of it
again.reset(seed=buffers[-1].seed)
same = [again.step(action)[1] for action in episodes[-1].actions] == episodes[-1].rewards.tolist()
print("its actions give the recorded rewards again:", same)
