"""Generated input at the doors of code and command line: success, or an error that says the field and what came."""

import contextlib
import dataclasses
import io
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rangym
from rangym import policies
from rangym.cli import arguments, main
from rangym.envs import memory, registration
from rangym.envs.core import SystemVectorEnv
from rangym.envs.params import ranges
from rangym.envs.registration import OURS
from rangym.evaluation import Benchmark, evaluate
from rangym.evaluation.episode import make_env
from rangym.evaluation.protocol import parse_seeds
from rangym.policies import Knowledge, Task

generated = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("generated.py"))))
COUNTS, answered, anything = generated.COUNTS, generated.answered, generated.anything
numbers, scalars, texts = generated.numbers, generated.scalars, generated.texts

CELL = "rangym/CellAssociation-v0"
SMALL_MACHINE = 30_000_000
"""Bytes that the tests' machine has, so that sizes are refused before they cost time."""

few = settings(max_examples=150, suppress_health_check=list(HealthCheck), derandomize=True)
many = settings(few, max_examples=300)
slow = settings(few, max_examples=80)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True, scope="module")
def small_machine():
    patch = pytest.MonkeyPatch()
    patch.setattr(memory, "memory_bytes", lambda: SMALL_MACHINE)
    yield
    patch.undo()
    for door, count in sorted(COUNTS.items()):
        print(f"{door}: {count}", file=sys.stderr)


def played(env, slots=3):
    """Whether a few slots give finite observations and rewards."""
    env.action_space.seed(0)
    observation, _ = env.reset(seed=0)
    for _ in range(slots):
        assert env.observation_space.contains(observation), observation
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert np.isfinite(reward), reward
        if terminated or truncated:
            break


FACTORS = (0.0, -1.0, 1e-6, 0.01, 0.5, 1.0, 2.0, 10.0, 1e3, 1e6, 1e12)


def values_of(declared, default):
    """Values of a parameter: at the ends of its range, of its kind, and of any other."""
    if declared is None:
        return scalars
    ends = [declared.low, declared.high, declared.above, declared.below, declared.limit, declared.least]
    known = [end for end in ends if end is not None] + list(declared.words)
    if declared.limit and declared.above == 0 and declared.least is None:
        known.append(1 / declared.limit)
    if isinstance(default, float | int) and not isinstance(default, bool):  # mostly inside its range
        own = st.sampled_from(FACTORS).map(lambda factor: type(default)(default * factor))
        return own | own | numbers | st.sampled_from([*known, 0]) | scalars
    own = numbers | st.sampled_from(
        known + [declared.kind(end) for end in known if declared.kind in (int, float)] or [0]
    )
    return own | st.lists(own, min_size=1, max_size=3) | scalars


@st.composite
def overrides(draw, env_id):
    params = registration.problem(env_id).system_class.scenarios["tiny"]
    declared = ranges(params)
    used = [name for name, allowed in declared.items() if allowed.is_used(params)]
    every = [f.name for f in dataclasses.fields(params)]
    names = draw(st.lists(st.sampled_from(used), min_size=1, max_size=2) | st.sampled_from(every).map(lambda x: [x]))
    return {name: draw(values_of(declared.get(name), getattr(params, name))) for name in names}


@pytest.mark.parametrize("env_id", OURS)
def test_parameters(env_id):
    names = [f.name for f in dataclasses.fields(registration.problem(env_id).system_class.scenarios["tiny"])]

    @many
    @given(overrides(env_id))
    def check(given):
        answered("gym.make", lambda: played(gym.make(env_id, scenario="tiny", **given).unwrapped), *names, came=given)

    check()


@few
@given(
    st.dictionaries(
        st.sampled_from(["scenario", "system", "render_mode", "num_envs", "slot", ""]), anything, min_size=1
    )
)
def test_overrides_that_are_no_parameters(given):
    assert not answered("overrides", lambda: make_env(CELL, "tiny", given), *map(repr, given), came=given)
    assert not answered("overrides", lambda: Benchmark(CELL, "tiny", overrides=given), *given, came=given)


WRITTEN = ["1e999", "(1,", "[[1]]", "{1:2}", "'a", "10" * 9, "-1e-400", "1j", "3", "5", "0.5"]
KEYS = ["num_ues", "slot_s", "scenario", "system", "render_mode", "sites", "law", "map", "$x", "", "\x1b"]


def read(text):
    """The value that a text on the command line is read as, if it is any."""
    with contextlib.suppress(rangym.WrongCall):
        yield from arguments.key_values([f"key={text}"], "--set").values()


@few
@given(
    st.sampled_from(KEYS + ["num_ues", "slot_s", "handover_weight"] * 4),
    st.sampled_from(WRITTEN) | texts | scalars.map(str),
)
def test_overrides_on_the_command_line(key, text):
    error = io.StringIO()
    argv = ["evaluate", "random", "--scenario", "tiny", "--seeds", "0:1", "--no-bounds", f"--set={key}={text}"]
    with contextlib.redirect_stderr(error), contextlib.redirect_stdout(io.StringIO()):
        status = main(argv)
    COUNTS["--set"] += 1
    COUNTS["--set, refused"] += status == 2
    said = error.getvalue()
    assert status in (0, 2) and (status == 0 or said.count("\n") == 1 and said[:-1].isprintable()), said
    assert status == 0 or key.strip().encode("unicode_escape").decode() in said, said
    assert status == 0 or key not in KEYS[:2] or generated.holds(said, [text, *read(text)]), (text, said)
    assert key not in ("scenario", "system", "render_mode") or status == 2


