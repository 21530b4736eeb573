"""What a paper's folder declares, and how papers are found: a new paper is a new folder, and nothing else changes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rangym.envs import registration
from rangym.envs.errors import WrongValue
from rangym.envs.params import nearest

PLANS = ("full", "quick")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is run; a paper's own plan adds its numbers of seeds and its sizes."""

    note: str = ""
    """What a reader must know of a run that is not the whole one."""


@dataclass(frozen=True)
class Drawing:
    """A figure: the function, "module:function", that draws it from the rows, and what it shows."""

    draw: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper whose claims are measured. Functions are named "module:function" and imported when first called.

    Attributes
    ----------
    name : on the command line; the folder has underscores in place of its hyphens.
    title : of the table.
    plans : ``full`` and ``quick``: how much is run.
    jobs : functions from the plan and the rows so far to jobs (see `rows.job`). They are called in turn, each with the
        rows of those before, so that a later job can depend on what an earlier one found.
    measures : kind of job -> function from the job's arguments to what its row holds. All computing is done here.
    claims : function from the rows to the paper's claims, in the order of its text; it judges rows and runs nothing.
    figures : file name -> its drawing.
    readings : label of a reading -> what it is.
    parts : packages and modules that the measures use by name, such as the policies of a problem; together with the
        modules that the measures import they are the code that a row depends on.
    setting : function from the plan to lines that say what is run: scenarios, seeds, horizons.
    impossible : function from the rows to a line for each that cannot be, an error of ours; none where empty.
    """

    name: str
    title: str
    plans: Mapping[str, Plan]
    jobs: tuple[str, ...]
    measures: Mapping[str, str]
    claims: str
    figures: Mapping[str, Drawing]
    readings: Mapping[str, str]
    setting: str
    parts: tuple[str, ...] = ()
    impossible: str = ""

    def __post_init__(self) -> None:
        if sorted(self.plans) != sorted(PLANS):
            raise WrongValue(f"plans: {' and '.join(PLANS)} wanted, got {sorted(self.plans)}")

    @property
    def folder(self) -> str:
        return self.name.replace("-", "_")


def resolve(target: str) -> Callable[..., Any]:
    """The function that "module:function" names."""
    return cast(Callable[..., Any], registration.resolve(target))


def names() -> list[str]:
    """The papers of this package, by the folders that are there."""
    package = importlib.import_module("rangym.evaluation.papers")
    return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(package.__path__) if found.ispkg)


def find(name: str) -> Paper:
    """The paper of that name."""
    if name not in names():
        raise WrongValue(f"paper: one of {names()} wanted, got {name!r}{nearest(name, names())}")
    paper = importlib.import_module(f"rangym.evaluation.papers.{name.replace('-', '_')}").PAPER
    if paper.name != name:
        raise WrongValue(f"name: {name!r}, as the folder, wanted, got {paper.name!r}")
    return paper
