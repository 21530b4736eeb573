"""``rangym cluster``: which cells of recorded days should share a predictor."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rangym.evaluation.problems.qos_clustering.sharing_study import SharingStudy

DESCRIPTION = """\
Print which cells of recorded days should share a predictor: clusters by the exact optimum (up to 14
cells; the best of greedy merging and descent beyond), block coordinate descent, greedy merging, a
predictor for each cell (local) and one for all (global).

F_orig is the objective on all days: the cells' losses with ridge term, lam times the cut between
clusters and beta a predictor. NLL is held out: the mean of -ln p of what came, in nat, under the
Gaussians that heads fitted to all other days predict; a file of less than two days is held out by halves.
Only heads are held out: the network of --predictor has seen the file's first half."""
EXAMPLE = """\
  rangym map import logs/ --kind qos --out days.npz
  rangym cluster days.npz
  rangym cluster days.npz --beta 0.05 --predictor network/small.npz"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from rangym.evaluation.amounts import number

    parser.add_argument("file", metavar="FILE.npz", help="days made by `rangym map import --kind qos`")
    parser.add_argument("--predictor", metavar="FILE", help="one that `rangym pretrain --days` made (default: linear)")
    weight = number(float, low=0)
    parser.add_argument("--lam", type=weight, default=0.002, help="weight of the cut (default: %(default)s)")
    parser.add_argument("--beta", type=weight, default=0.15, help="price of a predictor (default: %(default)s)")
    ridge = number(float, above=0)
    parser.add_argument("--rho", type=ridge, default=0.03, help="ridge (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    from rangym.envs.qos_clustering.imported import predictor_for
    from rangym.envs.qos_clustering.params import FITTED
    from rangym.envs.qos_clustering.recorded_days import load_days
    from rangym.evaluation.columns import counted, paragraph
    from rangym.evaluation.problems.qos_clustering.sharing_study import methods_for, samples_of_days, study
    from rangym.evaluation.progress import progress

    days = load_days(args.file)
    samples = samples_of_days(days, predictor_for(days, args.predictor or FITTED, args.file))
    found = study(
        samples,
        methods_for(days.num_cells),
        lam=args.lam,
        beta=args.beta,
        rho=args.rho,
        watch=lambda methods, total: progress(methods, total, "clustering"),
    )
    heading = (
        f"{args.file}: {counted(days.num_cells, 'cells')}, {counted(days.periods, 'periods')} of {days.period_s:g} s; "
        f"{counted(len(samples.cell), 'rows')}; lam {args.lam:g}, beta {args.beta:g}, rho {args.rho:g}"
    )
    print(f"{paragraph(heading)}\n")
    print(methods_table(found))
    print(f"\n{labels_table(found)}")
    notes = [
        "F_orig: on all days, less is better. NLL: held out, in nat, over all days and by day; less is better.",
        "Cells of one number in a column share a predictor under that method.",
    ]
    if args.predictor is not None:
        notes.append(
            "The predictor's network was trained on the first half of the file: there only heads are held out."
        )
    print("\n" + "\n".join(map(paragraph, notes)))
    return 0


def methods_table(found: SharingStudy) -> str:
    """A row for each method: predictors, F_orig, its distance to the first, NLL over all folds and by fold."""
    from rangym.evaluation.columns import aligned

    best = found.results[0].value
    rows = [
        [
            result.method,
            str(result.num_clusters),
            f"{result.value:.3f}",
            f"{result.value / best - 1:+.1%}",
            f"{found.mean_score(result.method):.4f}",
            *(f"{score:.4f}" for score in result.scores),
        ]
        for result in found.results
    ]
    header = ["method", "predictors", "F_orig", "above", "NLL", *found.folds]
    return aligned(header, rows)


def labels_table(found: SharingStudy) -> str:
    """A row for each cell, a column for each method with the number of its cluster."""
    from rangym.evaluation.columns import aligned

    rows = [[str(cell), *(str(r.labels[i]) for r in found.results)] for i, cell in enumerate(found.cells)]
    return aligned(["cell", *(result.method for result in found.results)], rows)
