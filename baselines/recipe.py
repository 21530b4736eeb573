"""What defines a training run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rangym.envs.params import Overrides


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that, with a seed, defines a training run.

    Attributes
    ----------
    name : its key in `RECIPES`; the policy that plays its agents has the same name in the policy registry.
    algorithm : ``PPO``, ``SAC`` (stable-baselines3) or ``MaskablePPO`` (sb3-contrib).
    policy : ``"module:Class"`` of the `Sb3Policy` that gives the view that learns and plays the result.
    env_id, scenario, overrides : the environment.
    num_envs : lanes that run side by side.
    total_steps : decisions of all learners together; a lane counts once a slot, or once a slot and UE where UEs share
        a policy.
    learning_rate : at the start; it falls linearly to zero at ``total_steps``.
    hidden : widths of the actor's and of the critic's hidden layers, with tanh between (SAC: ReLU).
    kwargs : further arguments of the algorithm.
    """

    name: str
    algorithm: str
    policy: str
    env_id: str
    scenario: str
    num_envs: int
    total_steps: int
    learning_rate: float
    hidden: tuple[int, ...]
    kwargs: Mapping[str, object]
    overrides: Overrides = field(default_factory=dict)
