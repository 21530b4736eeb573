"""A paper's claims beside what we measure, and the rules that decide between them."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rangym.evaluation.statistics import Interval, mean_interval, paired_difference

REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable"
TOLERANCE = 0.03
"""Relative distance from the printed number at which a mean still counts as that number."""

RULES = (
    "A printed number, or range, is reproduced if our 95 % interval over seeds contains it (reaches into it), or our "
    "mean is within 3 % of it.",
    "An order or a tendency is reproduced if the 95 % interval of the paired differences excludes zero in the claimed "
    "direction.",
    'A limit is reproduced if the whole 95 % interval keeps it; "no loss" if the paired 95 % interval reaches zero or '
    "the mean loss is below 3 %.",
    "Not testable: what rests on private data or on something the paper does not define; and a number that our "
    "interval contains only because it is wide (its half-width exceeds the number).",
    "Nothing is corrected for the number of readings: one reading that agrees where its neighbours do not is weak "
    "evidence. The literal reading alone decides, whatever the others give.",
)


@dataclass(frozen=True)
class Reading:
    """One way to read what the paper's algorithm or quantity is, what that gives, and the verdict."""

    label: str
    measured: str
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE):
            raise ValueError(
                f"verdict: {REPRODUCED!r}, {NOT_REPRODUCED!r} or {NOT_TESTABLE!r} wanted, got {self.verdict!r}"
            )


