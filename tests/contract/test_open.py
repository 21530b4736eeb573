"""What is ours by name is anybody's by name: a problem, a policy, a model and recorded traces of a user's own."""

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO

from rangym import policies, register
from rangym.envs.core import SystemEnv, SystemVectorEnv, Trace
from rangym.envs.flat import FlatObservation
from rangym.envs.registration import OURS, PROBLEMS, problem
from rangym.evaluation import Benchmark, Results, evaluate
from rangym.evaluation.check import check
from rangym.policies import Policy, Predictor

CELL = "rangym/CellAssociation-v0"
TOY = '''
"""Guess the side on which a coin will lie: the whole of a user's problem."""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box, Dict, MultiDiscrete

import rangym
from rangym.envs.core import Outcome, SystemModel
from rangym.envs.params import check, ranged
from rangym.envs.trace import Trace
from rangym.evaluation import Benchmark, Bound, Card
from rangym.policies import Policy


@dataclass(frozen=True, kw_only=True)
class CoinParams:
    bias: float = ranged(0.8, low=0, high=1)
    horizon: int = ranged(10, low=1)

    def __post_init__(self):
        check(self)


class Coin(SystemModel):
    """A coin that falls on side 1 with probability ``bias``; the side is seen one slot later."""

    scenarios = {"tiny": CoinParams(), "small": CoinParams(horizon=30)}

    def __init__(self, params):
        self.params, self.horizon = params, params.horizon
        self.observation_space = Dict({"side": Box(0, 1, (1,), np.float32)})
        self.action_space = MultiDiscrete([2])
        self.reveal, self.shapes = {"side": 1}, {"side": (1,)}

    def sample(self, rng):
        return Trace({}, {"side": (rng.random((self.horizon + 2, 1)) < self.params.bias).astype(float)})

    def initial(self, slot):
        return {}

    def transition(self, state, decision, slot):
        right = (decision == slot["side"])[:, 0]
        return {}, Outcome({"right": right.astype(float)}, {"side": slot["side"][:, 0]})

    def observation(self, state, public):
        return {"side": public["side"]}


class Leaky(Coin):
    """Says that the sides are never shown, and carries them through its state into the observation."""

    def __init__(self, params):
        super().__init__(params)
        self.reveal = {"side": self.horizon + 2}

    def initial(self, slot):
        return {"seen": slot["side"]}

    def transition(self, state, decision, slot):
        return {"seen": slot["side"]}, super().transition(state, decision, slot)[1]

    def observation(self, state, public):
        return {"side": state["seen"]}


class FairCoin(Coin):
    """Another chance, the same rules: it keeps policies and bound."""

    def sample(self, rng):
        return Trace({}, {"side": (rng.random((self.horizon + 2, 1)) < 0.5).astype(float)})


class Generous(Coin):
    """Other rules: it keeps the policies, not the bound."""

    def transition(self, state, decision, slot):
        state, outcome = super().transition(state, decision, slot)
        return state, Outcome({"right": outcome.terms["right"] + 1}, outcome.metrics)


@dataclass(eq=False)
class Always(Policy):
    """The same side in every slot."""

    side: int = ranged(1, low=0, high=1)

    def reset(self, task, rng):
        pass

    def act(self, observation):
        return np.array([self.side])


class Repeat(Policy):
    """The side that came last."""

    def reset(self, task, rng):
        pass

    def act(self, observation):
        return observation["side"].astype(int)


def bound(system, trace):
    return Bound(1.0, "certified", "every guess is right", 1.0)


ENV_ID = "lab/Coin-v0"
CARD = Card(bound="coin:bound", quick=(Benchmark(ENV_ID, "tiny", range(3)),))
POLICIES = {"always": "coin:Always", "repeat": "coin:Repeat"}
rangym.register(ENV_ID, system="coin:Coin", policies=POLICIES, card="coin:CARD")
rangym.register("lab/FairCoin-v0", system="coin:FairCoin")
rangym.register("lab/Generous-v0", system="coin:Generous")
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the user's module, on the path of this process."""
    path = tmp_path_factory.mktemp("lab")
    (path / "coin.py").write_text(TOY)
    sys.path.insert(0, str(path))
    yield path
    sys.path.remove(str(path))


@pytest.fixture
def coin(folder):
    import coin  # registers its problems, once; they are taken back so that other tests see ours alone

    for env_id, system in (("lab/Coin-v0", "Coin"), ("lab/FairCoin-v0", "FairCoin"), ("lab/Generous-v0", "Generous")):
        own = {"policies": coin.POLICIES, "card": "coin:CARD"} if system == "Coin" else {}
        register(env_id, f"coin:{system}", **own)
    yield coin
    for env_id in [name for name in PROBLEMS if name.startswith("lab/")]:
        del PROBLEMS[env_id], gym.registry[env_id]


def rangym_at(folder, *argv):
    done = subprocess.run([sys.executable, "-m", "rangym", *argv], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_users_problem_gets_the_table_with_bound_and_two_workers(coin):
    benchmark = Benchmark("lab/Coin-v0", "tiny", range(6))
    results = evaluate(None, benchmark, workers=2)
    assert results.problems == ()
    comparison = results.comparison()
    assert set(comparison.rows) == {"random", "always", "repeat"}
    assert comparison.bound_kind == "certified"
    text = str(results)
    assert "lab/Coin-v0, tiny: 6 traces of 10 slots" in text and "score" in text
    assert comparison.rewards("always").mean() > comparison.rewards("random").mean()
    np.testing.assert_array_equal(
        comparison.rewards("always"), evaluate([coin.Always()], benchmark, bounds=False).rewards("always")
    )


def test_the_command_line_takes_a_users_problem_and_policy(folder):
    status, out, err = rangym_at(
        folder, "evaluate", "always", "coin:Always:side=0", "repeat", "random", "--env", "coin:lab/Coin-v0",
        "--scenario", "tiny", "--seeds", "0:4", "--workers", "2", "--out", "rows.jsonl",
    )  # fmt: skip
    assert status == 0, err
    assert re.search(r"always +observation +0\.\d+", out) and "coin:Always:side=0" in out and "bound: 1.0000" in out
    # A report needs no module: rows say what they are.
    status, out, err = rangym_at(folder, "report", "rows.jsonl", "--out", "r.html")
    assert status == 0 and "always" in out and (folder / "r.html").stat().st_size > 10_000, err
    status, out, _ = rangym_at(folder, "list", "--env", "coin:lab/Coin-v0")
    assert status == 0 and "repeat" in out and "30 slots" in out


def test_gymnasium_makes_a_users_problem(coin):
    env = gym.make("coin:lab/Coin-v0", scenario="tiny")
    assert env.reset(seed=0)[0].keys() == {"side", "time"}
    assert gym.make_vec("coin:lab/Coin-v0", num_envs=3, scenario="tiny").reset(seed=0)[0]["side"].shape == (3, 1)
    assert policies.bind("always", env).predict(env.reset(seed=0)[0])[0] == [1]


def test_a_derived_system_keeps_policies_and_bound_while_it_changes_the_chance_alone(coin):
    fair = evaluate(["always"], Benchmark("lab/FairCoin-v0", "tiny", range(2)))
    assert fair.comparison().bound_kind == "certified"
    generous = evaluate(["always"], Benchmark("lab/Generous-v0", "tiny", range(2)))
    assert generous.comparison().bound_kind == "none" and generous.problems == ()
    assert "which changes transition of Coin" in generous.bounds[0]["bound"]["what"]


@pytest.mark.parametrize("env_id", OURS)
def test_every_lane_plays_what_a_subclass_draws_that_overrides_sample_alone(env_id):
    parent = problem(env_id).system_class

    class Backwards(parent):
        """The episodes of the parent, with the slots in the opposite order."""

        def sample(self, rng):
            drawn = super().sample(rng)
            return Trace(drawn.constants, {field: values[::-1] for field, values in drawn.slots.items()})

    params = parent.scenarios["tiny"]
    lanes = SystemVectorEnv(Backwards(params), 2)
    lanes.reset(seed=3)
    for seed, played in zip((3, 4), lanes.traces, strict=True):
        single, plain = SystemEnv(Backwards(params)), SystemEnv(parent(params))
        for env in (single, plain):
            env.reset(seed=seed)
        for field, values in plain.trace.slots.items():
            np.testing.assert_array_equal(single.trace.slots[field], values[::-1])
            np.testing.assert_array_equal(played.slots[field], values[::-1])


def test_check_says_what_holds_and_what_does_not(coin, folder):
    assert [finding.wrong for finding in check("coin:Coin")] == [""] * 4
    wrong = {finding.what: finding.wrong for finding in check("coin:Leaky")}
    assert "not public yet" in wrong["observations show only what is public"]
    assert [finding.wrong for finding in check("always", "lab/Coin-v0")] == [""] * 4
    status, out, _ = rangym_at(folder, "check", "coin:Leaky")
    assert status == 1 and out.count("ok") >= 1 and "FAILED" in out
    status, _, err = rangym_at(folder, "check", "coin:Always")
    assert status == 2 and "its environment" in err


class Moody(Policy):
    """Decides by the clock of the process: not repeatable."""

    calls = 0

    def reset(self, task, rng):
        self.space = task.action_space

    def act(self, observation):
        Moody.calls += 1
        return np.full(self.space.shape, Moody.calls // 7 % 2)


def test_check_finds_a_policy_that_does_not_repeat():
    wrong = [f for f in check(f"{__name__}:Moody", CELL) if f.wrong]
    assert any("same seed" in f.wrong for f in wrong)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: register("lab/X-v0", "module.Class"), "system: 'module:NAME' wanted"),
        (lambda: register(CELL, "coin:Coin"), "is taken by rangym.envs.cell_association"),
        (lambda: register("CartPole-v1", "coin:Coin"), "is taken by another package"),
        (lambda: evaluate([Moody], Benchmark(CELL, "tiny")), "Policy objects wanted, got Moody"),
        (lambda: evaluate([Predictor(object())], Benchmark(CELL, "tiny")), r"an object with predict\(\) wanted"),
        (lambda: evaluate(["always"], Benchmark(CELL, "tiny")), "policy: one of"),
    ],
)
def test_wrong_calls_say_what_is_wrong(call, says):
    with pytest.raises((ValueError, TypeError), match=says):
        call()


# Objects --------------------------------------------------------------------------------------------------------------


def test_objects_and_words_give_the_same_rows():
    from rangym.policies.cell_association.rules import A3

    benchmark = Benchmark(CELL, "tiny", range(3))
    played = A3(offset_db=6.0)
    rows = evaluate([played, "a3"], benchmark, bounds=False).comparison()
    assert list(rows.rows) == ["a3:offset_db=6", "a3"]
    np.testing.assert_array_equal(
        rows.rewards("a3:offset_db=6"), evaluate(["a3:offset_db=6"], benchmark, bounds=False).rewards("a3")
    )
    assert not hasattr(played, "_slots_entered")  # copies are played


@dataclasses.dataclass(eq=False)
class Holds(Policy):
    """Has an option without a stable value."""

    what: object = None

    def reset(self, task, rng):
        self.space = task.action_space

    def act(self, observation):
        return np.zeros(self.space.shape, int)


def test_what_has_no_identity_stays_in_memory(tmp_path):
    benchmark = Benchmark(CELL, "tiny", range(2))
    assert evaluate([Holds(object())], benchmark, bounds=False).rewards("Holds").shape == (2,)
    with pytest.raises(ValueError, match="out: rows of Holds cannot be kept: the option 'what' has no stable value"):
        evaluate([Holds(object())], benchmark, bounds=False, out=tmp_path / "x.jsonl")
    assert evaluate([Holds(3)], benchmark, bounds=False, out=tmp_path / "x.jsonl").computed == 2
    with pytest.raises(ValueError, match="each once, got 'max_sinr' twice"):
        evaluate(["max_sinr", "max_sinr"], benchmark)


# Models ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    return PPO("MlpPolicy", FlatObservation(gym.make(CELL, scenario="tiny")), n_steps=8, batch_size=8, seed=0)


def test_a_model_straight_from_learn_is_a_row_of_the_table(model, tmp_path):
    benchmark, out = Benchmark(CELL, "tiny", range(3)), tmp_path / "x.jsonl"
    mine = Predictor(model, name="mine", flat=True)
    results = evaluate([mine, "a3"], benchmark, workers=2, out=out)
    assert list(results.comparison().rows) == ["mine:flat=True", "a3"] and results.problems == ()
    assert results.comparison().first("mine:flat=True")["knowledge"] == "observation"
    assert evaluate([mine, "a3"], benchmark, out=out).computed == 0
    model.learn(8)
    learned = evaluate([mine, "a3"], benchmark, out=out)
    assert learned.computed == 3 and learned.problems == ()  # other parameters are another policy
    both = evaluate([mine, "a3"], benchmark, workers=2, bounds=False)
    np.testing.assert_array_equal(both.rewards("mine"), learned.rewards("mine"))


def test_a_model_file_is_a_policy_and_comes_with_a_warning(model, tmp_path):
    model.save(tmp_path / "model.zip")
    status, out, err = rangym_at(
        tmp_path, "evaluate", "sb3:file=model.zip", "a3", "--scenario", "tiny", "--seeds", "0:2", "--html", "x.html"
    )
    assert status == 0, err  # the report draws it as an agent
    assert "sb3:file=model.zip" in out and "such a file is code" in err
    with pytest.raises(ValueError, match=r"file: a \.zip file .* wanted, got 'no.zip'"):
        policies.make("sb3:file=no.zip")


# Recorded traces ------------------------------------------------------------------------------------------------------


@pytest.mark.undisturbed  # compares with other processes
def test_recorded_traces_take_the_place_of_seeds(tmp_path):
    env = gym.make(CELL, scenario="tiny").unwrapped
    traces = []
    for seed in range(3):
        env.reset(seed=seed)
        env.trace.save(tmp_path / f"{seed}.npz")
        traces.append(env.trace)
    drawn = evaluate(["max_sinr"], Benchmark(CELL, "tiny", range(3)))
    for given in (traces, [tmp_path / f"{seed}.npz" for seed in range(3)]):
        for workers in (1, 2):
            results = evaluate(["max_sinr"], Benchmark(CELL, "tiny", traces=given), workers=workers)
            comparison = results.comparison()
            assert comparison.seeds == tuple(sorted(trace.fingerprint() for trace in traces))
            np.testing.assert_array_equal(np.sort(comparison.rewards("max_sinr")), np.sort(drawn.rewards("max_sinr")))
            assert comparison.bound_kind == "certified" and "3 traces of 20 slots (recorded)" in str(results)
    status, out, err = rangym_at(tmp_path, "evaluate", "a3", "--scenario", "tiny", "--traces", "0.npz", "1.npz")
    assert status == 0 and "2 traces of 20 slots (recorded)" in out, err
    with pytest.raises(ValueError, match="each trace once"):
        evaluate(["max_sinr"], Benchmark(CELL, "tiny", traces=[traces[0], tmp_path / "0.npz"]))
    with pytest.raises(ValueError, match="horizon 5 wanted, got 20"):
        evaluate(["max_sinr"], Benchmark(CELL, "tiny", overrides={"horizon": 5}, traces=traces))
    with pytest.raises(ValueError, match="in place of seeds wanted, got both"):
        Benchmark(CELL, "tiny", range(3), traces=traces)


# Results --------------------------------------------------------------------------------------------------------------


def test_results_print_save_and_load(tmp_path):
    results = evaluate(["max_sinr", "random"], Benchmark(CELL, "tiny", range(2)))
    assert "max_sinr" in str(results) and "bound:" in str(results)
    again = Results.load(results.save(tmp_path / "sub" / "r.jsonl"))
    assert str(again) == str(results)
    assert [p.name for p in Path(tmp_path / "sub").iterdir()] == ["r.jsonl"]


def test_results_as_a_frame():
    pytest.importorskip("pandas")
    frame = evaluate(["max_sinr", "random"], Benchmark(CELL, "tiny", range(2))).to_frame()
    assert len(frame) == 4 and {"policy", "seed", "reward", "bound", "term.utility", "handovers"} <= set(frame.columns)
