"""Which jobs stand behind the claims of the predictive-QoS paper."""

from __future__ import annotations

from collections.abc import Iterator

from rangym.evaluation.grid import Job
from rangym.evaluation.papers.pqos_bcd import PqosPlan
from rangym.evaluation.papers.pqos_bcd.accuracy import PROTOCOLS
from rangym.evaluation.papers.pqos_bcd.instances import BETA, FIRST_DAY, LAM, MORE_DAYS, RHO, TEST_DAY
from rangym.evaluation.papers.pqos_bcd.solver import VARIANTS
from rangym.evaluation.papers.rows import Rows, job

OF_INSTANCE = ("distributions", "covariances", "kernel", "convexity", "labellings", "proxes", "clusterings")
OUTPUTS = ((LAM, BETA, "scaled"), (LAM, BETA, "shifted"), (0.02, 0.05, "scaled"))
"""Weights and targets of the descents with a ReLU. Shifted targets are hardly cut, whatever the weights."""
STUDIES = tuple((protocol, "small") for protocol in PROTOCOLS) + (("leaky", "paper"), ("four days", "paper"))
LONG = ("printed", "exact prox", "exact heads")
SHOWN_COURSES = ("printed", "preconditioned")
SHOWN_PROTOCOLS = ("leaky", "four days")
POLICIES = ("bcd_periodic", "static_library", "global_frozen", "greedy_smoothed")


def jobs(plan: PqosPlan, rows: Rows) -> Iterator[Job]:
    """Instance by instance, so that a day is drawn once; then what is timed, shown and counted."""
    for seed in range(plan.seeds):
        for kind in OF_INSTANCE:
            yield job(kind, seed=seed)
        for variant in VARIANTS:
            yield job("descents", variant=variant, seed=seed)
        for lam, beta in plan.weights:
            yield job("gaps", lam=lam, beta=beta, seed=seed)
        for lam, beta, targets in OUTPUTS:
            yield job("outputs", lam=lam, beta=beta, targets=targets, seed=seed)
        for protocol, base in STUDIES:
            yield job("accuracy", protocol=protocol, base=base, seed=seed)
        for policy in POLICIES:
            yield job("drift", policy=policy, seed=seed)
        for variant in LONG if seed < plan.long_seeds else ():
            yield job("stationarity", variant=variant, seed=seed)
        for cells in plan.cells if seed < plan.effort_seeds else ():
            yield job("effort", cells=cells, seed=seed)
        for cells in plan.large if seed < plan.large_seeds else ():
            yield job("effort", cells=cells, seed=seed)
    for variant in SHOWN_COURSES:
        yield job("constellation", variant=variant, seed=0)
    for protocol in SHOWN_PROTOCOLS:
        yield job("errors", protocol=protocol, seed=0)
    yield job("histogram", cell=2, hour=12, seed=0)
    yield job("traffic")


def setting(plan: PqosPlan) -> Iterator[str]:
    yield (
        f"Instances 0..{plan.seeds - 1}: history days {FIRST_DAY}..{FIRST_DAY + plan.seeds - 1} of our generator, 12 "
        f"cells in groups of 5, 4, 2 and 1, all periods, kernel = mean over the periods; lam {LAM:g}, beta {BETA:g}, "
        f"rho {RHO:g}; the pre-trained network of 64-64-32 and its inputs, 55 features."
    )
    yield (
        f"Held out: history days {TEST_DAY}..{TEST_DAY + plan.seeds - 1}; the second to fourth training day from "
        f"{MORE_DAYS} on. Drift: `small`, evaluation days 0..{plan.seeds - 1}. 1000 iterations: instances "
        f"0..{plan.long_seeds - 1}; times: 0..{plan.effort_seeds - 1}."
    )
    yield (
        "The paper's data are a simulation that its repository generates and does not hold. Ours come from another "
        "generator: milliseconds are not comparable, orders and ratios are what is tested."
    )
