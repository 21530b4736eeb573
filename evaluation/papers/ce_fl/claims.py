"""The claims of the CE-FL paper, judged from the rows, in the order of the list they were fixed in."""

from __future__ import annotations

from collections.abc import Iterator

from rangym.evaluation.papers.ce_fl.claims_rounds import round_claims, size_claims
from rangym.evaluation.papers.ce_fl.claims_theory import solver_claims, theory_claims
from rangym.evaluation.papers.ce_fl.claims_training import proximal_claim, table_claims
from rangym.evaluation.papers.readings import Claim
from rangym.evaluation.papers.rows import Rows


def claims(rows: Rows) -> Iterator[Claim]:
    """All 57 of them."""
    yield from theory_claims(rows)
    yield proximal_claim(rows)
    yield from solver_claims(rows)
    yield from table_claims(rows)
    yield from round_claims(rows)
    yield from size_claims(rows)
