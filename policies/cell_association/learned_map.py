"""A radio map as policies use it: the mean SINR of every cell in each square of the area, learned from observations.

Any environment that shows `position_m` can teach one: every observation holds where each UE was and what it received
from all cells, whatever was decided. ``urban_map.npz`` beside this module was learned so in the place ``map_seed=0`` of
`urban`, by ``python -m rangym.baselines.cell_association.learn_map``. In a ray-traced city its radio map serves
as well, without learning.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from rangym.envs.cell_association.measured import map_file
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.core import SystemVectorEnv, build
from rangym.envs.errors import WrongValue
from rangym.envs.files import packed, read_whole, write_whole
from rangym.envs.physics.mobility import fold
from rangym.policies.base import Task

SHIPPED = Path(__file__).parent / "urban_map.npz"
SQUARE_M = 10.0
LANES = 50


@dataclass(frozen=True, eq=False)
class LearnedMap:
    """Mean SINR in dB by square, ``sinr_db[j, row, column]`` of cell j, ``(J, n, n)`` float32.

    ``side_m`` is the side of the area, and ``about`` says from which episodes the map was learned.
    """

    sinr_db: NDArray[np.float32]
    side_m: float
    about: Mapping[str, object] = field(default_factory=dict)

    def at(self, position_m: NDArray) -> NDArray[np.float32]:
        """SINR in dB ``(..., J)`` at the positions ``(..., 2)``; those outside count as on the border."""
        squares = self.sinr_db.shape[1]
        column, row = np.clip((position_m * (squares / self.side_m)).astype(np.int64), 0, squares - 1).T
        by_square = self.sinr_db.reshape(len(self.sinr_db), -1).T
        return by_square[(row * squares + column).T]

    def ahead(self, position_m: NDArray, velocity: NDArray, slots: int) -> NDArray[np.float32]:
        """SINR in dB ``(slots, ..., J)`` in the next slots on the way straight on, which the borders reflect.

        ``position_m`` ``(..., 2)``; ``velocity`` of the same shape, in metres a slot.
        """
        steps = np.arange(1, slots + 1).reshape(-1, *(1,) * position_m.ndim)
        return self.at(fold(position_m + steps * velocity, self.side_m))

    def save(self, path: str | Path) -> None:
        """Write an ``.npz`` file, whole or not at all; values are rounded to float16, by at most .01 dB."""
        sinr_db, about = self.sinr_db.astype(np.float16), json.dumps(self.about)
        write_whole(path, packed({"sinr_db": sinr_db, "side_m": self.side_m, "about": about}, compress=True))

    @staticmethod
    def load(path: str | Path) -> LearnedMap:
        """Read what `save` wrote; anything else raises `ValueError` with the file's name and what is wrong."""
        return _parsed(str(path), read_whole(path, "map"))


def file_of(name: str | Path | None) -> Path:
    """The file of the map ``name``: a path, the name of a shipped city, or by default the map of `urban`."""
    return SHIPPED if name is None else map_file(str(name))


def learned_map(name: str | Path | None, task: Task) -> LearnedMap:
    """The map in `file_of` ``name``, for a task of as many cells and the same area."""
    if "position_m" not in task.observation_space.spaces:
        raise WrongValue("scenario: 'urban', or another that observes position_m, wanted, got one that does not")
    path = file_of(name)
    data = read_whole(path, "map")
    found = _of_city(str(path), data) if _is_radio_map(data) else _parsed(str(path), data)
    cells, side = task.box("load").shape[0], float(task.box("position_m").high.max())
    if (len(found.sinr_db), found.side_m) != (cells, side):
        have = f"{len(found.sinr_db)} cells in {found.side_m:g} m"
        raise WrongValue(f"map: a learned map of {cells} cells in {side:g} m wanted, got {path} of {have}")
    limits = task.box("sinr_db")
    return replace(found, sinr_db=np.clip(found.sinr_db, limits.low.min(), limits.high.max()))


