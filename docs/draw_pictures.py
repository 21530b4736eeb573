"""Draw the site's pictures anew: ``python docs/draw_pictures.py``. Look at each of them afterwards."""

import argparse
import io
import shlex
from pathlib import Path

from matplotlib.image import imsave

from rangym.cli import main
from rangym.envs.cell_association.measured import map_file
from rangym.envs.cell_association.radio_map import RadioMap
from rangym.envs.cell_association.render_city import draw_radio_map
from rangym.envs.files import write_whole
from rangym.envs.rendering import picture
from rangym.evaluation.problems.cell_association import place_picture, scaling, scaling_report

FOLDER = Path(__file__).resolve().parent / "pictures"
SCALING = FOLDER.parents[1] / "evaluation" / "published" / "scaling.jsonl"
MOST_BYTES = 300_000
EPISODES = {
    "cell_association": "lda:tuned --env CellAssociation --slots 60 --fps 8 --width 720",
    "node_placement": "ppo_direct --env NodePlacement --slots 60 --every 5 --fps 3 --width 480",
    "noma_allocation": "mba_kkt --env NomaAllocation --slots 10 --fps 2 --width 720",
    "cefl_orchestration": "ppo_rounds --env CeflOrchestration --slots 16 --fps 2 --width 720",
    "qos_clustering": "bayes_filter:tuned --env QosClustering --slots 88 --every 4 --fps 4 --width 720",
}
"""Picture -> what `rangym render` is told; seed 20000 is no evaluation trace."""
CITIES = ("munich", "florence")


def draw() -> None:
    """Write the pictures; one that is too large for a page is an error."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    write_whole(FOLDER / "cell_association_urban.png", place_picture.png(map_seed=0, cell=3))
    write_whole(FOLDER / "cell_association_scaling.png", scaling_report.png(scaling.load(SCALING)))
    for city in CITIES:
        write_whole(FOLDER / f"cell_association_{city}.png", _radio_map(RadioMap.load(map_file(city))))
    for name, words in EPISODES.items():
        file = FOLDER / f"{name}.gif"
        command = f"render {words} --seed 20000 --out {shlex.quote(str(file))}"
        print(f"rangym {command}")
        if main(shlex.split(command)):
            raise SystemExit(f"{file} was not drawn")
        if (size := file.stat().st_size) > MOST_BYTES:
            raise SystemExit(f"{file} has {size:,} bytes, more than {MOST_BYTES:,}: fewer slots")


def _radio_map(city: RadioMap) -> bytes:
    buffer = io.BytesIO()
    imsave(buffer, picture(lambda figure: draw_radio_map(figure, city), (11, 5.2)), format="png")
    return buffer.getvalue()


if __name__ == "__main__":
    draw()
