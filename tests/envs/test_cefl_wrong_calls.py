"""CeflOrchestration: what it refuses, and that any size runs."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rangym.envs.cefl_orchestration.params import CODINGS
from rangym.envs.core import Trace

cefl = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("cefl_instances.py"))))
make, model = cefl.make, cefl.model


CONFIGURATION = {
    "no UE": ({"num_ues": 0}, "num_ues: an integer of at least 1 wanted, got 0"),
    "no BS": ({"num_bss": 0}, "num_bss: an integer of at least 1 wanted, got 0"),
    "no DC": ({"num_dcs": 0}, "num_dcs: an integer of at least 1 wanted, got 0"),
    "half a DC": ({"num_dcs": 2.5}, "num_dcs: an integer .* got 2.5"),
    "negative weight": ({"delay_weight": -1}, "delay_weight: a number of at least 0 wanted, got -1"),
    "no weight at all": (
        {"learning_weight": 0, "delay_weight": 0, "energy_weight": 0.0},
        "learning_weight, delay_weight, energy_weight: at least one above 0 wanted",
    ),
    "negative energy weight": ({"energy_weights": (1, 1, 1, -1, 1, 1)}, "energy_weights: a tuple of 6 values"),
    "five energy weights": ({"energy_weights": (1,) * 5}, "energy_weights: a tuple of 6 values"),
    "no energy weight": ({"energy_weights": [0] * 6}, "energy_weights: at least one above 0 wanted"),
    "no iteration": ({"max_iterations": 0}, "max_iterations: an integer of at least 1 wanted, got 0"),
    "half an iteration": ({"max_iterations": 2.5}, "max_iterations: an integer .* got 2.5"),
    "seven iterations": ({"max_iterations": 7}, "max_iterations: at most 6, .* step_size 0.05, wanted, got 7"),
    "iterations at .1": ({"step_size": 0.1}, "max_iterations: at most 3, .* step_size 0.1, wanted, got 6"),
    "iterations at .5": ({"step_size": 0.5}, "max_iterations: at most 1, .* step_size 0.5, wanted, got 6"),
    "empty mini-batch": ({"min_minibatch": 0}, "min_minibatch: a number above 0 and of at most 1 wanted, got 0"),
    "mini-batch above all": ({"min_minibatch": 1.5}, "min_minibatch: .* got 1.5"),
    "proximal step of one": ({"proximal": 20.0}, "proximal: below 1 / step_size = 20 wanted, got 20.0"),
    "clock range": ({"min_clock_ghz": 1.6}, "min_clock_ghz: at most max_clock_ghz = 1.5 wanted, got 1.6"),
    "contraction zero": ({"reward": "gap", "contraction": 0}, "contraction: a number above 0 wanted, got 0"),
    "contraction above L": ({"reward": "gap", "contraction": 1.2}, "contraction: at most smoothness = 1 wanted"),
    "contraction without gap": ({"contraction": 0.5}, "contraction: used with reward 'gap' only"),
    "scale of eff": ({"server_scale": 2.0}, "server_scale: used with theta_mode 'fixed' only"),
    "NaN rate": ({"uplink_mhz": float("nan")}, "uplink_mhz: a number above 0 wanted, got nan"),
    "negative rate": ({"dc_to_dc_mbps": (-1.0, 2.0)}, "dc_to_dc_mbps: a tuple of 2 values, ascending, .* above 0"),
    "availability above one": ({"availability_inside": (0.5, 1.5)}, "availability_inside: .* of at most 1 wanted"),
    "gap out of its range": ({"initial_gap": 11}, "initial_gap: .* got 11"),
    "unknown reward": ({"reward": "objectiv"}, "reward: one of .* got 'objectiv'; did you mean 'objective'"),
    "unknown theta mode": ({"theta_mode": "efff"}, "theta_mode: one of .* did you mean 'eff'"),
    "unknown accounting": ({"bs_energy": "per_eu"}, "bs_energy: one of .* did you mean 'per_ue'"),
    "unknown coding": ({"action": "nativ"}, "action: one of .* did you mean 'native'"),
    "unknown parameter": ({"num_ue": 3}, "unexpected keyword argument 'num_ue'; did you mean 'num_ues'"),
    "unknown scenario": ({"scenario": "smal_gap"}, "scenario: one of .* did you mean 'small_gap'"),
}


@pytest.mark.parametrize("name", CONFIGURATION)
def test_refused_configurations(name):
    overrides, message = CONFIGURATION[name]
    with pytest.raises((ValueError, TypeError), match=message):
        make(**overrides)


def test_a_smoothness_below_the_contraction_is_refused_under_the_reward_gap_alone():
    """Under `objective` the contraction is not used, and setting it is refused."""
    envs = {smoothness: make(smoothness=smoothness) for smoothness in (0.2, 1.0)}
    for env in envs.values():
        env.reset(seed=0)
    xc = {s: env.step(np.zeros(env.action_space.shape))[4]["metrics"]["xc"] for s, env in envs.items()}
    assert xc[0.2] == pytest.approx(0.2 * xc[1.0], rel=1e-12)
    with pytest.raises(ValueError, match=r"contraction: at most smoothness = 0.2 wanted, got 1.0"):
        make(reward="gap", smoothness=0.2)


def changed(field, place, value):
    """A trace of `tiny` with one value (or a whole row) of a field replaced."""
    trace = model().sample(np.random.default_rng(0))
    slots = {f: np.array(v) for f, v in trace.slots.items()}
    slots[field][place] = value
    return Trace({}, slots)


TRACES = {
    "zero size": (("data_points", (2, 1), 0), r"trace: 'data_points' above 0 wanted, got 0.0 at \(2, 1\)"),
    "zero rate": (("downlink_bps", (1, 0, 1), 0), r"trace: 'downlink_bps' above 0 wanted, got 0.0 at \(1, 0, 1\)"),
    "negative rate": (("dc_to_dc_bps", (1, 0, 1), -1), "trace: 'dc_to_dc_bps' above 0 wanted, got -1.0"),
    "NaN rate": (("uplink_bps", (1, 0, 1), np.nan), "trace: field 'uplink_bps' holds NaN or infinity"),
    "negative drift": (("drift_per_s", 3, -1e-3), r"trace: 'drift_per_s' of at least 0 wanted, got -0.001 at \(3,\)"),
    "negative key": (("minibatch_key", 2, -1), r"'minibatch_key' with integers of at least 0 wanted, got -1 at \(2,\)"),
    "lost BS": (("uplink_bps", (2, slice(None), 1), 0), "got BS 1 without any link to a UE in slot 2"),
    "BS without a DC": (("backhaul_bps", (0, 1), 0), "got BS 1 without any link to a DC in slot 0"),
    "more than the DC takes": (
        ("backhaul_bps", (1, 0, 1), 1e11),
        "'backhaul_bps' with a sum within each DC's capacity",
    ),
}


@pytest.mark.parametrize("name", TRACES)
def test_refused_traces(name):
    change, message = TRACES[name]
    with pytest.raises(ValueError, match=message):
        make().reset(options={"trace": changed(*change)})


def test_keys_that_are_no_integers_are_refused():
    trace = model().sample(np.random.default_rng(0))
    keys = trace.slots["minibatch_key"].astype(np.float64)
    with pytest.raises(ValueError, match="'minibatch_key' with integers of at least 0 wanted, got .* at "):
        make().reset(options={"trace": Trace({}, {**trace.slots, "minibatch_key": keys})})


def test_a_trace_of_another_network_is_refused():
    trace = model(num_ues=3).sample(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"field 'data_points' has shape \(2,\) in a lane, got \(3,\)"):
        make().reset(options={"trace": trace})


def test_actions_outside_the_box_are_refused():
    env = make(action="native")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"action\[3\] = 1.5 is outside Box"):
        env.step(np.where(np.arange(30) == 3, 1.5, 0.5))
    with pytest.raises(ValueError, match=r"shape \(30,\).* got shape \(29,\)"):
        env.step(np.zeros(29))


@pytest.mark.parametrize("size", [(7, 4, 3), (1, 1, 1), (3, 1, 4), (2, 5, 3), (5, 2, 1)])
@pytest.mark.parametrize("coding", CODINGS)
def test_any_size_runs(size, coding):
    env = make(num_ues=size[0], num_bss=size[1], num_dcs=size[2], action=coding)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(env.system.horizon):
        _, reward, _, _, info = env.step(env.action_space.sample())
        assert np.isfinite(reward) and info["metrics"]["J"] > 0
