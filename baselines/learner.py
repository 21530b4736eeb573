"""The training loop around stable-baselines3."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import io
import json
import shlex
import sys
import time
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import rich  # noqa: F401  (SB3 needs these three only once it has started: better to miss them now)
import tensorboard  # noqa: F401
import torch
import tqdm  # noqa: F401
from gymnasium.vector import AutoresetMode
from sb3_contrib import MaskablePPO
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from rangym.baselines.agent import Network, TrainedAgent, save_agents
from rangym.baselines.policy import Sb3Policy, policy_class
from rangym.baselines.pooled_network import PooledActorCritic
from rangym.baselines.recipe import Recipe
from rangym.baselines.vec_adapter import Sb3VecEnv
from rangym.envs.core import SystemVectorEnv
from rangym.envs.errors import WrongType, WrongValue
from rangym.envs.files import sole_user, write_whole
from rangym.envs.registration import problem
from rangym.evaluation.episode import Episode, make_env
from rangym.evaluation.protocol import TUNING_SEEDS, training_seeds

ALGORITHMS: dict[str, Any] = {"PPO": PPO, "MaskablePPO": MaskablePPO, "SAC": SAC}
ACTIVATIONS: dict[type, str] = {torch.nn.Tanh: "tanh", torch.nn.ReLU: "relu"}
CURVE_SEEDS = TUNING_SEEDS[:8]  # training never looks at an evaluation trace
CURVE_POINTS = 20
CHECKPOINT_UPDATES = 10
TRAINING_ONLY = {"day_pool"}
"""Overrides that say from what an agent learns, not what it has to do: its curve is measured without them."""


@dataclasses.dataclass(frozen=True)
class LinearDecay:
    """SB3's schedule: from ``start`` at remaining progress 1 to zero at 0. A class, so that checkpoints are small."""

    start: float

    def __call__(self, remaining: float) -> float:
        return self.start * remaining


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread, since the networks are small and more threads are slower; afterwards as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Learner:
    """One training run in one folder."""

    def __init__(self, recipe: Recipe, seed: int, out: Path, resume: bool):
        self.recipe, self.seed, self.out = recipe, seed, out
        self.policy_class = policy_class(recipe.name)
        self._checkpoint, self._progress = out / "checkpoint.zip", out / "progress.json"
        self.identity = {"recipe": json.loads(json.dumps(dataclasses.asdict(recipe))), "agent": seed}
        self.curve: list[dict[str, float]] = []
        self.commands: list[str] = []
        if resume:
            self._read_progress()
        elif self._progress.exists() or (out / "agent.npz").exists():
            raise WrongValue(f"{out} holds a run already: resume it or name another folder")
        self.commands.append(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
        starts = len(self.commands) - 1  # a resumed run goes on with traces it has not seen
        self.seeds = training_seeds(seed)[recipe.num_envs * starts :][: recipe.num_envs]
        if len(self.seeds) < recipe.num_envs:
            raise WrongValue(f"{out}: {starts} resumptions leave no training seeds to agent {seed}")

    def _read_progress(self) -> None:
        if not (self._checkpoint.exists() and self._progress.exists()):
            raise WrongValue(f"{self.out} holds no checkpoint to resume from")
        try:
            past = json.loads(self._progress.read_text(encoding="utf-8"))
            identity, self.curve, self.commands = past["identity"], list(past["curve"]), list(past["commands"])
        except (ValueError, KeyError, TypeError) as error:
            wrong = f"{type(error).__name__}: {error}"
            raise WrongValue(f"{self._progress}: what this command keeps wanted, got {wrong}") from error
        if identity != self.identity:
            raise WrongValue(f"{self.out} holds another run: {identity} wanted, got {self.identity}")

    @one_thread()
    def run(self, progress: bool) -> Path:
        self.out.mkdir(parents=True, exist_ok=True)
        with sole_user(self.out):
            return self._train(progress)

    def _train(self, progress: bool) -> Path:
        recipe = self.recipe
        base = SystemVectorEnv(
            problem(recipe.env_id).system,
            recipe.num_envs,
            recipe.scenario,
            autoreset_mode=AutoresetMode.SAME_STEP,
            **recipe.overrides,
        )
        self.constants = self.policy_class.constants(base)
        env = VecMonitor(Sb3VecEnv(self.policy_class.view(base)))
        algorithm = ALGORITHMS[recipe.algorithm]
        if self.curve:  # of a run to go on with
            try:
                self.model = algorithm.load(self._checkpoint, env=env, device="cpu")
            except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
                raise WrongValue(
                    f"{self._checkpoint}: a whole checkpoint of this command wanted, got {error}"
                ) from error
            self.model.set_random_seed(self.seeds[0])
            self.curve = [point for point in self.curve if point["steps"] <= self.model.num_timesteps]
        else:
            kwargs: dict[str, Any] = dict(recipe.kwargs)
            network = {"net_arch": list(recipe.hidden), **kwargs.pop("policy_kwargs", {})}
            self.model = algorithm(
                self._network(),
                env,
                learning_rate=LinearDecay(recipe.learning_rate),
                policy_kwargs=network,  # tanh between, or SAC's ReLU: SB3's defaults
                tensorboard_log=str(self.out / "tensorboard"),
                seed=self.seeds[0],
                device="cpu",
                **kwargs,
            )
        self._clock = time.process_time() - (self.curve[-1]["seconds"] if self.curve else 0.0)
        remaining = recipe.total_steps - self.model.num_timesteps
        if remaining > 0:
            self.model.learn(remaining, _Keeper(self), progress_bar=progress, reset_num_timesteps=False)
        self.measure()
        self.save_checkpoint()
        env.close()
        return save_agents(self.out / "agent.npz", [self.export()])

    def _network(self) -> str | type[PooledActorCritic]:
        module, colon, name = self.policy_class.network.partition(":")
        return getattr(importlib.import_module(module), name) if colon else module

    def export(self) -> TrainedAgent:
        """The actor as it is now."""
        names = ("rangym", "stable-baselines3", "sb3-contrib", "torch", "gymnasium", "numpy")
        config = {
            **self.identity,
            "training_seeds": [self.seeds[0], self.seeds[-1]],
            "constants": self.constants,
            "steps": self.model.num_timesteps,
            "commands": self.commands,
            "versions": {name: version(name) for name in names},
            "curve": self.curve,
        }
        return TrainedAgent(actor(self.model), config)

    def measure(self) -> None:
        """Add a point to the curve; seconds are CPU time of training alone."""
        if self.curve and self.curve[-1]["steps"] == self.model.num_timesteps:
            return
        seconds = time.process_time() - self._clock
        reward = mean_reward(self.policy_class(self.export()), self.recipe, CURVE_SEEDS)
        self._clock = time.process_time() - seconds
        self.curve.append({"steps": self.model.num_timesteps, "seconds": round(seconds, 2), "reward": round(reward, 5)})
        self.model.logger.record("curve/reward_per_slot", reward)

    def save_checkpoint(self) -> None:
        """Replace the files, each whole: a kill leaves old or new, and a new model goes on with either curve."""
        buffer = io.BytesIO()
        self.model.save(buffer)
        content = {"identity": self.identity, "curve": self.curve, "commands": self.commands}
        write_whole(self._checkpoint, buffer.getvalue())
        write_whole(self._progress, json.dumps(content).encode())


class _Keeper(BaseCallback):
    """Measures and saves before an update's first step, when the model is whole."""

    def __init__(self, learner: Learner):
        super().__init__()
        self._learner, self._updates = learner, 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        learner = self._learner
        due = learner.recipe.total_steps * len(learner.curve) / CURVE_POINTS
        if learner.model.num_timesteps >= due:
            learner.measure()
        if self._updates % CHECKPOINT_UPDATES == 0:
            learner.save_checkpoint()
        self._updates += 1


def actor(model: PPO | MaskablePPO | SAC) -> Network:
    """The actor of an SB3 model with an MLP policy or `PooledActorCritic`, as arrays; of SAC without its last tanh."""
    policy: Any = model.policy
    if isinstance(policy, PooledActorCritic):
        return policy.export()
    if isinstance(model, SAC):
        parts = [*policy.actor.latent_pi, policy.actor.mu]
    else:
        parts = [*policy.mlp_extractor.policy_net, policy.action_net]
    linear = [part for part in parts if isinstance(part, torch.nn.Linear)]
    others = {type(part) for part in parts} - {torch.nn.Linear}
    if len(others) != 1 or not others <= ACTIVATIONS.keys():
        raise WrongType(f"actor: linear layers with tanh or ReLU between wanted, got {parts}")
    layers = [(part.weight.detach().numpy().T.copy(), part.bias.detach().numpy().copy()) for part in linear]
    return Network(layers, ACTIVATIONS[others.pop()])


def mean_reward(policy: Sb3Policy, recipe: Recipe, seeds: Sequence[int]) -> float:
    """The environment's reward per slot, mean over the episodes of ``seeds``."""
    overrides = {name: value for name, value in recipe.overrides.items() if name not in TRAINING_ONLY}
    env = make_env(recipe.env_id, recipe.scenario, overrides)
    episodes = (Episode(env, policy, np.random.default_rng(seed), seed=seed) for seed in seeds)
    return float(np.mean([step.reward for episode in episodes for step in episode]))
