"""``rangym pretrain``: the predictors of QosClustering."""

from __future__ import annotations

import argparse

from rangym.cli import arguments
from rangym.envs.errors import MissingExtra

DESCRIPTION = """\
Train the base network of a predictor on history days of the generator, or on the first half of
recorded days, then fit its global head and its libraries of heads. Writes FOLDER/NAME.npz and
FOLDER/NAME.json, which the environment takes as predictor=FOLDER/NAME.npz, and a checkpoint after
every epoch."""
EXAMPLE = """\
  rangym pretrain small --out predictors/small
  rangym pretrain paper --out predictors/paper --resume
  rangym pretrain small --days days.npz --out network
  rangym evaluate sticky_smoothed --env QosClustering --scenario imported --set days=days.npz \\
      --set predictor=network/small.npz"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.amounts import number
    from rangym.evaluation.places import new_folder

    parser.add_argument("name", help="small (22-64-64-32, inputs appended) or paper (22-256-256-128)")
    parser.add_argument("--out", type=new_folder, metavar="FOLDER", required=True, help="where files go")
    parser.add_argument("--days", metavar="FILE.npz", help="recorded days, made by `rangym map import --kind qos`")
    parser.add_argument(
        "--epochs", type=number(int, low=1), help="passes over the training rows (default: the recipe's)"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the folder")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def going_on(args: argparse.Namespace) -> str:
    """What an interrupted pre-training leaves behind."""
    return arguments.checkpoint_kept(args, "checkpoint.pt")


def run(args: argparse.Namespace) -> int:
    try:
        from rangym.baselines.qos_clustering.pretraining import pretrain
    except ModuleNotFoundError as error:
        needs = "pre-training needs the extra 'rl': pip install 'rangym[rl]'"
        raise MissingExtra(f"{needs} (no module named {error.name!r})") from error
    from rangym.envs.qos_clustering.predictor import load

    options = {"days": args.days, "epochs": args.epochs, "resume": args.resume}
    path = pretrain(args.name, args.out, progress=not args.quiet, **options)
    for point in load(str(path)).config["curve"]:  # type: ignore[attr-defined]
        print(f"epoch {point['epoch']:2}: training {point['training']:.4f}, validation {point['validation']:.4f}")
    use = f"predictor={path}" + (f" with scenario=imported and days={args.days}" if args.days else "")
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB; use it as {use}")
    return 0
