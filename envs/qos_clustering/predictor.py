"""The pre-trained predictor in NumPy: a frozen base network, its whitened features, and heads for them.

A predictor is two files: ``.npz`` holds the arrays, ``.json`` what they are, how they were made, and the SHA-256 of
the arrays. Nothing in them is code. ``rangym pretrain`` writes them.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import UnreadableFile, WrongValue, shown
from rangym.envs.files import packed, read_whole, whole, write_whole
from rangym.envs.learning import gaussians
from rangym.envs.params import Range
from rangym.envs.qos_clustering.concepts import GROUPS
from rangym.envs.qos_clustering.generator import Day

FORMAT = 1
FOLDER = Path(__file__).parent / "predictors"
SHIPPED = ("small", "paper")
FAR, NEAR, DIGITS = 1e9, 1e-20, 5
"""No number of a trained network is larger, nothing that scales its inputs smaller, and no library has more digits."""
DESCRIPTION = {"name": Range(kind=str), "label_delay": Range(kind=int, low=1, limit=10**6), "skip": Range(kind=bool)}
"""What every description says, beside its format."""
TARGETS = 9
"""Three means and the six entries of the Cholesky factor, as `rangym.envs.learning.gaussians.encode` orders them."""
SINGLE_ARRAYS = ("target_mean", "target_scale", "head", "whitening", "theta0", "mean_gram")
LIBRARY_ARRAYS = ("heads", "head_of_group", "concept_mean", "concept_covariance", "concept_loss")


@dataclass(frozen=True, eq=False)
class Library:
    """C heads for the features of a predictor, and what was measured of them; loss entries begin with the global head.

    A library of recorded days knows no groups: all that is measured by group has a first axis of 0.

    Attributes
    ----------
    heads : (C, p, 9).
    head_of_group : (4,) the head, 0..C-1, that loses least on each group's calibration days.
    concept_mean, concept_covariance : (4, C + 1) and (4, C + 1, C + 1), of ln(loss + 0.02) under each concept.
    concept_loss : (4, C + 1) mean loss under each concept.
    """

    heads: NDArray
    head_of_group: NDArray
    concept_mean: NDArray
    concept_covariance: NDArray
    concept_loss: NDArray


@dataclass(frozen=True, eq=False)
class Base:
    """The frozen network below all heads.

    Attributes
    ----------
    input_mean, input_scale : (n,) what z-scores the inputs.
    layers : weight (in, out) and bias (out,) of each hidden layer; ReLU follows each.
    skip : the z-scored inputs are raw features too, so that a linear head can change the slope on one of them.
    """

    input_mean: NDArray
    input_scale: NDArray
    layers: tuple[tuple[NDArray, NDArray], ...]
    skip: bool

    def raw_features(self, inputs: NDArray) -> NDArray:
        """Last hidden layer, z-scored inputs where they skip, and 1: ``(..., q)`` float32 of inputs ``(..., n)``."""
        flat = inputs.reshape(-1, inputs.shape[-1])  # one product a layer, not one a period and cell
        scaled = ((flat - self.input_mean) / self.input_scale).astype(np.float32)
        x = scaled
        for weight, bias in self.layers:
            x = np.maximum(x @ weight + bias, np.float32(0))
        parts = [x, scaled] if self.skip else [x]
        raw = np.concatenate([*parts, np.ones((len(x), 1), np.float32)], axis=1)
        return raw.reshape(*inputs.shape[:-1], raw.shape[1])


@dataclass(frozen=True, eq=False)
class Predictor:
    """Features of a row and Gaussian, and linear heads that turn them into the Gaussian ``label_delay`` periods later.

    Attributes
    ----------
    base : gives q raw features, the bias last.
    target_mean, target_scale : (9,) what z-scores coded Gaussians.
    head : (q, 9) the pre-trained head on raw features.
    whitening : (q - 1, p - 1) raw features without their bias to whitened ones.
    theta0 : (p, 9) the global head, the pre-trained one on whitened features and bias.
    mean_gram : (p, p) mean of phi phi' over the calibration days.
    libraries : number of heads -> `Library`.
    config : the JSON file: ``name``, ``label_delay``, ``skip``, and how the predictor was made.
    """

    base: Base
    target_mean: NDArray
    target_scale: NDArray
    head: NDArray
    whitening: NDArray
    theta0: NDArray
    mean_gram: NDArray
    libraries: Mapping[int, Library] = field(default_factory=dict)
    config: Mapping[str, object] = field(default_factory=dict)

    @property
    def label_delay(self) -> int:
        """h: the target lies this many periods ahead."""
        return int(self.config["label_delay"])  # type: ignore[call-overload]

    @property
    def num_features(self) -> int:
        """p, whitened features and the bias."""
        return len(self.theta0)

    def features(self, inputs: NDArray) -> NDArray:
        """Whitened features and 1, ``(..., p)`` float32."""
        raw = self.base.raw_features(inputs).reshape(-1, len(self.head))
        whitened = np.concatenate([raw[:, :-1] @ self.whitening, raw[:, -1:]], axis=1)
        return whitened.reshape(*inputs.shape[:-1], self.num_features)

    def predict(self, inputs: NDArray) -> NDArray:
        """The network's own z-scored target, ``(..., 9)``."""
        return self.base.raw_features(inputs) @ self.head

    def scaled_code(self, mean: NDArray, covariance: NDArray) -> NDArray:
        """z-scored code ``(..., 9)`` of Gaussians."""
        return (gaussians.encode(mean, covariance) - self.target_mean) / self.target_scale

    def gaussian(self, scaled_code: NDArray) -> tuple[NDArray, NDArray]:
        """Mean (..., 3) and covariance (..., 3, 3) that a z-scored code stands for."""
        return gaussians.decode(np.asarray(scaled_code, np.float64) * self.target_scale + self.target_mean)

    def library(self, num_heads: int) -> Library:
        """The library of ``num_heads`` heads; refused where there is none."""
        if num_heads not in self.libraries:
            raise WrongValue(
                f"num_heads: one of {sorted(self.libraries)}, the libraries of predictor {self.config['name']!r}, "
                f"wanted, got {num_heads}"
            )
        return self.libraries[num_heads]

    @cached_property
    def sha256(self) -> str:
        """Checksum of the arrays as they are written."""
        return hashlib.sha256(pack(self)).hexdigest()

    def save(self, path: str | Path) -> Path:
        """Write the two `predictor_files` of ``path``; returns that of the arrays."""
        data = pack(self)
        config = {**self.config, "format": FORMAT, "sha256": hashlib.sha256(data).hexdigest()}
        arrays, described = predictor_files(str(path))
        with whole(arrays) as file:  # written, but not renamed before its description is
            file.write(data)
            file.flush()
            write_whole(described, (json.dumps(config, indent=1) + "\n").encode())
        return arrays


