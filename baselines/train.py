"""`rangym train`: from a recipe and an agent number to weights. Imports stable-baselines3 only when it trains."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from rangym.baselines.agent import load_agents
from rangym.baselines.recipe import Recipe
from rangym.baselines.recipes import RECIPES
from rangym.envs.errors import MissingExtra, WrongValue, shown
from rangym.envs.params import count_of
from rangym.evaluation.amounts import number
from rangym.evaluation.places import new_folder

MOST_STEPS = 10**12
EXTRA = "training needs the extra 'rl': pip install 'rangym[rl]'"


def train(recipe: Recipe, seed: int, out: str | Path, *, resume: bool = False, progress: bool = False) -> Path:
    """Train agent ``seed`` of ``recipe`` and return the path of its file, ``out/agent.npz``.

    The file holds the weights and recipe, training curve, command and versions (`save_agents`); ``out`` also gets a
    checkpoint after every tenth update and TensorBoard logs. Agent k trains on the traces of the seeds from
    20,000 + 1,000 k.

    Parameters
    ----------
    resume : go on from the checkpoint in ``out``; without it a folder that holds a run is refused. A checkpoint has
        SB3's own format, which can run code when it is read: only resume runs of your own.
    progress : show a progress bar.
    """
    if count_of(seed) is None:
        raise WrongValue(f"seed: an agent number of at least 0 wanted, got {shown(seed)}")
    try:
        from rangym.baselines.learner import Learner
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rangym"):
            raise
        raise MissingExtra(f"{EXTRA} (no module named {error.name!r})") from error
    return Learner(recipe, seed, Path(out), resume).run(progress)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``rangym train``."""
    names = sorted(RECIPES)
    parser.add_argument("recipe", metavar="RECIPE", choices=names, help=f"what to train: {', '.join(names)}")
    parser.add_argument(
        "--seed", type=number(int, low=0), default=0, help="agent number k; it trains on seeds from 20,000 + 1,000 k"
    )
    parser.add_argument("--out", type=new_folder, required=True, help="folder of the run")
    parser.add_argument(
        "--steps", type=number(int, low=1, limit=MOST_STEPS), help="total steps, instead of the recipe's"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint in the folder, on traces not seen yet; reading it runs code in it (a pickle), "
        "so resume runs of your own only",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Train as told on the command line."""
    recipe = RECIPES[args.recipe]
    if args.steps is not None:
        recipe = dataclasses.replace(recipe, total_steps=args.steps)
    weights = train(recipe, args.seed, args.out, resume=args.resume, progress=not args.quiet)
    last = load_agents(weights)[0].config["curve"][-1]
    print(f"{weights}: {last['reward']:.4f} per slot on the tuning traces after {last['seconds']:.0f} s of CPU time")
    print(f"use it as the policy {recipe.name}:agent={weights}")
    return 0
