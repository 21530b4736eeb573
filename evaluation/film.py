"""An episode as pictures."""

from __future__ import annotations

import importlib
import io
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import MissingExtra
from rangym.envs.files import write_whole
from rangym.evaluation.episode import Episode, episode_rng, make_env
from rangym.evaluation.progress import progress
from rangym.policies import registry
from rangym.policies.base import Policy


def check_extra() -> None:
    """Raise `MissingExtra` where matplotlib or Pillow is not installed; ask before an episode, not after it."""
    for module, name in (("matplotlib", "matplotlib"), ("PIL", "Pillow")):
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingExtra(f"GIFs need {name}: pip install 'rangym[plot]'") from error


def film(
    word: str | Policy,
    env_id: str,
    scenario: str,
    overrides: Mapping[str, object],
    *,
    seed: int = 0,
    slots: int | None = None,
) -> list[NDArray]:
    """Pictures (height, width, 3) uint8 after each of the first ``slots`` slots; the episode is that of `evaluate`."""
    if isinstance(word, str):
        registry.entry(word, env_id)  # refuses an unknown one with the names of the environment's own
    policy = registry.make(word, scenario=scenario) if isinstance(word, str) else word
    env = make_env(env_id, scenario, {**overrides, **policy.overrides}, render_mode="rgb_array")
    registry.check_fits(policy, env.system)
    count = min(slots or env.system.horizon, env.system.horizon)
    steps = itertools.islice(Episode(env, policy, episode_rng(policy, seed), seed=seed), count)
    return [np.asarray(env.render()) for _ in progress(steps, count, f"{policy.name}, {scenario}")]


def write_gif(frames: Sequence[NDArray], path: str | Path, fps: int = 10) -> Path:
    """Write an endless animated GIF; needs Pillow."""
    check_extra()
    from PIL import Image

    pictures = [Image.fromarray(frame).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames]
    buffer, first = io.BytesIO(), pictures[0]
    moving = {"save_all": True, "append_images": pictures[1:], "duration": round(1000 / fps), "loop": 0}
    first.save(buffer, format="GIF", optimize=True, **moving)
    write_whole(path, buffer.getvalue())
    return Path(path)
