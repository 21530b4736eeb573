"""A page for each paper: every claim with its verdict, the figures, BibTeX; and the two studies."""

import re
import shutil
from pathlib import Path

from pages.links import ROOT, relinked
from rangym.evaluation.papers.paper import names

PUBLISHED = ROOT / "evaluation" / "published"
KEYS = {
    "smooth_handovers": "kalntis2025smooth",
    "wkhm": "ghatak2025weighted",
    "cfl_noma": "lin2024rethinking",
    "ce_fl": "ganguly2023multi",
    "pqos_bcd": "stenhammar2026joint",
}
"""Folder of a paper -> its key in papers.bib."""
STUDIES = ("federated_digits", "orchestrated_digits")
BIBLIOGRAPHY = ROOT / "docs" / "papers.bib"


def write(folder: Path) -> int:
    """Write the pages and copy their figures."""
    target = folder / "papers"
    target.mkdir(parents=True, exist_ok=True)
    for name in names():
        _write_paper(name.replace("-", "_"), target)
    for study in STUDIES:
        file = PUBLISHED / f"{study}.md"
        text = relinked(file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))
        (target / f"{study}.md").write_text(text, encoding="utf-8")
    return len(names()) + len(STUDIES)


def _write_paper(name: str, target: Path) -> None:
    file = PUBLISHED / name / "claims.md"
    text = relinked(file.read_text(encoding="utf-8"), str(file.relative_to(ROOT)))
    text += f"\n## The paper\n\n```bibtex\n{entry(KEYS[name])}\n```\n"
    (target / f"{name}.md").write_text(text, encoding="utf-8")
    (target / name).mkdir(exist_ok=True)
    for figure in (PUBLISHED / name).glob("*.png"):
        shutil.copy(figure, target / name)


def entry(key: str) -> str:
    """The entry of papers.bib with that key."""
    found = re.search(rf"^@\w+{{{key},.*?^}}$", BIBLIOGRAPHY.read_text(encoding="utf-8"), re.M | re.S)
    if found is None:
        raise ValueError(f"{BIBLIOGRAPHY}: no entry {key!r}")
    return found[0]
