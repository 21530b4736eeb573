"""Problems by their Gymnasium id, and where their parts are: strings only, so importing costs nothing.

To add one of ours: a folder of the same name in `envs`, `policies`, `evaluation/problems` and `baselines`, and one line
in `OURS`. Users register theirs with `register`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard, cast

import gymnasium as gym

from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.params import listed, nearest

if TYPE_CHECKING:
    from rangym.envs.core import System

OURS = {
    "rangym/CellAssociation-v0": ("cell_association", "CellAssociation"),
    "rangym/NodePlacement-v0": ("node_placement", "NodePlacement"),
    "rangym/NomaAllocation-v0": ("noma_allocation", "NomaAllocation"),
    "rangym/CeflOrchestration-v0": ("cefl_orchestration", "CeflOrchestration"),
    "rangym/QosClustering-v0": ("qos_clustering", "QosClustering"),
}
"""Gymnasium id -> folder of the problem, and the class in its module ``system``."""


ENV_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+-v\d+")


@dataclass(frozen=True)
class Problem:
    """Where a problem's parts are.

    Attributes
    ----------
    env_id : its Gymnasium id.
    system : ``"module:Class"`` of the `SystemModel`.
    policies : ``"module:NAME"`` of a dictionary of registry entries, or the dictionary itself.
    card : ``"module:NAME"`` of its `rangym.evaluation.Card`: bound, score and benchmarks.
    recipes, agents : ``"module:NAME"`` of the recipes that train its agents and of the agents' registry entries.
    slicing : ``"module:NAME"`` of the `rangym.envs.slicing.Slicing` by which many agents share it.
    """

    env_id: str
    system: str
    policies: str | Mapping[str, object] | None = None
    card: str | None = None
    recipes: str | None = None
    agents: str | None = None
    slicing: str | None = None

    @property
    def system_class(self) -> type[System]:
        return cast("type[System]", resolve(self.system))


PROBLEMS: dict[str, Problem] = {
    env_id: Problem(
        env_id,
        system=f"rangym.envs.{folder}.system:{name}",
        policies=f"rangym.policies.{folder}:POLICIES",
        card=f"rangym.evaluation.problems.{folder}:CARD",
        recipes=f"rangym.baselines.{folder}:RECIPES",
        agents=f"rangym.baselines.{folder}:AGENTS",
        slicing=f"rangym.envs.{folder}.slicing:SLICING",
    )
    for env_id, (folder, name) in OURS.items()
}
"""Every registered problem: ours, then the users' own."""


def resolve(target: str) -> object:
    """What ``"module:NAME"`` names."""
    if not is_target(target):
        raise WrongValue(f"'module:NAME' wanted, got {shown(target)}")
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and what it imports is not
        raise WrongValue(f"{target!r}: there is no module {error.name!r} on the path") from None
    except AttributeError:
        raise WrongValue(f"{target!r}: the module {module} has no {name!r}") from None


def is_target(target: object) -> TypeGuard[str]:
    """Whether ``target`` has the form ``"module:NAME"``."""
    if not isinstance(target, str) or target.count(":") != 1:
        return False
    module, _, name = target.partition(":")
    return all(part.isidentifier() for part in [*module.split("."), *name.split(".")])


def import_user(module: str) -> None:
    """Import a module that may register problems; where there is none, say so."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise WrongValue(f"env_id: an importable module before the colon wanted, got {shown(module)}")
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise WrongValue(f"env_id: an importable module before the colon wanted, got {module!r}") from None


def problem(env_id: str) -> Problem:
    """The problem registered as ``env_id``; ``"module:env_id"`` imports the module first, which may register it."""
    if not isinstance(env_id, str):
        raise WrongType(f"env_id: a text such as {next(iter(OURS))!r} wanted, got {shown(env_id)}")
    module, colon, name = env_id.rpartition(":")
    if colon:
        import_user(module)
    if name not in PROBLEMS:
        known, close = listed(PROBLEMS, name), nearest(name, PROBLEMS)
        raise WrongValue(f"env_id: one of {known} wanted, got {shown(env_id)}{close}")
    return PROBLEMS[name]


def full_id(name: str) -> str:
    """The id that a problem's bare name stands for; any other text as it is.

    >>> full_id("CellAssociation")
    'rangym/CellAssociation-v0'
    """
    bare = (env_id for env_id in PROBLEMS if env_id.rpartition("/")[2].rpartition("-v")[0] == name)
    return next(bare, name)


def lineage(system_class: type) -> list[Problem]:
    """The problems of a system's class and of the classes it is derived from, the nearest first."""
    known = {p.system: p for p in PROBLEMS.values()}
    above = (f"{cls.__module__}:{cls.__qualname__}" for cls in system_class.__mro__)
    return [known[name] for name in above if name in known]


