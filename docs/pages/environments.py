"""A page for each environment: its class's docstring, sizes, the published tables, its policies and parameters."""

import dataclasses
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path

import gymnasium as gym
import numpy as np

from pages.docstrings import markdown
from pages.links import ROOT
from pages.reference import Index
from rangym.cli.listing import sizes
from rangym.envs.core import System
from rangym.envs.errors import WrongCall
from rangym.envs.params import ranges
from rangym.envs.registration import OURS, problem
from rangym.evaluation import Results
from rangym.evaluation.problems.cell_association import scaling, scaling_report
from rangym.evaluation.summary import Summary, heading, main_table, notes, summarise
from rangym.policies import registry

PUBLISHED = ROOT / "evaluation" / "published" / "bench.jsonl"
SCALING = ROOT / "evaluation" / "published" / "scaling.jsonl"
PICTURE = "../pictures/{}.gif"
MAPS = {
    "urban": "Where one cell of `urban` has a line of sight, its shadowing and its SINR",
    "munich": "SINR of the best cell in the streets of Munich, and which cell that is",
    "florence": "SINR of the best cell in the streets of Florence, and which cell that is",
}
"""Scenario of CellAssociation -> what its picture shows: its caption."""


def write(folder: Path, index: Index) -> int:
    """Write a page for each of our environments."""
    results = Results.load(PUBLISHED)
    (folder / "environments").mkdir(parents=True, exist_ok=True)
    for env_id, (name, _) in OURS.items():
        summaries = [summarise(c) for c in results.comparisons if c.env_id == env_id]
        (folder / "environments" / f"{name}.md").write_text(
            index.linked(_page(env_id, name, summaries)), encoding="utf-8"
        )
    return len(OURS)


def _page(env_id: str, name: str, summaries: Sequence[Summary]) -> str:
    cls = problem(env_id).system_class
    first, _, rest = (inspect.getdoc(cls) or "").partition("\n")
    parts = [f"# {cls.__name__}", first]
    parts.append(f"![An episode of {cls.__name__} under one of its policies]({PICTURE.format(name)})")
    parts.append(f'```python\nimport gymnasium as gym\n\nenv = gym.make("rangym:{env_id}", scenario="small")\n```')
    parts += ["## Scenarios and sizes", scenario_table(env_id)]
    parts += [
        f"![{what}](../pictures/{name}_{scenario}.png)\n\n*{what}.*"
        for scenario, what in MAPS.items()
        if scenario in cls.scenarios and name == "cell_association"
    ]
    parts.append(markdown(rest.strip()))
    parts.append("## Who wins, and by how much")
    parts += [text for summary in summaries for text in _comparison(summary)]
    parts += _costs() if name == "cell_association" else []
    parts += ["## Policies", policy_table(env_id), "## Parameters", parameter_table(env_id)]
    return "\n\n".join(parts) + "\n"


def scenario_table(env_id: str) -> str:
    """Every scenario: its sizes, and the spaces of the single environment as a library sees them."""
    rows = []
    cls = problem(env_id).system_class
    names: dict[int, list[str]] = {}
    for scenario, params in cls.scenarios.items():
        names.setdefault(id(params), []).append(scenario)
    for params in {id(p): p for p in cls.scenarios.values()}.values():
        label = ", ".join(f"`{scenario}`" for scenario in names[id(params)])
        try:
            system = cls(params)
        except WrongCall:  # it needs a file, which `sizes` says
            rows.append([label, sizes(params), "", "", ""])
            continue
        rows.append([label, sizes(params), *spaces(system)])
    return _table(["scenario", "size", "action", "observation", "masks"], rows)


def spaces(system: System) -> tuple[str, str, str]:
    """A system's action space, how many fields and numbers it shows, and whether it has masks, in words."""
    fields = system.observation_space.spaces
    numbers = sum(int(np.prod(space.shape or ())) for space in fields.values())
    numbers += "time" not in fields  # which the shell adds
    count = len(fields) + ("time" not in fields)
    return (
        action(system.action_space),
        f"{count} fields, {numbers:,} numbers",
        "yes" if system.has_action_masks else "no",
    )