@st.composite
def words(draw):
    name = draw(st.sampled_from([*policies.names(), "max_snr", "sb3", "a3:tuned", ""]) | texts)
    key = draw(st.sampled_from(["offset_db", "agent", "file", "seed", "memory", "p", "x y", "="]) | texts)
    return draw(
        st.sampled_from([name, f"{name}:{key}", f"{name}:{key}={draw(scalars)}", f"{name}:{key}={draw(texts)},"])
    )


@slow
@given(
    words() | anything, st.none() | anything, st.dictionaries(st.sampled_from(["offset_db", "agent", "x"]), anything)
)
def test_words_of_policies(word, scenario, options):
    parts = re.split("[:,=]", word) if isinstance(word, str) else ()  # a wrong option is shown without the policy
    answered("policies.make", lambda: policies.make(word), came=[word, *parts])
    answered("policies.make", lambda: policies.make("a3:tuned", scenario=scenario), "tuned", "scenario", came=scenario)
    answered("policies.make", lambda: policies.make("a3", **options), *options, came=options)
    answered("policies.make", lambda: policies.make("ppo_shared", **options), *options, came=options)


BENCHMARK = ("env_id", "scenario", "seeds", "overrides", "traces", "policies", "without", "variants", "any_seed")


@many
@given(st.dictionaries(st.sampled_from(BENCHMARK), anything, min_size=1, max_size=2))
def test_benchmarks(given):
    call = {"env_id": CELL, "scenario": "tiny", "seeds": range(1), **given}
    answered("Benchmark", lambda: Benchmark(**call), *given, "parameter", came=given)


@slow
@given(anything | st.sampled_from(["max_sinr", ["max_sinr", "max_sinr"], []]), anything, scalars)
def test_evaluations(asked, benchmark, workers):
    table = Benchmark(CELL, "tiny", range(1))
    answered("evaluate", lambda: evaluate(asked, table, bounds=False), "polic", came=asked)
    answered("evaluate", lambda: evaluate("max_sinr", benchmark), "benchmark", came=benchmark)
    if workers != 2 and not (isinstance(workers, int) and workers in (-1, *range(3, 10_001))):
        answered(
            "evaluate", lambda: evaluate("max_sinr", table, workers=workers, bounds=False), "workers", came=workers
        )


@many
@given(anything, anything, st.dictionaries(st.sampled_from(["trace", "trac"]) | texts, anything, max_size=2))
def test_resets(seed, options, entries):
    single, several = (
        gym.make(CELL, scenario="tiny").unwrapped,
        SystemVectorEnv("rangym.envs.cell_association.system:CellAssociation", 2, "tiny"),
    )
    for env in (single, several):
        answered("reset", lambda env=env: env.reset(seed=seed), "seed", came=seed)
        for choice in (options, entries):
            answered("reset", lambda env=env, choice=choice: env.reset(seed=0, options=choice), "options", came=choice)


@few
@given(anything, anything | st.sampled_from([*Knowledge, 0, 7]))
def test_tasks_and_bindings(env, knowledge):
    tiny = gym.make(CELL, scenario="tiny")
    tiny.reset(seed=0)
    answered("Task.of", lambda: Task.of(env), "env", came=env)
    answered("Task.of", lambda: Task.of(tiny, knowledge), "knowledge", came=knowledge)
    answered("bind", lambda: policies.bind("max_sinr", env), "env", came=env)
    answered("bind", lambda: policies.bind("max_sinr", tiny, rng=knowledge), "rng", came=knowledge)
    answered("bind", lambda: policies.make("max_sinr").bind(knowledge), "task", came=knowledge)


@few
@given(anything, anything, anything)
def test_registrations(env_id, system, entries):
    def register(**given):
        found = rangym.register(**{"env_id": "lab/X-v0", "system": "m:C", **given})
        del registration.PROBLEMS[found.env_id], gym.registry[found.env_id]

    answered("register", lambda: register(env_id=env_id), "env_id", came=env_id)
    answered("register", lambda: register(system=system), "system", came=system)
    answered("register", lambda: register(policies=entries), "policies", came=entries)
    answered("register", lambda: register(card=entries), "card", came=entries)
    answered("register", lambda: register(slicing=entries), "slicing", came=entries)


@many
@given(
    st.from_regex(r"[0-9:,\- ]{0,12}", fullmatch=True)
    | st.tuples(numbers, numbers).map(lambda pair: "{}:{}".format(*map(_text, pair)))
    | anything
)
def test_seeds(text):
    answered("seeds", lambda: parse_seeds(text), "seeds", came=text)


def _text(value):
    return "9" * 5000 if isinstance(value, int) and abs(value) > 10**300 else str(value)


def test_every_number_of_a_problem_has_a_range():
    for env_id in OURS:
        params = registration.problem(env_id).system_class.scenarios["tiny"]
        declared = ranges(params)
        assert declared.keys() == {f.name for f in dataclasses.fields(params)}
        for name, allowed in declared.items():
            if allowed.kind in (int, float) and not allowed.words:
                assert allowed.limit is not None, name
