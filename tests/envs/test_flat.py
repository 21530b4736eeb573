"""Flat observations: order, scale, wrappers, SB3's checker."""

import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from stable_baselines3.common.env_checker import check_env

import rangym  # noqa: F401  (registers the environments)
from rangym.envs.flat import FlatObservation, Flatten

# SB3's checker warns of every box that is neither a vector nor an image. Matrices of named fields are meant: agents see
# them flattened, people and policies by name.
BOX_WARNING = r"Your observation .* has an unconventional shape"

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
