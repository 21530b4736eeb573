"""The benchmark: which policies meet on which traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rangym.envs.cell_association.radio_map import RadioMap
from rangym.evaluation.protocol import Protocol
from rangym.evaluation.results import Results
from rangym.evaluation.runner import evaluate
from rangym.policies import registry

CELL = "rangym/CellAssociation-v0"
NODE = "rangym/NodePlacement-v0"
NOMA = "rangym/NomaAllocation-v0"
CELL_AGENTS = ("ppo_shared", "ppo_flat", "ppo_maskable")
"""Trained on `small`: elsewhere the flat ones do not fit, and the shared one would show how it transfers, not RL."""
NODE_AGENTS = ("ppo_tracking", "ppo_direct", "ppo_plain", "sac_plain")
"""Trained on `small` as well, for the same reasons."""
LITERAL_LDA = "lda:form=printed,gradient_at=sample,rounding=independent"
WKHM_FORMS = ("wkhm:form=printed,eps=1e-6", "wkhm:eps=100")
PLACEMENTS = ("random", "grid", "k_means", "constrained_k_means", "k_centers", "khm", "gmm", "wkhm", "harmonic", "swap")
"""Of a single slot; what plans ahead says nothing there."""


@dataclass(frozen=True)
class Benchmark:
    """One table.

    ``policies`` None means all that are registered for the environment, but those in ``without``, which say nothing
    there or would take most of the time; ``variants`` come on top.
    """

    env_id: str
    scenario: str
    seeds: range = range(20)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    policies: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    def specs(self) -> list[str]:
        chosen = registry.names(self.env_id) if self.policies is None else self.policies
        return [*(name for name in chosen if name not in self.without), *self.variants]

    def protocol(self) -> Protocol:
        return Protocol(self.env_id, self.scenario, self.seeds, self.overrides)


QUICK: tuple[Benchmark, ...] = (
    Benchmark(CELL, "small", range(20), without=("static_oracle",), variants=(LITERAL_LDA,)),
    Benchmark(NODE, "small", range(20), without=("ppo_tracking_drift",), variants=WKHM_FORMS),
    Benchmark(NOMA, "small", range(20), without=("ppo_pairs_tight",)),
)
"""The scenarios that agents train on: under three minutes on two cores."""

FULL: tuple[Benchmark, ...] = (
    *QUICK,
    Benchmark(CELL, "static", range(10), without=CELL_AGENTS, variants=(LITERAL_LDA,)),
    Benchmark(CELL, "volatile", range(10), without=("static_oracle", *CELL_AGENTS), variants=(LITERAL_LDA,)),
    # hindsight takes 20 s a trace here, more than all others together
    Benchmark(CELL, "desk", range(10), without=("static_oracle", "hindsight", *CELL_AGENTS), variants=(LITERAL_LDA,)),
    Benchmark(NODE, "drift", range(10), without=("cma", *NODE_AGENTS), variants=WKHM_FORMS),
    *(
        Benchmark(
            NODE, f"static_{law}", range(10), policies=PLACEMENTS, variants=(*WKHM_FORMS, "cma:evaluations=25000")
        )
        for law in ("uniform", "thomas", "hotspot", "grid")
    ),
    Benchmark(NOMA, "tight", range(20), without=("ppo_pairs",)),
)
"""Every scenario that a table is published of."""


def measured(map_file: str | Path) -> Benchmark:
    """The scenario `measured` on a radio map of the user's; see ``rangym trace import``."""
    if not Path(map_file).is_file():
        raise ValueError(f"map: a file made by `rangym trace import` wanted, got {str(map_file)!r}")
    without = ("static_oracle", *CELL_AGENTS)
    overrides = {"map": str(map_file), "num_cells": RadioMap.load(map_file).num_cells}
    return Benchmark(CELL, "measured", range(10), overrides, without=without, variants=(LITERAL_LDA,))


def run_suite(suite: Sequence[Benchmark], out: str | Path, workers: int = 1) -> Results:
    """Every benchmark of ``suite``; rows go to ``out``, and a stopped run goes on."""
    return Results.merge(evaluate(b.specs(), b.protocol(), workers=workers, out=out) for b in suite)
