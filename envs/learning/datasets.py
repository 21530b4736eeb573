"""Labelled images: scikit-learn's digits, and from local files MNIST, Fashion-MNIST (IDX) and CIFAR-10 (binary)."""

from __future__ import annotations

import functools
import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.files import read_whole

IDX_FILES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}
"""The four files of MNIST and of Fashion-MNIST; each may be gzipped, with the ending ``.gz``."""
UNSIGNED_BYTE = 0x08
CIFAR_FILES = {"train": tuple(f"data_batch_{n}.bin" for n in range(1, 6)), "test": ("test_batch.bin",)}
"""The six files of CIFAR-10's binary version."""
CIFAR_IMAGES = 10_000
"""Images in each of them; a record is the class, one byte, and the 32 x 32 pixels of red, of green and of blue."""
CIFAR_PIXELS, CIFAR_CLASSES = 3 * 32 * 32, 10
NAMES = ("digits", "mnist", "fashion_mnist", "cifar10")
DIGITS_TEST_SHARE = 0.2
DIGITS_SPLIT_SEED = 0


@dataclass(frozen=True)
class Dataset:
    """Training and test images.

    Attributes
    ----------
    name : one of `NAMES`.
    x_train, x_test : (n, F) pixels in [0, 1], float32.
    y_train, y_test : (n,) classes 0 .. num_classes - 1.
    """

    name: str
    x_train: NDArray
    y_train: NDArray
    x_test: NDArray
    y_test: NDArray
    num_classes: int

    @property
    def num_features(self) -> int:
        return self.x_train.shape[1]


def load(name: str = "digits", path: str | Path | None = None) -> Dataset:
    """A data set by name.

    ``digits`` (8 x 8 pixels, 1,797 images; 20 % of each class, always the same ones, are the test set) comes with
    scikit-learn. ``mnist`` and ``fashion_mnist`` (28 x 28, 60,000 and 10,000) are read from the four `IDX_FILES` in the
    folder ``path``, ``cifar10`` (3 x 32 x 32, 50,000 and 10,000) from the six `CIFAR_FILES`; nothing is downloaded.

    Raises
    ------
    ValueError : an unknown name, a missing ``path``, or a file that is torn or of another kind.
    FileNotFoundError : files that are not there; the message lists them.
    """
    found = files_of(name, path)
    if name == "digits":
        return _digits()
    return _cifar10(found) if name == "cifar10" else _idx_images(name, str(path), found)


def files_of(name: str, path: str | Path | None) -> dict[str, Path]:
    """The files that `load` reads, by the name that each has without ``.gz``; none for ``digits``. Raises as it."""
    if name == "digits":
        if path is not None:
            raise WrongValue(f"path: none wanted for 'digits', which comes with scikit-learn, got {str(path)!r}")
        return {}
    if name not in NAMES:
        raise WrongValue(f"name: one of {list(NAMES)} wanted, got {name!r}")
    files = sum(CIFAR_FILES.values(), ()) if name == "cifar10" else tuple(IDX_FILES.values())
    if path is None:
        raise WrongValue(f"path: the folder with {', '.join(files)} wanted for {name!r}, got none")
    found = {file: _find(Path(path), file) for file in files}
    if missing := [file for file, place in found.items() if place is None]:
        raise FileNotFoundError(f"{path}: {name} needs {', '.join(missing)} there (or the same ending in .gz)")
    return {file: place for file, place in found.items() if place is not None}


def load_once(name: str, path: str | None) -> Dataset:
    """`load`, but the last two data sets are kept, by their content: many trainings read the same one."""
    return _kept(name, path, content_of(name, path))


def content_of(name: str, path: str | None) -> tuple[str, ...]:
    """The SHA-256 of each of the data set's files."""
    files = files_of(name, path).values()
    return tuple(hashlib.sha256(read_whole(file, "path")).hexdigest() for file in files)


@functools.lru_cache(maxsize=2)
def _kept(name: str, path: str | None, content: tuple[str, ...]) -> Dataset:
    return load(name, path)


