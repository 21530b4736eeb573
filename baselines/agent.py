"""A trained agent on disk: its actor network as plain arrays, and how it came about as JSON. No pickle, no torch."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1
ACTIVATIONS: dict[str, Callable[[NDArray], NDArray]] = {"tanh": np.tanh}


@dataclass(frozen=True, eq=False)
class Network:
    """A multi-layer perceptron; ``layers`` holds (weight ``(in, out)``, bias ``(out,)``), the last one linear."""

    layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
    activation: str = "tanh"

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of inputs and outputs."""
        return self.layers[0][0].shape[0], self.layers[-1][0].shape[1]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs ``(..., out)`` of inputs ``(..., in)``."""
        activation = ACTIVATIONS[self.activation]
        for weight, bias in self.layers[:-1]:
            x = activation(x @ weight + bias)
        weight, bias = self.layers[-1]
        return x @ weight + bias


@dataclass(frozen=True, eq=False)
class TrainedAgent:
    """A network and its configuration: recipe, seed, constants of its features, training curve, command, versions."""

    network: Network
    config: Mapping[str, Any]

    def save(self, path: str | Path) -> Path:
        """Write ``path`` with the suffixes .npz (weights) and .json (configuration, with the weights' SHA-256)."""
        path = Path(path)
        arrays: dict[str, Any] = {}
        for k, (weight, bias) in enumerate(self.network.layers):
            arrays |= {f"weight{k}": weight, f"bias{k}": bias}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        checksum = hashlib.sha256(buffer.getvalue()).hexdigest()
        config = {**self.config, "format": FORMAT, "activation": self.network.activation, "sha256": checksum}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".npz").write_bytes(buffer.getvalue())
        path.with_suffix(".json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        return path.with_suffix(".npz")

    @staticmethod
    def load(path: str | Path) -> TrainedAgent:
        """Read what `save` wrote; anything else raises `ValueError` with the file's name and what is wrong."""
        weights, described = Path(path).with_suffix(".npz"), Path(path).with_suffix(".json")
        data, text = weights.read_bytes(), described.read_text(encoding="utf-8")
        try:
            config = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"{described}: not an agent's configuration ({error})") from error
        for key in ("format", "activation", "sha256", "recipe", "constants"):
            if key not in config:
                raise ValueError(f"{described}: the entry {key!r} is missing")
        if config["format"] != FORMAT or config["activation"] not in ACTIVATIONS:
            raise ValueError(
                f"{described}: format {FORMAT} and an activation of {sorted(ACTIVATIONS)} wanted, "
                f"got {config['format']!r}, {config['activation']!r}"
            )
        if (found := hashlib.sha256(data).hexdigest()) != config["sha256"]:
            raise ValueError(f"{weights}: SHA-256 {config['sha256']} wanted, got {found}: not the file that was saved")
        return TrainedAgent(Network(_layers(data, weights), config["activation"]), config)


def _layers(data: bytes, path: Path) -> list[tuple[NDArray, NDArray]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy each raise their own kind for a foreign file
        raise ValueError(f"{path}: not an agent's weights ({type(error).__name__}: {error})") from error
    count = len(arrays) // 2
    layers: list[tuple[NDArray, NDArray]] = []
    if count == 0 or arrays.keys() != {f"{part}{k}" for part in ("weight", "bias") for k in range(count)}:
        raise ValueError(f"{path}: weight0, bias0, weight1, ... wanted, got {sorted(arrays)}")
    for k in range(count):
        weight, bias = arrays[f"weight{k}"], arrays[f"bias{k}"]
        fits = weight.ndim == 2 and bias.shape == weight.shape[1:] and (k == 0 or len(weight) == len(layers[-1][1]))
        if not fits or weight.dtype != np.float32 or bias.dtype != np.float32:
            raise ValueError(
                f"{path}: layer {k} wants a float32 weight (in, out) that continues layer {k - 1} and a bias (out,), "
                f"got {weight.dtype} {weight.shape} and {bias.dtype} {bias.shape}"
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(f"{path}: layer {k} holds NaN or infinity")
        layers.append((weight, bias))
    return layers
