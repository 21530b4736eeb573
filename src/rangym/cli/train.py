"""``rangym train``: a reinforcement-learning agent."""

from __future__ import annotations

import argparse

from rangym.cli import arguments

DESCRIPTION = """\
Train a reinforcement-learning agent from a recipe (needs the extra: pip install 'rangym[rl]').

The result is a policy like any other: `rangym evaluate` takes it beside the reference policies."""
EXAMPLE = "  rangym train ppo_shared --seed 0 --out runs/ppo_shared"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.baselines import train

    train.add_arguments(parser)


def going_on(args: argparse.Namespace) -> str:
    """What an interrupted training leaves behind."""
    return arguments.checkpoint_kept(args, "progress.json")


def run(args: argparse.Namespace) -> int:
    from rangym.baselines import train

    return train.run(args)
