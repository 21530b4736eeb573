"""``rangym orchestrate``: real models trained as policies of CeflOrchestration decide."""

from __future__ import annotations

import argparse
import inspect

from rangym.cli import arguments
from rangym.envs.errors import printable

DESCRIPTION = """\
Train a small network as policies of CeflOrchestration decide - who holds which samples, how many
steps, which mini-batches - and compare the rounds, the delay and the energy until its test
accuracy reaches each target. The first policy with the first aggregation is compared with all
others on the same traces.

--aggregation: normalised (FedNova: each change is divided by the steps it is worth) or fedavg.
A decision of convex_reference takes about 1.5 s in the scenario paper, and .03 s in paper_fixed.
With several --rates each method gets its own, chosen on the tuning seeds with the same trials.
With --out, finished runs are kept, and the same command goes on where it was stopped."""
EXAMPLE = """\
  rangym orchestrate --policies convex_reference,fednova_dpu --aggregation normalised,fedavg \\
      --target 0.6,0.7,0.8 --seeds 0:10 --out results/orchestrated.jsonl
  rangym orchestrate --scenario paper_fixed --policies fednova_dpu:mean_iterations=3,fednova_ue --rates 0.5
  rangym orchestrate --data cifar10 --data-path ~/data/cifar-10-batches-bin --rounds 200"""


going_on = arguments.rows_kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_file
    from rangym.evaluation.problems.cefl_orchestration.orchestrate import TARGETS, orchestrate
    from rangym.evaluation.problems.cefl_orchestration.training_study import OrchestratedStudy

    study = OrchestratedStudy  # defaults are written there, and in the signature of `orchestrate`
    grid = {name: option.default for name, option in inspect.signature(orchestrate).parameters.items()}
    parser.add_argument(
        "--policies",
        default=arguments.listed(grid["policies"]),
        help="NAME or NAME:KEY=VALUE,... with commas between them (default: %(default)s)",
    )
    parser.add_argument("--aggregation", default=arguments.listed(grid["aggregations"]), help="default: %(default)s")
    parser.add_argument(
        "--target", default=arguments.listed(TARGETS), help="test accuracies to reach (default: %(default)s)"
    )
    parser.add_argument(
        "--rates", default=arguments.listed(grid["learning_rates"]), help="learning rates to try (default: %(default)s)"
    )
    parser.add_argument(
        "--seeds",
        default=arguments.span(grid["seeds"]),
        help="FIRST:END (END excluded) or a list (default: %(default)s)",
    )
    parser.add_argument("--tuning-seeds", default=arguments.span(grid["tuning_seeds"]), help="default: %(default)s")
    parser.add_argument(
        "--match",
        metavar="POLICY",
        help="FedNova's mean iterations and mini-batch are those of this policy on the tuning seeds",
    )
    parser.add_argument("--rounds", type=int, default=study.rounds, help="default: %(default)s")
    parser.add_argument("--scenario", default=study.scenario, help="of CeflOrchestration (default: %(default)s)")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="override a parameter of it"
    )
    parser.add_argument("--data", help="digits (default), mnist, fashion_mnist or cifar10")
    parser.add_argument("--data-path", metavar="FOLDER", help="where the files of the other three are")
    parser.add_argument(
        "--training",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="override a setting of the training, such as concentration=0.1 or hidden=(64,)",
    )
    arguments.add_workers(parser)
    parser.add_argument("--out", type=new_file, metavar="FILE", help="JSON-lines file that keeps the rows")
    parser.add_argument("--show", metavar="FILE", help="only print the tables of such a file")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.columns import counted
    from rangym.evaluation.problems.cefl_orchestration.orchestrate import orchestrate
    from rangym.evaluation.problems.cefl_orchestration.orchestrate_report import check_targets, text_report
    from rangym.evaluation.problems.cefl_orchestration.training_study import OrchestratedStudy
    from rangym.evaluation.protocol import parse_seeds

    targets = arguments.numbers(args.target, "--target")
    check_targets(targets)
    if args.show:
        return _show(args.show, targets)
    data = {"dataset": args.data, "dataset_path": args.data_path}
    study = OrchestratedStudy(
        scenario=args.scenario,
        overrides=arguments.key_values(args.overrides, "--set"),
        rounds=args.rounds,
        training={
            **{name: value for name, value in data.items() if value is not None},
            **arguments.key_values(args.training, "--training"),
        },
    )
    results = orchestrate(
        study,
        policies=arguments.policy_words(args.policies),
        aggregations=arguments.listed_words(args.aggregation),
        learning_rates=arguments.numbers(args.rates, "--rates"),
        seeds=parse_seeds(args.seeds),
        tuning_seeds=parse_seeds(args.tuning_seeds),
        match=args.match,
        workers=args.workers,
        out=args.out,
    )
    print(text_report(results.rows, results.tuning_rows, targets, list(results.learning_rates)))
    for policy, aggregation, rate in results.at_edge:
        print(f"note: the best rate of {policy}, {aggregation}, {rate:g}, is at the edge of those tried")
    if args.out:
        print(f"\n{counted(results.computed, 'runs')} done, the rest taken from {args.out}")
    return arguments.print_problems(results, args.out)


def _show(path: str, targets: list[float]) -> int:
    from pathlib import Path

    from rangym.evaluation.grid import read
    from rangym.evaluation.problems.cefl_orchestration.orchestrate import orchestrated
    from rangym.evaluation.problems.cefl_orchestration.orchestrate_report import stored_report

    if not Path(path).is_file():
        raise FileNotFoundError(f"--show: {path} is not there")
    stored = read(path, orchestrated)
    print(printable(stored_report(stored, targets)))
    arguments.print_skipped(stored.torn, path)
    return 0
