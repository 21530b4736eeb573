"""Pre-training of the predictors of QosClustering: a small network in torch, then libraries of heads without it."""

from __future__ import annotations

import dataclasses
import io
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from rangym.envs.errors import WrongValue
from rangym.envs.files import write_whole
from rangym.envs.learning.gaussians import encode
from rangym.envs.params import check, nearest, ranged
from rangym.envs.qos_clustering.calibration import (
    HISTORY,
    LABEL_DELAY,
    PRETRAINING_DAYS,
    VALIDATION_DAY,
    calibrated,
    whitened,
)
from rangym.envs.qos_clustering.days import history_day
from rangym.envs.qos_clustering.imported import predictor_for
from rangym.envs.qos_clustering.params import FITTED
from rangym.envs.qos_clustering.predictor import Base, Predictor, inputs_of
from rangym.envs.qos_clustering.recorded_days import load_days
from rangym.envs.qos_clustering.recorded_predictor import scale_of, training_rows, with_libraries

VALIDATION_SHARE = 0.2
"""Of the first half of recorded days, its last periods."""


@dataclass(frozen=True, kw_only=True)
class PretrainingRecipe:
    """A network and how it is trained.

    Attributes
    ----------
    name : of the predictor.
    hidden : widths of the hidden layers.
    skip : the z-scored inputs are features of the head too.
    epochs, learning_rate, batch, dropout : Adam on the mean squared error of z-scored targets.
    seed : of the initial weights, the order of rows and dropout.
    """

    name: str
    hidden: tuple[int, ...] = ranged((64, 64, 32), low=1, length=0)
    skip: bool = ranged(True)
    epochs: int = ranged(6, low=1)
    learning_rate: float = ranged(2e-3, above=0)
    batch: int = ranged(128, low=1)
    dropout: float = ranged(0.0, low=0, below=1)
    seed: int = ranged(0, low=0, limit=2**63)

    def __post_init__(self) -> None:
        check(self)


RECIPES: Mapping[str, PretrainingRecipe] = {
    "small": PretrainingRecipe(name="small"),
    # Five epochs: the validation loss is least there and rises from then on, 0.68 to 0.74 by the twentieth, when the
    # network knows its four days by heart and a library on its features no longer finds the concepts.
    "paper": PretrainingRecipe(
        name="paper", hidden=(256, 256, 128), skip=False, epochs=5, learning_rate=1e-3, batch=32, dropout=0.2
    ),
}


@dataclass(frozen=True)
class Rows:
    """Inputs (R, 22) and coded targets (R, 9) of history days, float32."""

    inputs: NDArray
    targets: NDArray

    @staticmethod
    def of(days: list[int]) -> Rows:
        """Every sampled row whose label exists, with the Gaussian of its cell `LABEL_DELAY` periods later."""
        inputs, targets = [], []
        for number in days:
            day = history_day(HISTORY, number)
            rows = inputs_of(day)[:-LABEL_DELAY]
            code = encode(day.mean, day.covariance)[LABEL_DELAY:, :, None].astype(np.float32)
            inputs.append(rows.reshape(-1, rows.shape[-1]))
            targets.append(np.broadcast_to(code, (*rows.shape[:-1], code.shape[-1])).reshape(-1, code.shape[-1]))
        return Rows(np.concatenate(inputs), np.concatenate(targets))


@dataclass(frozen=True)
class Material:
    """What a network is trained on, and what is made of it afterwards.

    Attributes
    ----------
    training, validation : rows of days that differ.
    label_delay : periods from a row to its target.
    complete : the whole predictor of (base, head, target mean, target scale, training inputs, config).
    described : entries for the predictor's JSON file.
    data : checksum of a file of recorded days, empty for the generator's.
    """

    training: Rows
    validation: Rows
    label_delay: int
    complete: Callable[[Base, NDArray, NDArray, NDArray, NDArray, Mapping[str, object]], Predictor]
    described: Mapping[str, object]
    data: str = ""

    @staticmethod
    def generated() -> Material:
        """History days of the generator."""
        training, validation = Rows.of(list(PRETRAINING_DAYS)), Rows.of([VALIDATION_DAY])
        return Material(training, validation, LABEL_DELAY, calibrated, {})

    @staticmethod
    def recorded(path: str | Path) -> Material:
        """The first half of a file of recorded days: four fifths to train on, the rest to validate."""
        days = load_days(path)
        half, h = days.half("first"), predictor_for(days, FITTED, str(path)).label_delay
        cut = half.stop - max(h + 1, round(VALIDATION_SHARE * half.stop))
        parts = [Rows(*training_rows(days, h, part)) for part in (slice(0, cut), slice(cut, half.stop))]

        def complete(
            base: Base, head: NDArray, mean: NDArray, scale: NDArray, inputs: NDArray, config: Mapping[str, object]
        ) -> Predictor:
            return with_libraries(whitened(base, head, mean, scale, inputs, config), days)

        return Material(parts[0], parts[1], h, complete, {"columns": list(days.columns)}, days.sha256)


class Network(nn.Module):
    """Fully connected layers with ReLU and dropout, and a linear head on the last of them (and the inputs)."""

    def __init__(self, inputs: int, outputs: int, recipe: PretrainingRecipe):
        super().__init__()
        widths = (inputs, *recipe.hidden)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.dropout, self.skip = nn.Dropout(recipe.dropout), recipe.skip
        self.head = nn.Linear(widths[-1] + (inputs if recipe.skip else 0), outputs)

    def forward(self, scaled: torch.Tensor) -> torch.Tensor:
        x = scaled
        for layer in self.hidden:
            x = self.dropout(torch.relu(layer(x)))
        return self.head(torch.cat([x, scaled], dim=1) if self.skip else x)


