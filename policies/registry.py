"""Every policy by name. Strings only: a class is imported when it is made."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from rangym.envs.core import build
from rangym.envs.params import nearest
from rangym.envs.registration import SYSTEMS
from rangym.policies.base import Knowledge, Policy, Task

CELL = "rangym/CellAssociation-v0"
_CELL = "rangym.policies.cell_association."
_CELL_AGENTS = "rangym.baselines.cell_association.per_ue:"
NODE = "rangym/NodePlacement-v0"
_NODE = "rangym.policies.node_placement."
_NODE_AGENTS = "rangym.baselines.node_placement.per_node:"
NOMA = "rangym/NomaAllocation-v0"
_NOMA = "rangym.policies.noma_allocation."
_NOMA_AGENTS = "rangym.baselines.noma_allocation.pairs:"
_NATIVE, _FIXED = {"action": "native", "power": "kkt"}, {"action": "native", "power": "fixed"}
_SCORES = {"action": "scores"}


@dataclass(frozen=True)
class Entry:
    """A policy's line in the registry.

    ``env_id`` None means every environment; ``role`` is reference, heuristic, oracle, random or agent;
    ``overrides`` are environment parameters that the policy's definition needs (they leave the trace unchanged).
    """

    target: str
    env_id: str | None
    role: str
    source: str
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def policy_class(self) -> type[Policy]:
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(module), name)

    @property
    def knowledge(self) -> Knowledge:
        return self.policy_class.knowledge


ENTRIES: dict[str, Entry] = {
    "random": Entry("rangym.policies.base:Random", None, "random", "uniform over the action space"),
    "max_sinr": Entry(_CELL + "rules:MaxSinr", CELL, "heuristic", "strongest cell of the previous slot"),
    "lda": Entry(_CELL + "lda:Lda", CELL, "reference", "Kalntis et al., Smooth Handovers, Algorithm 1"),
    "a3": Entry(_CELL + "rules:A3", CELL, "heuristic", "3GPP TS 38.331, event A3"),
    "load_aware": Entry(_CELL + "rules:LoadAware", CELL, "heuristic", "greedy proportional-fair choice in index order"),
    "slot_optimum": Entry(_CELL + "optima:SlotOptimum", CELL, "heuristic", "exact assignment for the previous slot"),
    "sticky_optimum": Entry(_CELL + "optima:StickyOptimum", CELL, "heuristic", "exact assignment with a moving cost"),
    "sticky_filtered": Entry(_CELL + "optima:StickyFiltered", CELL, "heuristic", "the same on averaged log rates"),
    "static_oracle": Entry(_CELL + "optima:StaticOracle", CELL, "oracle", "exact optimum where the SINR never changes"),
    "hindsight": Entry(
        _CELL + "optima:Hindsight", CELL, "oracle", "price decomposition and Viterbi paths on the trace"
    ),
    "ppo_shared": Entry(
        _CELL_AGENTS + "SharedPpo", CELL, "agent", "PPO, one policy shared by all UEs; trained on small"
    ),
    "ppo_flat": Entry(_CELL_AGENTS + "FlatPpo", CELL, "agent", "PPO over all UEs at once; trained on small"),
    "ppo_maskable": Entry(_CELL_AGENTS + "MaskablePpo", CELL, "agent", "MaskablePPO over all UEs; trained on small"),
    "static": Entry(_NODE + "layouts:Static", NODE, "heuristic", "nodes stay where they start"),
    "grid": Entry(_NODE + "layouts:Grid", NODE, "heuristic", "nodes in even rows"),
    "k_means": Entry(_NODE + "clusterings:KMeans", NODE, "heuristic", "Lloyd's K-means of the present users"),
    "constrained_k_means": Entry(
        _NODE + "clusterings:ConstrainedKMeans", NODE, "heuristic", "Bradley et al.: K-means with equal loads"
    ),
    "k_centers": Entry(_NODE + "clusterings:KCenters", NODE, "heuristic", "Gonzalez: least largest distance, within 2"),
    "khm": Entry(
        _NODE + "clusterings:KHarmonicMeans", NODE, "heuristic", "Zhang: K-harmonic means (p=2: fuzzy c-means)"
    ),
    "gmm": Entry(_NODE + "clusterings:GaussianMixture", NODE, "heuristic", "means of a Gaussian mixture"),
    "wkhm": Entry(_NODE + "clusterings:Wkhm", NODE, "reference", "Ghatak: weighted K-harmonic means, corrected"),
    "harmonic": Entry(_NODE + "clusterings:Harmonic", NODE, "heuristic", "alpha-fair received power"),
    "greedy_step": Entry(_NODE + "searches:GreedyStep", NODE, "heuristic", "best next step on the true utility"),
    "swap": Entry(_NODE + "searches:Swap", NODE, "heuristic", "one-swap local search on the true utility"),
    "cma": Entry(_NODE + "searches:Cma", NODE, "heuristic", "Hansen: CMA-ES on the true utility"),
    "mpc": Entry(_NODE + "horizon:Mpc", NODE, "heuristic", "receding horizon, users at constant velocity"),
    "mpc_oracle": Entry(_NODE + "horizon:MpcOracle", NODE, "oracle", "receding horizon on the true users to come"),
    "ppo_tracking": Entry(
        _NODE_AGENTS + "TrackingPpo", NODE, "agent", "PPO correcting K-means, one policy shared by nodes; small"
    ),
    "ppo_tracking_drift": Entry(_NODE_AGENTS + "TrackingPpoDrift", NODE, "agent", "the same; trained on drift"),
    "ppo_direct": Entry(_NODE_AGENTS + "DirectPpo", NODE, "agent", "the same without K-means; trained on small"),
    "ppo_plain": Entry(_NODE_AGENTS + "FlatNodesPpo", NODE, "agent", "PPO over the flat observation; trained on small"),
    "sac_plain": Entry(_NODE_AGENTS + "FlatNodesSac", NODE, "agent", "SAC over the flat observation; trained on small"),
    "random_fixed": Entry(_NOMA + "rules:RandomPairs", NOMA, "heuristic", "random pairs at full power (R-F)", _FIXED),
    "random_kkt": Entry(_NOMA + "rules:RandomPairs", NOMA, "heuristic", "random pairs, least energy", _NATIVE),
    "max_gain": Entry(_NOMA + "rules:MaxGain", NOMA, "heuristic", "greatest sum of SNR in dB", _NATIVE),
    "2es_kkt": Entry(
        _NOMA + "matching:TwoSidedExchange", NOMA, "reference", "Lin et al., Algorithm 2 with Definition 3", _NATIVE
    ),
    "mba_fixed": Entry(_NOMA + "matching:SwapMatching", NOMA, "reference", "Lin et al., MBA at full power", _FIXED),
    "mba_kkt": Entry(
        _NOMA + "matching:SwapMatching", NOMA, "reference", "Lin et al., swaps that lower the sum", _NATIVE
    ),
    "ils_kkt": Entry(
        _NOMA + "matching:IteratedLocalSearch", NOMA, "heuristic", "alternating Hungarian, swaps, restarts", _NATIVE
    ),
    "oma_matching": Entry(
        _NOMA + "matching:SwapMatching", NOMA, "heuristic", "swaps, optimal TDMA", {**_NATIVE, "access": "oma_opt"}
    ),
    "exact": Entry(_NOMA + "matching:Exact", NOMA, "heuristic", "optimum of the round, dynamic programme", _NATIVE),
    "ppo_pairs": Entry(
        _NOMA_AGENTS + "PairsPpo", NOMA, "agent", "PPO, one policy scores all pairs; trained on small", _SCORES
    ),
    "ppo_pairs_tight": Entry(
        _NOMA_AGENTS + "PairsPpoTight", NOMA, "agent", "PPO, one policy scores all pairs; trained on tight", _SCORES
    ),
}


def names(env_id: str | None = None) -> list[str]:
    """The policies registered, or those for one environment."""
    return [name for name, entry in ENTRIES.items() if env_id is None or entry.env_id in (None, env_id)]


def entry(spec: str) -> Entry:
    """The registry's line for ``"name"`` or ``"name:key=value,..."``."""
    name = spec.partition(":")[0]
    if name not in ENTRIES:
        raise ValueError(f"policy: one of {', '.join(ENTRIES)} wanted, got {name!r}{nearest(name, ENTRIES)}")
    return ENTRIES[name]


