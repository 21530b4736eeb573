"""Motion: stationary moments, folding against step-by-step reflection, waypoints."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rangym.envs.physics.mobility import fold, gauss_markov, gauss_markov_walk, random_waypoint_walk, standing


def test_gauss_markov_is_the_scalar_recursion():
    rng = np.random.default_rng(0)
    mean, sd, normal, a = rng.uniform(1, 28, 3), rng.uniform(0, 4, 3), rng.normal(size=(7, 3)), 0.5
    got = gauss_markov(mean, sd, normal, a)
    for i in range(3):
        value = mean[i] + sd[i] * normal[0, i]
        assert got[0, i] == pytest.approx(value, abs=1e-12)
        for t in range(1, 7):
            value = a * value + (1 - a) * mean[i] + math.sqrt(1 - a**2) * sd[i] * normal[t, i]
            assert got[t, i] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_gauss_markov_is_stationary_from_the_first_slot(memory):
    n = 60_000
    normal = np.random.default_rng(1).normal(size=(6, n)).astype(np.float32)
    x = gauss_markov(np.full(n, 14.0), np.full(n, 2.0), normal, memory)
    assert x.dtype == np.float32
    x = x.astype(float)
    assert x.mean(axis=1) == pytest.approx(14.0, abs=4 * 2.0 / math.sqrt(n))
    assert x.var(axis=1) == pytest.approx(4.0, rel=4 * math.sqrt(2 / n))
    for lag in (1, 3):
        assert np.corrcoef(x[0], x[lag])[0, 1] == pytest.approx(memory**lag, abs=4 / math.sqrt(n))


def bounce(start, steps, side):
    """One wall after the other, step by step, the direction turning at each: the definition of a reflection."""
    x, direction, path = start, 1.0, []
    for step in steps:
        x += direction * step
        while not 0 <= x <= side:
            x, direction = (-x, -direction) if x < 0 else (2 * side - x, -direction)
        path.append(x)
    return np.array(path)


@settings(max_examples=200, deadline=None)
@given(start=st.floats(0, 1), steps=st.lists(st.floats(-4, 4), min_size=1, max_size=30), side=st.floats(0.5, 2000))
def test_folding_equals_reflection_step_by_step(start, steps, side):
    start, steps = start * side, np.array(steps) * side
    folded = fold(start + np.cumsum(steps), side)
    assert ((folded >= 0) & (folded <= side)).all()
    assert folded == pytest.approx(bounce(start, steps, side), abs=1e-9 * side * (1 + len(steps)))


WALK = dict(side_m=300.0, slot_s=2.0, mean_speed_mps=(5.0, 28.0), speed_variance=(1.0, 14.0), memory=0.5)


def test_a_walk_turns_heading_and_mean_heading_at_a_border():
    """Simulated slot by slot: at a wall the heading, its mean and the noise of the heading are all mirrored."""
    rng = np.random.default_rng(3)
    slots, ues, a, sd = 120, 4, 0.5, math.pi / 8
    uniform, normal = rng.random((5, ues)), rng.normal(size=(slots - 1, 2, ues))
    position, moved = gauss_markov_walk(uniform, normal, heading_sd=sd, **WALK)
    borders = 0
    for i in range(ues):
        x = 300.0 * uniform[:2, i]
        mean_v, v_sd, mean_h = 5 + 23 * uniform[2, i], math.sqrt(1 + 13 * uniform[3, i]), 2 * math.pi * uniform[4, i]
        v, h, side_of_noise = mean_v + v_sd * normal[0, 0, i], mean_h + sd * normal[0, 1, i], 1.0
        for t in range(1, slots):
            if t > 1:
                v = a * v + (1 - a) * mean_v + math.sqrt(1 - a * a) * v_sd * normal[t - 1, 0, i]
                h = a * h + (1 - a) * mean_h + math.sqrt(1 - a * a) * sd * side_of_noise * normal[t - 1, 1, i]
            x = x + 2.0 * v * np.array([math.cos(h), math.sin(h)])
            for axis, mirror in ((0, math.pi), (1, 0.0)):
                while not 0 <= x[axis] <= 300:
                    x[axis] = -x[axis] if x[axis] < 0 else 600 - x[axis]
                    h, mean_h, side_of_noise, borders = mirror - h, mirror - mean_h, -side_of_noise, borders + 1
            assert position[t, :, i] == pytest.approx(x, abs=1e-7)
            assert moved[t - 1, i] == pytest.approx(abs(2.0 * v), abs=1e-9)
    assert borders > 20


def test_a_walk_does_not_depend_on_who_walks_beside():
    rng = np.random.default_rng(4)
    uniform, normal = rng.random((5, 6)), rng.normal(size=(40, 2, 6)).astype(np.float32)
    position, moved = gauss_markov_walk(uniform, normal, heading_sd=0.4, **WALK)
    alone, moved_alone = gauss_markov_walk(uniform[:, 2:3], normal[:, :, 2:3], heading_sd=0.4, **WALK)
    assert np.array_equal(position[:, :, 2:3], alone) and np.array_equal(moved[:, 2:3], moved_alone)


@pytest.mark.parametrize("slots", [3, 400])
def test_waypoint_walks_are_straight_at_constant_speed(slots):
    position, moved = random_waypoint_walk(
        np.random.default_rng(5), slots, 20, side_m=500.0, slot_s=0.5, mean_speed_mps=(10.0, 40.0)
    )
    assert position.shape == (slots, 2, 20) and moved.shape == (slots - 1, 20)
    assert ((position >= 0) & (position <= 500)).all()
    speed = moved / 0.5
    assert np.allclose(speed, speed[0]) and ((speed >= 10) & (speed <= 40)).all()
    displacement = np.hypot(*np.moveaxis(np.diff(position, axis=0), 1, 0))
    assert (displacement <= moved + 1e-9).all()
    # Legs are hundreds of metres long, a slot at most 20 m: nearly all slots are on one straight leg.
    assert (displacement > moved - 1e-6).mean() > 0.85


def test_standing_ues_stand():
    position, moved = standing(np.array([[0.1, 0.5], [1.0, 0.25]]), 4, side_m=100.0)
    assert np.array_equal(position, np.broadcast_to([[10.0, 50.0], [100.0, 25.0]], (4, 2, 2)))
    assert np.array_equal(moved, np.zeros((3, 2)))