@dataclass(frozen=True)
class Claim:
    """What a paper says, and what we find.

    The rules for verdicts are those of `RULES`, implemented by the functions of this module. They stand before a
    reproduction is run; a claim judged by a rule that came later says so in its note. The claim's verdict is that of
    its first reading, the literal one; other readings are for information and never change it.

    Attributes
    ----------
    statement : the claim in our words.
    where : figure or section of the paper.
    printed : the number or relation as printed.
    readings : at least one; the first is the literal one.
    note : what the reader must know: substitutes for data, definitions, assumptions.
    """

    statement: str
    where: str
    printed: str
    readings: tuple[Reading, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if not self.readings:
            raise ValueError(f"readings: at least one wanted for {self.statement!r}, got none")

    @property
    def measured(self) -> str:
        return self.readings[0].measured

    @property
    def verdict(self) -> str:
        return self.readings[0].verdict


def not_testable(statement: str, where: str, printed: str, reason: str) -> Claim:
    """A claim that no measurement of ours can decide, and why."""
    return Claim(statement, where, printed, (Reading("-", "-", NOT_TESTABLE),), reason)


# Verdicts ------------------------------------------------------------------------------------------------------------


def number_verdict(measured: Interval, low: float, high: float | None = None) -> str:
    """A printed number ``low``, or a range from ``low`` to ``high``."""
    high = low if high is None else high
    if low > high:
        raise ValueError(f"low, high: an ascending range wanted, got {low} and {high}")
    margin_low, margin_high = TOLERANCE * abs(low), TOLERANCE * abs(high)
    if low - margin_low <= measured.value <= high + margin_high:
        return REPRODUCED
    if not (measured.low <= high and measured.high >= low):  # also where one seed allows no interval
        return NOT_REPRODUCED
    return NOT_TESTABLE if measured.half_width > max(abs(low), abs(high)) else REPRODUCED


def order_verdict(difference: Interval) -> str:
    """A difference that is claimed to be positive."""
    return REPRODUCED if difference.low > 0 else NOT_REPRODUCED


def limit_verdict(measured: Interval, limit: float) -> str:
    """A quantity that is claimed to stay below ``limit``."""
    return REPRODUCED if measured.high < limit else NOT_REPRODUCED


def no_loss_verdict(values: ArrayLike, reference: ArrayLike) -> str:
    """``values`` that are claimed not to fall behind ``reference``, on the same traces."""
    difference, scale = paired_difference(values, reference), abs(_mean(reference))
    if difference.value >= -TOLERANCE * scale:
        return REPRODUCED
    if not difference.high >= 0:
        return NOT_REPRODUCED
    return NOT_TESTABLE if difference.half_width > scale else REPRODUCED


# Readings: a text and a verdict from the values of the seeds ---------------------------------------------------------


def number(label: str, values: ArrayLike, printed: float | tuple[float, float], unit: str = "") -> Reading:
    """Values of the seeds against a printed number or range."""
    found = mean_interval(values)
    ends = printed if isinstance(printed, tuple) else (printed, printed)
    return Reading(label, spelled(found, unit), number_verdict(found, *ends))


def order(label: str, larger: ArrayLike, smaller: ArrayLike, unit: str = "") -> Reading:
    """Values claimed to be larger than others on the same traces; says both means and the paired difference."""
    difference = paired_difference(larger, smaller)
    text = f"{_short(_mean(larger))} against {_short(_mean(smaller))}{unit}, difference {spelled(difference, unit)}"
    return Reading(label, text, order_verdict(difference))


def no_loss(label: str, values: ArrayLike, reference: ArrayLike) -> Reading:
    """Values claimed not to fall behind others on the same traces."""
    text = f"{_short(_mean(values))} against {_short(_mean(reference))}"
    text += f", difference {spelled(paired_difference(values, reference))}"
    return Reading(label, text, no_loss_verdict(values, reference))


def spelled(found: Interval, unit: str = "") -> str:
    """``6.21 [5.86, 6.56]``."""
    if np.isnan(found.low):
        return f"{_short(found.value)}{unit}"
    return f"{_short(found.value)}{unit} [{_short(found.low)}, {_short(found.high)}]"


def _mean(values: ArrayLike) -> float:
    return float(np.mean(np.asarray(values, dtype=float)))


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


# Tables --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reproduction:
    """All claims of a paper, with what a reader needs to repeat and judge them."""

    paper: str
    claims: tuple[Claim, ...]
    command: str
    setting: tuple[str, ...]
    """What was run: scenarios, seeds, horizons; in quick runs, that it was one."""
    readings: Mapping[str, str]
    """Label of a reading -> what it is."""
    figures: Mapping[str, str]
    """File name -> what it shows."""
    versions: Mapping[str, str]

    def counts(self) -> str:
        found = Counter(claim.verdict for claim in self.claims)
        listed = ", ".join(f"{found[v]} {v}" for v in (REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE))
        return f"{len(self.claims)} claims: {listed} (the literal reading decides)."

    def text(self, width: int | None = None) -> str:
        """The table for a terminal, 80 to 100 columns wide."""
        width = min(max(width or shutil.get_terminal_size((100, 24)).columns, 80), 100)
        label = 2 + max(len(r.label) for claim in self.claims for r in claim.readings)
        verdict = len(NOT_REPRODUCED)
        middle = width - 4 - label - verdict - 2
        parts = [self.paper, "=" * min(len(self.paper), width)]
        parts += [line for text in self.setting for line in textwrap.wrap(text, width)]
        for number_of_claim, claim in enumerate(self.claims, 1):
            head = f"{claim.statement} ({claim.where})"
            parts += ["", *textwrap.wrap(f"{number_of_claim:>2}  {head}", width, subsequent_indent="    ")]
            parts += textwrap.wrap(f"printed: {claim.printed}", width, initial_indent="    ", subsequent_indent="    ")
            for reading in claim.readings:
                lines = textwrap.wrap(reading.measured, middle)
                parts.append(f"    {reading.label:<{label}}{lines[0]:<{middle}}  {reading.verdict}")
                parts += [" " * (4 + label) + line for line in lines[1:]]
            if claim.note:
                parts += textwrap.wrap(f"note: {claim.note}", width, initial_indent="    ", subsequent_indent="    ")
        parts += ["", "Readings"]
        for name, what in self.readings.items():
            parts += textwrap.wrap(f"{name}: {what}", width, initial_indent="  ", subsequent_indent="    ")
        parts += ["", "Verdicts"]
        for rule in RULES:
            parts += textwrap.wrap(rule, width, initial_indent="  ", subsequent_indent="    ")
        return "\n".join([*parts, "", *textwrap.wrap(self.counts(), width)])

    def markdown(self) -> str:
        lines = [f"# {self.paper}", "", f"`{self.command}`", "", *(f"* {text}" for text in self.setting)]
        lines += [f"* {', '.join(f'{name} {version}' for name, version in self.versions.items())}"]
        lines += ["", f"**{self.counts()}**", ""]
        lines += ["| # | claim | printed | reading | measured, 95 % interval | verdict |", "|---|---|---|---|---|---|"]
        for n, claim in enumerate(self.claims, 1):
            first = f"| {n} | {claim.statement} ({claim.where}) | {claim.printed} |"
            for k, r in enumerate(claim.readings):
                shown = f"**{r.verdict}**" if k == 0 else r.verdict
                lines.append(f"{first if k == 0 else '| | | |'} {r.label} | {r.measured} | {shown} |")
        lines += ["", "## Notes", ""]
        lines += [f"{n}. {claim.note}" for n, claim in enumerate(self.claims, 1) if claim.note]
        lines += ["", "## Readings", "", *(f"* **{name}**: {what}" for name, what in self.readings.items())]
        lines += ["", "## Rules for the verdicts", "", *(f"* {rule}" for rule in RULES)]
        if self.figures:
            lines += ["", "## Figures", ""]
            for name, what in self.figures.items():
                lines += [f"![{what}]({name})", "", what, ""]
        return "\n".join(lines).rstrip() + "\n"

    def write(self, out: Path) -> None:
        """``claims.md`` and ``claims.json`` in the folder ``out``."""
        out.mkdir(parents=True, exist_ok=True)
        (out / "claims.md").write_text(self.markdown(), encoding="utf-8")
        plain: dict[str, Any] = dataclasses.asdict(self)
        for record, claim in zip(plain["claims"], self.claims, strict=True):
            record["verdict"] = claim.verdict
        plain["rules"] = RULES
        (out / "claims.json").write_text(json.dumps(plain, indent=1, allow_nan=False) + "\n", encoding="utf-8")
