"""Days in memory and on disk: equal to those drawn, and whatever is wrong with a file is made again."""

import multiprocessing

import gymnasium as gym
import numpy as np
import pytest

import rangym  # noqa: F401
from rangym.envs import files
from rangym.envs.qos_clustering import days

ID = "rangym/QosClustering-v0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, on disk and in memory."""
    monkeypatch.setenv("RANGYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(days, "MEMORY", days.Memory())
    return tmp_path / "cache"


def draw(seed=0, **kwargs):
    """The slot fields of a day, without what is kept in memory."""
    days.MEMORY = days.Memory()
    env = gym.make(ID, **{"scenario": "tiny", **kwargs}).unwrapped
    env.reset(seed=seed)
    return dict(env.trace.slots)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for field in one:
        np.testing.assert_array_equal(one[field], other[field])


def test_a_stored_day_equals_the_drawn_one_in_both_head_modes(folder, monkeypatch):
    first = draw()
    (path,) = folder.iterdir()
    assert_same(draw(), first)
    monkeypatch.setattr(days, "draw_day", None)
    adapting = draw(eta=0.003)  # the same file serves other heads and fields
    assert_same({f: adapting[f] for f in ("statistics", "load")}, {f: first[f] for f in ("statistics", "load")})
    assert list(folder.iterdir()) == [path]


def test_without_the_variable_nothing_is_written(folder, monkeypatch):
    monkeypatch.delenv("RANGYM_CACHE")
    draw()
    assert not folder.exists()


def test_only_days_that_come_again_are_written(folder):
    def lanes(**kwargs):
        days.MEMORY = days.Memory()
        env = gym.make_vec(ID, num_envs=3, autoreset_mode="SameStep", scenario="tiny", **kwargs)
        env.reset(seed=0)
        return env.unwrapped.traces

    fresh = lanes()
    assert not folder.exists()
    assert_same(dict(fresh[0].slots), draw(seed=0))
    assert len(list(folder.iterdir())) == 1
    lanes(day_pool=2)
    assert len(list(folder.iterdir())) == 3


def test_every_parameter_of_a_day_and_the_predictor_make_another_file(folder):
    forms = [
        {},
        {"map_seed": 1},
        {"num_vehicles": 9},
        {"horizon": 21},
        {"concept_hold_h": 3.0},
        {"drift": "none"},
        {"predictor": "paper"},
        {"sampling_s": 30.0},
    ]
    for count, form in enumerate(forms, start=1):
        draw(**form)
        assert len(list(folder.iterdir())) == count
    draw(kappa=1.0, lam=0.1, num_heads=4, eta=0.1)
    assert len(list(folder.iterdir())) == len(forms)


def _arrays(path):
    with np.load(path) as archive:
        return {f: archive[f] for f in archive.files}


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


ATTACKS = {
    "torn": lambda p: p.write_bytes(p.read_bytes()[: p.stat().st_size // 2]),
    "empty": lambda p: p.write_bytes(b""),
    "foreign": lambda p: p.write_bytes(b"not an archive"),
    "flipped": _flip,
    "other shapes": lambda p: np.savez(p, **{f: v[:-1] for f, v in _arrays(p).items() if f != "name"}),
    "no name": lambda p: np.savez(p, **{f: v for f, v in _arrays(p).items() if f != "name"}),
    "missing array": lambda p: np.savez(p, **{f: v for f, v in _arrays(p).items() if f != "load"}),
    "NaN": lambda p: np.savez(p, **_arrays(p) | {"load": np.full_like(_arrays(p)["load"], np.nan)}),
    "integers": lambda p: np.savez(p, **_arrays(p) | {"load": np.ones(_arrays(p)["load"].shape, int)}),
    "objects": lambda p: np.savez(p, **_arrays(p) | {"load": np.full(_arrays(p)["load"].shape, None, object)}),
    "a folder": lambda p: (p.unlink(), p.mkdir()),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_that_is_torn_or_foreign_is_made_again(folder, attack):
    first = draw()
    (path,) = folder.iterdir()
    ATTACKS[attack](path)
    assert_same(draw(), first)
    if attack != "a folder":  # which cannot be replaced by a file, and is left alone
        assert days._read(path, {f: v.shape for f, v in _arrays(path).items() if f != "name"}) is not None


def test_the_file_of_another_day_is_not_trusted(folder):
    first = draw(seed=0)
    (path,) = folder.iterdir()
    draw(seed=1)
    (other,) = set(folder.iterdir()) - {path}
    path.write_bytes(other.read_bytes())
    assert_same(draw(seed=0), first)


def test_memory_forgets_the_oldest_and_counts_shared_bytes_once():
    def views(value):
        whole = np.full(1000, float(value))
        return {"head": whole[:900], "tail": whole[100:]}

    memory, made = days.Memory(limit=2 * 8000), []
    for name in (0, 1, 0, 2, 0, 1):
        memory.get(name, lambda name=name: made.append(name) or views(name))
    assert made == [0, 1, 2, 1]  # two fit; the third drove out the one that was used longest ago


def test_a_folder_that_cannot_be_written_to_costs_no_episode(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RANGYM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(days, "MEMORY", days.Memory())
    assert draw().keys()
    assert (tmp_path / "file").read_text() == "in the way"


def test_nothing_is_left_behind_by_a_write_that_fails(folder, monkeypatch):
    def fails(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "fsync", fails)
    draw()
    assert list(folder.iterdir()) == []


def _draw_in_a_process(seed, results):
    results.put(float(draw(seed=seed)["loss"].sum()))


def test_processes_that_write_the_same_day_at_once_agree(folder):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    workers = [context.Process(target=_draw_in_a_process, args=(5, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    sums = [results.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert len(set(sums)) == 1 and sums[0] == float(draw(seed=5)["loss"].sum())
    assert [p.suffix for p in folder.iterdir()] == [".npz"]


def test_memory_forgets_what_was_used_longest_ago():
    memory, made = days.Memory(limit=2000), []

    def get(name):
        return memory.get(name, lambda: made.append(name) or {"x": np.zeros(100)})

    assert get("a") is get("a")
    get("b"), get("a"), get("c")  # three times 800 bytes: b goes
    assert made == ["a", "b", "c"]
    get("a"), get("b")
    assert made == ["a", "b", "c", "b"]
    with pytest.raises(ValueError, match="read-only"):
        get("b")["x"][0] = 1
    memory.get("huge", lambda: {"x": np.zeros(1000)})
    assert memory.get("huge", lambda: {"x": np.ones(1)})["x"].size == 1  # larger than the limit: not kept


def test_a_pool_repeats_its_days_and_a_fresh_day_is_none_of_them(folder):
    pooled = {draw(seed=seed, day_pool=2)["load"].tobytes() for seed in range(20_000, 20_012)}
    assert len(pooled) == 2
    fresh = {draw(seed=seed)["load"].tobytes() for seed in range(5)}
    assert len(fresh) == 5 and not fresh & pooled