def make(spec: str, **options: Any) -> Policy:
    """A policy from its name, with options as keywords or in the name: ``make("lda:rounding=coupled")``.

    Options that are not given are the constructor's defaults (`evaluate` takes those tuned for the scenario).
    """
    cls = entry(spec).policy_class
    given = {**({} if spec.endswith(":default") else parse_options(spec)), **options}
    allowed = [p for p in inspect.signature(cls).parameters if p != "self"]
    for key in given:
        if key not in allowed:
            listed = ", ".join(allowed) or "none"
            raise TypeError(
                f"{spec.partition(':')[0]}: unknown option {key!r}{nearest(key, allowed)} (options: {listed})"
            )
    return cls(**given)


def bind(spec: str, env: gym.Env | gym.vector.VectorEnv, rng: np.random.Generator | int = 0) -> Policy:
    """The policy ``spec`` ready for ``predict`` on ``env``; refused where env or its parameters do not fit it."""
    line, policy = entry(spec), make(spec)
    task = Task.of(env, policy.knowledge)
    system = env.unwrapped.system  # type: ignore[union-attr]
    name = spec.partition(":")[0]
    if line.env_id is not None and type(system) is not type(build(SYSTEMS[line.env_id], "tiny", {})):
        raise ValueError(f"{name} is for {line.env_id}, got an environment of {type(system).__name__}")
    if wrong := {k: v for k, v in line.overrides.items() if getattr(system.params, k) != v}:
        wanted = ", ".join(f"{k}={v!r}" for k, v in wrong.items())
        raise ValueError(f"{name} needs gym.make({line.env_id!r}, {wanted}, ...): entry({name!r}).overrides lists it")
    return policy.bind(task, rng)


def register(name: str, target: str, env_id: str | None = None, *, source: str = "", **fields: Any) -> None:
    """Give a policy of your own a name, for `make`, `evaluate` and their tables.

    ``target`` is ``"module:Class"``, importable in every worker process; ``fields`` are those of `Entry`.
    """
    if name in ENTRIES:
        raise ValueError(f"name: {name!r} is taken by {ENTRIES[name].target}")
    if not name.isidentifier() or target.count(":") != 1:
        raise ValueError(f"register: an identifier and 'module:Class' wanted, got {name!r} and {target!r}")
    if env_id is not None and env_id not in SYSTEMS:
        raise ValueError(f"env_id: None or one of {list(SYSTEMS)} wanted, got {env_id!r}")
    ENTRIES[name] = Entry(target, env_id, source=source, **{"role": "heuristic", **fields})


def parse_options(spec: str) -> dict[str, Any]:
    """``"lda:rounding=coupled,step_scale=3"`` -> ``{"rounding": "coupled", "step_scale": 3}``."""
    options: dict[str, Any] = {}
    for part in filter(None, spec.partition(":")[2].split(",")):
        key, equals, value = part.partition("=")
        if not (key.strip() and equals):
            raise ValueError(f"policy {spec!r}: options are key=value, got {part!r}")
        try:
            options[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):  # a bare word is a string
            options[key.strip()] = value.strip()
    return options
