"""Flat observations and actions: order, scale, wrappers, checkers, `flat=True`."""

import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from gymnasium.utils.env_checker import check_env as gymnasiums_check_env
from stable_baselines3.common.env_checker import check_env

import rangym  # noqa: F401  (registers the environments)
from rangym.envs.core import build
from rangym.envs.flat import FlatObservation, Flatten, Unflatten
from rangym.envs.registration import OURS, problem
from rangym.policies import Predictor, Task

# SB3's checker warns of every box that is neither a vector nor an image. Matrices of named fields are meant: agents see
# them flattened, people and policies by name.
BOX_WARNING = r"Your observation .* has an unconventional shape"

BY_MASKS = {build(problem(name).system, "tiny", {}).has_action_masks: name for name in OURS}
"""An environment with masks of the choices, and one without."""

SPACE = Dict(
    {
        "power": Box(-10, 30, (2, 2), np.float32),
        "fixed": Box(4, 4, (1,), np.float32),
        "time": Box(0, 1, (1,), np.float32),
    }
)


def test_bounds_go_to_minus_one_and_one_in_the_order_of_the_fields():
    flat = Flatten(SPACE)({"power": np.array([[-10, 0], [10, 30]]), "fixed": np.array([4]), "time": np.array([0.25])})
    np.testing.assert_allclose(flat, [0, -1, -0.5, 0, 1, -0.5], atol=1e-6)  # Dict sorts its fields
    assert flat.dtype == np.float32


def test_leading_axes_and_containment():
    flatten, rng = Flatten(SPACE), np.random.default_rng(0)
    batch = {f: rng.uniform(b.low, b.high, (3, 5, *b.shape)).astype(np.float32) for f, b in SPACE.spaces.items()}
    flat = flatten(batch)
    assert flat.shape == (3, 5, 6)
    np.testing.assert_array_equal(flat[2, 4], flatten({f: v[2, 4] for f, v in batch.items()}))
    assert all(flatten.space.contains(x) for x in flat.reshape(-1, 6))


def test_unbounded_fields_are_refused():
    with pytest.raises(TypeError, match="'gap'.*finite bounds"):
        Flatten(Dict({"gap": Box(-np.inf, np.inf, (1,))}))


def test_sb3s_checker_complains_of_matrices_only_and_not_of_flat_observations():
    plain = gym.make("rangym/CellAssociation-v0", scenario="tiny").unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(plain)
    assert caught and all(re.match(BOX_WARNING, str(w.message)) for w in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(FlatObservation(plain))


@pytest.mark.parametrize("env_id", OURS)
def test_checkers_pass_over_flat_environments(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*different from the unwrapped version")
        env = gym.make(env_id, scenario="tiny", flat=True)
        check_env(env)
        gymnasiums_check_env(env, skip_render_check=True)
    assert env.observation_space == Box(-1, 1, env.observation_space.shape, np.float32)
    if isinstance(env.action_space, Box):
        assert env.action_space == Box(-1, 1, (env.action_space.shape[0],), np.float32)
    again = gym.make(env.spec)  # not wrapped twice
    np.testing.assert_array_equal(again.reset(seed=1)[0], env.reset(seed=1)[0])
    assert gym.make(env_id, scenario="tiny", flat=False).observation_space["time"].shape == (1,)


def test_a_flat_action_is_the_box_action_of_the_same_share():
    box = Box(np.array([[0, -1], [2, 10]]), np.array([[1, 1], [2, 20]]), dtype=np.float64)
    unflatten = Unflatten(box)
    assert unflatten.space == Box(-1, 1, (4,), np.float32)
    np.testing.assert_array_equal(unflatten(np.array([-1, 0.5, 0, 1], np.float32)), [[0, 0.5], [2, 20]])
    rng = np.random.default_rng(0)
    many = unflatten(rng.uniform(-1, 1, (5, 3, 4)).astype(np.float32))
    assert many.shape == (5, 3, 2, 2) and many.dtype == np.float64
    assert all(box.contains(one) for one in many.reshape(-1, 2, 2))
    tiny = np.array([1e-30, -1, 1, 0], np.float32)  # lost where one is added and subtracted again
    np.testing.assert_array_equal(Unflatten(Box(-1, 1, (2, 2), np.float32))(tiny), tiny.reshape(2, 2))
    with pytest.raises(TypeError, match="finite bounds"):
        Unflatten(Box(-np.inf, np.inf, (1,)))


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [("rangym/NodePlacement-v0", {}), ("rangym/CeflOrchestration-v0", {"action": "native"})],
    ids=["reshaped", "scaled"],
)
def test_flat_actions_reach_the_environment(env_id, kwargs):
    named, flat = (gym.make(env_id, scenario="tiny", flat=is_flat, **kwargs) for is_flat in (False, True))
    named.reset(seed=0), flat.reset(seed=0)
    flat.action_space.seed(0)
    low, high = (x.astype(np.float64) for x in (named.action_space.low, named.action_space.high))
    for _ in range(3):
        action = flat.action_space.sample()
        native = (low + (high - low) * (action.astype(np.float64).reshape(low.shape) + 1) / 2).astype(low.dtype)
        mine, other = flat.step(action), named.step(native.astype(named.action_space.dtype))
        np.testing.assert_allclose(mine[0], Flatten(named.observation_space)(other[0]), atol=1e-6)
        assert mine[1] == pytest.approx(other[1], rel=1e-6)


def test_masks_are_seen_through_the_wrapper_where_there_are_some():
    masked, free = (gym.make(name, scenario="tiny", flat=True) for name in (BY_MASKS[True], BY_MASKS[False]))
    masked.reset(seed=0)
    assert masked.get_wrapper_attr("action_masks")().any()
    assert not free.has_wrapper_attr("action_masks")
    lanes = gym.make_vec(BY_MASKS[True], 2, scenario="tiny", flat=True)
    lanes.reset(seed=0)
    assert lanes.action_masks().shape[0] == 2
    assert not hasattr(gym.make_vec(BY_MASKS[False], 2, scenario="tiny", flat=True), "action_masks")


def test_flat_environments_render_as_the_others():
    env = gym.make("rangym/NodePlacement-v0", scenario="tiny", flat=True, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape[2] == 3
    assert gym.make(env.spec.id, flat=True, render_mode="rgb_array_list").render_mode == "rgb_array_list"


class Fixed:
    """A model that learned on vectors."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert observation.ndim == 1
        return np.linspace(-1, 1, 6, dtype=np.float32), state


def test_a_model_of_a_flat_environment_plays_the_environments_own_actions():
    env = gym.make("rangym/NodePlacement-v0", scenario="tiny")
    observation, _ = env.reset(seed=0)
    policy = Predictor(Fixed(), flat=True)
    policy.reset(Task.of(env), np.random.default_rng(0))
    np.testing.assert_allclose(policy.act(observation), np.linspace(-1, 1, 6).reshape(3, 2), rtol=1e-6)
