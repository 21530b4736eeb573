"""The benchmark of learning's wall clock: it teaches what our recipe teaches, and its page says what its file says."""

import importlib
import json
import math
import sys
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from rangym.baselines.cell_association.per_ue import PerUserView
from rangym.envs.core import SystemVectorEnv
from rangym.envs.registration import problem

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "evaluation" / "published" / "learning_clock.json"
ENV_ID = "rangym/CellAssociation-v0"


@pytest.fixture(scope="module")
def scripts():
    """Imports a script of tests/benchmarks."""
    sys.path.insert(0, str(ROOT / "tests" / "benchmarks"))
    yield importlib.import_module
    sys.path.remove(str(ROOT / "tests" / "benchmarks"))


def test_ues_above_a_list_of_environments_learn_what_the_recipes_view_shows(scripts):
    listed = DummyVecEnv([lambda: gym.make(ENV_ID, scenario="tiny")] * 3)
    system = problem(ENV_ID).system
    view = PerUserView(SystemVectorEnv(system, 3, "tiny", autoreset_mode="SameStep"))
    ours = scripts("shared_ues").SharedUes(listed, view.lanes.system.params.handover_weight)
    assert ours.observation_space == view.single_observation_space and ours.action_space == view.single_action_space
    ours.seed(5)
    rows, _ = view.reset(seed=5)
    np.testing.assert_array_equal(ours.reset(), rows)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(45):  # two ends of episodes
        ranks = rng.integers(3, size=12)
        rows, rewards, _, truncated, infos = view.step(ranks)
        seen, given, done, listed_infos = ours.step(ranks)
        np.testing.assert_array_equal(seen, rows)
        np.testing.assert_array_equal(given, rewards.astype(np.float32))
        np.testing.assert_array_equal(done, truncated)
        if done.any():
            ends += 1
            last = np.stack([info["terminal_observation"] for info in listed_infos])
            np.testing.assert_array_equal(last, np.stack(list(infos["final_obs"])))
            assert all(info["TimeLimit.truncated"] for info in listed_infos)
    assert ends == 2


def test_the_clock_stands_still_while_the_policy_is_measured(scripts):
    timed = scripts("timed_learning")
    lanes = timed.TimedLanes(DummyVecEnv([lambda: gym.make(ENV_ID, scenario="tiny", flat=True)]))
    clock = timed.Clock(lambda: time.sleep(0.5) or 1.0, every=1)
    start = time.perf_counter()
    PPO("MlpPolicy", lanes, n_steps=20, batch_size=20, n_epochs=1, device="cpu").learn(60, clock)
    seconds, whole = clock.seconds, time.perf_counter() - start
    assert [steps for steps, *_ in clock.curve] == [0, 20, 40] and 0 < lanes.seconds < seconds <= whole - 1.5
    times = [point[1] for point in clock.curve]
    assert times == sorted(times) and times[-1] < seconds


def test_medians_levels_and_shares_of_a_made_up_file(scripts):
    speed = scripts("speed_learning")

    def run(seconds, env_seconds, *curve):
        return {"steps": 2048, "seconds": seconds, "env_seconds": env_seconds, "start_s": 0.5, "curve": list(curve)}

    early, late, never = [(0, 0.0, 0.1), (9, 2.0, 1.5)], [(0, 0.0, 0.1), (9, 4.0, 0.5), (18, 6.0, 1.0)], [(0, 0.0, 0.9)]
    shared = {"learner": "shared", "lanes": "native", "number": 32}
    row = {**shared, "runs": [run(8, 2, *early), run(10, 5, *late), run(9, 9, *never)]}
    assert speed.cells(row, 1.0) == [
        "shared", "32 in native", "2,048", "9.0", "50.0 %", "0.5", "6.0 (18 steps)", "1.000"
    ]  # fmt: skip
    assert speed.cells({**row, "runs": row["runs"][2:]}, 1.0)[6:] == ["not reached", "0.900"]
    assert speed.reached(row["runs"][2], 1.0) == (math.inf, math.inf)
    example = {"learner": "plain", "lanes": "mobile-env", "number": 1, "runs": [run(8, 2)]}
    assert speed.cells(example, 1.0)[1:] == [
        "mobile-env's mobile-medium-central-v0", "2,048", "8.0", "25.0 %", "0.5", "its reward is another one", ""
    ]  # fmt: skip
    same = [{"curve": [(steps, seconds + 1, reward) for steps, seconds, reward in early]}]
    assert speed.learnt_the_same([[row["runs"][0]], same]) and not speed.learnt_the_same([[row["runs"][1]], same])


def test_the_page_has_the_files_table(scripts):
    content = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    table = scripts("speed_learning").markdown(content)
    page = (ROOT / "docs" / "howto" / "vector.md").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 10 and table in page
    assert f"{content['level']:.3f}" in page and content["evaluation_seeds"] == "0:20"
    assert all(len(row["runs"]) >= 3 for row in content["rows"])


def test_the_page_has_the_table_of_speeds(scripts):
    content = json.loads((PUBLISHED.parent / "vector_speed.json").read_text(encoding="utf-8"))
    table = scripts("speed_environments").markdown(content)
    assert table in (ROOT / "docs" / "howto" / "vector.md").read_text(encoding="utf-8")
    assert content["command"].startswith("python tests/benchmarks/speed_environments.py --cases ")
    assert {row["lanes"] for row in content["rows"]} == {1024} and len(content["rows"]) >= 7
