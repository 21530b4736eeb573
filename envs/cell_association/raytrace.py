"""Path gains of a city by ray tracing with Sionna RT, which the extra ``raytrace`` brings.

The solver shoots rays from each cell and collects the power that crosses every square of a plane 1.5 m above the
ground: reflections, refraction, diffraction at edges, and scattering. Powers are added, so there is no fast fading.
Materials are those of the scene, after ITU-R P.2040, which begins at 1 GHz.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association.city import Cells, Window
from rangym.envs.cell_association.streets import STEP_M
from rangym.envs.errors import MissingExtra, UnreadableFile, WrongValue, shown
from rangym.envs.files import packed, write_whole
from rangym.envs.physics.channel import USER_HEIGHT_M

if TYPE_CHECKING:
    from sionna.rt import Scene

CARRIERS_GHZ = (1.0, 40.0)
"""Where the recommendation has numbers for walls of every material, brick included."""
SCATTERING = 0.3
"""Share of the reflected amplitude that walls scatter: one assumption for all materials."""
BATCH_RAYS = 4_000_000
"""Rays of one run of the solver, which bounds its memory; more rays are several runs with seeds of their own."""
GROUND_M = 1.0
"""Where a ray from above ends no higher than this over the lowest level, there is ground."""
ABOVE_M = 10.0
LLVM = "DRJIT_LIBLLVM_PATH"


@dataclass(frozen=True, eq=False)
class Traced:
    """What ray tracing finds on the H x W squares of a window; row 0 is the southernmost.

    ``roof_m`` (H, W) height of what is seen from above, ``gain`` (J, H, W) linear path gain with the antenna's pattern,
    0 where no ray came, and ``line_of_sight`` (J, H, W) between the cell and the middle of the square.
    """

    roof_m: NDArray[np.float64]
    gain: NDArray[np.float64]
    line_of_sight: NDArray[np.bool_]


def sionna() -> ModuleType:
    """The module ``sionna.rt``; `MissingExtra` says what to install, LLVM's library included."""
    try:
        import sionna.rt as rt
    except ModuleNotFoundError as error:
        raise MissingExtra(f"ray tracing needs the package {error.name}: pip install 'rangym[raytrace]'") from error
    except Exception as error:  # Dr.Jit's own, where it does not find LLVM
        if "LLVM" not in str(error):
            raise
        found = f"{LLVM}={os.environ[LLVM]}" if LLVM in os.environ else f"no {LLVM}"
        raise MissingExtra(
            f"ray tracing on a CPU needs LLVM's shared library, got {found}: install it (Debian and Ubuntu: libllvm19) "
            f"and name it: export {LLVM}=/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1"
        ) from error
    return rt


def version() -> str:
    """Name and version of the tracer."""
    return f"Sionna RT {metadata.version('sionna-rt')}"


def load_scene(name: str) -> Scene:
    """The scene file ``name`` (Mitsuba XML), or one of Sionna RT's own by its name, such as ``munich``.

    Raises
    ------
    MissingExtra : Sionna RT or LLVM is not installed.
    UnreadableFile, ValueError : no such scene, or not one that Sionna RT reads.
    """
    rt = sionna()
    own = sorted(word for word, file in vars(rt.scene).items() if isinstance(file, str) and file.endswith(".xml"))
    if name not in own and not Path(name).is_file():
        raise UnreadableFile(f"SCENE: a scene file or one of {', '.join(own)} wanted, got {shown(name)}")
    try:
        scene = rt.load_scene(getattr(rt.scene, name) if name in own else name, merge_shapes=True)
    except Exception as error:  # Mitsuba raises RuntimeError and others for a foreign file
        raise WrongValue(f"SCENE: a scene that Sionna RT reads wanted, got {name}: {error}") from error
    for material in scene.radio_materials.values():
        material.scattering_coefficient = SCATTERING
    return scene


def middle_m(scene: Scene) -> tuple[float, float]:
    """The middle of the scene, (x, y) in metres."""
    middle = scene.mi_scene.bbox().center()
    return float(middle.x), float(middle.y)


def roof_heights(scene: Scene, window: Window) -> NDArray[np.float64]:
    """Height of what a ray straight down meets in the middle of each square, (H, W); NaN where it meets nothing."""
    import mitsuba

    x, y = window.middles()
    start = float(scene.mi_scene.bbox().max.z) + ABOVE_M
    origin = mitsuba.Point3f(x.ravel().astype(np.float32), y.ravel().astype(np.float32), start)
    hit = scene.mi_scene.ray_intersect(mitsuba.Ray3f(origin, mitsuba.Vector3f(0, 0, -1)))
    return np.where(np.array(hit.is_valid()), np.array(hit.p.z, np.float64), np.nan).reshape(x.shape)


