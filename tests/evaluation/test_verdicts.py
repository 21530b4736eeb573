"""The rules for verdicts on claims, on hand-made numbers, and the table of claims."""

import math

import numpy as np
import pytest

from rangym.evaluation.papers import readings, verdicts
from rangym.evaluation.papers.readings import Claim, Reading
from rangym.evaluation.papers.tables import Reproduction
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, NOT_TESTABLE, REPRODUCED, UNDECIDED
from rangym.evaluation.statistics import Interval


@pytest.mark.parametrize(
    ("value", "low", "high", "printed", "verdict"),
    [
        (6.2, 5.9, 6.6, (6.5,), REPRODUCED),  # inside the interval
        (6.2, 5.9, 6.4, (6.5,), NOT_REPRODUCED),
        (6.31, 6.30, 6.32, (6.5,), REPRODUCED),  # 2.9 % below
        (6.30, 6.29, 6.31, (6.5,), NOT_REPRODUCED),  # 3.1 % below
        (-39.5, -39.6, -39.4, (-39.0,), REPRODUCED),
        (1.2, 1.19, 1.21, (1.1, 1.3), REPRODUCED),
        (1.5, 1.25, 1.75, (1.1, 1.3), REPRODUCED),  # the interval reaches into the range
        (1.5, 1.35, 1.65, (1.1, 1.3), NOT_REPRODUCED),
        (1.335, 1.334, 1.336, (1.1, 1.3), REPRODUCED),  # 2.7 % above the range
        (0.9, 0.8, 1.0, (1.1, 1.3), NOT_REPRODUCED),
        (30.0, -40.0, 100.0, (6.5,), UNDECIDED),  # contains 6.5, as it would contain anything
        (6.5, -40.0, 53.0, (6.5,), UNDECIDED),  # and so does this one, however near its middle
        (144.0, 121.0, 167.0, (1.1, 1.3), NOT_REPRODUCED),  # wide, but far away all the same
        (5.0, math.nan, math.nan, (6.5,), NOT_REPRODUCED),  # one value has no interval: it is taken as it is
        (6.5, math.nan, math.nan, (6.5,), REPRODUCED),
    ],
)
def test_numbers(value, low, high, printed, verdict):
    assert verdicts.number_verdict(Interval(value, low, high), *printed) == verdict


def test_a_range_must_ascend():
    for rule in (verdicts.number_verdict, verdicts.interval_verdict):
        with pytest.raises(ValueError, match="ascending"):
            rule(Interval(1.0, 0.9, 1.1), 1.3, 1.1)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 2.0, REPRODUCED),
        (0.0, 2.0, UNDECIDED),
        (-0.1, 2.0, UNDECIDED),  # neither the order nor its contrary
        (-2.0, 0.0, NOT_REPRODUCED),
        (0.0, 0.0, NOT_REPRODUCED),  # certainly no difference
        (math.nan, math.nan, UNDECIDED),  # one seed has no interval
    ],
)
def test_orders(low, high, verdict):
    assert verdicts.order_verdict(Interval((low + high) / 2, low, high)) == verdict


def test_orders_are_decided_on_the_same_traces():
    """Levels that differ by hundreds between the seeds hide a difference of one only where they are not paired."""
    level = np.array([0.0, 300.0, -500.0, 900.0])
    higher, lower = level + [1.0, 1.1, 0.9, 1.0], level
    assert readings.order("x", higher, lower).verdict == REPRODUCED
    assert readings.order("x", lower, higher).verdict == NOT_REPRODUCED
    assert readings.order("x", higher, lower[::-1]).verdict == UNDECIDED


def test_limits_hold_for_the_whole_interval():
    assert verdicts.limit_verdict(Interval(5.0, 4.0, 6.0), 7.0) == REPRODUCED
    assert verdicts.limit_verdict(Interval(5.0, 4.0, 7.5), 7.0) == UNDECIDED
    assert verdicts.limit_verdict(Interval(8.0, 7.5, 8.5), 7.0) == NOT_REPRODUCED


