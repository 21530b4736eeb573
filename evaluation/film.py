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
    every: int = 1,
) -> list[NDArray]:
    """Pictures (height, width, 3) uint8 after the first ``slots`` slots, or after ``every`` so many of them; the
    episode is that of `evaluate`."""
    if isinstance(word, str):
        registry.entry(word, env_id)  # refuses an unknown one with the names of the environment's own
    policy = registry.make(word, scenario=scenario) if isinstance(word, str) else word
    env = make_env(env_id, scenario, {**overrides, **policy.overrides}, render_mode="rgb_array")
    registry.check_fits(policy, env.system)
    count = min(slots or env.system.horizon, env.system.horizon)
    steps = itertools.islice(Episode(env, policy, episode_rng(policy, seed), seed=seed), count)
    done = progress(steps, count, f"{policy.name}, {scenario}")
    return [np.asarray(env.render()) for t, _ in enumerate(done) if t % every == 0]


def write_gif(frames: Sequence[NDArray], path: str | Path, fps: int = 10, width: int | None = None) -> Path:
    """Write an endless animated GIF, ``width`` pixels wide or as wide as the frames; needs Pillow."""
    check_extra()
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    if width is not None and width != images[0].width:
        size = (width, round(images[0].height * width / images[0].width))
        images = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
    # One palette for all: a frame then holds only what has changed since the one before.
    some = [np.asarray(images[k]) for k in sorted({0, len(images) // 2, len(images) - 1})]
    palette = Image.fromarray(np.concatenate(some)).quantize(256, Image.Quantize.MAXCOVERAGE)  # rare colours, too
    first, *others = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    buffer = io.BytesIO()
    moving = {"save_all": True, "append_images": others, "duration": round(1000 / fps), "loop": 0}
    first.save(buffer, format="GIF", optimize=True, **moving)
    write_whole(path, buffer.getvalue())
    return Path(path)
