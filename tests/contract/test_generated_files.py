"""Files with the right name and generated content: read and usable, or refused with the field and what came."""

import contextlib
import hashlib
import io
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rangym import policies
from rangym.baselines import agent as agents
from rangym.baselines.policy import SHIPPED
from rangym.cli import main
from rangym.envs.cell_association.radio_map import FORMAT, RadioMap
from rangym.envs.core import Trace
from rangym.envs.qos_clustering.predictor import FOLDER, load
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.episode import make_env
from rangym.evaluation.results import Results
from rangym.policies import Task

generated = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("generated.py"))))
COUNTS, answered, anything = generated.COUNTS, generated.answered, generated.anything
CELL, QOS = "rangym/CellAssociation-v0", "rangym/QosClustering-v0"

usual = settings(max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True)
pytestmark = pytest.mark.filterwarnings("ignore")
WHOLE = ("bytes", "cut", "flipped")


@pytest.fixture(autouse=True, scope="module")
def counted():
    yield
    for door, count in sorted(COUNTS.items()):
        print(f"{door}: {count}", file=sys.stderr)


def played(env, slots=2, **how):
    """A few slots with finite observations and rewards."""
    env.action_space.seed(0)
    observation, _ = env.reset(**how)
    for _ in range(slots):
        assert env.observation_space.contains(observation)
        observation, reward, *_ = env.step(env.action_space.sample())
        assert np.isfinite(reward)


@st.composite
def spoilt(draw, names):
    """How to spoil one array of a file, or the bytes of the whole file."""
    how = [
        lambda v: v.astype(float) if v.dtype.kind in "iufb" else v,
        lambda v: v.astype(float) + 0.5 if v.dtype.kind in "iufb" else v,
        lambda v: np.full(v.shape, draw(st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1e300, 1e-300, 7.0]))),
        lambda v: np.full(v.shape, draw(st.sampled_from([-1, 0, 2**40, 3]))),
        lambda v: v.astype(str),
        lambda v: v.astype(complex) if v.dtype.kind in "iufb" else v,
        lambda v: v.astype(bool) if v.dtype.kind in "iufb" else v,
        lambda v: v[:-1] if v.ndim else v,
        lambda v: v[:0] if v.ndim else v,
        lambda v: v.ravel(),
        lambda v: v[None],
        lambda v: v[::-1] if v.ndim else v,
        lambda v: np.float64(3.0),
        lambda v: np.array(draw(st.sampled_from(["", "{}", "[]", "null", "x", '{"a": NaN}', "[" * 5000]))),
        None,
    ]
    return draw(st.sampled_from([*names, *WHOLE])), draw(st.sampled_from(how)), draw(st.integers(0, 10**6))


def spoil(arrays, name, how, place):
    """The bytes of an ``.npz`` file of the arrays with one of them changed, missing, or with bytes changed."""
    arrays = dict(arrays)
    if name not in (*WHOLE, "whole"):
        if how is None:
            del arrays[name]
        else:
            arrays[name] = how(arrays[name])
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    data = buffer.getvalue()
    place %= len(data)
    if name == "cut":
        return data[:place]
    if name == "flipped":
        return data[:place] + bytes([data[place] ^ 0x41]) + data[place + 1 :]
    return b"\x00\xff" * 20 if name == "bytes" else data


def dumped(content):
    """JSON of whatever was generated."""
    return json.dumps(content, default=str, skipkeys=True)