def inputs_of(day: Day) -> NDArray:
    """What the predictor sees of each sampled row: its columns and its cell's coded Gaussian, ``(P, N, 16, 22)``."""
    code = gaussians.encode(day.mean, day.covariance).astype(np.float32)
    rows = day.rows
    return np.concatenate([rows, np.broadcast_to(code[:, :, None], (*rows.shape[:-1], code.shape[-1]))], axis=-1)


def load(name: str) -> Predictor:
    """The shipped predictor of that name, or the one in the file ``name``; anything else raises `ValueError`."""
    arrays, described = predictor_files(name)
    try:
        return _parsed(arrays, read_whole(arrays, "predictor"), described, read_whole(described, "predictor"))
    except UnreadableFile as error:
        raise WrongValue(f"predictor: one of {list(SHIPPED)} or a file wanted, got {name!r} ({error})") from error


def predictor_files(name: str) -> tuple[Path, Path]:
    """The files of arrays and of their description of the predictor ``name``: one that is shipped, or a path with or
    without the suffix of one of them."""
    path = FOLDER / name if name in SHIPPED else Path(name)
    stem = path.with_suffix("") if path.suffix in (".npz", ".json") else path
    if not stem.name:
        raise WrongValue(f"predictor: one of {list(SHIPPED)} or a file wanted, got {name!r}")
    return stem.with_name(f"{stem.name}.npz"), stem.with_name(f"{stem.name}.json")


@lru_cache(maxsize=8)
def _parsed(arrays: Path, data: bytes, described: Path, text: bytes) -> Predictor:
    try:
        config = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise WrongValue(f"{described}: not a predictor ({type(error).__name__}: {error})") from error
    for key in ("format", "sha256"):
        if not isinstance(config, dict) or key not in config:
            raise WrongValue(f"{described}: the entry {key!r} is missing")
    if config["format"] != FORMAT:
        raise WrongValue(f"{described}: format {FORMAT} wanted, got {shown(config['format'])}")
    found = unpack(data, config, arrays)
    if (got := hashlib.sha256(data).hexdigest()) != config["sha256"]:
        raise WrongValue(f"{arrays}: SHA-256 {shown(config['sha256'])} wanted, got {got}: not the file that was saved")
    return found


def pack(predictor: Predictor) -> bytes:
    """The arrays of a predictor as the content of an ``.npz`` file."""
    arrays = {name: getattr(predictor, name) for name in SINGLE_ARRAYS}
    arrays |= {"input_mean": predictor.base.input_mean, "input_scale": predictor.base.input_scale}
    for k, (weight, bias) in enumerate(predictor.base.layers):
        arrays |= {f"weight{k}": weight, f"bias{k}": bias}
    for count, library in predictor.libraries.items():
        arrays |= {f"{name}.{count}": getattr(library, name) for name in LIBRARY_ARRAYS}
    return packed(arrays)


