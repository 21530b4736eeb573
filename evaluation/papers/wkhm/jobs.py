"""Which jobs stand behind the claims of the WKHM paper."""

from __future__ import annotations

from collections.abc import Iterator

from rangym.evaluation.episode import make_env
from rangym.evaluation.grid import Job
from rangym.evaluation.papers.rows import Rows, job
from rangym.evaluation.papers.wkhm import WkhmPlan
from rangym.evaluation.papers.wkhm.measure import ENV_ID, READINGS

FORMS = (("literal", "printed"), ("corrected", "corrected"))
"""Reading -> form of the update, for what the paper proves."""
ABLATED = ("literal", "3 m, cap")
"""Readings whose parameters are varied (Fig. 3)."""
TABLE_I = {"KM": (-4.72, 8.5e-5), "CKM": (-3.14, 3.8e-3), "KHM": (-2.01, 5.4e-2), "KC": (-2.87, 7.1e-3)}
"""Method -> t and p as printed."""
LEMMA_ALPHAS, LEMMA_SHARES = (2.0, 3.0, 4.0), (0.5, 0.9, 1.1, 2.0)
"""Path-loss exponents, and delta in units of the limit d^alpha / (2^alpha - 2)."""


def jobs(plan: WkhmPlan, rows: Rows) -> Iterator[Job]:
    """The comparisons, then the ablations, then what is about the theorems."""
    where = [(reading, "uniform") for reading in READINGS] + [("literal", "hotspot")]
    for seed in range(plan.seeds):
        for reading, law in where:
            yield job("comparison", reading=reading, law=law, seed=seed)
    for seed in range(plan.ablation_seeds):
        for reading in ABLATED:
            yield job("ablation", reading=reading, seed=seed)
    for seed in range(plan.theorem_seeds):
        yield job("theorems", seed=seed)
    for alpha in LEMMA_ALPHAS:
        for share in LEMMA_SHARES:
            yield job("lemma", alpha=alpha, share=share)
    for _, form in FORMS:
        yield job("counterexample", form=form)
    yield job("shares", seed=0)
    for method, (statistic, p) in TABLE_I.items():
        yield job("printed_test", method=method, statistic=statistic, p=p)


def setting(plan: WkhmPlan) -> Iterator[str]:
    p = make_env(ENV_ID, "static_uniform", {}).system.params
    yield (
        f"static_uniform: {p.num_ues} users and {p.num_nodes} nodes in {p.side_m:g} m x {p.side_m:g} m, seeds "
        f"0..{plan.seeds - 1} (ablations 0..{plan.ablation_seeds - 1}, theorems 0..{plan.theorem_seeds - 1}); every "
        "method starts from the same uniform nodes, and users are served by the nearest node."
    )
    yield (
        f"Not given in the paper and chosen here: path-loss exponent {p.path_loss_exponent:g}, SNR {p.snr_1m_db:g} dB "
        f"at 1 m, {p.bandwidth_mhz:g} MHz a node, and the users' distribution (uniform)."
    )
