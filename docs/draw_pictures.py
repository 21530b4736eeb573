"""Draw README's pictures anew: ``python docs/draw_pictures.py``. Look at each of them afterwards."""

import shlex
from pathlib import Path

from rangym.cli import main

FOLDER = Path(__file__).resolve().parent / "pictures"
MOST_BYTES = 300_000
EPISODES = {
    "cell_association": "lda:tuned --env CellAssociation --slots 60 --fps 8 --width 720",
    "node_placement": "ppo_direct --env NodePlacement --slots 60 --every 5 --fps 3 --width 480",
    "noma_allocation": "mba_kkt --env NomaAllocation --slots 10 --fps 2 --width 720",
    "cefl_orchestration": "ppo_rounds --env CeflOrchestration --slots 16 --fps 2 --width 720",
    "qos_clustering": "bayes_filter:tuned --env QosClustering --slots 88 --every 4 --fps 4 --width 720",
}
"""Picture -> what `rangym render` is told; seed 20000 is no evaluation trace."""


def draw() -> None:
    """Write the pictures; one that is too large for a page is an error."""
    for name, words in EPISODES.items():
        file = FOLDER / f"{name}.gif"
        command = f"render {words} --seed 20000 --out {shlex.quote(str(file))}"
        print(f"rangym {command}")
        if main(shlex.split(command)):
            raise SystemExit(f"{file} was not drawn")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise SystemExit(f"{file} has {size:,} bytes, more than {MOST_BYTES:,}: fewer slots")


if __name__ == "__main__":
    draw()
