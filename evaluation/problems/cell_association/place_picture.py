"""A picture of a place of `urban`: where one cell has a line of sight, its shadowing and its SINR.

python -m rangym.evaluation.problems.cell_association.place_picture --out urban.png
"""

from __future__ import annotations

import argparse
import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.cell_association.place import place
from rangym.envs.cell_association.render import draw_place
from rangym.envs.files import write_whole
from rangym.envs.rendering import picture

SIZE_IN = (13.0, 4.4)


def png(map_seed: int, cell: int) -> bytes:
    """The picture of the place ``map_seed`` as a PNG file's content."""
    from matplotlib.image import imsave

    params = dataclasses.replace(SCENARIOS["urban"], map_seed=map_seed)
    drawn = place(params, np.random.default_rng())  # it belongs to ``map_seed``, not to a generator
    buffer = io.BytesIO()
    imsave(buffer, picture(lambda figure: draw_place(figure, drawn, cell), SIZE_IN), format="png")
    return buffer.getvalue()


def main(words: Sequence[str] | None = None) -> None:
    from rangym.evaluation.amounts import number

    parser = argparse.ArgumentParser(description="Draw the maps of one cell of a place of `urban`.")
    parser.add_argument("--map-seed", type=number(int, low=0), default=0, help="which place (default: %(default)s)")
    last = len(SCENARIOS["urban"].sites or ()) - 1
    parser.add_argument("--cell", type=number(int, low=0, high=last), default=3, help="default: %(default)s")
    parser.add_argument("--out", required=True, metavar="FILE.png")
    args = parser.parse_args(words)
    write_whole(args.out, png(args.map_seed, args.cell))


if __name__ == "__main__":
    main()
