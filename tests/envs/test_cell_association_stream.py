"""Episodes of CellAssociation that are drawn in blocks of slots: the same bits however one walks through them."""

import copy
import dataclasses
import itertools
import pickle
import sys
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest
from scipy.stats import ks_2samp

from rangym.envs import memory
from rangym.envs.cell_association import network, scenario, stream
from rangym.envs.cell_association.params import SCENARIOS, CellAssociationParams
from rangym.envs.cell_association.system import CellAssociation
from rangym.envs.core import SystemEnv, SystemVectorEnv
from rangym.envs.errors import WrongValue
from rangym.envs.physics import channel_kernels
from rangym.envs.trace import StreamedTrace, Trace
from rangym.evaluation.causality import first_leak

ENV_ID = "rangym:rangym/CellAssociation-v0"


def params(name: str, **overrides) -> CellAssociationParams:
    return dataclasses.replace(SCENARIOS[name], **overrides)


CASES = {
    "grid": params("desk", num_ues=6, num_cells=9, horizon=23),
    "waypoint": params("small", motion="random_waypoint", horizon=31, slot_s=20.0),
    "standing": params("tiny", motion="static"),
    "varying": params("tiny", delay_variation=0.4),
    "urban": params("urban", horizon=30),
    "urban_fresh": params("urban", horizon=13, map_seed=None, grid_m=20.0, slot_samples=3),
    "urban_waypoint": params("urban", horizon=13, motion="random_waypoint"),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Everything is streamed, in blocks of a few slots that do not divide the episode."""
    monkeypatch.setattr(stream, "WHOLE_ENTRIES", 0)
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 250)


def sample(p: CellAssociationParams, seed: int = 0) -> Trace:
    trace = scenario.sample_lanes(p, [np.random.default_rng(seed)]).lane(0)
    assert isinstance(trace, StreamedTrace)
    return trace


def assert_equal(a, b) -> None:
    assert a.keys() == b.keys()
    for f in a:
        assert a[f].dtype == b[f].dtype and np.array_equal(a[f], b[f]), f


@pytest.mark.parametrize("case", CASES)
def test_slots_are_the_same_in_whatever_order_they_are_asked_for(case):
    trace = sample(CASES[case])
    whole = trace.materialise()
    assert type(whole) is Trace and trace.horizon == whole.horizon
    last = trace.horizon + 1
    for t in (*range(last + 1), last, 0, 5, 4, 3, last, 2, *range(last, -1, -1)):
        assert_equal(trace.slot(t), whole.slot(t))
    reveal = {f: k for k, f in enumerate(whole.slots)}
    for t in (0, 1, 2, 7, last):
        assert_equal(trace.public(t, reveal), whole.public(t, reveal))
    with pytest.raises(IndexError, match=f"slot {last + 1} of a trace with the slots 0..{last}"):
        trace.slot(last + 1)


@pytest.mark.parametrize("case", CASES)
def test_a_lane_of_many_has_the_bits_of_a_lane_alone(case):
    lanes = scenario.sample_lanes(CASES[case], [np.random.default_rng(b) for b in range(3)])
    for b in range(3):
        alone = sample(CASES[case], b)
        for t in range(alone.horizon + 2):
            assert_equal({f: v[b] for f, v in lanes.slot(t).items()}, alone.slot(t))
        assert_equal(lanes.lane(b).slot(1), alone.slot(1))
    assert_equal(lanes.materialise().slots, Trace.stack([sample(CASES[case], b).materialise() for b in range(3)]).slots)


@pytest.mark.parametrize("case", CASES)
def test_the_system_accepts_what_is_streamed_and_what_it_becomes(case):
    system = CellAssociation(CASES[case])
    trace = system.sample(np.random.default_rng(1))
    for one in (trace, trace.materialise()):
        one.check(system.shapes, system.reveal, system.horizon)
        system.check_trace(one)
    with pytest.raises(WrongValue, match=f"horizon 5 wanted, got {system.horizon}"):
        trace.check(system.shapes, system.reveal, 5)
    with pytest.raises(WrongValue, match="fields"):
        trace.check({**system.shapes, "more": ()}, system.reveal, system.horizon)


@pytest.mark.parametrize("case", ["grid", "varying", "urban"])
def test_an_episode_replays_from_a_stream_a_copy_and_the_whole(case):
    system = CellAssociation(CASES[case])
    env = SystemEnv(system)
    first, _ = env.reset(seed=3)
    trace = env.trace

    def walk(observation):
        seen = [observation]
        for _ in range(system.horizon):
            observation, reward, *_ = env.step(observation["sinr_db"].argmax(axis=1))
            seen.append({**observation, "reward": np.float64(reward)})
        return seen

    played = walk(first)
    for given in (trace, pickle.loads(pickle.dumps(trace)), copy.copy(trace), trace.materialise()):
        again = walk(env.reset(options={"trace": given})[0])
        for a, b in zip(played, again, strict=True):
            assert_equal(a, b)
    lanes = SystemVectorEnv(system, 2)
    seen, _ = lanes.reset(options={"trace": [trace, trace.materialise()]})
    for f, values in seen.items():
        assert np.array_equal(values[0], values[1]) and np.array_equal(values[0], first[f])


@pytest.mark.parametrize("case", CASES)
def test_a_block_may_be_one_slot(case, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 1)
    trace = sample(CASES[case])
    whole = trace.materialise()
    for t in range(trace.horizon + 2):
        assert_equal(trace.slot(t), whole.slot(t))
    moved = np.hypot(*np.moveaxis(np.diff(whole.slots["user_position_m"], axis=0), -1, 0))
    assert (moved.max(axis=0) > 0).all() == (CASES[case].motion != "static")


@pytest.mark.parametrize(("ues", "cells"), [(150, 60), (500, 5)], ids=str)
def test_ues_worked_on_apart_have_the_bits_of_all_together(ues, cells, monkeypatch):
    """The kernel works on some UEs and slots at once; which they are is nothing that a UE notices."""
    draw, calls = channel_kernels.shadowed_sinr, []

    def recorded(*arguments):
        before = [np.copy(x) if isinstance(x, np.ndarray) else x for x in arguments[:-1]]
        draw(*arguments)
        calls.append((*before, arguments[3].copy(), arguments[-1]))

    monkeypatch.setattr(channel_kernels, "shadowed_sinr", recorded)
    sample(params("desk", num_ues=ues, num_cells=cells, horizon=40)).materialise()
    assert len(calls) > 1
    for normal, keep, spread, before, where, *others, after, together in calls:
        for own in (slice(0, 1), slice(1, 66), slice(66, ues)):
            shadowing, apart = before[:, own].copy(), np.empty_like(together[:, :, own])
            ways = (np.ascontiguousarray(x[..., own]) for x in (normal, keep, spread))
            draw(*ways, shadowing, np.ascontiguousarray(where[..., own]), *others, apart)
            assert np.array_equal(apart, together[:, :, own]) and np.array_equal(shadowing, after[:, own])


def test_an_interrupted_block_is_drawn_again(monkeypatch):
    trace, whole = sample(CASES["grid"]), sample(CASES["grid"]).materialise()
    trace.slot(0)
    with monkeypatch.context() as patch:
        patch.setattr(network.Shadowed, "draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            trace.slot(trace.horizon)
    assert_equal(trace.slot(trace.horizon), whole.slot(trace.horizon))
    env = SystemEnv(CellAssociation(CASES["grid"]))
    first, _ = env.reset(options={"trace": trace})
    with monkeypatch.context() as patch:
        patch.setattr(CellAssociation, "transition", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            env.step(first["sinr_db"].argmax(axis=1))
    observation, *_ = env.step(first["sinr_db"].argmax(axis=1))
    assert observation["time"] == np.float32(1 / CASES["grid"].horizon)


def test_an_interrupt_at_any_line_loses_no_block():
    whole = sample(CASES["grid"]).materialise()
    line, t = 0, 0
    while t < whole.horizon + 1:
        trace, left = sample(CASES["grid"]), itertools.count(line, -1)

        def interrupt(frame, event, argument, left=left):
            if frame.f_code is StreamedTrace._fields.__code__ and event in ("call", "line"):
                if event == "line" and next(left) == 0:
                    raise KeyboardInterrupt
                return interrupt
            return None

        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            for t in range(whole.horizon + 2):
                trace.slot(t)
        except KeyboardInterrupt:
            line += 1
        finally:
            sys.settrace(before)
        for later in range(t, whole.horizon + 2):
            assert_equal(trace.slot(later), whole.slot(later))
    assert line > 50


def test_too_few_slots_are_refused():
    trace = StreamedTrace({}, 5, lambda: iter([{"x": np.zeros((3, 1))}]))
    for read in (lambda: trace.slot(4), trace.materialise):
        with pytest.raises(WrongValue, match="blocks: 7 slots in all wanted, got 3"):
            read()


def test_saving_writes_the_whole(tmp_path):
    trace = sample(CASES["grid"])
    trace.save(tmp_path / "trace.npz")
    loaded = Trace.load(tmp_path / "trace.npz")
    assert_equal(loaded.slots, trace.materialise().slots)
    assert loaded.fingerprint() == trace.fingerprint()


@pytest.mark.parametrize("case", ["grid", "urban", "varying"])
def test_nothing_is_seen_before_it_is_public(case):
    assert first_leak(SystemEnv(CellAssociation(CASES[case]))) is None


@pytest.mark.parametrize("case", ["grid", "waypoint", "urban"])
def test_blocks_go_on_where_the_last_one_ended(case):
    """Across borders UEs move as far, and the SINR changes as much, as within blocks."""
    p = CASES[case]
    size = max(1, stream.BLOCK_ENTRIES // (p.num_ues * p.num_cells))
    steps: dict[bool, list] = {True: [], False: []}
    for seed in range(60):
        whole = sample(p, seed).materialise()
        moved = np.hypot(*np.moveaxis(np.diff(whole.slots["user_position_m"], axis=0), -1, 0))
        changed = np.abs(np.diff(whole.slots["sinr_db"], axis=0)).mean(axis=2)
        for t in range(len(moved)):
            steps[(t + 1) % size == 0].append((moved[t], changed[t]))
    border, inside = (np.concatenate([np.stack(x) for x in steps[k]], axis=1) for k in (True, False))
    for across, within in zip(border, inside, strict=True):
        assert ks_2samp(across[::7], within[::7]).pvalue > 1e-3


def test_the_law_is_that_of_whole_episodes(monkeypatch):
    p = CASES["grid"]
    streamed = [sample(p, seed).materialise() for seed in range(80)]
    monkeypatch.setattr(stream, "WHOLE_ENTRIES", 10**9)
    whole = [scenario.sample_lanes(p, [np.random.default_rng(10_000 + s)]).lane(0) for s in range(80)]
    for take in (
        lambda x: x.slots["sinr_db"][-1].max(axis=1),  # the best cell late in the episode
        lambda x: np.diff(x.slots["sinr_db"][-9:], axis=0)[:, :, 0].std(axis=0),
        lambda x: x.slots["user_position_m"][-1].ravel(),
    ):
        a, b = (np.concatenate([take(x) for x in some]) for some in (streamed, whole))
        assert ks_2samp(a, b).pvalue > 1e-3


@pytest.mark.undisturbed
def test_memory_does_not_grow_with_the_horizon(monkeypatch):
    monkeypatch.undo()
    peaks = []
    for horizon in (340, 680):
        env = gym.make(ENV_ID, scenario="paper", horizon=horizon).unwrapped
        tracemalloc.start()
        env.reset(seed=0)
        for _ in range(horizon):
            env.step(np.zeros(1000, int))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 60e6


def test_which_scenarios_are_streamed(monkeypatch):
    monkeypatch.undo()
    streamed = {name for name, p in SCENARIOS.items() if stream.is_streamed(p)}
    assert streamed == {"city", "desk", "mobility", "paper"}


def test_too_large_an_episode_is_walked_but_not_brought_into_memory(monkeypatch):
    monkeypatch.undo()
    env = gym.make(ENV_ID, scenario="paper", horizon=10**6).unwrapped
    env.reset(seed=0)
    env.step(np.zeros(1000, int))
    with pytest.raises(WrongValue, match="slots x bytes of a slot.*1,000,002"):
        env.trace.materialise()


def test_a_picture_of_a_long_episode_does_not_draw_it_to_its_end(monkeypatch):
    monkeypatch.undo()
    pytest.importorskip("matplotlib")
    env = gym.make(ENV_ID, scenario="paper", num_ues=60, horizon=10**6, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    env.step(np.zeros(60, int))
    assert env.render().std() > 10


def test_a_trace_shows_its_shapes_and_draws_nothing_for_that():
    trace = sample(params("mobility", num_ues=5))
    assert repr(trace) == (
        "StreamedTrace(horizon=10000, bandwidth_mhz (25,), cell_position_m (25, 2), cell_rat (25,), device_type (5,), "
        "handover_delay (5, 25); slots that are drawn when they are reached)"
    )
    assert trace.__dict__["_drawn"] == 0
    small = Trace({"a": np.zeros((2, 3))}, {"b": np.zeros((4, 2))})
    assert repr(small) == "Trace(horizon=2, a (2, 3); in each slot b (2,))"
    assert repr(Trace.stack([trace, trace])).startswith("Lanes(horizon=10000, bandwidth_mhz (2, 25)")


def test_what_does_not_fit_into_memory_is_refused_and_what_fits_is_not(monkeypatch):
    trace = sample(params("mobility", num_ues=100, horizon=400))
    slot = 4 * 100 * (25 + 2)  # bytes: SINR and two coordinates, float32
    for have, fits in ((402 * slot, True), (402 * slot - 1, False)):
        monkeypatch.setattr(memory, "memory_bytes", lambda have=have: have)
        if fits:
            assert trace.materialise().horizon == 400
        else:
            with pytest.raises(ValueError, match="slots x bytes of a slot: at most .* wanted, got 402 x 10,800, which"):
                trace.materialise()
    monkeypatch.setattr(memory, "memory_bytes", lambda: 25e9)
    with pytest.raises(ValueError, match="num_ues x num_cells x arrays of a slot: at most the 25 GB of this machine"):
        gym.make(ENV_ID, scenario="city", num_ues=1_000_000, num_cells=1_000)
