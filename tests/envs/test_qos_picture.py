"""QosClustering's picture shows what happened: heads and concepts, losses, drift, reward and bound, densities."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from scipy.stats import lognorm

from rangym.envs.core import Trace
from rangym.envs.qos_clustering.render import GLOBAL_COLOR, GROUP_COLORS, draw
from rangym.envs.rendering import PALETTE

ID = "rangym/QosClustering-v0"


def shown(slots=6, **kwargs):
    """The system, the frame after some random slots, and the picture's axes: map, losses, drift, reward, latency."""
    env = gym.make(ID, scenario="tiny", render_mode="rgb_array", **kwargs).unwrapped
    env.reset(seed=3), env.action_space.seed(0)
    for _ in range(slots):
        env.step(env.action_space.sample())
    frame = env._episode.frame(0)
    figure = Figure(figsize=(10, 5.6))
    draw(figure, env.system, frame)
    return env.system, frame, figure.axes


def test_discs_are_heads_and_rings_true_concepts():
    _, frame, (network, *_) = shown()
    discs, rings = network.collections[:2]
    colors = [GLOBAL_COLOR, *PALETTE]
    slots = frame.state["slot_of_cell"]
    assert len(set(slots)) > 1
    np.testing.assert_allclose(discs.get_facecolors(), [to_rgba(colors[c]) for c in slots])
    concept = frame.trace.slots["true_group"][6].argmax(axis=1)
    np.testing.assert_allclose(rings.get_edgecolors(), [to_rgba(GROUP_COLORS[g]) for g in concept])
    np.testing.assert_allclose(1000 * discs.get_offsets(), frame.trace.constants["cell_position_m"])


def test_losses_are_the_averages_and_slots_in_use_are_framed():
    _, frame, (_, losses, *_) = shown()
    average = frame.state["average_loss"]
    np.testing.assert_allclose(losses.images[0].get_array(), average - average.mean(axis=1, keepdims=True))
    centres = [path.vertices[:4].mean(axis=0) for path in losses.collections[0].get_paths()]
    np.testing.assert_allclose(centres, [(c, i) for i, c in enumerate(frame.state["slot_of_cell"])], atol=1e-9)


def test_drift_shows_when_concepts_change():
    system, frame, (_, _, drift, *_) = shown()
    image = drift.images[0].get_array()
    concept = frame.trace.slots["true_group"][1 : system.horizon + 1].argmax(axis=2)
    for i in range(4):
        np.testing.assert_allclose(image[i], [to_rgba(GROUP_COLORS[g])[:3] for g in concept[:, i]])
    pale, hours = drift.patches[-1], system.horizon * 0.25
    assert (pale.get_x(), pale.get_x() + pale.get_width()) == (6 * 0.25, hours) and pale.get_alpha() > 0.5
    assert drift.lines[0].get_xdata()[0] == 6 * 0.25


def test_no_reward_exceeds_the_bound_of_its_slot():
    system, frame, axes = shown(slots=20)
    (reward, mean, bound) = (line.get_ydata() for line in axes[3].lines)
    np.testing.assert_allclose(reward, frame.rewards)
    assert len(bound) == 20 and (reward <= bound).all() and mean[-1] == pytest.approx(np.mean(frame.rewards))
    loss = frame.trace.slots["loss"][5].astype(float)
    sets = [np.array(u) for u in ([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])]
    least = min(loss[:, u].min(axis=1).sum() + system.params.beta * len(u) for u in sets)
    assert bound[4] == pytest.approx(-least / 4)


def test_heads_that_adapt_have_no_bound_but_a_prediction():
    *_, axes = shown(eta=0.003)
    assert len(axes[3].lines) == 2 and len(axes[4].lines) == 3


@pytest.mark.parametrize("form", [{}, {"observe": "statistics"}])
def test_densities_are_lognormal_and_the_prediction_needs_rows(form):
    system, frame, axes = shown(**form)
    lines = {line.get_label(): line.get_xydata().T for line in axes[4].lines}
    assert lines.keys() == {"now", "1 h later"} | ({"predicted"} if form else set())
    assert bool(axes[4].get_xlabel()) != bool(form)
    cell = int(axes[4].get_title(loc="left").split()[3])
    mean, covariance = system.predictor.gaussian(frame.trace.slots["target"][6, cell])
    x, y = lines["1 h later"]
    np.testing.assert_allclose(y, lognorm.pdf(x, np.sqrt(covariance[0, 0]), scale=np.exp(mean[0])), rtol=1e-9)
    if form:
        rows = frame.trace.slots["known_features"][10, cell]
        code = (rows @ system.heads[frame.state["slot_of_cell"][cell]]).mean(axis=0)
        mean, covariance = system.predictor.gaussian(code)
        x, y = lines["predicted"]
        np.testing.assert_allclose(y, lognorm.pdf(x, np.sqrt(covariance[0, 0]), scale=np.exp(mean[0])), rtol=1e-6)


@pytest.mark.parametrize("place", [(1.0, 1.0), (9.0, 0.0), (0.0, 9.0)], ids=["square", "row", "column"])
def test_the_legend_covers_no_label_of_the_map(place):
    env = gym.make(ID, scenario="tiny", render_mode="rgb_array").unwrapped
    env.reset(seed=3)
    frame = env._episode.frame(0)
    constants = frame.trace.constants | {"cell_position_m": 100.0 * np.arange(4)[:, None] * np.array(place)}
    figure = Figure(figsize=(10, 5.6))
    draw(figure, env.system, dataclasses.replace(frame, trace=Trace(constants, frame.trace.slots)))
    FigureCanvasAgg(figure).draw()
    network, reward = figure.axes[0], figure.axes[3]
    legend = network.get_legend().get_window_extent()
    others = [network.xaxis.label, *network.get_xticklabels(), reward.title, reward._left_title]
    assert not any(legend.overlaps(text.get_window_extent()) for text in others if text.get_text())