def outdoors(roof_m: NDArray) -> NDArray[np.bool_]:
    """Where there is ground, (H, W)."""
    if np.isnan(roof_m).all():
        raise WrongValue("window: one inside the scene wanted, got one in which there is nothing")
    return roof_m < np.nanmin(roof_m) + GROUND_M  # not so for NaN


def line_of_sight(scene: Scene, window: Window, position_m: NDArray) -> NDArray[np.bool_]:
    """Whether nothing stands between a position (3,) and the middle of each square at a UE's height, (H, W)."""
    import mitsuba

    x, y = (axis.ravel() for axis in window.middles())
    here = np.stack([x, y, np.full_like(x, USER_HEIGHT_M)])
    way = position_m[:, None] - here
    metres = np.sqrt((way * way).sum(axis=0))
    origin, direction = here.astype(np.float32), (way / metres).astype(np.float32)
    ray = mitsuba.Ray3f(mitsuba.Point3f(*origin), mitsuba.Vector3f(*direction))
    ray.maxt = mitsuba.Float(metres.astype(np.float32))
    return ~np.array(scene.mi_scene.ray_test(ray)).reshape(window.shape)


def solve(
    scene: Scene, window: Window, cells: Cells, cell: int, *, rays: int, depth: int, seed: int, everything: bool = True
) -> NDArray[np.float64]:
    """Linear path gain of one cell on the window, (H, W), with its antenna's pattern.

    ``everything=False`` leaves out refraction, diffraction and scattering: only the line of sight and up to ``depth``
    mirror reflections are left.
    """
    rt = sionna()
    name = "cell"
    scene.frequency = float(cells.carrier_ghz[cell]) * 1e9
    pattern = "dipole" if np.isnan(cells.azimuth_deg[cell]) else "tr38901"
    scene.tx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern=pattern, polarization="V")
    turn = np.radians(np.nan_to_num(cells.azimuth_deg[cell])), np.radians(cells.downtilt_deg[cell])
    place = [float(axis) for axis in cells.position_m[cell]]
    scene.add(rt.Transmitter(name, position=place, orientation=[float(turn[0]), float(turn[1]), 0.0]))
    try:
        found = rt.RadioMapSolver()(
            scene,
            center=[*window.centre_m, USER_HEIGHT_M],
            orientation=[0.0, 0.0, 0.0],
            size=[window.size_m] * 2,
            cell_size=[STEP_M] * 2,
            samples_per_tx=rays,
            max_depth=depth,
            seed=seed,
            diffuse_reflection=everything,
            refraction=everything,
            diffraction=everything,
            edge_diffraction=everything,
        )
        return np.array(found.path_gain, np.float64)[0]
    finally:
        scene.remove(name)


def trace(
    scene: Scene,
    window: Window,
    cells: Cells,
    *,
    rays: NDArray[np.int64],
    depth: int,
    keep: Path | None = None,
    bar: Callable[[int], Iterator[int]] = lambda total: iter(range(total)),
) -> Traced:
    """Path gains and lines of sight of all cells.

    Parameters
    ----------
    rays : (J,) rays of each cell, in batches of `BATCH_RAYS`.
    depth : how often a ray may be reflected, refracted or scattered.
    keep : file that holds the gains so far after every batch; a run that was cut off goes on from there.
    bar : makes the iterator over the batches, such as a progress bar, from their number.
    """
    batches = -(-rays // BATCH_RAYS)
    steps = [(batch, cell) for batch in range(batches.max()) for cell in np.flatnonzero(batches > batch).tolist()]
    what = json.dumps([window.centre_m, window.size_m, depth, *(a.tolist() for a in (rays, *cells.radio()))])
    done, total = _kept(keep, what, (len(cells.name), *window.shape))
    for step in bar(len(steps)):
        if step < done:
            continue
        batch, cell = steps[step]
        some = int(min(BATCH_RAYS, rays[cell] - batch * BATCH_RAYS))
        total[cell] += some / rays[cell] * solve(scene, window, cells, int(cell), rays=some, depth=depth, seed=1 + step)
        if keep is not None:
            write_whole(keep, packed({"what": what, "done": step + 1, "gain": total}))
    sight = np.stack([line_of_sight(scene, window, position) for position in cells.position_m])
    return Traced(roof_heights(scene, window), total, sight)


def _kept(keep: Path | None, what: str, shape: tuple[int, ...]) -> tuple[int, NDArray[np.float64]]:
    """The batches done before and their gains."""
    if keep is None or not keep.exists():
        return 0, np.zeros(shape)
    with np.load(keep, allow_pickle=False) as archive:
        if str(archive["what"]) != what:
            raise WrongValue(f"--keep: a file of the same window, cells, rays and depth wanted, got {keep} of others")
        return int(archive["done"]), archive["gain"]