def arrays_of(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def made_up_map():
    rng = np.random.default_rng(0)
    place = rng.uniform(0, 900, (12, 2)).astype(np.float32)
    return RadioMap(
        kind="measured",
        sinr_db=rng.uniform(-5, 25, (12, 3)).astype(np.float32),
        location_m=place,
        cell_name=np.array(["a", "b", "c"]),
        cell_rat=np.array([5, 4, 4]),
        bandwidth_mhz=np.array([20.0, 10.0, 10.0]),
        cell_position_m=rng.uniform(0, 900, (3, 2)),
        track_start=np.array([0, 6, 12]),
        track_position_m=place,
        track_location=np.arange(12),
        step_s=1.0,
        size_m=np.array([1000.0, 1000.0]),
        account={"rows": 12},
    )


def test_maps(tmp_path):
    path = tmp_path / "map.npz"
    made_up_map().save(path)
    arrays = arrays_of(path)
    assert str(arrays["format"]) == FORMAT

    @usual
    @given(spoilt(list(arrays)), st.sampled_from(["replay", "road", "plane"]))
    def check(change, tracks):
        path.write_bytes(spoil(arrays, *change))
        how = {"map": str(path), "num_cells": 3, "num_ues": 4, "horizon": 5, "tracks": tracks}
        answered("map", lambda: played(make_env(CELL, "measured", how), seed=0), "map", "tracks")

    check()


def test_traces(tmp_path):
    path, env = tmp_path / "trace.npz", gym.make(CELL, scenario="tiny").unwrapped
    env.reset(seed=0)
    env.trace.save(path)
    arrays = arrays_of(path)

    @usual
    @given(spoilt(list(arrays)))
    def check(change):
        path.write_bytes(spoil(arrays, *change))
        answered("trace", lambda: played(env, options={"trace": Trace.load(path)}), "trace")

    check()


def test_days(tmp_path, days_file):
    path, arrays = tmp_path / "days.npz", arrays_of(days_file)

    @usual
    @given(spoilt(list(arrays)))
    def check(change):
        path.write_bytes(spoil(arrays, *change))
        answered("days", lambda: played(make_env(QOS, "imported", {"days": str(path)}), seed=0), "days", "num_heads")

    check()


def test_predictors(tmp_path):
    path, arrays = tmp_path / "mine.npz", arrays_of(FOLDER / "small.npz")
    described = json.loads((FOLDER / "small.json").read_text())

    @usual
    @given(spoilt(list(arrays)), st.sampled_from([*described, "nothing"]), anything)
    def check(change, entry, value):
        data = spoil(arrays, *change)
        path.write_bytes(data)
        text = described | {"sha256": hashlib.sha256(data).hexdigest()}
        text |= {} if entry == "nothing" else {entry: value}
        path.with_suffix(".json").write_text(dumped(text))
        env = {"predictor": str(path.with_suffix(""))}
        answered("predictor", lambda: played(make_env(QOS, "tiny", env), seed=0), "mine", "num_heads", "label_delay")

    check()


def test_agents(tmp_path):
    path, arrays = tmp_path / "agent.npz", arrays_of(SHIPPED / "ppo_shared.npz")
    del arrays["sha256"]
    described = json.loads(str(arrays["description"]))
    env = gym.make(CELL, scenario="small").unwrapped
    observation, _ = env.reset(seed=0)

    def act():
        policy = policies.make(f"ppo_shared:agent='{path}'")
        policy.reset(Task.of(env), np.random.default_rng(0))
        assert env.action_space.contains(policy.act(observation))

    @usual
    @given(
        spoilt(list(arrays)),
        st.sampled_from([*described, "nothing"]),
        anything | st.just({"handover_weight": np.nan}),
    )
    def check(change, entry, value):
        text = described if entry == "nothing" else described | {entry: value}
        own = arrays | {"description": np.array(dumped(text))}
        name, how, place = change
        if name in own and how is not None:  # a file whose checksum is right all the same
            own, name = own | {name: np.asarray(how(own[name]))}, "whole"
        own["sha256"] = np.array(agents._checksum(own))
        path.write_bytes(spoil(own, name, how, place))
        answered("agent", act, "agent", "ppo_shared")

    check()


def rows_of(tmp_path, *names):
    out = tmp_path / "good.jsonl"
    evaluate(list(names), Benchmark(CELL, "tiny", range(2)), out=out)
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_rows(tmp_path):
    rows, path = rows_of(tmp_path, "random", "max_sinr"), tmp_path / "rows.jsonl"
    entries = sorted({name for row in rows for name in row})

    @usual
    @given(st.integers(0, len(rows) - 1), st.sampled_from(entries), anything, st.binary(max_size=20))
    def check(number, entry, value, line):
        good = [dumped(row | ({entry: value} if k == number else {})).encode() for k, row in enumerate(rows)]
        path.write_bytes(b"\n".join([*good, line.replace(b"\n", b""), b'{"key": [1]}']) + b"\n")
        read = []
        assert answered("rows", lambda: read.append(Results.load(path)))
        found = read[0]
        assert len(found.episodes) + len(found.bounds) + len(found.errors) >= len(rows) - 1 and found.torn
        str(found)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert main(["report", str(path)]) in (0, 1)

    check()


def test_one_bad_line_costs_that_line_and_is_named(tmp_path, capsys):
    rows = rows_of(tmp_path, "random")
    path = tmp_path / "rows.jsonl"
    bad = [{"key": [1]}, {**rows[1], "key": "x", "reward": "y"}]
    path.write_text("".join(dumped(row) + "\n" for row in [*rows, *bad]))
    found = Results.load(path)
    assert found.torn == (5, 6) and len(found.episodes) == 2 and len(found.bounds) == 2
    assert main(["report", str(path)]) == 0
    said = capsys.readouterr().err
    assert "2 line(s)" in said and "(line 5, 6)" in said


def test_rows_of_another_command_are_refused_by_line_and_field(capsys):
    published = Path(__file__).parents[2] / "evaluation" / "published"
    assert main(["report", str(published / "federated_digits.jsonl")]) == 2
    assert "line 1: row: one of ['episode', 'bound'] wanted, got None" in capsys.readouterr().err
    assert main(["federated", "--show", str(published / "orchestrated_digits.jsonl")]) == 2
    assert "line 1: study: a dictionary (dataset: missing) wanted" in capsys.readouterr().err
    assert main(["orchestrate", "--show", str(published / "federated_digits.jsonl")]) == 2
    assert "line 1: study: a dictionary (training: missing) wanted" in capsys.readouterr().err


def test_predictors_of_two_names_are_two_files(tmp_path):
    for number in (1, 2):
        load("small").save(tmp_path / f"run.{number}")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.1.json", "run.1.npz", "run.2.json", "run.2.npz"]
    assert load(str(tmp_path / "run.2")).sha256 == load("small").sha256
