"""All claims of a paper as a table: for a terminal, as Markdown, as JSON."""

from __future__ import annotations

import dataclasses
import json
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rangym.envs.files import write_whole
from rangym.evaluation.papers.readings import Claim
from rangym.evaluation.papers.verdicts import NOT_REPRODUCED, RULES, VERDICTS


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
        listed = ", ".join(f"{found[v]} {v}" for v in VERDICTS)
        return f"{len(self.claims)} claims: {listed} (the literal reading decides)."

    def text(self, width: int | None = None) -> str:
        """The table for a terminal, 80 to 100 columns wide."""
        width = min(max(width or shutil.get_terminal_size((80, 24)).columns, 80), 100)
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
            first = f"| {n} | {_cell(f'{claim.statement} ({claim.where})')} | {_cell(claim.printed)} |"
            for k, r in enumerate(claim.readings):
                shown = f"**{r.verdict}**" if k == 0 else r.verdict
                lines.append(f"{first if k == 0 else '| | | |'} {_cell(r.label)} | {_cell(r.measured)} | {shown} |")
        lines += ["", "## Notes", ""]
        # No numbered list: Markdown would count on from the first, and not every claim has a note.
        lines += [f"* **Claim {n}**: {claim.note}" for n, claim in enumerate(self.claims, 1) if claim.note]
        lines += ["", "## Readings", "", *(f"* **{name}**: {what}" for name, what in self.readings.items())]
        lines += ["", "## Rules for the verdicts", "", *(f"* {rule}" for rule in RULES)]
        if self.figures:
            lines += ["", "## Figures", ""]
            for name, what in self.figures.items():
                lines += [f"![{what}]({name})", "", what, ""]
        return "\n".join(lines).rstrip() + "\n"

    def as_json(self) -> str:
        claims = [{**dataclasses.asdict(claim), "verdict": claim.verdict} for claim in self.claims]
        plain = {**dataclasses.asdict(self), "claims": claims, "rules": RULES}
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"

    def write(self, out: Path) -> None:
        """``claims.md`` and ``claims.json`` in the folder ``out``."""
        write_whole(out / "claims.md", self.markdown().encode())
        write_whole(out / "claims.json", self.as_json().encode())


def _cell(text: str) -> str:
    """``text`` within one cell of a Markdown table, where a bar would begin the next."""
    return text.replace("|", "\\|")
