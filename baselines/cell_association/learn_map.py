"""Learn the map of `map_forecast` and `ppo_place`: ``python -m rangym.baselines.cell_association.learn_map --help``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rangym.envs.errors import WrongCall
from rangym.envs.registration import problem
from rangym.evaluation.protocol import training_seeds
from rangym.policies.cell_association.learned_map import SQUARE_M, learn_map

EPISODES = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn a map from training episodes and write it to a file."""
    parser = argparse.ArgumentParser(
        prog="python -m rangym.baselines.cell_association.learn_map", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz", help="for map_forecast:map=FILE.npz")
    parser.add_argument("--map-seed", type=int, default=0, help="the place")
    parser.add_argument("--episodes", type=int, default=EPISODES, help=f"how many (default {EPISODES})")
    parser.add_argument("--square-m", type=float, default=SQUARE_M, help=f"side of a square (default {SQUARE_M:g} m)")
    args = parser.parse_args(arguments)
    seeds = training_seeds(0)[: args.episodes]
    if not 1 <= args.episodes <= len(training_seeds(0)):
        parser.error(f"--episodes: 1 to {len(training_seeds(0))} wanted, got {args.episodes}")
    system = problem("rangym/CellAssociation-v0").system
    try:
        learn_map(system, "urban", seeds, {"map_seed": args.map_seed}, args.square_m).save(args.out)
    except (WrongCall, OSError) as error:
        parser.error(str(error))
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB; use it as map_forecast:map={args.out}")


if __name__ == "__main__":
    main()
