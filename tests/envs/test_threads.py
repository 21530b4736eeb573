"""Lanes in threads: the same bits for any number, what is refused, and no thread that is left over."""

import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

import gymnasium as gym
import joblib
import numpy as np
import pytest

import rangym  # noqa: F401  (registers the environments)
from rangym.envs import threads as module
from rangym.envs.cell_association import CellAssociation, network, scenario, stream
from rangym.envs.cell_association import system as system_module
from rangym.envs.core import SystemVectorEnv
from rangym.envs.registration import OURS
from rangym.envs.threads import processors, threads_for
from rangym.envs.trace import StreamedTrace

CELL, PLACEMENT, QOS = "rangym/CellAssociation-v0", "rangym/NodePlacement-v0", "rangym/QosClustering-v0"
CEFL = "rangym/CeflOrchestration-v0"
SMALL = {"scenario": "tiny", "horizon": 9}
CASES = {
    **{env_id: (env_id, {"scenario": "tiny"}) for env_id in OURS},
    "volatile": (CELL, {"scenario": "volatile", "num_ues": 5, "num_cells": 3, "horizon": 6}),
    "urban": (CELL, {"scenario": "urban", "horizon": 6, "failure_slots": 4}),
    "adaptive": (QOS, {"scenario": "adaptive", "horizon": 3}),
    "flat": (CELL, {"scenario": "tiny", "flat": True}),
    "places of their own": (CELL, {"scenario": "urban", "horizon": 4, "map_seed": None, "grid_m": 20.0}),
    "measured": (CELL, {"scenario": "munich", "num_ues": 4, "horizon": 6, "noise": "raw"}),
    "delays": (CELL, {**SMALL, "delay_variation": 0.3}),
    "large slots": (CELL, {"scenario": "desk", "horizon": 3}),
}


def make(env_id=CELL, lanes=7, mode="SameStep", **kwargs):
    return gym.make_vec(env_id, num_envs=lanes, autoreset_mode=mode, **kwargs)


def assert_same(mine, theirs):
    if isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        mine, theirs = list(mine.values()), list(theirs.values())
    if isinstance(mine, list | tuple) or isinstance(mine, np.ndarray) and mine.dtype.hasobject:
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b)
    else:
        np.testing.assert_array_equal(mine, theirs, strict=True)


def walked(env, steps=None):
    """Everything that an episode and a half returns, masks and pictures' frames included."""
    env.action_space.seed(0)
    found = [env.reset(seed=5)]
    for _ in range(steps or env.unwrapped.system.horizon * 3 // 2 + 1):
        found.append(env.step(env.action_space.sample()))
    if hasattr(env.unwrapped, "action_masks"):
        found.append(env.unwrapped.action_masks())
    found += [{f: t.materialise().slots[f] for f in t.slots} for t in env.unwrapped.traces]
    return found


def rangym_threads():
    return [t for t in threading.enumerate() if t.name.startswith("rangym-lanes")]


def assert_all_end():
    gc.collect()
    for thread in rangym_threads():
        thread.join(timeout=10)
    assert not rangym_threads()


@pytest.fixture(autouse=True)
def no_thread_is_left_over():
    yield
    assert_all_end()


@pytest.fixture(autouse=True)
def pieces_are_lanes(monkeypatch):
    """CellAssociation draws a lane at a time, so few lanes are many pieces of work."""
    monkeypatch.setattr(scenario, "PIECE_ENTRIES", 1)
    monkeypatch.setattr(scenario, "LANE_NUMBERS", 0)


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_threads_gives_the_same_bits(case):
    env_id, kwargs = CASES[case]
    envs = [make(env_id, threads=n, **kwargs) for n in (1, 2, 3)]
    assert [env.unwrapped.threads for env in envs] == [1, 2, 3]
    right, *others = map(walked, envs)
    for found in others:
        assert_same(found, right)
    for env in envs:
        env.close()


@pytest.mark.parametrize("large", [2000, 1])
def test_streamed_episodes_too(large, monkeypatch):
    monkeypatch.setattr(stream, "WHOLE_ENTRIES", 0)
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 100)
    monkeypatch.setattr(system_module, "LARGE_SLOT", large)
    one, *several = (make(threads=n, **SMALL) for n in (1, 2, 3))
    right = walked(one)
    assert isinstance(one.unwrapped.traces[0], StreamedTrace)
    for env in several:
        assert_same(walked(env), right)
        env.close()


def test_traces_are_replayed_in_their_lanes():
    one, two = (make(threads=n, lanes=5, mode="Disabled", **SMALL) for n in (1, 2))
    one.reset(seed=3)
    traces = one.unwrapped.traces[::-1]
    assert_same(two.reset(options={"trace": traces}), one.reset(options={"trace": traces}))
    assert_same(two.reset(options={"trace": traces[0]}), one.reset(options={"trace": traces[0]}))
    with pytest.raises(ValueError, match="one Trace or a sequence of 5, got list of length 4"):
        two.reset(options={"trace": traces[:4]})
    two.close()


