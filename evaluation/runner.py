"""Policies on the same traces: one episode a cell, resumable, with bounds where there are any."""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import json
import platform
import time
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import load_env_creator

import rangym
from rangym.envs.core import SystemEnv, Trace
from rangym.evaluation.grid import Cell, Row, run_grid
from rangym.evaluation.metrics import episode_metrics, term_means
from rangym.evaluation.protocol import Protocol, seed_range
from rangym.evaluation.results import Results
from rangym.policies import registry
from rangym.policies.base import Task
from rangym.policies.registry import Entry

TUNED = Path(registry.__file__).with_name("tuned.json")
"""policy -> env_id -> scenario -> what ``rangym tune --save`` found; ``"options"`` are used by `resolve`."""


def evaluate(
    policies: Iterable[str],
    protocol: Protocol,
    *,
    workers: int = 1,
    out: str | Path | None = None,
    bounds: bool = True,
) -> Results:
    """Run every policy on every trace of ``protocol``.

    Parameters
    ----------
    policies : registry names with options, ``"lda"``, ``"lda:rounding=coupled"``; see `resolve` for tuned options.
    workers : processes (-1: one a core); results do not depend on it, nor on the other policies in the list.
    out : JSON-lines file; cells it already holds are not run again, whatever ended the last run.
    bounds : also compute each trace's bound.

    Raises
    ------
    ValueError, TypeError : unknown policy, option, scenario or parameter, or a policy of another environment. An error
        inside a cell does not raise: see ``Results.problems``.
    """
    policies = [policies] if isinstance(policies, str) else list(policies)
    for spec in policies:
        if not isinstance(spec, str):
            what = spec.__name__ if isinstance(spec, type) else type(spec).__name__
            raise TypeError(f"policies: registry names wanted, got {what}; policies.register() gives yours a name")
    if not policies:
        raise ValueError("policies: at least one policy wanted, got none")
    make_env(protocol.env_id, protocol.scenario, protocol.overrides)  # wrong scenarios and parameters are refused here
    trace_of = {
        "env_id": protocol.env_id,
        "scenario": protocol.scenario,
        "overrides": dict(protocol.overrides),
        "source": source_hash(),
        **_file_hashes(protocol.overrides),
    }
    chosen, entries = [], {}
    for spec in policies:
        name, options = resolve(spec, protocol.env_id, protocol.scenario)
        entry = registry.entry(name)
        if entry.env_id not in (None, protocol.env_id):
            raise ValueError(f"policy: {name!r} is for {entry.env_id}, not for {protocol.env_id}")
        registry.make(name, **options)  # an unknown option is refused here, not in every cell
        make_env(protocol.env_id, protocol.scenario, {**protocol.overrides, **entry.overrides})
        entries[name] = entry
        given = {"policy": name, "options": options, "policy_overrides": dict(entry.overrides)}
        chosen.append({**given, **_own_source(entry), **_file_hashes(options)})
    cells: list[Cell] = []
    for seed in protocol.seeds:  # by seed, so that a process keeps the trace it has sampled
        if bounds:
            cells.append(_plain({"row": "bound", **trace_of, "bound_source": bound_hash(), "seed": seed}))
        cells += [_plain({"row": "episode", **trace_of, **policy, "seed": seed}) for policy in chosen]
    work = functools.partial(run_cell, entries=entries)
    title = f"{protocol.env_id.removeprefix('rangym/')} {protocol.scenario}"
    stored, computed = run_grid(work, cells, out, workers=workers, title=title)
    return Results.of(stored, computed)


def resolve(spec: str, env_id: str, scenario: str) -> tuple[str, dict[str, Any]]:
    """The policy's name and options: ``"lda"`` takes the options tuned for the scenario, where there are any;
    ``"lda:default"`` those of its constructor; ``"lda:key=value,..."`` exactly the ones named."""
    name, colon, rest = spec.partition(":")
    registry.entry(name)
    if rest == "default":
        return name, {}
    if rest:
        return name, registry.parse_options(spec)
    if colon:
        raise ValueError(f"policy {spec!r}: {name}, {name}:default or {name}:key=value wanted")
    return name, dict(tuned().get(name, {}).get(env_id, {}).get(scenario, {}).get("options", {}))


def tuned(path: Path | None = None) -> dict[str, Any]:
    """The file of tuned options."""
    path = path or TUNED
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def make_env(env_id: str, scenario: str, overrides: Mapping[str, Any], render_mode: str | None = None) -> SystemEnv:
    """The single environment, without wrappers and without autoreset."""
    spec = gym.spec(env_id)  # not gym.make, whose wrappers cost time and whose errors bury ours
    creator = load_env_creator(spec.entry_point)  # type: ignore[arg-type]
    env = creator(**{**spec.kwargs, "scenario": scenario, "render_mode": render_mode, **overrides})
    if not isinstance(env, SystemEnv):
        raise TypeError(f"env_id: an environment of rangym wanted, got {env_id!r} ({type(env).__name__})")
    return env


