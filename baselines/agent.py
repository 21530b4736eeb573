"""Trained agents on disk: their actor networks as plain arrays, and how they came about as JSON. No pickle, no torch.

One .npz file holds any number of agents of one recipe:

- ``weight0``, ``bias0``, ``weight1``, ...: the layers, float32, with the agents along the leading axis;
- ``description``: JSON with the network's form, the recipe, the constants of its features and the versions of the
  packages, each once, and under ``agents`` each agent's number, training seeds, steps, commands and curve;
- ``sha256``: the checksum of all these.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue, shown
from rangym.envs.files import read_whole, write_whole
from rangym.envs.params import is_number

FORMAT = 2
SHARED = ("recipe", "constants", "versions")
"""What the agents of one file have in common."""
ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, np.float32(0)),
}


@dataclass(frozen=True, eq=False)
class Network:
    """A multi-layer perceptron; ``layers`` holds (weight ``(in, out)``, bias ``(out,)``), the last one linear.

    ``pooled``: it acts on items ``(..., K, in)``; hidden layers from the second on also see the items' mean, so their
    weights are ``(2 in, out)``.
    """

    layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    activation: str = "tanh"
    pooled: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return self.layers[0][0].shape[0], self.layers[-1][0].shape[1]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs ``(..., out)`` of inputs ``(..., in)``."""
        activation = ACTIVATIONS[self.activation]
        for k, (weight, bias) in enumerate(self.layers[:-1]):
            if self.pooled and k:
                x = np.concatenate([x, np.broadcast_to(x.mean(axis=-2, keepdims=True), x.shape)], axis=-1)
            x = activation(x @ weight + bias)
        weight, bias = self.layers[-1]
        return x @ weight + bias


@dataclass(frozen=True, eq=False)
class TrainedAgent:
    """A network and how it came about: recipe, constants of its features, versions, number, seeds, curve, commands."""

    network: Network
    config: Mapping[str, Any]

    def get_parameters(self) -> dict[str, object]:
        """What its decisions depend on: the hash of these tells its results from others'."""
        n = self.network
        form = {"activation": n.activation, "pooled": n.pooled, "constants": self.config["constants"]}
        return {**form, "layers": n.layers}


def save_agents(path: str | Path, agents: Sequence[TrainedAgent]) -> Path:
    """Write agents of one recipe to one file, whole or not at all.

    The agents keep their order. Files are joined by
    ``save_agents(path, [agent for file in files for agent in load_agents(file)])``.
    """
    path, shared = Path(path), _shared(agents[0])
    for agent in agents[1:]:
        if differing := [key for key, value in _shared(agent).items() if value != shared.get(key)]:
            raise WrongValue(f"{path}: agents of one recipe wanted, got different {', '.join(differing)}")
    own = [{key: value for key, value in agent.config.items() if key not in SHARED} for agent in agents]
    description = {"format": FORMAT, **shared, "agents": own}
    arrays = {"description": np.array(json.dumps(description))}
    for k, layers in enumerate(zip(*(agent.network.layers for agent in agents), strict=True)):
        arrays |= {f"weight{k}": np.stack([w for w, _ in layers]), f"bias{k}": np.stack([b for _, b in layers])}
    buffer = io.BytesIO()
    arrays["sha256"] = np.array(_checksum(arrays))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:  # what np.savez_compressed does
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
    write_whole(path, buffer.getvalue())
    return path


def load_agents(path: str | Path) -> tuple[TrainedAgent, ...]:
    """Read what `save_agents` wrote; anything else raises `ValueError` with the file's name and what is wrong."""
    return parse_agents(path, read_whole(path, "agent"))


def parse_agents(path: str | Path, data: bytes) -> tuple[TrainedAgent, ...]:
    """The agents of what `save_agents` wrote at ``path``."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy each raise their own kind for a foreign file
        raise WrongValue(f"{path}: not a file of agents ({type(error).__name__}: {error})") from error
    for key in ("description", "sha256"):
        if key not in arrays:
            raise WrongValue(f"{path}: the entry {key!r} is missing")
    wanted = str(arrays.pop("sha256"))
    if (found := _checksum(arrays)) != wanted:
        raise WrongValue(f"{path}: SHA-256 {wanted} wanted, got {found}: not the file that was saved")
    form = _description(str(arrays.pop("description")), path)
    shared = {key: form[key] for key in SHARED if key in form}
    layers = _layers(arrays, path, form["pooled"], len(form["agents"]))
    return tuple(
        TrainedAgent(Network([(w[a], b[a]) for w, b in layers], form["activation"], form["pooled"]), {**shared, **own})
        for a, own in enumerate(form["agents"])
    )


def _shared(agent: TrainedAgent) -> dict[str, Any]:
    form = {"activation": agent.network.activation, "pooled": agent.network.pooled}
    return form | {key: agent.config[key] for key in SHARED if key in agent.config}


def _checksum(arrays: Mapping[str, NDArray]) -> str:
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def _description(text: str, path: str | Path) -> dict[str, Any]:
    try:
        form = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongValue(f"{path}: not a description of agents ({error})") from error
    kinds = {"format": int, "activation": str, "pooled": bool, "recipe": dict, "constants": dict, "agents": list}
    for key, kind in kinds.items():
        if not isinstance(form, dict) or key not in form:
            raise WrongValue(f"{path}: the description's entry {key!r} is missing")
        if not isinstance(form[key], kind):
            raise WrongValue(f"{path}: description: {key}: {kind.__name__} wanted, got {shown(form[key])}")
    for key in ("name", "scenario"):
        if not isinstance(form["recipe"].get(key), str):
            raise WrongValue(f"{path}: description: recipe: {key}: a text wanted, got {shown(form['recipe'].get(key))}")
    for key, value in form["constants"].items():
        if not is_number(value):
            raise WrongValue(f"{path}: description: constants: {key}: a finite number wanted, got {shown(value)}")
    if wrong := [own for own in form["agents"] if not isinstance(own, dict)]:
        raise WrongValue(f"{path}: description: agents: a dictionary each wanted, got {shown(wrong[0])}")
    if form["format"] != FORMAT or form["activation"] not in ACTIVATIONS:
        raise WrongValue(
            f"{path}: format {FORMAT} and an activation of {sorted(ACTIVATIONS)} wanted, "
            f"got {form['format']!r}, {form['activation']!r}"
        )
    return form


def _layers(
    arrays: Mapping[str, NDArray], path: str | Path, pooled: bool, agents: int
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The layers' weights ``(agents, in, out)`` and biases ``(agents, out)``, checked."""
    count = len(arrays) // 2
    layers: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    if count == 0 or arrays.keys() != {f"{part}{k}" for part in ("weight", "bias") for k in range(count)}:
        raise WrongValue(f"{path}: weight0, bias0, weight1, ... wanted, got {sorted(arrays)}")
    for k in range(count):
        weight, bias = arrays[f"weight{k}"], arrays[f"bias{k}"]
        fits = weight.ndim == 3 and len(weight) == agents > 0 and bias.shape == (agents, weight.shape[2])
        if k and fits:
            fits = weight.shape[1] == layers[-1][1].shape[1] * (2 if pooled and k < count - 1 else 1)
        if not fits or weight.dtype != np.float32 or bias.dtype != np.float32:
            raise WrongValue(
                f"{path}: layer {k} of {agents} agents wants a float32 weight (agents, in, out) that continues layer "
                f"{k - 1} and a bias (agents, out), got {weight.dtype} {weight.shape} and {bias.dtype} {bias.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise WrongValue(f"{path}: layer {k} holds NaN or infinity")
        layers.append((weight, bias))
    return layers
