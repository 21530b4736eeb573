"""What the WKHM paper proves, judged from the rows: its lemma, its theorems, and the identity of its weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.papers.readings import Claim, Reading, not_testable, spelled
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, REPRODUCED, limit_verdict
from rangym.evaluation.papers.wkhm.jobs import FORMS, LEMMA_ALPHAS, LEMMA_SHARES
from rangym.evaluation.papers.wkhm.measure import SAME_PLACE_M, SETTINGS, SETTLING_STEPS, THEOREM_STEPS
from rangym.evaluation.statistics import mean_interval

SMALL_CHANGE, SMALL_SHARE = 1e-6, 0.05


def claims(rows: Rows) -> Iterator[Claim]:
    """In the order of the text."""
    yield _lemma(rows)
    ascends = {form: _trials(rows, form, "ascends") for _, form in FORMS}
    yield Claim(
        "The update never raises the distortion L",
        "Theorem 1",
        "L(t+1) <= L(t)",
        tuple(_all_of(name, _trials(rows, form, "descends") > 0, "runs descend") for name, form in FORMS),
        "L is a sum of inverse distances; the update ascends it. The safeguarded form ascends in every run by "
        f"construction ({int(ascends['corrected'].sum())} of {ascends['corrected'].size} here), the printed one in "
        f"{int(ascends['printed'].sum())}. Settings (p, q, eps): {', '.join(map(str, SETTINGS))}.",
    )
    yield Claim(
        "The same for one user at 0 and one node at 1 (p = 2, q = 4, eps = 1e-6)",
        "Theorem 1, counterexample",
        "L(t+1) <= L(t)",
        tuple(_counterexample(rows, name, form) for name, form in FORMS),
    )
    yield Claim(
        "The limit is a local minimum of L",
        "Theorem 1",
        "local minimum",
        tuple(
            _all_of(name, _trials(rows, form, "lower_beside") == 0, "limits have no lower point beside them")
            for name, form in FORMS
        ),
        "20 random placements within about a hundredth of sqrt(eps) of the last iterate.",
    )
    yield Claim(
        f"From random starts, the change of L dies out: in the long run a relative change above {SMALL_CHANGE:g} is "
        f"rarer than {SMALL_SHARE:.0%}",
        "Theorem 2",
        "P(|L(t+1) - L(t)| > delta) < eta",
        tuple(_settles(rows, name, form) for name, form in FORMS),
        "delta and eta are ours; one start in a cycle refutes the theorem for every eta below the probability of such "
        f"starts. Runs that have not come to rest after {THEOREM_STEPS} steps go on for {SETTLING_STEPS} more; one "
        f"that then comes back to where it was, to {SAME_PLACE_M:g} m, goes round for ever. The proof rests on Theorem "
        "1; if that held, convergence would be certain.",
    )
    yield not_testable(
        "L converges almost surely",
        "Theorem 3",
        "almost sure convergence",
        "Assumes that the changes of L decay exponentially, and rests on Theorem 1.",
    )
    yield Claim(
        "WKHM's weights at q = gamma are each user's shares of received power",
        "Section III",
        "equal",
        (_identity(rows),),
        "An identity of the association; it does not choose positions. It asks for q = gamma > 2, Fig. 3b prefers "
        "q about 2.",
    )
    yield not_testable(
        "All methods cluster 240 users alike and 330 users differently (K = 3)",
        "Figs. 1, 2",
        "pictures",
        "The users' distribution is not given.",
    )


def _lemma(rows: Rows) -> Claim:
    cases = [(alpha, share) for alpha in LEMMA_ALPHAS for share in LEMMA_SHARES]
    signs = [rows.values("lemma", "gain", alpha=alpha, share=share).item() > 0 for alpha, share in cases]
    expected = [share < 1 for _, share in cases]
    measured = f"positive in {sum(signs)} of {len(signs)} cases (alpha 2, 3, 4; delta around d^alpha/(2^alpha - 2))"
    measured += ", those with delta below it" if signs == expected else ""
    return Claim(
        "Two users, one node: KM's midpoint has less sum RSRP than a user's place, for any delta >= 0",
        "Lemma 1",
        "Delta > 0",
        (Reading("literal", measured, REPRODUCED if all(signs) else NOT_REPRODUCED),),
        "That KM need not maximise sum RSRP, the lemma itself, survives; delta = 0 makes the RSRP infinite.",
    )


def _trials(rows: Rows, form: str, field: str) -> NDArray:
    """(settings, seeds)."""
    return rows.values("theorems", form, field).T


def _counterexample(rows: Rows, label: str, form: str) -> Reading:
    first, last = (rows.values("counterexample", end, form=form).item() for end in ("first", "last"))
    text = f"L goes from {first:.6f} to {last:.3g}, the node onto the user"
    return Reading(label, text, REPRODUCED if last <= first else NOT_REPRODUCED)


def _all_of(label: str, holds: NDArray, what: str) -> Reading:
    verdict = REPRODUCED if holds.all() else NOT_REPRODUCED
    return Reading(label, f"{int(holds.sum())} of {holds.size} {what}", verdict)


def _settles(rows: Rows, label: str, form: str) -> Reading:
    """Runs that go round in a cycle in which L changes, and the share of runs whose last change is not small."""
    period, swing = _trials(rows, form, "period"), _trials(rows, form, "swing")
    moving = (period > 1) & (swing > SMALL_CHANGE)
    found = mean_interval((_trials(rows, form, "last_change") > SMALL_CHANGE).mean(axis=0))
    text = f"{int(moving.sum())} of {moving.size} runs never settle"
    if moving.any():
        periods = " and ".join(f"{n:g}" for n in np.unique(period[moving]))
        where = " and ".join(str(SETTINGS[k]) for k in np.flatnonzero(moving.any(axis=1)))
        text += f": cycles of {periods} steps at (p, q, eps) = {where}, in which L changes by "
        text += f"{swing[moving].min():.2g} to {swing[moving].max():.2g} of itself"
    text += f"; share that still changes after {THEOREM_STEPS} steps {spelled(found)}"
    return Reading(label, text, NOT_REPRODUCED if moving.any() else limit_verdict(found, SMALL_SHARE))


def _identity(rows: Rows) -> Reading:
    worst = rows.values("shares", "largest_difference").item()
    return Reading("literal", f"largest difference {worst:.1e}", REPRODUCED if worst < 1e-12 else NOT_REPRODUCED)
