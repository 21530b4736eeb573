"""Pictures depend on their frame alone, however many were drawn before; labels are read on every colour."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import rangym  # noqa: F401
from rangym.envs import rendering
from rangym.envs.registration import PROBLEMS
from rangym.envs.rendering import Picture, colors, ink_on, panel, picture, span, title

FIXED = [env_id for env_id in PROBLEMS if env_id.startswith("rangym/")]


def played(env_id, slots, seed=0):
    env = gym.make(env_id, scenario="tiny", render_mode="rgb_array").unwrapped
    env.reset(seed=seed), env.action_space.seed(seed)
    for _ in range(min(slots, env.system.horizon)):
        env.step(env.action_space.sample())
        yield env


@pytest.mark.parametrize("env_id", FIXED)
def test_a_picture_depends_on_its_frame_alone(env_id):
    for seed in (0, 1):
        for env in played(env_id, 3, seed):
            frame, system = env._episode.frame(0), env.system
            fresh = picture(lambda figure, s=system, f=frame: s.draw(figure, f))
            assert np.array_equal(env.render(), fresh)
            assert np.array_equal(env.render(), fresh)
    env.reset(seed=5)
    frame = env._episode.frame(0)
    assert np.array_equal(env.render(), picture(lambda figure: env.system.draw(figure, frame)))
    assert fresh.shape == (448, 800, 3) and fresh.dtype == np.uint8 and fresh.flags.writeable


@pytest.mark.parametrize("env_id", FIXED)
def test_nothing_is_drawn_across_the_edge_of_a_panel(env_id):
    """What stands still would be cut off there: the pixels around every place are white."""
    *_, env = played(env_id, 3)
    figure, frame = Figure(figsize=rendering.SIZE_IN, dpi=rendering.DPI), env._episode.frame(0)
    env.system.draw(figure, frame)
    pixels = env.render()
    height, width, _ = pixels.shape
    for left, bottom, right, top in rendering._panels(figure):
        rows = slice(height - round(top * height), height - round(bottom * height))
        columns = slice(round(left * width), round(right * width))
        for edge in (pixels[rows, columns][:, [0, -1]], pixels[rows, columns][[0, -1]]):
            assert (edge == 255).all()


@pytest.mark.parametrize("env_id", FIXED)
def test_axes_are_kept_while_nothing_that_stands_still_has_changed(env_id):
    *_, env = played(env_id, 2)
    figure, frame = Figure(), env._episode.frame(0)
    env.system.draw(figure, frame)
    axes, artists = list(figure.axes), [len(a.get_children()) for a in figure.axes]
    env.system.draw(figure, frame)
    assert figure.axes == axes and [len(a.get_children()) for a in axes] == artists


def test_an_environment_with_pictures_can_be_copied():
    *_, env = played("rangym/NodePlacement-v0", 2)
    shown = env.render()
    for other in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        assert np.array_equal(other.render(), shown)


def test_lanes_have_pictures_of_their_own():
    env = gym.make_vec("rangym/NodePlacement-v0", num_envs=2, scenario="tiny", render_mode="rgb_array").unwrapped
    env.reset(seed=3)
    one = gym.make("rangym/NodePlacement-v0", scenario="tiny", render_mode="rgb_array").unwrapped
    for lane, shown in enumerate(env.render()):
        one.reset(seed=3 + lane)
        assert np.array_equal(one.render(), shown)


def test_a_system_may_draw_into_an_empty_figure_each_time():
    def draw(figure):
        assert not figure.axes
        figure.subplots().plot([0, 1], [0, 1])

    paper = Picture()
    first = paper(draw)
    assert np.array_equal(paper(draw), first) and np.unique(first).size > 20


def test_panels_come_back_and_forget_what_moved():
    paper, made = Picture((4.0, 3.0)), []

    def draw(figure, top):
        axes = panel(figure, (0, 0, 1, 1), top, lambda axes: (made.append(top), axes.set(ylim=(0, top))))
        axes.plot([0, 1], [0, 1])
        title(axes, f"up to {top}")

    first, other = paper(lambda figure: draw(figure, 1)), paper(lambda figure: draw(figure, 2))
    assert np.array_equal(paper(lambda figure: draw(figure, 1)), first) and made == [1, 2]
    assert not np.array_equal(first, other)
    for top in range(3, 3 + rendering.KEPT):
        paper(lambda figure, top=top: draw(figure, top))
    paper(lambda figure: draw(figure, 1))
    assert made[-1] == 1 and len(made) == 2 + rendering.KEPT + 1


def contrast(a, b):
    """The ratio of WCAG 2, written down from its definition, channel by channel."""

    def luminance(color):
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("count", [6, 10, 25])
def test_labels_are_read_on_every_colour(count):
    for color in [*colors(count), rendering.GREY, rendering.FAINT, "white"]:
        assert contrast(ink_on(color), color) >= 4.5
        assert contrast(ink_on(color), color) >= max(contrast(ink, color) for ink in ("black", "white")) - 1e-9


@given(st.lists(st.floats(-1e9, 1e9).filter(lambda x: x == 0 or abs(x) > 1e-9), max_size=8))
def test_round_limits_hold_all_values_and_are_not_much_wider(values):
    low, high = span(values)
    assert low < high
    for value in values:
        assert low - 1e-6 * (high - low) <= value <= high + 1e-6 * (high - low)
    if len(set(values)) > 1 and max(values) - min(values) > 1e-6 * max(map(abs, values)):
        assert high - low <= 2.7 * (max(values) - min(values))


def test_round_limits_change_only_where_a_value_leaves_them():
    assert span([0.13, 0.98]) == span([0.02, 0.9]) == span([0.5], include=[0.0, 1.0]) == (0.0, 1.0)
    assert span([]) == (0.0, 1.0) and span([3.0]) == (0.0, 3.0) and span([-2.0, -2.0]) == (-2.0, 0.0)


def test_names_are_shown_as_they_are():
    def draw(figure, name):
        title(panel(figure, (0, 0, 1, 1), None, lambda axes: axes.axis("off")), name)

    plain, formula = (picture(lambda figure, n=name: draw(figure, n), (3.0, 1.0)) for name in ("x", "$x$"))
    assert (formula < 128).sum() > (plain < 128).sum()  # two dollar signs more