def run_cell(cell: Cell, entries: Mapping[str, Entry]) -> Row:
    """One episode of one policy, or the bound of one trace."""
    trace = _trace(cell["env_id"], cell["scenario"], json.dumps(cell["overrides"]), cell["seed"])
    common = {"seed_range": seed_range(cell["seed"]), "versions": versions()}
    if cell["row"] == "bound":
        from rangym.evaluation.bounds import bound

        found = bound(make_env(cell["env_id"], cell["scenario"], cell["overrides"]).system, trace)
        fields = {"value": found.value, "kind": found.kind, "what": found.what, "lower": found.lower}
        return _plain({**common, "bound": fields})
    entry = entries[cell["policy"]]
    env = make_env(cell["env_id"], cell["scenario"], {**cell["overrides"], **cell["policy_overrides"]})
    return _plain({**common, "role": entry.role, **run_episode(env, entry, cell["options"], trace, cell["seed"])})


def run_episode(env: SystemEnv, entry: Entry, options: Mapping[str, Any], trace: Trace, seed: int) -> Row:
    """Replay ``trace`` with the policy; means over slots, and the CPU time that the policy took, its reset included
    (that is where an oracle plans; ``reset_ms`` gives it apart)."""
    policy = entry.policy_class(**options)
    observation, _ = env.reset(options={"trace": trace})
    task, rng = Task.of(env, policy.knowledge), episode_rng(entry, seed)
    start = time.process_time()
    policy.reset(task, rng)
    reset_s = time.process_time() - start
    decide_s, rewards, terms, metrics, ended = 0.0, [], [], [], False
    while not ended:
        start = time.process_time()
        action = policy.act(observation)
        decide_s += time.process_time() - start
        observation, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
        rewards.append(reward)
        terms.append(info["terms"])
        metrics.append(info["metrics"])
    reward = float(np.mean(rewards))
    if not np.isfinite(reward):
        raise ValueError(f"the mean reward is {reward}")
    effort = {name: amount / len(rewards) for name, amount in policy.effort().items()}
    return {
        "knowledge": policy.knowledge.value,
        "horizon": len(rewards),
        "reward": reward,
        "terms": term_means(terms),
        "metrics": {**episode_metrics(metrics, env.system.ratio_metrics), **effort},
        "cpu_ms_per_slot": 1e3 * (reset_s + decide_s) / len(rewards),
        "reset_ms": 1e3 * reset_s,
    }


def episode_rng(entry: Entry, seed: int) -> np.random.Generator:
    """The policy's own chance in the episode of ``seed``.

    It depends on the trace's seed and on the policy's class only: neither the trace's nor the other policies' draws
    matter, and variants of one policy are compared under common random numbers.
    """
    # Hashed, so that the generator does not show the trace's seed to a policy that would draw the trace again.
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed} {entry.target}".encode()).digest()[:16]))


@functools.lru_cache(maxsize=2)  # cells come by seed; a paper-sized trace takes gigabytes
def _trace(env_id: str, scenario: str, overrides: str, seed: int) -> Trace:
    env = make_env(env_id, scenario, json.loads(overrides))
    env.reset(seed=seed)
    return env.trace


@functools.cache
def versions() -> dict[str, str]:
    """The versions that a row's numbers depend on."""
    packages = {name: metadata.version(name) for name in ("numpy", "scipy", "numba", "gymnasium")}
    return {"rangym": rangym.__version__, "python": platform.python_version(), **packages}


@functools.cache
def source_hash() -> str:
    """Identity of the code that makes results: the version, and the files of environments, policies and agents.

    With the version alone, rows of an edited checkout would be taken for those of the present code.
    """
    digest = hashlib.sha256(rangym.__version__.encode())
    for package in ("envs", "policies", "baselines"):
        root = Path(importlib.import_module(f"rangym.{package}").__file__).parent  # type: ignore[arg-type]
        for path in sorted(p for p in root.rglob("*") if p.suffix in (".py", ".npz")):
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def bound_hash() -> str:
    """Identity of the code and the stored values behind the bounds, which are not in `source_hash`."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*")):
        if path.name == "bounds.py" or path.name.startswith("placement_"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _own_source(entry: Entry) -> dict[str, str]:
    """Hash of a policy's file where it is not ours, and so not in `source_hash`."""
    if entry.target.startswith("rangym."):
        return {}
    file = inspect.getsourcefile(entry.policy_class)
    return {"policy_source": _sha256(file)} if file else {}


def _file_hashes(values: Mapping[str, Any]) -> dict[str, Any]:
    """Hashes of the files that options name (a radio map, an agent's weights): their content is part of the cell."""
    named = {k: v for k, v in values.items() if isinstance(v, str) and Path(v).is_file()}
    return {f"{k}_sha256": _sha256(v) for k, v in named.items()}


def _sha256(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    """JSON's own types: NumPy scalars and arrays, tuples, and non-finite floats (None)."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