def action(space: gym.Space) -> str:
    """``MultiDiscrete([6] * 10)`` or ``Box(-1, 1, (4, 2))``."""
    if isinstance(space, gym.spaces.MultiDiscrete) and len(set(space.nvec.ravel().tolist())) == 1:
        return f"`MultiDiscrete([{space.nvec.flat[0]}] * {space.nvec.size})`"
    if isinstance(space, gym.spaces.Box):
        return f"`Box({space.low.min():g}, {space.high.max():g}, {space.shape})`"
    return f"`{space}`"


def _comparison(summary: Summary) -> Iterable[str]:
    """What was compared, who is ahead in one sentence, the table, what its columns mean."""
    header, rows = main_table(summary)
    given = ", ".join(f"`{name}={value}`" for name, value in summary.comparison.overrides.items())
    yield f"### `{summary.comparison.scenario}`" + (f", {given}" if given else "")
    yield f"{heading(summary)}."
    yield _verdict(summary)
    yield _table([*header], [[f"`{row[0]}`", *row[1:]] for row in rows])
    yield "\n".join(f"- {note}" for note in notes(summary) if " acts under " not in note)


def _verdict(summary: Summary) -> str:
    """Who is ahead among policies that do not see the future, of whom, and how far the bound is."""
    lines = [line for line in summary.policies if line.knowledge != "oracle"]
    best, others = lines[0], lines[1:]
    level = [line.policy for line in others if line.p_adjusted >= 0.05]
    behind = next((line for line in others if line.p_adjusted < 0.05), None)
    text = f"`{best.policy}` is ahead of all policies that do not see the future"
    if level:
        text += f"; the difference to {', '.join(f'`{name}`' for name in level)} is not significant"
    if behind is not None and behind.difference is not None:
        low, high = -behind.difference.high, -behind.difference.low
        text += f". It gains {-behind.difference.value:.3f} [{low:.3f}, {high:.3f}] per slot on `{behind.policy}`"
    if best.regret is not None:
        text += f", and at most {max(best.regret, 0.0):.3f} per slot more is possible"
    return text + "."


def _costs() -> list[str]:
    """What a slot of CellAssociation costs at the size of a city, and how it grows."""
    rows = scaling.load(SCALING)
    slopes = ["slope against", *scaling_report.DIRECTIONS.values()]
    return [
        "## What a slot costs, and how it grows",
        f"Scenario `city`: {scaling_report.heading(rows)}.",
        _table(scaling_report.CITY, scaling_report.city_table(rows)),
        scaling_report.NOTES,
        "![CPU time of a slot against UEs, cells and slots, and memory against slots]"
        "(../pictures/cell_association_scaling.png)",
        _table(slopes, scaling_report.slope_table(rows)),
        scaling_report.GROWTH,
    ]


def policy_table(env_id: str) -> str:
    """Every registered policy, what it is and may know, and its options with their defaults."""
    rows = []
    for name, entry in registry.entries(env_id).items():
        if name == "sb3":
            continue
        rows.append([f"`{name}`", entry.role, entry.knows, entry.source, _options(entry.policy_class)])
    return _table(["policy", "role", "knows", "source", "options"], rows)


def _options(policy: type) -> str:
    fields = [f for f in dataclasses.fields(policy) if f.init]
    return ", ".join(f"`{f.name}={_default(f)!r}`" for f in fields)


def _default(field: dataclasses.Field) -> object:
    return field.default_factory() if callable(field.default_factory) else field.default


def parameter_table(env_id: str) -> str:
    """Every parameter: its value in `small`, what is allowed, and when it is used."""
    small = problem(env_id).system_class.scenarios["small"]
    declared = ranges(small)
    rows = []
    for field in dataclasses.fields(small):
        known = declared.get(field.name)
        value = getattr(small, field.name)
        used = known is None or known.is_used(small)
        shown = f"`{value!r}`" if used and len(repr(value)) < 60 else "see the source" if used else "not used"
        rows.append(
            [f"`{field.name}`", shown, "" if known is None else str(known), "" if known is None else known.usage()]
        )
    text = "Each overrides the scenario's value: `gym.make(..., NAME=VALUE)`, or `--set NAME=VALUE` for a command."
    return f"{text}\n\n" + _table(["parameter", "in `small`", "allowed", "only with"], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
