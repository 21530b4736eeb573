"""``rangym render``: an episode as an animated GIF."""

from __future__ import annotations

import argparse

from rangym.cli import arguments
from rangym.envs.errors import WrongValue

DESCRIPTION = """\
Play an episode with a policy and write it as an animated GIF (needs: pip install 'rangym[plot]')."""
EXAMPLE = "  rangym render lda --scenario small --seed 0 --slots 100 --out lda.gif"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.amounts import number
    from rangym.evaluation.places import new_file

    parser.add_argument("policy", metavar="POLICY", help="see `rangym list`")
    arguments.add_environment(parser)
    parser.add_argument(
        "--seed", type=number(int, low=0, limit=None), default=0, help="seed of the trace (default: %(default)s)"
    )
    parser.add_argument(
        "--slots", type=number(int, low=1), default=100, help="at most so many slots (default: %(default)s)"
    )
    parser.add_argument(
        "--fps", type=number(int, low=1, high=50), default=10, help="frames a second (default: %(default)s)"
    )
    parser.add_argument(
        "--every", type=number(int, low=1), default=1, help="a frame after so many slots (default: %(default)s)"
    )
    parser.add_argument("--width", type=number(int, low=64, high=4096), help="pixels (default: as drawn, 800)")
    parser.add_argument("--out", type=new_file, required=True, metavar="FILE.gif", help="file to write")


def run(args: argparse.Namespace) -> int:
    if not args.out.endswith(".gif"):
        raise WrongValue(f"--out: a file name ending in .gif wanted, got {args.out!r}")
    from rangym.evaluation.columns import counted
    from rangym.evaluation.film import check_extra, film, write_gif

    check_extra()
    overrides = arguments.key_values(args.overrides, "--set")
    env_id = arguments.env_id(args.env)
    frames = film(args.policy, env_id, args.scenario, overrides, seed=args.seed, slots=args.slots, every=args.every)
    file = write_gif(frames, args.out, args.fps, args.width)
    print(f"{file}: {counted(len(frames), 'frames')}, {file.stat().st_size / 1000:,.0f} kB")
    return 0