def test_a_larger_gain_than_printed_is_no_refutation():
    assert readings.gain("x", [400.0, 420.0, 410.0], 335.0).verdict == REPRODUCED
    assert readings.gain("x", [326.9, 327.0, 327.1], 335.0).verdict == REPRODUCED  # 2.4 % less
    assert readings.gain("x", [300.0, 301.0, 302.0], 335.0).verdict == NOT_REPRODUCED
    assert readings.gain("x", [100.0, 500.0, 410.0], 335.0).verdict == UNDECIDED


@pytest.mark.parametrize(
    ("loss", "verdict", "same"),
    [
        ([-5.0, -5.1, -4.9], REPRODUCED, NOT_REPRODUCED),  # a gain
        ([2.0, 2.1, 1.9], REPRODUCED, REPRODUCED),  # certain, but 2 %
        ([5.0, 5.1, 4.9], NOT_REPRODUCED, NOT_REPRODUCED),
        ([0.1, -0.1, 0.0], REPRODUCED, REPRODUCED),
        ([10.0, -10.0, 15.0], UNDECIDED, UNDECIDED),  # 5 %, not told from none
        ([600.0, -600.0, 300.0], UNDECIDED, UNDECIDED),  # anything could be
    ],
)
def test_no_loss_and_the_same(loss, verdict, same):
    reference = np.full(3, 100.0)
    assert verdicts.no_loss_verdict(reference - loss, reference) == verdict
    assert verdicts.same_verdict(reference - loss, reference) == same


def test_a_tolerance_in_units_does_not_depend_on_the_level():
    """The same loss has one verdict, whatever constant the unit adds to both."""
    loss = np.array([1.9, 2.0, 2.1])
    for level in (-77.7, 0.0, 25.1, 1200.0):
        reference = np.full(3, level)
        for tolerance, verdict in ((2.6, REPRODUCED), (1.5, NOT_REPRODUCED), (2.0, UNDECIDED)):
            assert verdicts.no_loss_verdict(reference - loss, reference, tolerance) == verdict
            assert readings.no_loss("x", reference - loss, reference, tolerance=tolerance).verdict == verdict
    assert 10.0**-verdicts.DECADES == pytest.approx(0.97)


def test_parts_and_meanings():
    yes, no, open_, private = REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE
    for found, every, whichever in (
        ([yes, yes], yes, yes),
        ([no, no], no, no),
        ([yes, no], no, private),  # the meanings disagree
        ([yes, open_], open_, open_),  # more seeds may make them agree
        ([no, open_], no, open_),
        ([yes, no, open_], no, private),
        ([yes, private], private, private),
    ):
        assert verdicts.all_verdict(found) == every
        assert verdicts.whichever_verdict(found) == whichever
        parts = [Reading(f"part {k}", str(k), verdict) for k, verdict in enumerate(found)]
        assert readings.all_of("x", parts).verdict == every
        assert readings.whichever("x", parts).verdict == whichever
        assert readings.whichever("x", parts).measured.startswith("part 0: 0; part 1: 1")


def test_the_first_reading_decides_and_bad_ones_are_refused():
    good, bad = Reading("literal", "1", NOT_REPRODUCED), Reading("ours", "2", REPRODUCED)
    assert Claim("x", "Fig. 1", "2", (good, bad)).verdict == NOT_REPRODUCED
    assert readings.not_testable("x", "Fig. 1", "2", "private").verdict == NOT_TESTABLE
    with pytest.raises(ValueError, match="at least one"):
        Claim("x", "Fig. 1", "2", ())
    with pytest.raises(ValueError, match="nearly"):
        Reading("x", "1", "nearly reproduced")


def test_the_table_fits_its_width_and_says_everything():
    long = " ".join(["word"] * 60)
    claim = Claim(long, "Fig. 1", "7", (Reading("literal", long, NOT_REPRODUCED), Reading("b", "3", REPRODUCED)), long)
    found = Reproduction("A paper", (claim,), "do it", (long,), {"literal": "as printed"}, {}, {"numpy": "2"})
    for width in (80, 100):
        text = found.text(width)
        assert max(map(len, text.splitlines())) <= width
        assert text.split().count("word") == 4 * 60
    assert "1 claims: 0 reproduced, 1 not reproduced, 0 undecided, 0 not testable" in found.text()