def register(
    env_id: str,
    system: str,
    policies: str | Mapping[str, object] | None = None,
    card: str | None = None,
    slicing: str | None = None,
) -> Problem:
    """Give a problem of your own the commands, tables, bounds, checks and workers that ours have.

    Parameters
    ----------
    env_id : a Gymnasium id such as ``"lab/Mine-v0"``.
    system : ``"module:Class"`` of a `SystemModel`, importable in every worker process. A subclass of one of ours keeps
        that one's policies; it keeps its card too, and the bound where it overrides ``sample`` alone.
    policies : name -> ``"module:Class"`` or `rangym.policies.Entry`, or ``"module:NAME"`` of such a dictionary.
    card : ``"module:NAME"`` of a `rangym.evaluation.Card`.
    slicing : ``"module:NAME"`` of a `rangym.envs.slicing.Slicing`, by which many agents share it: see
        `rangym.parallel_env`. A subclass of one of ours keeps that one's.

    Registering the same problem again changes nothing; another one under the same id is refused.
    """
    if not isinstance(env_id, str) or not ENV_ID.fullmatch(env_id):
        raise WrongValue(f"env_id: a Gymnasium id such as 'lab/Mine-v0' wanted, got {shown(env_id)}")
    for field, value in (("system", system), ("policies", policies), ("card", card), ("slicing", slicing)):
        if (field == "system" or isinstance(value, str)) and not is_target(value):
            raise WrongValue(f"{field}: 'module:NAME' wanted, got {shown(value)}")
    if not isinstance(card, str | None):
        raise WrongType(f"card: 'module:NAME' of a Card or None wanted, got {shown(card)}")
    if not isinstance(slicing, str | None):
        raise WrongType(f"slicing: 'module:NAME' of a Slicing or None wanted, got {shown(slicing)}")
    if isinstance(policies, Mapping):
        for name, entry in policies.items():
            if not isinstance(name, str) or not (is_target(entry) or hasattr(entry, "target")):
                raise WrongType(f"policies: names with 'module:Class' or an Entry wanted, got {shown({name: entry})}")
    elif not isinstance(policies, str | None):
        raise WrongType(f"policies: a dictionary, 'module:NAME' of one or None wanted, got {shown(policies)}")
    found = Problem(env_id, system, policies, card, slicing=slicing)
    if PROBLEMS.get(env_id, found) != found or (env_id in gym.registry and env_id not in PROBLEMS):
        taken = PROBLEMS[env_id].system if env_id in PROBLEMS else "another package"
        raise WrongValue(f"env_id: {env_id!r} is taken by {taken}")
    adopt(found)
    return found


def adopt(found: Problem) -> None:
    """Know a problem in this process too: a worker is handed those of the process that started it."""
    _register(found)
    PROBLEMS.setdefault(found.env_id, found)


def register_envs() -> None:
    """Register every environment of ours once; calling it again changes nothing."""
    for found in PROBLEMS.values():
        _register(found)


def _register(found: Problem) -> None:
    """``max_episode_steps`` stays unset: ``gym.make_vec`` would forward it, and the horizon is the system's own."""
    if found.env_id not in gym.registry:
        gym.register(
            id=found.env_id,
            entry_point="rangym.envs.entry_points:single",
            vector_entry_point="rangym.envs.entry_points:lanes",
            kwargs={"system": found.system},
        )
