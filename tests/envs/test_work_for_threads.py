"""Which work a system has threads do, who is given them, and in which pieces."""

import functools
import itertools
import sys
import threading
import time

import numpy as np
import pytest

from rangym.envs import threads as threads_module
from rangym.envs.cell_association import CellAssociation, scenario, stream
from rangym.envs.core import SystemVectorEnv
from rangym.envs.model import LANES_A_PIECE, build, serially
from rangym.envs.noma_allocation import NomaAllocation
from rangym.envs.slots import Slots
from rangym.envs.threads import SlotsDrawnInThreads, ThreadedSlots, Threads, threads_for
from rangym.envs.trace import StreamedTrace

TARGET = "rangym.envs.cell_association:CellAssociation"


def vector(cls=CellAssociation, name="tiny", lanes=4, threads=2, **namespace):
    """A vector environment of a subclass ``Mine``, which is reset by hand."""
    system = type("Mine", (cls,), namespace)(cls.scenarios[name])
    return SystemVectorEnv(system, lanes, autoreset_mode="Disabled", threads=threads)


def is_elsewhere():
    return threading.current_thread() is not threading.main_thread()


@pytest.mark.parametrize("threaded", [("draw", "step"), ("draw",), ("step",), ()])
def test_work_is_done_in_threads_where_the_system_says_that_it_pays(threaded):
    seen = set()

    def sample_lanes(self, rngs):
        seen.add(("draw", is_elsewhere()))
        time.sleep(0.01)  # short work is done before a helper comes
        return CellAssociation.sample_lanes(self, rngs)

    def transition(self, state, decision, slot):
        seen.add(("step", is_elsewhere()))
        time.sleep(0.01)
        return CellAssociation.transition(self, state, decision, slot)

    env = vector(threaded=threaded, sample_lanes=sample_lanes, transition=transition)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    assert {work for work, elsewhere in seen if elsewhere} == set(threaded)


WRONG = [("draw", "steps"), "draw", ("sample",), None, [["draw"]], iter(["draw"]), [np.ones(2)], np.array(["draw"])]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("threads", [None, 1, 2])
def test_work_that_there_is_not_is_refused(wrong, threads):
    with pytest.raises(ValueError, match=r"Mine\.threaded: a collection of \('draw', 'step'\) wanted, got"):
        vector(threads=threads, threaded=wrong)


@pytest.mark.parametrize("given", [{"draw"}, {"draw": 1}.keys(), frozenset(["draw", "step"]), ["step", "step"]])
def test_every_collection_of_words_is_taken(given):
    env = vector(threaded=given)
    env.reset(seed=0)
    env.close()


@pytest.mark.parametrize("cls", [CellAssociation, NomaAllocation])
def test_what_a_subclass_says_of_its_work_counts(cls):
    env = vector(cls, threaded=())
    assert isinstance(env._episode, Slots) and threads_for(env.system, 1024) == 1


def test_large_slots_are_drawn_and_played_in_threads():
    assert isinstance(vector(name="mobility")._episode, ThreadedSlots)
    assert isinstance(vector(name="small")._episode, SlotsDrawnInThreads)
    system = build(TARGET, "small", {"horizon": 10**5})
    assert isinstance(system.sample(np.random.default_rng(0)), StreamedTrace)
    assert isinstance(SystemVectorEnv(system, 4, threads=2)._episode, SlotsDrawnInThreads)  # many slots, small ones


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("threaded", [("draw",), ("draw", "step")])
def test_lanes_are_counted_however_they_are_drawn(threads, threaded):
    def check_lanes(self, lanes):
        if lanes > 3:
            raise ValueError(f"num_envs: at most 3 wanted, got {lanes}")

    env = vector(threads=threads, threaded=threaded, check_lanes=check_lanes)
    with pytest.raises(ValueError, match="at most 3 wanted, got 4"):
        env.reset(seed=0)
    env.close()


# ---- pieces


LAWS = {
    "mobility": (("tiny", {"horizon": 4}), [256]),
    "places": (("urban", {"num_ues": 3, "horizon": 4, "map_seed": None, "grid_m": 50.0}), [256, 256]),
    "one place": (("urban", {"num_ues": 3, "horizon": 4, "grid_m": 50.0}), [256]),
    "delays": (("tiny", {"horizon": 4, "delay_variation": 0.3}), [256, 256]),
    "volatile": (("volatile", {"num_ues": 3, "num_cells": 3, "horizon": 4}), [256]),
    "measured": (("munich", {"num_ues": 3, "horizon": 4}), [256]),
}


@pytest.mark.parametrize("law", LAWS)
def test_lanes_are_pieces_of_work(law, monkeypatch):
    (name, overrides), expected = LAWS[law]
    monkeypatch.setattr(scenario, "PIECE_ENTRIES", 1)
    monkeypatch.setattr(scenario, "LANE_NUMBERS", 0)
    seen = []
    system = build(TARGET, name, overrides)
    rngs = [np.random.default_rng(b) for b in range(256)]
    trace = system.sample_lanes(rngs, each=lambda works: seen.append(len(works)) or serially(works))
    assert seen == expected
    alone = system.sample(np.random.default_rng(255))
    for field, values in trace.lane(255).slots.items():
        np.testing.assert_array_equal(values, alone.slots[field])


@pytest.mark.parametrize("law", LAWS)
def test_lanes_of_few_numbers_are_not_shared(law):
    (name, overrides), expected = LAWS[law]
    seen = []
    system = build(TARGET, name, overrides)
    rngs = [np.random.default_rng(b) for b in range(256)]
    system.sample_lanes(rngs, each=lambda works: seen.append(len(works)) or serially(works))
    assert seen == ([] if law in ("volatile", "measured") else [2])  # pieces of 128 lanes


