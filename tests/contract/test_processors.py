"""Rows name the kind of processor, and the tests' own means to imitate another kind do what they say."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rangym.evaluation.versions import numpy_dispatch, processor, versions

DISTURBANCE = runpy.run_path(str(Path(__file__).parents[1] / "disturbance.py"))


def test_the_kind_of_processor_follows_what_decides_the_last_bits():
    assert versions()["processor"] == processor()
    lowered = {"NUMBA_CPU_NAME": "generic"}
    if features := numpy_dispatch():  # none are left where the whole run is lowered
        lowered["NPY_DISABLE_CPU_FEATURES"] = " ".join(features)
    code = "from rangym.evaluation.versions import processor; print(processor())"
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | lowered, capture_output=True, text=True, check=True
    )
    found = run.stdout.strip()
    assert found.endswith("NumPy baseline, numba generic")
    assert found.split(", NumPy")[0] == processor().split(", NumPy")[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_disturbed_numbers_move_by_some_units_in_the_last_place(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 20)).astype(dtype)
    found = DISTURBANCE["moved"](x, seed=1)
    units = np.abs(found - x) / np.spacing(np.abs(x))
    assert found.dtype == dtype and units.max() <= 2 * DISTURBANCE["UNITS"]
    assert (found != x).mean() > 0.7  # of five moves one is none
    np.testing.assert_array_equal(found, DISTURBANCE["moved"](x, seed=1))
    np.testing.assert_array_equal(found[7], DISTURBANCE["moved"](x[7], seed=1))  # a lane is moved like itself
    assert (DISTURBANCE["moved"](x, seed=2) != found).any()
    equal = np.full(100, x[0, 0])
    assert len(set(DISTURBANCE["moved"](equal, seed=1).tolist())) == 1
    assert len(set(DISTURBANCE["moved"](equal, seed=1, by_place=True).tolist())) > 1
    exact = np.array([0.0, 1.0, -0.5, 640.0, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(DISTURBANCE["moved"](exact, seed=1), exact)


def test_results_of_a_formula_are_moved_wherever_they_stand():
    def formula(x):
        return x.tolist(), {"scaled": 0.3 * x}

    x = np.random.default_rng(1).normal(size=300)
    numbers, scaled = DISTURBANCE["_results"](formula, 1)(x)
    for found, right in ((numbers, x), (scaled["scaled"], 0.3 * x)):
        assert (np.array(found) != right).any()
        np.testing.assert_allclose(found, right, rtol=1e-15)