def _is_radio_map(data: bytes) -> bool:
    """Whether the content of a file is an ``.npz`` file with the fields of a radio map of environments."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            return "cell_rat" in archive.files
    except Exception:  # a foreign file: `_parsed` says what is wrong with it
        return False


@lru_cache(maxsize=8)
def _of_city(path: str, data: bytes) -> LearnedMap:
    """The map of the city in the file ``path`` of content ``data``; squares off the street take the nearest value."""
    source = RadioMap.parse(path, data)
    if source.city is None or source.size_m[0] != source.size_m[1]:
        raise WrongValue(f"map: a learned map, or the radio map of a city that is square, wanted, got {path}")
    street = source.city.streets()
    sinr_db = np.zeros((source.num_cells, *street.shape), np.float32)
    sinr_db[:, street] = source.sinr_db.T
    row, column = distance_transform_edt(~street, return_distances=False, return_indices=True)
    return LearnedMap(sinr_db[:, row, column], float(source.size_m[0]), dict(source.city.about))


@lru_cache(maxsize=8)
def _parsed(path: str, data: bytes) -> LearnedMap:
    """The map in the content ``data`` of the file ``path``."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            sinr, side, about = (archive[name] for name in ("sinr_db", "side_m", "about"))
            found = LearnedMap(sinr.astype(np.float32), float(side), json.loads(str(about)))
    except Exception as error:  # zipfile, zlib, JSON and NumPy each raise their own kind for a foreign file
        raise WrongValue(f"{path}: not a learned map ({type(error).__name__}: {error})") from error
    shape = found.sinr_db.shape
    if len(shape) != 3 or shape[1] != shape[2] or 0 in shape or not np.isfinite(found.sinr_db).all():
        raise WrongValue(f"{path}: sinr_db: finite numbers of shape (J, n, n) wanted, got shape {shape}")
    if not 0 < found.side_m < np.inf:
        raise WrongValue(f"{path}: side_m: a length above 0 wanted, got {found.side_m}")
    return found


def learn_map(
    system: str, scenario: str, seeds: Sequence[int], overrides: Mapping[str, object], square_m: float = SQUARE_M
) -> LearnedMap:
    """The map that the episodes of ``seeds`` teach; a square where nobody was takes the value of the nearest one.

    The observations of slots 0..T - 1 are used. Nothing is decided: every UE stays at the first cell.
    """
    if not seeds:
        raise WrongValue("seeds: at least one wanted, got none")
    if not 1.0 <= square_m < math.inf:
        raise WrongValue(f"square_m: at least 1 m wanted, got {square_m!r}")
    model = build(system, scenario, overrides)
    seen_at = model.observation_space.spaces.get("position_m")
    if not isinstance(seen_at, Box):
        raise WrongValue(f"scenario: one that shows position_m wanted, such as 'urban', got {scenario!r}")
    side, cells = float(seen_at.high.max()), model.shapes["sinr_db"][1]
    squares = max(1, round(side / square_m))
    total = np.zeros((squares * squares, cells + 1))  # sums of the SINR, and how many they are of
    for first in range(0, len(seeds), LANES):
        some = list(seeds[first : first + LANES])
        env = SystemVectorEnv(model, len(some), autoreset_mode=AutoresetMode.DISABLED)
        observation, _ = env.reset(seed=some)
        still = np.zeros(env.action_space.shape or (), np.int64)
        for _ in range(model.horizon):
            x, y = np.minimum((observation["position_m"] * (squares / side)).astype(np.int64), squares - 1).T
            sinr_db = observation["sinr_db"].reshape(-1, cells)
            seen = np.concatenate([sinr_db, np.ones((len(sinr_db), 1))], axis=1)
            np.add.at(total, (y * squares + x).T.ravel(), seen)
            observation, *_ = env.step(still)
    count = total[:, -1].reshape(squares, squares)
    mean = (total[:, :-1] / np.maximum(total[:, -1:], 1)).T.reshape(-1, squares, squares)
    row, column = distance_transform_edt(count == 0, return_distances=False, return_indices=True)
    about = {"scenario": scenario, "overrides": dict(overrides), "seeds": [min(seeds), max(seeds) + 1]}
    return LearnedMap(mean[:, row, column].astype(np.float32), side, about)