class Pretraining:
    """One run in one folder: trains, keeps a checkpoint after every epoch, calibrates, writes the predictor."""

    def __init__(
        self, recipe: PretrainingRecipe, out: str | Path, resume: bool = False, material: Material | None = None
    ):
        self.recipe, self.out = recipe, Path(out)
        self.material = material or Material.generated()
        self._checkpoint = self.out / "checkpoint.pt"
        self.curve: list[dict[str, float]] = []
        self.commands: list[str] = []
        torch.set_num_threads(1)
        torch.manual_seed(recipe.seed)
        rows, self._validation = self.material.training, self.material.validation
        self.rows = rows
        self.input_mean, self.input_scale = rows.inputs.mean(axis=0), scale_of(rows.inputs)
        self.target_mean, self.target_scale = rows.targets.mean(axis=0), scale_of(rows.targets)
        self.network = Network(rows.inputs.shape[1], rows.targets.shape[1], recipe)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        if resume:
            self._read_checkpoint()
        elif self._checkpoint.exists():
            raise WrongValue(f"{self.out} holds a run already: resume it or name another folder")
        self.commands.append(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))

    def run(self, progress: bool = True) -> Path:
        """Train to the end and write the predictor; returns the path of its arrays."""
        self.out.mkdir(parents=True, exist_ok=True)
        inputs, targets = self._scaled(self.rows)
        bar = tqdm(
            range(len(self.curve), self.recipe.epochs), desc=self.recipe.name, disable=not progress, unit="epoch"
        )
        for epoch in bar:
            loss = self._epoch(epoch, inputs, targets)
            self.curve.append({"epoch": epoch + 1, "training": loss, "validation": self.validation_loss()})
            bar.set_postfix(validation=f"{self.curve[-1]['validation']:.4f}")
            self._save_checkpoint()
        return self._predictor().save(self.out / self.recipe.name)

    def _epoch(self, epoch: int, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        """One pass in an order that depends on seed and epoch only, so that a resumed run equals a whole one."""
        torch.manual_seed(self.recipe.seed + 1_000_003 * (epoch + 1))
        self.network.train()
        total = 0.0
        for chosen in torch.randperm(len(inputs)).split(self.recipe.batch):
            self.optimiser.zero_grad()
            loss = nn.functional.mse_loss(self.network(inputs[chosen]), targets[chosen])
            loss.backward()
            self.optimiser.step()
            total += float(loss.detach()) * len(chosen)
        return total / len(inputs)

    def validation_loss(self) -> float:
        """Mean squared error of z-scored targets on a day that training never sees."""
        inputs, targets = self._scaled(self._validation)
        self.network.eval()
        with torch.no_grad():
            return float(nn.functional.mse_loss(self.network(inputs), targets))

    def _scaled(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = (rows.inputs - self.input_mean) / self.input_scale
        return torch.from_numpy(inputs), torch.from_numpy((rows.targets - self.target_mean) / self.target_scale)

    def base(self) -> Base:
        """The network below the head, as arrays."""
        layers = tuple(_arrays(layer) for layer in self.network.hidden)  # type: ignore[arg-type]
        return Base(self.input_mean, self.input_scale, layers, self.recipe.skip)

    def _predictor(self) -> Predictor:
        weight, bias = _arrays(self.network.head)
        config = {
            "name": self.recipe.name,
            "label_delay": self.material.label_delay,
            "skip": self.recipe.skip,
            **self.material.described,
            "recipe": dataclasses.asdict(self.recipe),
            "curve": self.curve,
            "commands": self.commands,
            "versions": {name: version(name) for name in ("torch", "numpy")},
        }
        head = np.concatenate([weight, bias[None]])
        trained = self.base(), head, self.target_mean, self.target_scale, self.rows.inputs
        return self.material.complete(*trained, config)

    def _save_checkpoint(self) -> None:
        """Replace the file in one go, so that a kill leaves the old or the new."""
        state = {
            "recipe": json.dumps(dataclasses.asdict(self.recipe)),
            "curve": self.curve,
            "commands": self.commands,
            "data": self.material.data,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(self._checkpoint, buffer.getvalue())

    def _read_checkpoint(self) -> None:
        if not self._checkpoint.exists():
            raise WrongValue(f"{self.out} holds no checkpoint to resume from")
        past = torch.load(self._checkpoint, weights_only=True)
        was, wanted = json.loads(past["recipe"]), json.loads(json.dumps(dataclasses.asdict(self.recipe)))
        if was | {"epochs": None} != wanted | {"epochs": None}:
            raise WrongValue(f"{self.out} holds another run: {wanted} wanted, got {was}")
        if past.get("data", "") != self.material.data:
            raise WrongValue(f"{self.out} holds a run on other days: the same file as --days wanted")
        self.network.load_state_dict(past["network"])
        self.optimiser.load_state_dict(past["optimiser"])
        self.curve, self.commands = past["curve"], past["commands"]


def pretrain(
    name: str,
    out: str | Path,
    *,
    days: str | Path | None = None,
    epochs: int | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Path:
    """Train the predictor of that name in the folder ``out``; returns the path of its arrays.

    ``days`` is a file of recorded days, on whose first half it is trained instead of the generator's history.
    """
    if name not in RECIPES:
        raise WrongValue(f"name: one of {sorted(RECIPES)} wanted, got {name!r}{nearest(name, RECIPES)}")
    recipe = RECIPES[name] if epochs is None else dataclasses.replace(RECIPES[name], epochs=epochs)
    material = Material.generated() if days is None else Material.recorded(days)
    return Pretraining(recipe, out, resume, material).run(progress)


def _arrays(layer: nn.Linear) -> tuple[NDArray, NDArray]:
    return layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy()
