"""``rangym federated``: clustered federated learning over NOMA."""

from __future__ import annotations

import argparse
import inspect

from rangym.cli import arguments
from rangym.envs.errors import printable

DESCRIPTION = """\
Train one shared model (fedavg), one for each cluster of users with alike data (cfl), and one for
each of as many random clusters, and compare their test accuracies: personal (classes weighted by
the user's own shares) and global (all classes alike).

--uploads says whose models arrive: all_served (no radio), or the policies of NomaAllocation, where
a user that misses the deadline is not averaged; --access how two users share a sub-channel.
With several --rates each method gets its own, chosen on the tuning seeds with everybody served.
With --out, finished runs are kept, and the same command goes on where it was stopped."""
EXAMPLE = """\
  rangym federated --seeds 0:5
  rangym federated --uploads random_fixed,mba_fixed,mba_kkt --access noma,oma_opt --out results/federated.jsonl
  rangym federated --data mnist --data-path ~/data/mnist --alpha 0.05 --clusters 6 --rates 0.1"""


going_on = arguments.rows_kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.places import new_file
    from rangym.evaluation.problems.noma_allocation.federated import federated
    from rangym.evaluation.problems.noma_allocation.federated_training import Allocation, FederatedStudy

    study = FederatedStudy  # defaults are written there, and in the signature of `federated`
    grid = {name: option.default for name, option in inspect.signature(federated).parameters.items()}
    parser.add_argument("--methods", default=arguments.listed(grid["methods"]), help="default: %(default)s")
    parser.add_argument(
        "--alpha",
        default=arguments.listed(grid["concentrations"]),
        help="Dirichlet concentrations (default: %(default)s)",
    )
    parser.add_argument("--uploads", default=Allocation.policy, metavar="POLICIES", help="default: %(default)s")
    parser.add_argument(
        "--access", default=Allocation.access, help="noma, oma_opt, oma_equal, fdma (default: %(default)s)"
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
        "--data", default=study.dataset, help="digits, mnist, fashion_mnist or cifar10 (default: %(default)s)"
    )
    parser.add_argument("--data-path", metavar="FOLDER", help="where the files of the other three are")
    parser.add_argument("--users", type=int, default=study.num_ues, help="default: %(default)s")
    parser.add_argument(
        "--participants", type=int, default=study.participants, help="users in a round (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=study.rounds, help="default: %(default)s")
    parser.add_argument("--clusters", type=int, help="number of clusters (default: from the eigengap)")
    parser.add_argument("--scenario", default=study.scenario, help="of NomaAllocation (default: %(default)s)")
    parser.add_argument(
        "--set", dest="overrides", metavar="KEY=VALUE", action="append", default=[], help="override a parameter of it"
    )
    arguments.add_workers(parser)
    parser.add_argument("--out", type=new_file, metavar="FILE", help="JSON-lines file that keeps the rows")
    parser.add_argument("--show", metavar="FILE", help="only print the table of such a file")


def run(args: argparse.Namespace) -> int:
    from rangym.evaluation.columns import counted
    from rangym.evaluation.problems.noma_allocation.federated import federated
    from rangym.evaluation.problems.noma_allocation.federated_report import text_report
    from rangym.evaluation.problems.noma_allocation.federated_training import FederatedStudy, allocations
    from rangym.evaluation.protocol import parse_seeds

    if args.show:
        return _show(args.show)
    study = FederatedStudy(
        dataset=args.data,
        dataset_path=args.data_path,
        num_ues=args.users,
        participants=args.participants,
        rounds=args.rounds,
        num_clusters=args.clusters,
        scenario=args.scenario,
        overrides=arguments.key_values(args.overrides, "--set"),
    )
    results = federated(
        study,
        methods=arguments.listed_words(args.methods),
        concentrations=arguments.numbers(args.alpha, "--alpha"),
        allocations=allocations(arguments.listed_words(args.uploads), arguments.listed_words(args.access)),
        learning_rates=arguments.numbers(args.rates, "--rates"),
        seeds=parse_seeds(args.seeds),
        tuning_seeds=parse_seeds(args.tuning_seeds),
        workers=args.workers,
        out=args.out,
    )
    print(printable(text_report(results.rows, results.tuning_rows)))
    for method, concentration, rate in results.at_edge:
        print(f"note: {method}'s best rate at alpha {concentration:g}, {rate:g}, is at the edge of those tried")
    if args.out:
        print(f"\n{counted(results.computed, 'runs')} done, the rest taken from {args.out}")
    return arguments.print_problems(results, args.out)


def _show(path: str) -> int:
    from pathlib import Path

    from rangym.evaluation.grid import read
    from rangym.evaluation.problems.noma_allocation.federated import trained
    from rangym.evaluation.problems.noma_allocation.federated_report import stored_report

    if not Path(path).is_file():
        raise FileNotFoundError(f"--show: {path} is not there")
    stored = read(path, trained)
    print(printable(stored_report(stored)))
    arguments.print_skipped(stored.torn, path)
    return 0
