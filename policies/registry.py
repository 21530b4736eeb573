"""Every policy by name: a loop over the problems. Strings only: a class is imported when it is made."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import cast

import gymnasium as gym
import numpy as np

from rangym.envs import registration
from rangym.envs.core import System, SystemEnv, SystemVectorEnv
from rangym.envs.errors import WrongType, WrongValue, shown
from rangym.envs.flat import FlatAction, FlatObservation, FlatVectorAction, FlatVectorObservation
from rangym.envs.params import listed, nearest, require
from rangym.envs.registration import PROBLEMS, Problem, resolve
from rangym.policies import words
from rangym.policies.base import Knowledge, Policy, Task
from rangym.policies.words import Word

ROLES = ("reference", "heuristic", "oracle", "random", "agent", "user")


@dataclass(frozen=True)
class Entry:
    """A policy's line in the registry.

    Attributes
    ----------
    target : ``"module:Class"``.
    source : where the rule is from, in a few words.
    role : one of `ROLES`; tables and figures tell policies apart by it.
    knowledge : observation, model or oracle; repeats the class's own (a test compares them), so that lists need not
        import it; empty where it was not said.
    overrides : environment parameters that the policy's definition needs; they leave the trace unchanged.
    """

    target: str
    source: str = ""
    role: str = "heuristic"
    knowledge: str = "observation"
    overrides: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, allowed in (("role", ROLES), ("knowledge", ("", *(k.value for k in Knowledge)))):
            given = getattr(self, name)
            require(given in allowed, name, f"one of {list(allowed)}", given)

    @property
    def knows(self) -> str:
        """Its knowledge, from the class where the entry does not say."""
        return self.knowledge or self.policy_class.knowledge.value

    @property
    def policy_class(self) -> type[Policy]:
        found = resolve(self.target)
        if not (isinstance(found, type) and issubclass(found, Policy)):
            raise WrongType(f"policy: a class derived from rangym.policies.Policy wanted, got {self.target!r}")
        return found


EVERYWHERE: dict[str, Entry] = {
    "random": Entry("rangym.policies.base:Random", "uniform over the action space", "random"),
    "sb3": Entry("rangym.baselines.sb3_file:Sb3File", "a file of stable-baselines3: it is code", "agent"),
}
"""Policies of every environment."""

_NAMED: dict[str, tuple[str | None, Entry]] = {}
"""What `register` has added: name -> (env_id, entry)."""


def entries(env_id: str | None = None) -> dict[str, Entry]:
    """Name -> entry: all that are registered, or those of ``env_id`` and of the systems it is derived from."""
    if env_id is None:
        own = list(PROBLEMS.values())
    else:  # none of ours is derived from another one: no need to import the class
        asked = registration.problem(env_id)
        own = [asked] if asked.env_id in registration.OURS else registration.lineage(asked.system_class)
    found = dict(EVERYWHERE)
    for p in own:
        for name, e in _entries_of(p).items():
            if found.setdefault(name, e) != e:
                raise WrongValue(f"policies of {p.env_id}: the name {name!r} is taken by {found[name].target}")
    ids = {p.env_id for p in own} | {None}
    return found | {name: e for name, (where, e) in _NAMED.items() if env_id is None or where in ids}


def _entries_of(p: Problem) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for where in (p.policies, p.agents):
        given = resolve(where) if isinstance(where, str) else where or {}
        if not isinstance(given, Mapping):
            raise WrongType(f"policies of {p.env_id}: a dictionary wanted, got {shown(given)}")
        for name, e in given.items():
            if not isinstance(name, str) or not isinstance(e, Entry | str):
                raise WrongType(
                    f"policies of {p.env_id}: names with 'module:Class' or an Entry wanted, got {shown({name: e})}"
                )
            found[name] = e if isinstance(e, Entry) else Entry(e, role="user", knowledge="")
    return found


def names(env_id: str | None = None) -> list[str]:
    """The policies registered, or those for one environment."""
    return [name for name in entries(env_id) if name != "sb3"]  # which needs a file


def entry(word: str, env_id: str | None = None) -> Entry:
    """The registry's line for a policy's word; ``"module:Class"`` gets one of its own.

    Where there is no policy of that name, the error lists those for ``env_id``.
    """
    name, known = words.parse(word).name, entries()
    if name in known:
        return known[name]
    if ":" not in name:
        fitting = entries(env_id)
        wanted = f"one of {listed(fitting, name)}, or module:Class,"
        close = nearest(name, fitting) or nearest(name, known)
        raise WrongValue(f"policy: {wanted} wanted, got {shown(name)}{close}")
    return Entry(name, role="user", knowledge="")


def make(word: str, *, scenario: str | None = None, **options: object) -> Policy:
    """A policy from its word, with options as keywords or in the word: ``make("lda:rounding=coupled")``.

    ``"a3"`` has the constructor's defaults, ``"a3:tuned"`` the options stored for ``scenario`` (an error where there
    are none). The policy knows its ``name`` and the environment ``overrides`` of its entry.
    """
    asked = words.parse(word)
    line = entry(word)
    stored = _tuned_options(asked, scenario) if asked.tuned else {}
    given = {**stored, **asked.options, **options}
    cls = line.policy_class
    allowed = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    for key in given:
        if key not in allowed:
            known = listed(allowed, key) or "none"
            raise WrongType(f"{asked.name}: unknown option {shown(key)}{nearest(key, allowed)} (options: {known})")
    if inspect.isabstract(cls):
        raise WrongType(f"{asked.name}: {cls.__name__} does not define {', '.join(sorted(cls.__abstractmethods__))}")
    missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in given]
    if missing:
        raise WrongType(f"{asked.name}: the option {missing[0]!r} wanted, got none of this name")
    policy = cls(**given)
    policy.name, policy.role, policy.overrides = asked.name, line.role, line.overrides or policy.overrides
    return policy


def _is_required(field: dataclasses.Field[object]) -> bool:
    return field.init and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _tuned_options(asked: Word, scenario: str | None) -> Mapping[str, object]:
    if scenario is None:
        raise WrongValue(f"{asked.name}:tuned: a scenario wanted, make(..., scenario='small'), got None")
    found = tuned(asked.name)
    if not isinstance(scenario, str) or scenario not in found:
        have = listed(found, scenario) or "none"
        raise WrongValue(f"{asked.name}:tuned: a scenario with stored options ({have}) wanted, got {shown(scenario)}")
    return found[scenario]


def tuned(name: str) -> dict[str, dict[str, object]]:
    """Scenario -> the options that were tuned for the policy ``name`` and are stored with its problem."""
    folders = [p.policies.partition(":")[0] for p in PROBLEMS.values() if isinstance(p.policies, str)]
    stored = next((found[name] for folder in folders if name in (found := _stored(folder))), {})
    if isinstance(stored, str):  # the name of a policy that it shares its options with
        return tuned(stored)
    return {scenario: what["options"] for scenario, what in stored.items()}


@functools.cache
def _stored(folder: str) -> dict[str, dict[str, dict[str, dict[str, object]]] | str]:
    """The file ``tuned.json`` beside a problem's policies: policy -> scenario -> options and how they were found."""
    file = resources.files(folder).joinpath("tuned.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def bind(word: str, env: gym.Env | gym.vector.VectorEnv, rng: np.random.Generator | int = 0) -> Policy:
    """The policy ``word`` ready for ``predict`` on ``env``; refused where env or its parameters do not fit it."""
    if not isinstance(env, gym.Env | gym.vector.VectorEnv):
        raise WrongType(f"env: a rangym environment wanted, got {shown(env)}")
    Task.of(env)  # refuses a foreign environment
    _check_wrappers(env)
    shell = cast(SystemEnv | SystemVectorEnv, env.unwrapped)
    policy, system = make(word, scenario=shell.scenario), shell.system
    check_fits(policy, system)
    if wrong := {k: v for k, v in policy.overrides.items() if getattr(system.params, k) != v}:
        wanted = ", ".join(f"{k}={v!r}" for k, v in wrong.items())
        raise WrongValue(f"{policy.name} needs gym.make(..., {wanted}): entry({policy.name!r}).overrides lists it")
    return policy.bind(Task.of(env, policy.knowledge), rng)


def _check_wrappers(env: gym.Env | gym.vector.VectorEnv) -> None:
    """Refuse a wrapper between which and the environment observations or actions are others: policies read the
    environment's own fields, and answer in its own actions."""
    inner = env
    while isinstance(inner, gym.Wrapper | gym.vector.VectorWrapper):
        if isinstance(inner, FlatObservation | FlatVectorObservation | FlatAction | FlatVectorAction):
            raise WrongType(f"env: named fields wanted, got {type(inner).__name__}: make it without flat=True")
        if isinstance(inner, CHANGING) or _spaces(inner) != _spaces(inner.env):
            raise WrongType(
                f"env: wrappers that leave observations and actions as they are wanted, got {type(inner).__name__}; "
                "bind the environment below it"
            )
        inner = inner.env


CHANGING = (
    gym.ObservationWrapper,
    gym.ActionWrapper,
    gym.vector.VectorObservationWrapper,
    gym.vector.VectorActionWrapper,
)


def _spaces(env: gym.Env | gym.vector.VectorEnv) -> tuple[gym.Space[object], gym.Space[object]]:
    return env.observation_space, env.action_space


def check_fits(policy: Policy, system: System) -> None:
    """Refuse a policy that is registered for another environment."""
    named = _NAMED.get(policy.name, (None, None))[0]
    for p in PROBLEMS.values():
        if (policy.name in _entries_of(p) or p.env_id == named) and not isinstance(system, p.system_class):
            short = p.env_id.rpartition("/")[2].rpartition("-v")[0]
            got = f"got a system {type(system).__name__}"
            raise WrongValue(f"policy: {policy.name!r} is for {p.env_id} (--env {short}), {got}")


def name_of(policy: Policy) -> str:
    """The registry's name of a policy object's class, where one entry has it; else the class's name."""
    target = f"{type(policy).__module__}:{type(policy).__qualname__}"
    found = [name for name, e in entries().items() if e.target == target]
    if len(found) > 1:
        raise WrongValue(f"policy: {type(policy).__name__} is registered as {', '.join(found)}: make one of these")
    return found[0] if found else type(policy).__name__


def register(
    name: str,
    target: str,
    env_id: str | None = None,
    *,
    source: str = "",
    overrides: Mapping[str, object] | None = None,
) -> None:
    """Give a policy of your own a name, for `make`, `evaluate` and their tables.

    ``target`` is ``"module:Class"``, importable in every worker process; ``env_id`` None means every environment.
    """
    if not isinstance(name, str) or not isinstance(target, str) or not name.isidentifier() or target.count(":") != 1:
        raise WrongValue(f"register: an identifier and 'module:Class' wanted, got {shown(name)} and {shown(target)}")
    if name in (known := entries()):
        raise WrongValue(f"name: {name!r} is taken by {known[name].target}")
    if overrides is not None and not isinstance(overrides, Mapping):
        raise WrongType(f"overrides: a dictionary wanted, got {shown(overrides)}")
    if env_id is not None:
        registration.problem(env_id)
    _NAMED[name] = (env_id, Entry(target, source, "user", "", overrides or {}))
