"""Pages that people write: those of this folder, README and its like, and the example scripts."""

import ast
import shutil
from pathlib import Path

from pages.links import ROOT, place, relinked
from pages.papers import STUDIES
from rangym.envs.registration import OURS
from rangym.evaluation.papers.paper import names

ROOTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "envs/cell_association/maps/NOTICE.md")
CONTENTS = """
```{toctree}
:hidden:
:caption: Start

self
quickstart
concepts
```

```{toctree}
:hidden:
:caption: Environments

ENVIRONMENTS
```

```{toctree}
:hidden:
:caption: How to
:glob:

howto/*
examples/index
```

```{toctree}
:hidden:
:caption: Papers

PAPERS
```

```{toctree}
:hidden:
:caption: Reference

commands/index
reference/index
comparison
citing
Radio maps of cities <city_maps>
contributing
changelog
```
"""


def contents() -> str:
    """The site's contents; papers under the names that `rangym reproduce` knows."""
    environments = [f"environments/{name}" for name, _ in OURS.values()]
    papers = [f"{name} <papers/{name.replace('-', '_')}>" for name in names()] + [f"papers/{name}" for name in STUDIES]
    return CONTENTS.replace("ENVIRONMENTS", "\n".join(environments)).replace("PAPERS", "\n".join(papers))


def write(folder: Path) -> int:
    """Copy the texts, their links leading to pages of the site; the contents stand at the end of the first page."""
    files = [*ROOTS, *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "docs").rglob("*.md")))]
    for file in files:
        text = relinked((ROOT / file).read_text(encoding="utf-8"), file)
        text = text.replace("\n```csv\n", "\n```text\n")  # which Pygments does not know
        _write(folder / place(file), text + contents() * (file == "README.md"))
    for name in ("CITATION.cff", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for kind in ("gif", "png", "bib"):
        for file in (ROOT / "docs").rglob(f"*.{kind}"):
            target = folder / place(str(file.relative_to(ROOT)))
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, target)
    return len(files) + _write_examples(folder / "examples")


def _write_examples(folder: Path) -> int:
    """A page for each script of examples/: its docstring, then its code."""
    lines = ["# Example scripts\n", "Each runs as it stands, and a test runs each.\n"]
    scripts = sorted((ROOT / "examples").glob("*.py"))
    for script in scripts:
        code = script.read_text(encoding="utf-8")
        says = ast.get_docstring(ast.parse(code)) or ""
        title = says.partition("\n")[0].rstrip(".")
        _write(folder / f"{script.stem}.md", f"# {script.stem}\n\n{says}\n\n```python\n{code}```\n")
        lines.append(f"- [{script.stem}]({script.stem}.md): {title}.")
    lines += [f"- `{notebook.name}`: a notebook." for notebook in sorted((ROOT / "examples").glob("*.ipynb"))]
    hidden = "\n".join(["\n```{toctree}", ":hidden:", ":glob:", "", "*", "```"])
    _write(folder / "index.md", "\n".join(lines) + "\n" + (hidden if scripts else ""))
    return 1 + len(scripts)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
