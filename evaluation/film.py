"""An episode as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rangym.evaluation.progress import progress
from rangym.evaluation.runner import episode_rng, make_env, resolve
from rangym.policies import registry
from rangym.policies.base import Task


def film(
    spec: str, env_id: str, scenario: str, overrides: Mapping[str, Any], *, seed: int = 0, slots: int | None = None
) -> list[NDArray]:
    """Pictures (height, width, 3) uint8 after each of the first ``slots`` slots; the episode is that of `evaluate`."""
    name, options = resolve(spec, env_id, scenario)
    entry = registry.entry(name)
    env = make_env(env_id, scenario, {**overrides, **entry.overrides}, render_mode="rgb_array")
    policy = registry.make(name, **options)
    observation, _ = env.reset(seed=seed)
    policy.reset(Task.of(env, policy.knowledge), episode_rng(entry, seed))
    frames = []
    count = min(slots or env.system.horizon, env.system.horizon)
    for _ in progress(range(count), count, f"{name}, {scenario}"):
        observation, *_ = env.step(policy.act(observation))
        frames.append(np.asarray(env.render()))
    return frames


def write_gif(frames: Sequence[NDArray], path: str | Path, fps: int = 10) -> Path:
    """Write an endless animated GIF; needs Pillow."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("GIFs need Pillow: pip install 'rangym[plot]'") from error
    pictures = [Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, optimize=True)
    return Path(path)
