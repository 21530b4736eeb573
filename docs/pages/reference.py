"""The reference: a page a module, from docstrings."""

import re
from pathlib import Path

from pages.docstrings import Thing, exported, markdown, read, source
from pages.links import FENCE, ROOT
from rangym.envs.registration import OURS

SECTIONS = {
    "The front door": "rangym",
    "Traces, systems, environments": "rangym.envs",
    "Policies": "rangym.policies",
    "Evaluation": "rangym.evaluation",
    "Agents": "rangym.baselines",
    "Algorithms": "rangym.policies.algorithms.*",
    "Physics": "rangym.envs.physics",
    "Federated and predictive learning": "rangym.envs.learning",
} | {name: f"rangym.envs.{folder}" for folder, name in OURS.values()}
"""Title -> the package whose modules stand below it; with a star those of the packages in it."""
ELSEWHERE = ("__main__", "kernel_cache", "system", "render")
"""Modules without a page here: a system's docstring is the environment's page, and the others are not for users."""
CODE = re.compile(r"(?<![\[`])`([A-Za-z_][\w.]*)`(?![\]`])")


class Index:
    """What the reference documents, so that its name in a text becomes a link."""

    def __init__(self) -> None:
        self.sections = {title: _modules(package) for title, package in SECTIONS.items()}
        self.modules = [module for modules in self.sections.values() for module in modules]
        self.targets = {module: f"/reference/{module}.md" for module in self.modules}
        self.contents = {module: read(module) for module in self.modules}
        for module, (_, things) in self.contents.items():
            for thing in (t for top in things for t in (top, *top.parts)):
                self.targets[f"{module}.{thing.name}"] = f"#{anchor(module, thing)}"
        for package in self.modules:
            for name, module in exported(package).items():
                if f"{module}.{name}" in self.targets:
                    self.targets.setdefault(f"{package}.{name}", self.targets[f"{module}.{name}"])

    def linked(self, text: str, module: str = "") -> str:
        """``text`` with a link at each name in backticks that is documented: full names, and those of ``module``."""

        def one(match: re.Match) -> str:
            name = match[1]
            target = self.targets.get(name) or self.targets.get(f"{module}.{name}")
            return f"[`{name}`]({target})" if target else match[0]

        return "".join(part if part.startswith("```") else CODE.sub(one, part) for part in FENCE.split(text))


def anchor(module: str, thing: Thing) -> str:
    """Where links to a thing lead; Sphinx ignores the case, so the kind is told by the ending."""
    kinds = {"class": "-class", "def": "", "@property": "", "@cached_property": ""}
    return f"{module}.{thing.name}{kinds.get(thing.code.split()[0], '-value')}"


def write(folder: Path, index: Index) -> int:
    """Write a page a module, and the list of them."""
    lines = ["# Reference\n", "What modules, classes and functions say of themselves.\n"]
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    for title, modules in index.sections.items():
        lines += [f"## {title}\n", "\n".join(["```{toctree}", ":maxdepth: 1", "", *modules, "```"]), ""]
        for module in modules:
            (folder / "reference" / f"{module}.md").write_text(_page(module, index), encoding="utf-8")
    (folder / "reference" / "index.md").write_text("\n".join(lines), encoding="utf-8")
    return 1 + len(index.modules)


def _page(module: str, index: Index) -> str:
    text, things = index.contents[module]
    parts = [f"# {module}", index.linked(markdown(text), module)]
    if taken := exported(module):
        if source(module).name == "__init__.py":
            names = ", ".join(index.linked(f"`{where}.{name}`") for name, where in taken.items())
            parts.append(f"Also here under its short name: {names}.")
    for thing in things:
        parts += _entry(thing, module, index, "##")
        for part in thing.parts:
            parts += _entry(part, module, index, "###")
    return "\n\n".join(parts) + "\n"


def _entry(thing: Thing, module: str, index: Index, level: str) -> list[str]:
    heading = f"({anchor(module, thing)})=\n{level} `{thing.name}`"
    return [heading, f"```python\n{thing.code}\n```", index.linked(markdown(thing.text), module)]


def _modules(package: str) -> list[str]:
    """A package's modules, itself first where it says something, without numba's kernels."""
    folder = source(package.removesuffix(".*")).parent
    files = sorted(folder.glob("*/*.py" if package.endswith(".*") else "*.py"))
    names = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files]
    named = [name.removesuffix(".__init__") for name in names if not name.endswith("_kernels")]
    return [name for name in named if name.rpartition(".")[2] not in ELSEWHERE and read(name)[0]]
