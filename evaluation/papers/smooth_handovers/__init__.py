"""Kalntis et al., "Smooth Handovers via Smoothed Online Learning": every claim of its evaluation, measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rangym.evaluation.papers.paper import Drawing, Paper, Plan


@dataclass(frozen=True, kw_only=True)
class HandoverPlan(Plan):
    """Numbers of seeds, and overrides of `static` and `volatile` (synthetic) and of `mobility`."""

    seeds: int = 10
    regret_seeds: int = 200
    hindsight_seeds: int = 5
    mobility_seeds: int = 5
    synthetic: Mapping[str, int] = field(default_factory=dict)
    mobility: Mapping[str, int | str] = field(default_factory=dict)
    timing: Mapping[str, int] = field(default_factory=lambda: dict(num_ues=1000, num_cells=25, horizon=10_000))
    timing_slots: int = 50


PAPER = Paper(
    name="smooth-handovers",
    title='Kalntis et al., "Smooth Handovers via Smoothed Online Learning": claims and measurements',
    plans={
        "full": HandoverPlan(),
        "quick": HandoverPlan(
            seeds=3,
            regret_seeds=20,
            hindsight_seeds=3,
            synthetic={"horizon": 1000},
            mobility_seeds=3,
            mobility={"num_ues": 200, "horizon": 200},
            timing_slots=10,
            note="QUICK RUN: fewer seeds, fewer UEs and shorter horizons; its verdicts hold for these, not for the "
            "paper's sizes.",
        ),
    },
    jobs=("rangym.evaluation.papers.smooth_handovers.jobs:jobs",),
    measures={
        "episode": "rangym.evaluation.papers.smooth_handovers.measure:episode",
        "walk": "rangym.evaluation.papers.smooth_handovers.measure:walk",
        "curve": "rangym.evaluation.papers.smooth_handovers.measure:curve",
        "varying": "rangym.evaluation.papers.smooth_handovers.measure:curve",
        "theorem": "rangym.evaluation.papers.smooth_handovers.measure:theorem",
        "bound": "rangym.evaluation.papers.smooth_handovers.measure:bound",
        "timing": "rangym.evaluation.papers.smooth_handovers.measure:timing",
    },
    claims="rangym.evaluation.papers.smooth_handovers.claims:claims",
    figures={
        "regret.png": Drawing(
            "rangym.evaluation.papers.smooth_handovers.figures:regret",
            "Average regret over the slots so far; mean and 95 % interval over seeds.",
        ),
        "objective.png": Drawing(
            "rangym.evaluation.papers.smooth_handovers.figures:objective",
            "Running mean of f (above), and minus that of Max SINR on the same traces (below); mean over seeds, with "
            "95 % interval below.",
        ),
        "handovers.png": Drawing(
            "rangym.evaluation.papers.smooth_handovers.figures:handovers",
            "Handovers a slot against gamma, `mobility`; mean and range over seeds.",
        ),
        "terms.png": Drawing(
            "rangym.evaluation.papers.smooth_handovers.figures:terms",
            "g, -h and f of the stand-in scenario `mobility`, means over slots and seeds; dashed: what no f exceeds.",
        ),
    },
    readings={
        "literal": "the algorithm as printed: its constants, independent rounding, gradients at the sampled x_t",
        "relaxed": "the fractional association x^m of the same runs as literal, scored by f",
        "coupled": "as literal, but with the rounding that moves the fewest UEs its marginals allow",
        "default": "our default: constants with the errata corrected, gradients at x^m, coupled",
        "gamma": "as default, but all constants with gamma inside the delay norm, as the proof (gamma = 1) implies",
        "adaptive": "as default, but the meta step follows the gains seen so far",
        "fair": "experts pay for fractional moves as forecasters do for whole handovers (`fair_surrogate`)",
    },
    parts=(
        "rangym.envs.cell_association",
        "rangym.evaluation.problems.cell_association",
        "rangym.policies.base",
        "rangym.policies.cell_association",
    ),
    setting="rangym.evaluation.papers.smooth_handovers.jobs:setting",
    impossible="rangym.evaluation.papers.smooth_handovers.series:beyond_bounds",
)
