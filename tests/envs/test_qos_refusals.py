"""QosClustering: sizes, parameters, actions and traces that it refuses."""

import gymnasium as gym
import numpy as np
import pytest

from rangym.envs.core import SystemEnv, Trace

ID = "rangym/QosClustering-v0"


def make(**kwargs) -> SystemEnv:
    return gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped


def test_a_frozen_day_is_small_and_many_adapting_lanes_are_refused():
    env = make(scenario="small", day_pool=1)
    env.reset(seed=0)
    assert sum(v.nbytes for v in {**env.trace.slots, **env.trace.constants}.values()) <= 300_000
    lanes = gym.make_vec(ID, num_envs=65, autoreset_mode="SameStep", scenario="adaptive", day_pool=1)
    with pytest.raises(ValueError, match=r"num_envs: at most 64 lanes, .* wanted, got 65, .* 29\d MiB"):
        lanes.reset(seed=0)


def test_many_lanes_of_small_days_may_hold_their_rows():
    form = {"scenario": "tiny", "observe": "statistics", "day_pool": 1}
    lanes = gym.make_vec(ID, num_envs=65, autoreset_mode="SameStep", **form)
    observation, _ = lanes.reset(seed=0)
    alone, _ = make(**form).reset(seed=64)
    np.testing.assert_array_equal(observation["known_gram"][64], alone["known_gram"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"num_cells": 1}, "num_cells: None or an integer of at least 2 wanted, got 1"),
        ({"horizon": 0}, "horizon: None or an integer of at least 1"),
        ({"label_delay": 3}, r"label_delay: 4, that of predictor 'small', wanted, got 3"),
        ({"num_vehicles": 0}, "num_vehicles: an integer of at least 1"),
        ({"sampling_s": 0.0}, "sampling_s: a number above 0 and of at most 180 wanted"),
        ({"sampling_s": 200.0}, "sampling_s: .* got 200"),
        ({"sampling_s": float("nan")}, "sampling_s: .* got nan"),
        ({"drift": "wonder"}, "drift: one of .* wanted, got 'wonder'; did you mean 'wander'"),
        ({"concept_hold_h": 0.0}, "concept_hold_h: a number of at least 0.01"),
        ({"concept_hold_h": 1e-9}, "concept_hold_h: .* got 1e-09"),  # 24 billion changes a day
        ({"concept_hold_h": 2.0, "drift": "none"}, "concept_hold_h: used with drift 'wander' only"),
        ({"events": (("sudden", (0,), 1, 2.0, 3.0),)}, "events: used with drift 'events' only"),
        ({"drift": "events", "events": (("sudden", (0,), 1, 2.0),)}, "events: .kind, cells, group, t0_h, duration_h"),
        ({"drift": "events", "events": (("abrupt", (0,), 1, 2.0, 3.0),)}, "events: kind one of"),
        ({"drift": "events", "events": (("sudden", (4,), 1, 2.0, 3.0),)}, "events: a tuple of cells 0..3"),
        ({"drift": "events", "events": (("sudden", (), 1, 2.0, 3.0),)}, "events: a tuple of cells"),
        ({"drift": "events", "events": (("sudden", (0,), 4, 2.0, 3.0),)}, "events: a group 0..3"),
        ({"drift": "events", "events": (("sudden", (0,), 1, -2.0, 3.0),)}, "events: a start of at least 0 h"),
        ({"drift": "events", "events": (("sudden", (0,), 1, 2.0, 0.0),)}, "events: a duration above 0 h"),
        ({"predictor": "smal"}, r"predictor: one of \['small', 'paper'\] or a file wanted, got 'smal'"),
        ({"library": "icfa"}, "library: one of .* did you mean 'ifca'"),
        ({"num_heads": 3}, r"num_heads: one of \[2, 4, 10\]"),
        ({"num_heads": 0}, "num_heads: an integer of at least 1"),
        ({"eta": -0.1}, "eta: a number of at least 0 and below 1"),
        ({"eta": 1.0}, "eta: .* got 1.0"),
        ({"anchor": 0.0}, "anchor: a number above 0"),
        ({"lam": -1.0}, "lam: a number of at least 0"),
        ({"beta": -1.0}, "beta: a number of at least 0"),
        ({"kappa": -1.0}, "kappa: a number of at least 0"),
        ({"observe": "statistic"}, "observe: one of .* did you mean 'statistics'"),
        ({"day_pool": -1}, "day_pool: an integer of at least 0"),
        ({"scenario": "smal"}, "scenario: one of .* did you mean 'small'"),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make(**change)


def test_unknown_parameters_are_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'kapa'; did you mean 'kappa'"):
        make(kapa=0.1)


@pytest.mark.parametrize("action", [[3, 0, 0, 0], [-1, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0]])
def test_actions_outside_the_space_are_refused(action):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action(\[0\] = -?\d is outside|: .* wanted)"):
        env.step(np.array(action))


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("loss", -0.1, "'loss' within"),
        ("known_loss", -0.1, "'known_loss' within"),
        ("load", 1.5, "'load' within"),
        ("kernel", 1.5, "'kernel' within"),
        ("true_group", -0.5, "'true_group' within"),
        ("loss", np.nan, "'loss' holds NaN"),
        ("site_group", 7, "'site_group' of integers 0..3"),
    ],
)
def test_traces_with_values_that_cannot_be_are_refused(field, value, message):
    env = make()
    env.reset(seed=0)
    changed = {f: np.array(v) for f, v in {**env.trace.slots, **env.trace.constants}.items()}
    changed[field].reshape(-1)[3] = value
    trace = Trace({f: changed[f] for f in env.trace.constants}, {f: changed[f] for f in env.trace.slots})
    with pytest.raises(ValueError, match=message):
        env.reset(options={"trace": trace})


def test_a_trace_of_the_other_head_mode_is_refused():
    env = make(eta=0.003)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="trace: fields .* wanted"):
        make().reset(options={"trace": env.trace})
