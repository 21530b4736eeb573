"""``rangym map raytrace``: the radio map of a city, from a scene of Sionna RT."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path

from rangym.envs.errors import WrongValue

DESCRIPTION = """\
Trace rays through a city and make a radio map of its streets: SINR of every cell in squares of 5 m,
with all cells at full load, and tracks of UEs along the streets.

SCENE is a scene file that Sionna RT reads (Mitsuba XML) or one of its own: munich, florence, etoile,
san_francisco and others. The extra `raytrace` brings Sionna RT. On a CPU it also needs LLVM's shared library
(Debian and Ubuntu: libllvm19), named by DRJIT_LIBLLVM_PATH. 4 million rays of one cell take 5 to 30 s.

--sites is a JSON file {"roof_m": [[x, y, z], ...], "street_m": [[x, y, z], ...]} in the scene's metres.
Each roof site has three sectors (46 dBm, LTE), each street cell is a vertical dipole (37 dBm, 5G);
without z they stand 5 m above the roof or 6 m above the ground. `auto` chooses four and six of them."""
EXAMPLE = """\
  export DRJIT_LIBLLVM_PATH=/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1
  rangym map raytrace munich --window 100,-50,600 --rays 4e6 --out munich.npz
  rangym evaluate a3 lda --scenario munich --set map=munich.npz"""

DEFAULT_SIDE_M = 600.0
MAX_RAYS = 10**10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.amounts import number
    from rangym.evaluation.places import new_file

    parser.add_argument("scene", metavar="SCENE", help="scene file, or a name of Sionna RT's own")
    parser.add_argument(
        "--window",
        type=_numbers(3, "X,Y,SIDE"),
        metavar="X,Y,SIDE",
        help=f"its middle and side in the scene's metres (default: the scene's middle, {DEFAULT_SIDE_M:g})",
    )
    parser.add_argument("--sites", default="auto", metavar="FILE", help="JSON file of sites, or auto (default)")
    parser.add_argument(
        "--carriers",
        type=_numbers(2, "ROOF,STREET"),
        default=(1.8, 3.5),
        metavar="ROOF,STREET",
        help="GHz of the cells on roofs and in streets, at least 1 (default: 1.8,3.5)",
    )
    parser.add_argument(
        "--rays", type=_rays, default=(4_000_000,) * 2, metavar="N", help="of each cell, or ROOF,STREET (default: 4e6)"
    )
    parser.add_argument(
        "--depth", type=number(int, low=0, high=50), default=12, help="reflections at most (default: %(default)s)"
    )
    parser.add_argument("--tracks", type=number(int, low=1, high=5000), default=200, help="of UEs (default: 200)")
    parser.add_argument(
        "--walkers", type=number(float, low=0, high=1), default=0.0, help="share of UEs that walk (default: 0)"
    )
    parser.add_argument("--seed", type=number(int, low=0), default=0, help="of the tracks (default: 0)")
    parser.add_argument(
        "--keep", type=new_file, metavar="FILE.npz", help="keep the gains here after every step and go on from there"
    )
    parser.add_argument("--out", type=new_file, required=True, metavar="FILE.npz", help="the map's file")


def run(args: argparse.Namespace) -> int:
    from dataclasses import replace

    import numpy as np

    from rangym.envs.cell_association import raytrace, site_plan
    from rangym.envs.cell_association.city import ROOF, STREET, Cells, Window
    from rangym.envs.cell_association.city_builder import build_city
    from rangym.envs.cell_association.streets import places, street_tracks
    from rangym.evaluation.columns import counted
    from rangym.evaluation.progress import progress

    for name in ("out", "keep"):
        if (path := getattr(args, name)) is not None and not path.endswith(".npz"):
            raise WrongValue(f"--{name}: a file name ending in .npz wanted, got {path!r}")
    low, high = raytrace.CARRIERS_GHZ
    if not all(low <= ghz <= high for ghz in args.carriers):
        wanted = f"{low:g} to {high:g} GHz, for which ITU-R P.2040 describes walls,"
        raise WrongValue(f"--carriers: {wanted} wanted, got {','.join(f'{ghz:g}' for ghz in args.carriers)}")
    scene = raytrace.load_scene(args.scene)
    x, y, side = args.window or (*raytrace.middle_m(scene), DEFAULT_SIDE_M)
    window = Window((x, y), side)
    roof_m = raytrace.roof_heights(scene, window)
    outdoor = raytrace.outdoors(roof_m)
    auto = args.sites == "auto"
    plan = site_plan.auto_sites(roof_m, outdoor, window) if auto else site_plan.read_sites(args.sites, roof_m, window)
    roof, street = (replace(layer, carrier_ghz=ghz) for layer, ghz in zip((ROOF, STREET), args.carriers, strict=True))
    cells = Cells.at(plan.roof_m, plan.street_m, roof, street)
    roofs, streets = counted(len(plan.roof_m), "roofs"), counted(len(plan.street_m), "streets")
    print(f"{counted(len(cells.name), 'cells')} on {roofs} and in {streets}")
    tracks = street_tracks(
        places(outdoor),
        args.tracks,
        TRACK_S,
        args.walkers,
        np.random.default_rng(args.seed),
        lambda total: progress(range(total), total, "tracks"),
    )
    traced = raytrace.trace(
        scene,
        window,
        cells,
        rays=np.where(np.isnan(cells.azimuth_deg), args.rays[1], args.rays[0]),
        depth=args.depth,
        keep=Path(args.keep) if args.keep else None,
        bar=lambda total: progress(range(total), total, "tracing rays"),
    )
    about = {"scene": Path(args.scene).stem, "tracer": raytrace.version(), "command": _command(args)}
    roof_rays, street_rays = args.rays
    account = {
        "roof_rays": roof_rays,
        "street_rays": street_rays,
        "depth": args.depth,
        "x_m": x,
        "y_m": y,
        "scattering": raytrace.SCATTERING,
    }
    found = build_city(traced, outdoor, window, cells, tracks, about, account)
    found.save(args.out)
    print(found.summary())
    print(f"\n{args.out} written; use it with: rangym evaluate a3 lda --scenario munich --set map={args.out}")
    return 0


TRACK_S = 600
"""Seconds of each track."""


def going_on(args: argparse.Namespace) -> str:
    """What is left of an interrupted run."""
    return f"the same command goes on from {args.keep}" if args.keep else "nothing was written; --keep would have"


def _command(args: argparse.Namespace) -> str:
    """The command that makes this map, without the folders of this machine."""
    words = ["rangym", "map", "raytrace", args.scene if not args.scene.endswith(".xml") else Path(args.scene).name]
    given = {
        "window": args.window and ",".join(f"{n:g}" for n in args.window),
        "sites": args.sites if args.sites == "auto" else Path(args.sites).name,
        "carriers": ",".join(f"{n:g}" for n in args.carriers),
        "rays": ",".join(f"{n / 1e6:g}e6" for n in args.rays),
        "depth": args.depth,
        "tracks": args.tracks,
        "walkers": f"{args.walkers:g}",
        "seed": args.seed,
        "out": Path(args.out).name,
    }
    for name, value in given.items():
        words += [f"--{name}", str(value)] if value is not None else []
    return shlex.join(words)


def _numbers(count: int, form: str) -> Callable[[str], tuple[float, ...]]:
    """The type of an argument of so many numbers with commas between them."""

    def parse(text: str) -> tuple[float, ...]:
        try:
            found = tuple(float(part) for part in text.split(","))
        except ValueError:
            found = ()
        if len(found) != count or not all(abs(n) < 1e7 for n in found):
            raise argparse.ArgumentTypeError(f"{form} wanted, got {text!r}")
        return found

    return parse


def _rays(text: str) -> tuple[int, int]:
    """Numbers of rays of a cell on a roof and in a street, which may be written as 16e6; one number is that of both."""
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) not in (1, 2) or not all(1 <= n <= MAX_RAYS and n == int(n) for n in found):
        raise argparse.ArgumentTypeError(f"one or two whole numbers of 1 to {MAX_RAYS:g} wanted, got {text!r}")
    return int(found[0]), int(found[-1])
