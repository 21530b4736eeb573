"""The reference: a page a module, from docstrings."""

import re
from pathlib import Path

from pages.docstrings import Thing, exported, markdown, read, source
from pages.links import FENCE, ROOT

SECTIONS = {
    "The front door": ("rangym", "rangym.envs.registration", "rangym.envs.errors"),
    "Environments": (
        "rangym.envs.core",
        "rangym.envs.model",
        "rangym.envs.trace",
        "rangym.envs.params",
        "rangym.envs.cell_association.radio_map",
        "rangym.envs.cell_association.place",
        "rangym.envs.noma_allocation.sequential",
        "rangym.envs.cefl_orchestration.training",
        "rangym.envs.qos_clustering.recorded_days",
    ),
    "Policies": ("rangym.policies", "rangym.policies.base", "rangym.policies.registry", "rangym.policies.predictor"),
    "Evaluation": (
        "rangym.evaluation",
        "rangym.evaluation.protocol",
        "rangym.evaluation.runner",
        "rangym.evaluation.results",
        "rangym.evaluation.statistics",
        "rangym.evaluation.summary",
        "rangym.evaluation.bounds",
        "rangym.evaluation.cards",
        "rangym.evaluation.causality",
        "rangym.evaluation.check",
        "rangym.evaluation.tune",
        "rangym.evaluation.film",
    ),
    "Agents": (
        "rangym.baselines.recipe",
        "rangym.baselines.train",
        "rangym.baselines.policy",
        "rangym.baselines.agent",
        "rangym.baselines.view",
        "rangym.baselines.spaces",
        "rangym.baselines.vec_adapter",
        "rangym.baselines.learner",
    ),
}
"""What users write against. Below it stand the algorithms and formulas, all of them."""
PACKAGES = {
    "Algorithms": "rangym.policies.algorithms",
    "Physics": "rangym.envs.physics",
    "Federated and predictive learning": "rangym.envs.learning",
}
CODE = re.compile(r"(?<![\[`])`([A-Za-z_][\w.]*)`(?![\]`])")


class Index:
    """What the reference documents, so that its name in a text becomes a link."""

    def __init__(self) -> None:
        self.sections = SECTIONS | {title: tuple(_modules(package)) for title, package in PACKAGES.items()}
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
    """Where links to a thing lead; Sphinx ignores the case, which tells some classes from functions."""
    return f"{module}.{thing.name}" + "-class" * thing.code.startswith("class ")


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
    """The modules of a package, at any depth, but numba's kernels, which have no docstrings for users."""
    folder = source(package).parent
    files = sorted(folder.rglob("*.py"))
    names = [".".join(file.relative_to(ROOT / "src").with_suffix("").parts) for file in files]
    return [name for name in names if not name.endswith(("__init__", "_kernels"))]
