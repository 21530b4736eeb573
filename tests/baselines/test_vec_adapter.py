"""The adapter against SB3's own DummyVecEnv, over several episodes."""

import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib.common.maskable.utils import get_action_masks
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

import rangym
from rangym.baselines.cell_association.per_ue import PerUserView
from rangym.baselines.vec_adapter import Sb3VecEnv
from rangym.envs.flat import FlatObservation, FlatVectorObservation

ENV, KWARGS = "rangym/CellAssociation-v0", {"scenario": "tiny", "horizon": 7}
LANES, STEPS = 3, 3 * 7 + 2


def _single():
    return gym.make(ENV, **KWARGS)


def _native():
    return gym.make_vec(ENV, LANES, autoreset_mode="SameStep", **KWARGS)


def _sync():
    """Gymnasium's own vector environment over the same single ones: infos as Gymnasium lays them out."""
    return SyncVectorEnv([_single] * LANES, autoreset_mode=AutoresetMode.SAME_STEP)


def _assert_same(one, other):
    assert type(one) is type(other) or not isinstance(one, dict)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            _assert_same(one[key], other[key])
    else:
        np.testing.assert_array_equal(one, other)


def _walk(reference, adapted, info_keys):
    reference.seed(5), adapted.seed(5)
    _assert_same(dict(reference.reset()), adapted.reset())
    rng, ends = np.random.default_rng(0), 0
    for _ in range(STEPS):
        actions = rng.integers(0, 3, (LANES, 4))
        wanted, got = reference.step(actions), adapted.step(actions)
        _assert_same(dict(wanted[0]), got[0])
        np.testing.assert_array_equal(wanted[1], got[1])
        assert got[1].dtype == np.float32
        np.testing.assert_array_equal(wanted[2], got[2])
        for mine, theirs in zip(got[3], wanted[3], strict=True):
            assert mine.get("TimeLimit.truncated", False) == theirs["TimeLimit.truncated"]
            assert ("terminal_observation" in mine) == ("terminal_observation" in theirs)
            if "terminal_observation" in mine:
                ends += 1
                _assert_same(theirs["terminal_observation"], mine["terminal_observation"])
            for key in info_keys:  # the last step of an episode keeps its own
                _assert_same(theirs[key], mine[key])
    assert ends == 3 * LANES


@pytest.mark.parametrize("make", [_native, _sync])
def test_equals_dummy_vec_env(make):
    keys = ("terms", "metrics")
    _walk(DummyVecEnv([_single] * LANES), Sb3VecEnv(make(), keys), keys)


def test_flattened_equals_dummy_vec_env_over_flattened():
    reference = DummyVecEnv([lambda: FlatObservation(_single())] * LANES)
    adapted = Sb3VecEnv(FlatVectorObservation(_native()))
    assert adapted.observation_space == reference.observation_space
    reference.seed(5), adapted.seed(5)
    np.testing.assert_array_equal(reference.reset(), adapted.reset())
    for _ in range(STEPS):
        actions = np.zeros((LANES, 4), int)
        wanted, got = reference.step(actions), adapted.step(actions)
        np.testing.assert_array_equal(wanted[0], got[0])
        for mine, theirs in zip(got[3], wanted[3], strict=True):
            if "terminal_observation" in theirs:
                np.testing.assert_array_equal(theirs["terminal_observation"], mine["terminal_observation"])


def test_one_slot_episodes_terminate_and_are_not_marked_truncated():
    adapted = Sb3VecEnv(gym.make_vec(ENV, 2, scenario="tiny", horizon=1, autoreset_mode="SameStep"))
    adapted.reset()
    _, _, done, infos = adapted.step(np.zeros((2, 4), int))
    assert done.all() and [info["TimeLimit.truncated"] for info in infos] == [False, False]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_other_autoreset_modes_are_refused_by_name(mode):
    wanted = r"env: autoreset mode 'SameStep' \(SAME_STEP\) wanted, got '" + mode.value
    for env in (SyncVectorEnv([_single] * 2, autoreset_mode=mode), gym.make_vec(ENV, 2, autoreset_mode=mode, **KWARGS)):
        with pytest.raises(ValueError, match=wanted):
            Sb3VecEnv(env)
    with pytest.raises(ValueError, match=wanted):
        PerUserView(env)


@pytest.mark.parametrize(
    ("keys", "says"), [("metrics", r"'metrics'; did you mean \('metrics',\)"), (3, "3"), ([1], r"\[1\]")]
)
def test_keys_that_are_no_list_of_names_are_refused(keys, says):
    lanes = gym.make_vec("rangym/CellAssociation-v0", 2, scenario="tiny", autoreset_mode="SameStep")
    with pytest.raises(TypeError, match=f"info_keys: a list of names .* wanted, got {says}$"):
        Sb3VecEnv(lanes, keys)


def test_the_adapter_is_a_public_name_that_says_what_it_needs():
    assert rangym.Sb3VecEnv is Sb3VecEnv
    code = (
        "import sys\nsys.modules['stable_baselines3'] = None\nimport rangym\n"
        "try:\n    rangym.Sb3VecEnv\nexcept ImportError as error:\n    print(error)\n"
        "print(hasattr(rangym, 'Sb3Vec'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'rangym[rl]'" in done.stdout and done.stdout.endswith("False False\n")


def test_action_masks_through_wrappers():
    adapted = Sb3VecEnv(FlatVectorObservation(_native()))
    reference = DummyVecEnv([_single] * LANES)
    adapted.seed(1), reference.seed(1)
    adapted.reset(), reference.reset()
    for _ in range(3):
        masks = get_action_masks(VecMonitor(adapted))
        assert masks.shape == (LANES, 12)
        np.testing.assert_array_equal(masks, [env.unwrapped.action_masks() for env in reference.envs])
        actions = np.ones((LANES, 4), int)
        adapted.step(actions), reference.step(actions)


def test_attributes():
    adapted = Sb3VecEnv(FlatVectorObservation(_native()))
    assert [system.horizon for system in adapted.get_attr("system", [0, 2])] == [7, 7]
    assert adapted.env_is_wrapped(FlatVectorObservation) == [True] * LANES
    assert adapted.env_is_wrapped(gym.vector.VectorObservationWrapper, 1) == [False]
    assert not adapted.has_attr("nothing_like_it")
    with pytest.raises(AttributeError, match="nothing_like_it"):
        adapted.env_method("nothing_like_it")
    with pytest.raises(ValueError, match="all of them"):
        adapted.set_attr("mark", 1, indices=[0])
    adapted.set_attr("mark", 1)
    assert adapted.get_attr("mark") == [1] * LANES


def test_seeds_that_lanes_cannot_have_are_refused():
    adapted = Sb3VecEnv(_native())
    adapted._seeds = [3, 9, 4]
    with pytest.raises(ValueError, match="s, s \\+ 1"):
        adapted.reset()