def test_as_many_lanes_as_a_thread_has_by_default_are_a_piece():
    seen = []
    system = CellAssociation(CellAssociation.scenarios["tiny"])
    rngs = [np.random.default_rng(b) for b in range(2 * LANES_A_PIECE)]
    system.sample_lanes(rngs, each=lambda works: seen.append(len(works)) or serially(works))
    assert seen == [2]


def test_a_system_that_draws_pieces_draws_them_in_threads_and_steps_all_lanes_together(monkeypatch):
    drawn, stepped = [], []

    def transition(self, state, decision, slot):
        stepped.append(len(decision))
        return CellAssociation.transition(self, state, decision, slot)

    def draw_ues(*args):
        drawn.append((len(args[2]), is_elsewhere()))
        time.sleep(0.01)
        real(*args)

    real = scenario._draw_ues
    monkeypatch.setattr(scenario, "_draw_ues", draw_ues)
    monkeypatch.setattr(scenario, "PIECE_ENTRIES", 1)
    env = vector(lanes=8, threads=4, transition=transition)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    assert sorted(drawn) == [(1, False)] * 2 + [(1, True)] * 6
    assert stepped == [8]


def test_the_callers_floating_point_settings_hold_in_the_threads():
    with np.errstate(over="ignore"):
        assert Threads(3)([lambda: np.geterr()["over"]] * 3) == ["ignore"] * 3
    with np.errstate(over="raise"):
        assert Threads(3)([lambda: np.geterr()["over"]] * 3) == ["raise"] * 3


@pytest.mark.parametrize("works", [0, 1, 2, 3, 7])
def test_pieces_of_work_are_shared_out_in_order(works):
    done = Threads(3)([lambda k=k: (k, threading.current_thread().name) for k in range(works)])
    assert [k for k, _ in done] == list(range(works))
    names = [name for _, name in done]
    assert names == sorted(names, key=names.index) and len(set(names)) <= 3  # each has pieces that follow one another
    assert set(names[: works // 3]) <= {threading.current_thread().name}


def test_a_piece_may_have_pieces_and_threads_of_its_own():
    each = Threads(3)

    def here():
        time.sleep(0.01)
        return threading.get_ident()

    def beside():
        found = []
        thread = threading.Thread(target=lambda: found.extend(each([here] * 4)))
        thread.start()
        thread.join()
        return [*found, *each([here] * 4)]

    for piece in (beside, lambda: each([beside] * 3)):
        found = each([piece] * 6)
        assert len(found) == 6 and len({ident for one in found for ident in np.ravel(one)}) > 3
    with pytest.raises(ZeroDivisionError):
        each([lambda: each([here, lambda: 1 // 0])] * 3)
    assert len(set(each([here] * 3))) == 3
    each.close()


def test_an_interrupt_at_any_line_leaves_no_work_and_no_lock():
    running, line, ended = set(), 0, False

    def piece():
        running.add(threading.get_ident())
        time.sleep(0.001)
        running.discard(threading.get_ident())
        return 7

    each = Threads(3)
    while not ended:
        left = itertools.count(line, -1)

        def interrupt(frame, event, argument, left=left):
            if frame.f_code.co_filename != threads_module.__file__:
                return None
            if event == "line" and next(left) == 0:
                raise KeyboardInterrupt
            return interrupt

        before = sys.gettrace()
        sys.settrace(interrupt)
        try:
            ended = each([piece] * 6) == [7] * 6
        except KeyboardInterrupt:
            line += 1
            running.discard(threading.get_ident())
            assert not running
        finally:
            sys.settrace(before)
        assert each([piece] * 6) == [7] * 6
    assert line > 20
    each.close()


def test_a_lane_that_a_system_keeps_is_not_shared_by_threads(monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_ENTRIES", 25_000)
    system = build(TARGET, "mobility", {"horizon": 90})
    kept = system.sample(np.random.default_rng(0))
    assert isinstance(kept, StreamedTrace)
    walks = []
    for threads in (1, 2):
        env = vector(name="mobility", threads=threads, sample=lambda self, rng: kept)
        env.system.horizon = 90
        env = SystemVectorEnv(env.system, 4, autoreset_mode="Disabled", threads=threads)
        env.action_space.seed(0)
        env.reset(seed=0)
        walks.append([env.step(env.action_space.sample())[1] for _ in range(20)])
        env.close()
    np.testing.assert_array_equal(*walks)


def _named(self, rngs, each=serially):
    return CellAssociation.sample_lanes(self, rngs, each)


def _named_only(self, rngs, *, each=serially):
    return CellAssociation.sample_lanes(self, rngs, each)


def _by_place(self, rngs, each=serially, /):
    return CellAssociation.sample_lanes(self, rngs, each)


@functools.wraps(CellAssociation.sample_lanes)
def _wrapper(self, rngs):
    return CellAssociation.sample_lanes(self, rngs)


@pytest.mark.parametrize(
    "sample_lanes, together", [(_named, True), (_named_only, True), (_by_place, False), (_wrapper, False)]
)
def test_threads_are_given_to_who_takes_them_by_name(sample_lanes, together):
    env = vector(sample_lanes=sample_lanes)
    assert isinstance(env._episode, SlotsDrawnInThreads) == together
    assert env.reset(seed=0)[0]["sinr_db"].any()
    env.close()
