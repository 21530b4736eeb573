"""NumPy's loops in compiled kernels: the numbers that NumPy's functions give."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

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
    np.testing.assert_array_equal(target, function(source))
    assert not np.array_equal(target, source)


def test_in_place_and_of_no_numbers():
    values = np.linspace(1.0, 2.0, 24).reshape(2, 12)
    expected = np.log(values)
    kernel(loop_of(np.log, float), values, values)
    np.testing.assert_array_equal(values, expected)
    kernel(loop_of(np.log, float), np.empty((2, 0)), np.empty((2, 0)))


def test_what_has_no_such_loop_is_refused():
    for dtype in "lOFg":
        with pytest.raises(ValueError, match=f"dtype: log has f->f, d->d, got {dtype}->{dtype}"):
            loop_of(np.log, np.dtype(dtype))
    for function in (np.add, np.modf, np.median):
        with pytest.raises(ValueError, match="function: a NumPy ufunc of one argument and one result wanted, got"):
            loop_of(function, float)


def test_arrays_that_do_not_fit_are_refused():
    @numba.njit
    def once(loop, source, target):
        apply(loop, source, target)

    loop, values = loop_of(np.log, float), np.ones(8)
    halves = np.ones(8, np.float32)
    for source, target in ((values, np.empty(7)), (values, halves), (halves, values), (halves, halves)):
        with pytest.raises(ValueError, match="the loop's dtype and of one size wanted"):
            once(loop, source, target)
    for target in (np.empty(16)[::2], np.empty(8, np.int64)):
        with pytest.raises(TypingError, match="contiguous arrays of real numbers wanted, got"):
            once(loop, values, target)


def test_without_compilation_the_same_numbers_come():
    code = (
        "import gymnasium, rangym\n"
        "env = gymnasium.make_vec('rangym/CellAssociation-v0', num_envs=2, scenario='tiny', horizon=3)\n"
        "env.action_space.seed(0)\n"
        "seen = [env.reset(seed=1)[0], *(env.step(env.action_space.sample())[0] for _ in range(2))]\n"
        "print([round(float(o['sinr_db'].sum(dtype=float)), 2) for o in seen], end='')"
    )
    compiled, interpreted = (
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in ("0", "1")
    )
    assert interpreted == compiled != ""
