"""A window and a film are Gymnasium's own, on every environment's picture (the extra `video`)."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.wrappers import HumanRendering, RecordVideo

from rangym.envs.registration import PROBLEMS

OURS = [env_id for env_id in PROBLEMS if env_id.startswith("rangym/")]


def make(env_id):
    return gym.make(env_id, scenario="tiny", render_mode="rgb_array")


@pytest.mark.parametrize("env_id", OURS)
def test_a_window_shows_the_picture(env_id, monkeypatch):
    pygame = pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = HumanRendering(make(env_id))
    env.action_space.seed(0), env.reset(seed=0)
    env.step(env.action_space.sample())
    shown = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
    assert np.array_equal(shown, env.env.render())
    env.close()


def test_gymnasium_opens_the_window_itself_for_human(monkeypatch):
    pytest.importorskip("pygame")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with pytest.warns(UserWarning, match="HumanRendering wrapper is being applied"):
        env = gym.make(OURS[0], scenario="tiny", render_mode="human")
    assert isinstance(env, HumanRendering)
    env.reset(seed=0)
    env.close()


def test_a_film_has_a_picture_of_every_slot(tmp_path):
    moviepy = pytest.importorskip("moviepy")
    env = RecordVideo(make(OURS[0]), str(tmp_path / "film"), episode_trigger=lambda episode: True, disable_logger=True)
    env.action_space.seed(0), env.reset(seed=0)
    for _ in range(env.unwrapped.system.horizon):
        env.step(env.action_space.sample())
    env.close()
    (film,) = (tmp_path / "film").glob("*.mp4")
    with moviepy.VideoFileClip(str(film)) as clip:
        assert clip.size == [800, 448]
        assert abs(clip.duration * env.metadata["render_fps"] - (env.unwrapped.system.horizon + 1)) <= 1
