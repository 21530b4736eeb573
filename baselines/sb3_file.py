"""A model file of stable-baselines3 as a policy: ``sb3:file=MODEL.zip``."""

from __future__ import annotations

import importlib
import json
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import MissingExtra, WrongValue
from rangym.envs.params import ranged
from rangym.policies.base import Observation, Policy, Task
from rangym.policies.predictor import Predictor

ALGORITHMS = {
    "PPO": "stable_baselines3",
    "A2C": "stable_baselines3",
    "DQN": "stable_baselines3",
    "SAC": "stable_baselines3",
    "TD3": "stable_baselines3",
    "MaskablePPO": "sb3_contrib",
    "RecurrentPPO": "sb3_contrib",
}
WARNING = "is read by stable-baselines3, which unpickles it: such a file is code, so take files of your own only"


@dataclass(eq=False)
class Sb3File(Policy):
    """A model that ``model.save(file)`` wrote, as `Predictor` plays it. Reading such a file runs code in it.

    Parameters
    ----------
    file : the .zip file.
    algorithm : its class in stable-baselines3 or sb3-contrib.
    action : the action coding it was trained with, where the environment has several.
    """

    file: str = ranged("", kind=str)
    algorithm: str = ranged("PPO", words=tuple(ALGORITHMS))
    action: str | None = ranged(None, kind=str, optional=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not zipfile.is_zipfile(self.file):
            raise WrongValue(f"file: a .zip file written by a model's save() wanted, got {self.file!r}")
        if self.action is not None:
            self.overrides: Mapping[str, object] = {"action": self.action}
        self._player: Predictor | None = None

    def data_files(self) -> Sequence[Path]:
        return (Path(self.file),)

    def reset(self, task: Task, rng: np.random.Generator) -> None:
        if self._player is None:
            self._player = Predictor(self._model(), flat=self._is_flat())
        self._player.reset(task, rng)

    def act(self, observation: Observation) -> NDArray:
        if self._player is None:
            raise RuntimeError("act() was called before reset()")
        return self._player.act(observation)

    def _model(self):
        warnings.warn(f"{self.file} {WARNING}", stacklevel=2)
        try:
            module = importlib.import_module(ALGORITHMS[self.algorithm])
        except ImportError as error:
            raise MissingExtra(f"sb3: {error.name} is missing: pip install 'rangym[rl]'") from error
        return getattr(module, self.algorithm).load(self.file, device="cpu")

    def _is_flat(self) -> bool:
        """Whether the model was trained on one vector: its spaces are in the file's JSON part."""
        with zipfile.ZipFile(self.file) as archive:
            described = json.loads(archive.read("data"))
        return "Dict" not in described["observation_space"][":type:"]
