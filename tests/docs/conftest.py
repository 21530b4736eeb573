"""What README's commands read."""

import runpy
from pathlib import Path

import numpy as np
import pytest

DRIVES = Path(__file__).resolve().parents[1] / "envs" / "conftest.py"


@pytest.fixture
def drive_logs():
    """Writes made-up drive logs into a folder."""
    along_a_road = runpy.run_path(str(DRIVES))["drive_along_a_road"]

    def write(folder: Path) -> None:
        rng = np.random.default_rng(0)
        for day in range(3):
            along_a_road(folder / f"drive_{day}.csv", day, rng)

    return write