def read_idx(path: str | Path, num_dimensions: int) -> NDArray:
    """The unsigned bytes of an IDX file, shape from its header; ``.gz`` files are unpacked on the way.

    A file that is shorter or longer than its header says is refused with both sizes.
    """
    content = _content(Path(path))
    header = 4 + 4 * num_dimensions
    if len(content) < header:
        raise WrongValue(f"{path}: a header of {header} bytes wanted, the file has {len(content)}")
    if content[:4] != bytes([0, 0, UNSIGNED_BYTE, num_dimensions]):
        raise WrongValue(
            f"{path}: an IDX file of unsigned bytes in {num_dimensions} dimension(s) wanted, "
            f"got the magic number {content[:4].hex()}"
        )
    shape = struct.unpack(f">{num_dimensions}I", content[4:header])
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise WrongValue(f"{path}: {expected} bytes wanted for shape {shape}, the file has {len(content)}")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def read_cifar(path: str | Path) -> tuple[NDArray, NDArray]:
    """Pixels (n, 3072) and classes (n,) of a file of CIFAR-10's binary version, n = `CIFAR_IMAGES`, unsigned bytes.

    A file of another length is refused with both sizes, and so is a class above 9.
    """
    content, record = _content(Path(path)), 1 + CIFAR_PIXELS
    if len(content) != CIFAR_IMAGES * record:
        wanted = f"{CIFAR_IMAGES * record} bytes ({CIFAR_IMAGES} records of {record})"
        raise WrongValue(f"{path}: {wanted} wanted, the file has {len(content)}")
    records = np.frombuffer(content, np.uint8).reshape(CIFAR_IMAGES, record)
    if (wrong := records[:, 0] >= CIFAR_CLASSES).any():
        place = int(wrong.argmax())
        raise WrongValue(
            f"{path}: classes 0..{CIFAR_CLASSES - 1} wanted, got {records[place, 0]} in record {place}: not CIFAR-10"
        )
    return records[:, 1:], records[:, 0]


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked where it ends in ``.gz``."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise WrongValue(f"{path}: a torn gzip file ({error})") from error


def _idx_images(name: str, path: str | Path, files: Mapping[str, Path]) -> Dataset:
    """MNIST or a data set of the same form, from its four files."""
    arrays = {part: read_idx(files[file], 3 if part.startswith("x") else 1) for part, file in IDX_FILES.items()}
    for part in ("train", "test"):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if len(images) != len(labels) or len(labels) == 0:
            raise WrongValue(
                f"{path}: as many images as labels, and some, wanted in {IDX_FILES[f'x_{part}']} and "
                f"{IDX_FILES[f'y_{part}']}, got {len(images)} and {len(labels)}"
            )
    return Dataset(
        name,
        x_train=_pixels(arrays["x_train"], 255),
        y_train=arrays["y_train"].astype(np.int64),
        x_test=_pixels(arrays["x_test"], 255),
        y_test=arrays["y_test"].astype(np.int64),
        num_classes=int(arrays["y_train"].max()) + 1,
    )


def _cifar10(files: Mapping[str, Path]) -> Dataset:
    read = {part: [read_cifar(files[file]) for file in names] for part, names in CIFAR_FILES.items()}
    images, labels = (
        {part: np.concatenate([batch[which] for batch in batches]) for part, batches in read.items()}
        for which in (0, 1)
    )
    return Dataset(
        "cifar10",
        x_train=_pixels(images["train"], 255),
        y_train=labels["train"].astype(np.int64),
        x_test=_pixels(images["test"], 255),
        y_test=labels["test"].astype(np.int64),
        num_classes=CIFAR_CLASSES,
    )


def _find(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)


def _digits() -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(
        _pixels(images, 16), labels, test_size=DIGITS_TEST_SHARE, stratify=labels, random_state=DIGITS_SPLIT_SEED
    )
    return Dataset("digits", x_train, y_train.astype(np.int64), x_test, y_test.astype(np.int64), 10)


def _pixels(images: NDArray, greatest: int) -> NDArray:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(greatest)
