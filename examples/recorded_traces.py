"""Recorded traces in the table: what you measured, in place of a scenario's chance.

A trace is arrays: here a street of three cells that four UEs drive along, "measured" by formula; put your own in their
place. `python -m rangym evaluate a3 lda --scenario tiny --traces drive_0.npz drive_1.npz` reads the same files, and
`rangym trace import` makes a radio map of drive logs.
Takes 3 s. Needs rangym alone.
"""

import tempfile
from pathlib import Path

import numpy as np

from rangym.envs.trace import Trace
from rangym.evaluation import Benchmark, evaluate

UES, CELLS, SLOTS = 4, 3, 22  # those of `tiny`, whose 20 slots of decisions have one before and one after
cell_m = np.array([[100.0, 20.0], [500.0, 20.0], [900.0, 20.0]])


def measured(day):
    """One drive: constants, and the fields of every slot."""
    rng = np.random.default_rng(day)
    x = rng.uniform(0, 500, UES) + 25.0 * np.arange(SLOTS)[:, None]
    position = np.stack([x, np.zeros_like(x)], axis=-1)
    distance = np.linalg.norm(position[:, :, None] - cell_m, axis=-1)
    sinr_db = 60 - 25 * np.log10(distance) + 3 * rng.standard_normal(distance.shape)
    constants = {
        "bandwidth_mhz": np.array([20.0, 10.0, 20.0]),
        "cell_position_m": cell_m,
        "cell_rat": np.full(CELLS, 5),  # 5G
        "device_type": np.zeros(UES, int),  # smartphones
        "handover_delay": np.full((UES, CELLS), 0.05),  # in slots
    }
    return Trace(constants, {"sinr_db": np.clip(sinr_db, -10, 30), "user_position_m": position})


with tempfile.TemporaryDirectory() as folder:
    files = [Path(folder, f"drive_{day}.npz") for day in range(5)]
    for day, file in enumerate(files):
        measured(day).save(file)
    benchmark = Benchmark("rangym/CellAssociation-v0", "tiny", traces=files)
    print(evaluate(["max_sinr", "a3", "lda", "hindsight", "random"], benchmark))
