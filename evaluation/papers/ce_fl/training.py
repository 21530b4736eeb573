"""Trainings of a real model under CE-FL's decisions, FedNova's and FedAvg's: accuracy, delay and energy by round."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from rangym.envs.cefl_orchestration.codings import blocks
from rangym.envs.cefl_orchestration.training import TrainedRounds
from rangym.envs.core import SystemEnv
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.grid import Row
from rangym.evaluation.papers.ce_fl.settings import READINGS
from rangym.policies import registry
from rangym.policies.base import Policy

ENV_ID = "rangym/CeflOrchestration-v0"
METHODS = {
    "ce_fl": "convex_reference",
    "fednova_dpu": "fednova_dpu",
    "fednova_ue": "fednova_ue",
    "six_steps": "no_offloading",
}
"""Method -> policy that decides the rounds; ``six_steps``: all UEs make the most local steps on all of their data."""


def training(
    *,
    reading: str,
    method: str,
    options: Mapping[str, float],
    trained: Mapping[str, Mapping[str, str | float]],
    rounds: int,
    seed: int,
) -> Row:
    """Delay and energy of each round, and the test accuracy after it under every training in ``trained``.

    The decisions do not depend on the model that is trained, so they are made once.
    """
    scenario, own = READINGS[reading]
    overrides = {**own, "network_seed": seed, "horizon": rounds, "action": "native"}
    env = make_env(ENV_ID, scenario, overrides)
    policy = _policy(env, method, options)
    steps = list(Episode(env, policy, episode_rng(policy, seed), seed=seed))
    accuracy = {}
    for name, settings in trained.items():
        model = TrainedRounds(env, **settings)
        model.reset(seed=seed)
        accuracy[name] = [float(model.step(step.action)[-1]["metrics"]["accuracy"]) for step in steps]
    return {
        "delay": [float(step.metrics["delay"]) for step in steps],
        "energy": [float(step.metrics["energy"]) for step in steps],
        "iterations": float(np.mean([step.metrics["iterations"] for step in steps])),
        "minibatch": float(np.mean([step.metrics["minibatch_share"] for step in steps])),
        "accuracy": accuracy,
    }


def _policy(env: SystemEnv, method: str, options: Mapping[str, float]) -> Policy:
    given: dict[str, object] = dict(options)
    if method == "six_steps":
        shapes = blocks(dataclasses.replace(env.system.params, action="compact"))
        parts = [np.full(math.prod(shape), float(name == "ue_iterations")) for name, shape in shapes.items()]
        given["constant"] = tuple(np.concatenate(parts).tolist())
    return registry.make(METHODS[method], scenario=None, **given)