def test_one_streamed_trace_is_replayed_in_all_threads(monkeypatch):
    def draw(*args):
        time.sleep(0.001)  # so that threads would meet
        real(*args)

    real = network.Shadowed.draw
    monkeypatch.setattr(network.Shadowed, "draw", draw)
    monkeypatch.setattr(stream, "WHOLE_ENTRIES", 0)
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 12)  # a slot
    monkeypatch.setattr(system_module, "LARGE_SLOT", 1)
    one, *several = (make(threads=n, mode="Disabled", **SMALL) for n in (1, 2, 3))
    one.reset(seed=3)
    shared, other = one.unwrapped.traces[:2]
    for given in (shared, [shared, other, shared, other, shared, shared, other]):
        walks = []
        for env in (one, *several):
            env.action_space.seed(0)
            walks.append(
                [env.reset(options={"trace": given}), *(env.step(env.action_space.sample()) for _ in range(9))]
            )
        for found in walks[1:]:
            assert_same(found, walks[0])
    for env in several:
        env.close()


def test_pictures_are_those_of_their_lanes():
    pictures = []
    for n in (1, 2):
        env = make(PLACEMENT, lanes=4, threads=n, scenario="tiny", render_mode="rgb_array")
        env.action_space.seed(0)
        env.reset(seed=0)
        env.step(env.action_space.sample())
        pictures.append(env.render())
        env.close()
    assert_same(*pictures)


# ---- how many


@pytest.mark.parametrize("lanes, count", [(1, 1), (255, 1), (256, 2), (1024, 8), (4096, 16)])
def test_by_default_a_thread_has_at_least_128_lanes(lanes, count, monkeypatch):
    monkeypatch.setattr(module, "processors", lambda: 16)
    system, idle = (make(env_id, lanes=1, scenario="tiny").unwrapped.system for env_id in (CELL, CEFL))
    assert threads_for(system, lanes) == count and threads_for(idle, lanes) == 1
    assert threads_for(system, lanes, 3) == threads_for(idle, lanes, 3) == min(3, max(lanes // 2, 1))


def test_processors_are_those_that_the_process_may_use(monkeypatch):
    assert 1 <= processors() <= os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        assert processors() == len(os.sched_getaffinity(0))
        monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "process_cpu_count", lambda: 7, raising=False)
    assert processors() == 7
    monkeypatch.delattr(os, "process_cpu_count")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def _default_and_asked():
    module.processors = lambda: 16
    system = CellAssociation(CellAssociation.scenarios["tiny"])
    return threads_for(system, 1024), threads_for(system, 1024, 2)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_worker_process_has_one_thread_unless_asked(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(method)
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        assert pool.submit(_default_and_asked).result() == (1, 2)


def test_a_worker_of_joblib_has_one_thread_unless_asked():
    assert joblib.Parallel(n_jobs=2)([joblib.delayed(_default_and_asked)()] * 2) == [(1, 2)] * 2


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True, [2]])
def test_another_number_is_refused(threads):
    with pytest.raises(ValueError, match="threads: None or an integer of at least 1 wanted, got"):
        make(threads=threads, scenario="tiny")


def test_a_single_environment_has_no_threads():
    calls = [
        lambda: gym.make(CELL, threads=2),
        lambda: gym.make_vec(CELL, 2, vectorization_mode="sync", threads=2),
        lambda: gym.make_vec(CELL, 2, vectorization_mode="async", threads=2),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=r"threads: .* the vector environment has them, .* got 2"):
            call()


def test_lanes_are_counted_together():
    env = make(QOS, lanes=65, threads=2, scenario="adaptive", day_pool=1)
    with pytest.raises(ValueError, match="num_envs: at most 64 lanes, .* wanted, got 65"):
        env.reset(seed=0)


# ---- what goes wrong in a thread


class Failing(CellAssociation):
    """Fails, or asks, where the test says."""

    threaded = ("draw", "step")
    where = ""
    then = staticmethod(lambda lanes: None)

    def transition(self, state, decision, slot):
        if self.where == "transition":
            self.then(len(decision))
        return super().transition(state, decision, slot)

    def sample_lanes(self, rngs):
        if self.where == "sample":
            self.then(len(rngs))
        return super().sample_lanes(rngs)


@pytest.fixture
def failing():
    system = Failing(Failing.scenarios["tiny"])
    env = SystemVectorEnv(system, 7, autoreset_mode="Disabled", threads=2)  # lanes 0..2 here, 3..6 in a thread
    env.action_space.seed(0)
    yield env, system
    env.close()