def unpack(data: bytes, config: Mapping[str, object], path: Path) -> Predictor:
    """The predictor of what `pack` returned; ``path`` is named where it is something else."""
    for key, allowed in DESCRIPTION.items():
        if not isinstance(config, Mapping) or key not in config:
            raise WrongValue(f"{path}: the entry {key!r} of its description is missing")
        if not allowed.allows(config[key]):
            raise WrongValue(f"{path}: {key}: {allowed} wanted, got {shown(config[key])}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib and NumPy each raise their own kind for a foreign file
        raise WrongValue(f"{path}: not a predictor ({type(error).__name__}: {error})") from error
    return _checked(found, config, path)


def _checked(found: Mapping[str, NDArray], config: Mapping[str, object], path: Path) -> Predictor:
    """The predictor of the arrays, whose names, shapes and numbers must fit together."""
    depth = sum(name.startswith("weight") for name in found)
    sizes = (name.partition(".")[2] for name in found if name.startswith("heads."))
    counts = sorted(int(size) for size in sizes if size.isdecimal() and len(size) < DIGITS)
    wanted = {
        "input_mean",
        "input_scale",
        *SINGLE_ARRAYS,
        *(f"{part}{k}" for part in ("weight", "bias") for k in range(depth)),
    }
    wanted |= {f"{name}.{count}" for name in LIBRARY_ARRAYS for count in counts}
    if found.keys() != wanted:
        raise WrongValue(f"{path}: arrays {sorted(wanted)} wanted, got {sorted(found)}")
    shapes = _shapes(found, depth, counts, bool(config["skip"]))
    for name, shape in shapes.items():
        values = found[name]
        if values.shape != shape:
            raise WrongValue(f"{path}: {name} of shape {shape} wanted, got {values.shape}")
        if values.dtype.kind not in "fi" or not (np.abs(values) <= FAR).all():
            raise WrongValue(
                f"{path}: {name} of finite numbers wanted, got {values.dtype} with NaN, infinity or more than {FAR:g}"
            )
        values.setflags(write=False)
    for name in ("input_scale", "target_scale"):
        if found[name].min() < NEAR:
            raise WrongValue(f"{path}: {name} above 0 wanted, at least {NEAR:g}, got {found[name].min()}")
    for count in counts:
        group = found[f"head_of_group.{count}"]
        if group.dtype.kind != "i" or not ((group >= 0) & (group < count)).all():
            raise WrongValue(f"{path}: head_of_group.{count} within 0..{count - 1} wanted, got {group}")
    layers = tuple((found[f"weight{k}"], found[f"bias{k}"]) for k in range(depth))
    return Predictor(
        base=Base(found["input_mean"], found["input_scale"], layers, bool(config["skip"])),
        **{name: found[name] for name in SINGLE_ARRAYS},  # type: ignore[arg-type]
        libraries={n: Library(**{name: found[f"{name}.{n}"] for name in LIBRARY_ARRAYS}) for n in counts},
        config=config,
    )


def _shapes(found: Mapping[str, NDArray], depth: int, counts: list[int], skip: bool) -> dict[str, tuple[int, ...]]:
    """What shape every array must have, given the number of inputs, the widths of the layers and p."""
    inputs, features = found["input_mean"].size, found["theta0"].shape[0] if found["theta0"].ndim else 0
    widths = [inputs, *(found[f"bias{k}"].size for k in range(depth))]
    raw = widths[-1] + (inputs if skip else 0) + 1
    shapes: dict[str, tuple[int, ...]] = {
        "input_mean": (inputs,),
        "input_scale": (inputs,),
        "target_mean": (TARGETS,),
        "target_scale": (TARGETS,),
        "head": (raw, TARGETS),
        "whitening": (raw - 1, features - 1),
        "theta0": (features, TARGETS),
        "mean_gram": (features, features),
    }
    for k in range(depth):
        shapes |= {f"weight{k}": (widths[k], widths[k + 1]), f"bias{k}": (widths[k + 1],)}
    for n in counts:
        groups = len(GROUPS) if found[f"head_of_group.{n}"].size else 0
        shapes |= {
            f"heads.{n}": (n, features, TARGETS),
            f"head_of_group.{n}": (groups,),
            f"concept_mean.{n}": (groups, n + 1),
            f"concept_covariance.{n}": (groups, n + 1, n + 1),
            f"concept_loss.{n}": (groups, n + 1),
        }
    return shapes
