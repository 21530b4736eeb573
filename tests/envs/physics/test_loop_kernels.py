"""NumPy's loops in compiled kernels: the numbers that NumPy's functions give."""

import numba
import numpy as np
import pytest

from rangym.envs.physics.loop_kernels import apply, loop_of

FUNCTIONS = [np.log, np.exp, np.sin, np.cos, np.log1p, np.log10, np.sqrt]


@numba.njit(nogil=True)
def kernel(loop, source, target):
    for k in range(len(source)):
        apply(loop, source[k], target[k])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_numbers_are_those_of_the_function(function, dtype):
    source = np.random.default_rng(0).uniform(0.1, 9.0, (3, 1001)).astype(dtype)
    target = np.empty_like(source)
    kernel(loop_of(function, dtype), source, target)
    np.testing.assert_array_max_ulp(target, function(source), 1)
    assert not np.array_equal(target, source)


def test_in_place_and_of_no_numbers():
    values = np.linspace(1.0, 2.0, 24).reshape(2, 12)
    expected = np.log(values)
    kernel(loop_of(np.log, float), values, values)
    np.testing.assert_array_max_ulp(values, expected, 1)
    kernel(loop_of(np.log, float), np.empty((2, 0)), np.empty((2, 0)))


def test_what_has_no_such_loop_is_refused():
    with pytest.raises(ValueError, match="l->l"):
        loop_of(np.log, np.dtype("l"))
    with pytest.raises(RuntimeError, match="one argument"):
        loop_of(np.add, float)
