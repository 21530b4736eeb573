"""Links that work on GitHub become links of the site."""

import os
import re
from pathlib import Path, PurePosixPath

from rangym.envs.registration import OURS

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"""(\]\(|<img src=")([^)"\s#]+)(#[^)\s]*)?([)"])""")
FENCE = re.compile(r"(^```.*?^```$)", re.M | re.S)

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "evaluation/published/federated_digits.md": "papers/federated_digits.md",
    "evaluation/published/orchestrated_digits.md": "papers/orchestrated_digits.md",
    "envs/cell_association/maps/NOTICE.md": "city_maps.md",
    "CITATION.cff": "CITATION.cff",
    "LICENSE": "LICENSE",
} | {f"envs/{name}/system.py": f"environments/{name}.md" for name, _ in OURS.values()}
"""A file of the repository -> its place in the site, for those that no rule of `place` finds."""


def place(file: str) -> str:
    """Where a file of the repository is in the site.

    >>> place("docs/howto/drive_logs.md"), place("evaluation/published/wkhm/claims.md"), place("examples/step.py")
    ('howto/drive_logs.md', 'papers/wkhm.md', 'examples/step.md')
    """
    path = PurePosixPath(file)
    if file in PAGES:
        return PAGES[file]
    if path.parts[0] == "docs":
        return str(path.relative_to("docs"))
    if path.parts[:2] == ("evaluation", "published") and path.name == "claims.md":
        return f"papers/{path.parent.name}.md"
    if path.parts[:2] == ("evaluation", "published") and path.suffix == ".png":
        return f"papers/{path.parent.name}/{path.name}"
    if path.parts[0] == "examples" and path.suffix == ".py":
        return str(path.with_suffix(".md"))
    raise ValueError(f"{file}: no page of the site is made from it, so a text of the site cannot link to it")


def relinked(text: str, file: str) -> str:
    """``text`` of the repository's ``file`` with its links to other files leading to pages of the site."""
    folder, here = PurePosixPath(file).parent, PurePosixPath(place(file)).parent

    def one(match: re.Match) -> str:
        before, target, anchor, after = match.groups()
        if ":" in target:
            return match[0]
        found = os.path.normpath(folder / target)
        if not (ROOT / found).exists():
            raise ValueError(f"{file}: links to {target}, which is not there")
        return f"{before}{os.path.relpath(place(found), here)}{anchor or ''}{after}"

    parts = FENCE.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(one, part) for part in parts)
