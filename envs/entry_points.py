"""What ``gym.make`` and ``gym.make_vec`` call: a shell, and with ``flat=True`` the wrappers around it."""

from __future__ import annotations

import gymnasium as gym
from gymnasium.vector import AutoresetMode, VectorEnv

from rangym.envs.core import System, SystemEnv, SystemVectorEnv
from rangym.envs.errors import WrongType, shown


def single(
    system: str | System,
    scenario: str = "small",
    render_mode: str | None = None,
    flat: bool = False,
    **overrides: object,
) -> gym.Env:
    """A `SystemEnv`; its observation, and a Box action, are vectors in [-1, 1] where ``flat``."""
    _check_flat(flat)
    env = SystemEnv(system, scenario, render_mode, **overrides)
    if not flat:
        return env
    from rangym.envs.flat import flat_env

    return flat_env(env)


single.__dict__["metadata"] = SystemEnv.metadata  # gym.make asks what it calls for the render modes


def lanes(
    system: str | System,
    num_envs: int = 1,
    scenario: str = "small",
    render_mode: str | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    flat: bool = False,
    threads: int | None = None,
    **overrides: object,
) -> VectorEnv:
    """A `SystemVectorEnv`; its observation, and a Box action, are vectors in [-1, 1] where ``flat``."""
    _check_flat(flat)
    env = SystemVectorEnv(system, num_envs, scenario, render_mode, autoreset_mode, threads, **overrides)
    if not flat:
        return env
    from rangym.envs.flat import flat_vector_env

    return flat_vector_env(env)


def _check_flat(flat: object) -> None:
    if not isinstance(flat, bool):
        raise WrongType(f"flat: True or False wanted, got {shown(flat)}")
