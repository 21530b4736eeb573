"""The claims of the predictive-QoS paper follow the rows: the published ones, and those with another outcome."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest

from rangym.evaluation.papers.pqos_bcd import PAPER, PqosPlan, claims_accuracy
from rangym.evaluation.papers.pqos_bcd.claims import claims
from rangym.evaluation.papers.reproduce import ROWS, run
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, UNDECIDED, VERDICTS
from rangym.evaluation.statistics import mean_interval

PUBLISHED = Path(__file__).resolve().parents[2] / "evaluation" / "published" / "pqos_bcd"


@pytest.fixture(scope="module")
def data():
    return Rows.load(PUBLISHED / ROWS)


@pytest.fixture(scope="module")
def found(data):
    return {claim.statement: claim for claim in claims(data)}


def by_word(found, word):
    (claim,) = (claim for statement, claim in found.items() if word in statement)
    return claim


def altered(data, change, kind, **arguments):
    """The claims of a copy of the rows, those of ``kind`` with these arguments changed in place by ``change(row)``."""
    copied = Rows.of(copy.deepcopy([row for rows in data.by_kind.values() for row in rows]))
    for row in copied.where(kind, **arguments):
        change(row)
    return {claim.statement: claim for claim in claims(copied)}


def test_every_claim_of_the_paper_is_there_once(found):
    assert len(found) == 51  # fifty, and what the paper's split tests
    assert {claim.verdict for claim in found.values()} == set(VERDICTS)


def test_what_is_a_theorem_does_not_depend_on_the_data(found):
    for word, verdict in (
        ("kernel of two equal", NOT_REPRODUCED),
        ("consistency term keeps", NOT_REPRODUCED),
        ("D is positive", REPRODUCED),
        ("Each block is convex", REPRODUCED),
        ("valid lower bound", NOT_REPRODUCED),
        ("Thresholding, then", NOT_REPRODUCED),
        ("Every step of A", NOT_REPRODUCED),
        ("split of the rows", NOT_REPRODUCED),
        ("9 to 27 %", NOT_REPRODUCED),
        ("total NLL is a calibration", NOT_REPRODUCED),
        ("last layer has 1548", REPRODUCED),
    ):
        assert by_word(found, word).verdict == verdict, word
    steps = {reading.label: reading.verdict for reading in by_word(found, "Every step of A").readings}
    assert steps["exact prox"] == steps["preconditioned, identity"] == steps["exact heads"] == REPRODUCED


def test_readings_say_what_the_rows_hold(data, found):
    clustered = data.values("accuracy", "printed", "mean", protocol="leaky", base="small")[:, 0]
    whole = data.values("accuracy", "global", "mean", protocol="leaky", base="small")[:, 0]
    readings = {r.label: r for r in by_word(found, "global model on the mean of latency").readings}
    assert readings["leaky"].measured.startswith(f"{whole.mean():.3g} against {clustered.mean():.3g} ms")
    ratio = mean_interval(clustered / whole)
    assert readings["leaky, ratio"].measured == f"{ratio.value:.3g} [{ratio.low:.3g}, {ratio.high:.3g}]"
    assert (readings["leaky, ratio"].verdict == REPRODUCED) == (
        ratio.low <= 0.12 / 0.59 <= ratio.high or abs(ratio.value / (0.12 / 0.59) - 1) <= 0.03
    )


def test_the_printed_tables_are_judged_by_themselves():
    totals = {name: round(sum(v[:3]), 4) - v[3] for name, v in claims_accuracy.TABLE_II.items()}
    assert max(abs(x) for x in totals.values()) < 1.5e-4
    better = [
        c < local
        for of in claims_accuracy.TABLE_I.values()
        for c, local in zip(of["clustered"], of["local"], strict=True)
    ]
    assert sum(better) == 4


def test_verdicts_turn_with_the_rows(data, found):
    def monotone(row):
        for start in ("random", "identity"):
            row[start].update(violations=0.0)

    assert by_word(altered(data, monotone, "descents", variant="printed"), "Every step of A").verdict == REPRODUCED

    def reached(row):
        row["relaxed"] = {name: 0.77 * row["best"] for name in row["relaxed"]}

    gap = by_word(found, "gap of the L-smooth")
    nearer = by_word(altered(data, reached, "gaps", lam=0.02, beta=0.05), "gap of the L-smooth")
    assert "0 of 27 reach" in gap.note and gap.verdict == NOT_TESTABLE
    assert "3 of 27 reach" in nearer.note and nearer.verdict == NOT_REPRODUCED

    def lost(row):
        row["reward"] -= 1.0

    drift = by_word(altered(data, lost, "drift", policy="bcd_periodic"), "Re-clustering adapts")
    assert {reading.verdict for reading in drift.readings} == {NOT_REPRODUCED}

    def worse(row):
        row["printed"]["joint_nll"] = row["local"]["joint_nll"] + 1.0

    four = by_word(altered(data, worse, "accuracy", protocol="four days", base="small"), "Twelve local models")
    assert four.verdict == NOT_REPRODUCED


def test_an_interval_on_both_sides_of_zero_is_undecided(data):
    rows = Rows.of(copy.deepcopy([row for kind in data.by_kind.values() for row in kind]))
    for policy, value in (("bcd_periodic", 0.01), ("static_library", 0.0)):
        for row in rows.where("drift", policy=policy):
            row["reward"] = value * (1 if row["seed"] % 2 else -1)
    reading = by_word({c.statement: c for c in claims(rows)}, "Re-clustering").readings[0]
    assert reading.verdict == UNDECIDED


@pytest.mark.slow
def test_a_whole_reproduction_on_two_instances(tmp_path):
    plan = PqosPlan(
        seeds=2,
        long_seeds=1,
        effort_seeds=1,
        large_seeds=0,
        weights=((0.002, 0.15),),
        cells=(8, 12, 14),
        large=(),
        note="QUICK RUN: a test.",
    )
    assert run(PAPER, plan, 1, tmp_path, "test") == 0
    table = json.loads((tmp_path / "claims.json").read_text())
    assert len(table["claims"]) == 51 and len(table["figures"]) == 5
    for name in table["figures"]:
        assert (tmp_path / name).stat().st_size > 10_000
    rows = Rows.load(tmp_path / ROWS)
    assert np.all(rows.values("descents", "random", "violations", variant="exact prox") == 0)