@pytest.mark.parametrize("lanes", [3, 4])
@pytest.mark.parametrize("where", ["sample", "transition"])
def test_an_error_reaches_the_caller_and_nothing_has_happened(failing, lanes, where):
    env, system = failing
    env.reset(seed=0)
    action = env.action_space.sample()

    def fail(count):
        if count == lanes:
            raise ValueError(f"the block of {count}")

    system.where, system.then = where, fail
    with pytest.raises(ValueError, match=f"the block of {lanes}"):
        env.reset(seed=1) if where == "sample" else env.step(action)
    system.where = ""
    undisturbed = SystemVectorEnv(system, 7, autoreset_mode="Disabled", threads=1)
    undisturbed.reset(seed=0)
    assert_same(env.step(action), undisturbed.step(action))


@pytest.mark.parametrize("where", ["sample", "transition"])
def test_an_interrupt_waits_for_the_threads_and_nothing_has_happened(failing, where):
    env, system = failing
    env.reset(seed=0)
    action, begun, ended = env.action_space.sample(), threading.Event(), []

    def interrupt(count):
        if count == 3:
            begun.wait(10)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.2)
        ended.append(count)

    system.where, system.then = where, interrupt
    with pytest.raises(KeyboardInterrupt):
        env.reset(seed=1) if where == "sample" else env.step(action)
    assert ended == [4]
    system.where = ""
    env.reset(seed=0)
    undisturbed = SystemVectorEnv(system, 7, autoreset_mode="Disabled", threads=1)
    undisturbed.reset(seed=0)
    assert_same(env.step(action), undisturbed.step(action))


@pytest.mark.parametrize("when", ["begin", "go_on"])
def test_lanes_that_an_interrupt_left_apart_are_not_stepped(failing, when, monkeypatch):
    env, system = failing
    env.reset(seed=0)
    action = env.action_space.sample()
    with monkeypatch.context() as patch:
        patch.setattr(env._episode._parts[1], when, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            env.step(action) if when == "go_on" else env.reset(seed=9)
    for call in (lambda: env.step(action), lambda: env.traces):
        with pytest.raises(RuntimeError, match="an interrupt came while the lanes went on: call reset"):
            call()
    undisturbed = SystemVectorEnv(system, 7, autoreset_mode="Disabled", threads=1)
    assert_same(env.reset(seed=0), undisturbed.reset(seed=0))
    assert_same(env.step(action), undisturbed.step(action))


def test_ctrl_c_ends_a_step():
    code = (
        "import os, signal, threading, time, gymnasium, rangym\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background has it ignored
        f"env = gymnasium.make_vec({PLACEMENT!r}, num_envs=8, scenario='tiny', threads=2)\n"
        "env.reset(seed=0); env.step(env.action_space.sample())\n"  # numba compiles, and must not be interrupted there
        "ended = threading.Event()\n"
        "def press():\n"  # again where Python ignored it, as it does in a finaliser
        "    while not ended.wait(1.0): os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=press).start()\n"
        "try:\n"
        "    while True: env.step(env.action_space.sample())\n"
        "except KeyboardInterrupt:\n"
        "    ended.set(); env.reset(seed=0); env.close(); print('ended')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ended\n" and (not done.stderr or "Exception ignored" in done.stderr)


def test_an_action_outside_is_named_by_its_lane_and_nothing_has_happened():
    env = make(PLACEMENT, threads=2, scenario="tiny")
    with pytest.raises(RuntimeError, match=r"step\(\) was called before reset\(\)"):
        env.step(env.action_space.sample())
    env.reset(seed=0)
    wrong, right = np.zeros((7, 3, 2)), np.zeros((7, 3, 2))
    wrong[5, 1, 0] = 2.0
    with pytest.raises(ValueError, match=r"action\[1, 0\] of lane 5 = 2.0 is outside Box"):
        env.step(wrong)
    one = make(PLACEMENT, threads=1, scenario="tiny")
    one.reset(seed=0)
    assert_same(env.step(right), one.step(right))
    env.close()


# ---- threads come and go


def test_threads_end_with_the_environment_and_a_closed_one_makes_new_ones():
    env = make(threads=3, **SMALL)
    assert not rangym_threads()  # made when they are needed
    env.reset(seed=0)
    assert 1 <= len(rangym_threads()) <= 2  # the caller is the third, and one that is idle is taken again
    env.close()
    assert not rangym_threads()
    env.reset(seed=0)
    assert rangym_threads()
    del env
    assert_all_end()


def test_copies_have_threads_of_their_own():
    env = make(PLACEMENT, threads=2, scenario="tiny").unwrapped
    env.action_space.seed(0)
    env.reset(seed=0)
    action = env.action_space.sample()
    copies = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    right = env.step(action)
    env.close()
    for other in copies:
        assert_same(other.step(action), right)
        other.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_makes_threads_of_its_own():
    env = make(PLACEMENT, threads=2, scenario="tiny")
    env.action_space.seed(0)
    env.reset(seed=0)
    action = env.action_space.sample()
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork"), _keep, (env,)) as pool:
        theirs = pool.submit(_step_kept, action).result(timeout=60)
    assert_same(theirs, env.step(action))
    env.close()


def _keep(env):
    _keep.env = env


def _step_kept(action):
    return _keep.env.step(action)
