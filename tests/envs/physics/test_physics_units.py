"""Decibels against hand-computed numbers."""

import numpy as np
import pytest

from rangym.envs.physics.units import db_to_linear, dbm_to_watt, linear_to_db, watt_to_dbm


@pytest.mark.parametrize("db, ratio", [(0.0, 1.0), (10.0, 10.0), (-30.0, 1e-3), (3.0, 1.99526231), (46.0, 39810.7171)])
def test_decibels_are_ten_times_the_decimal_logarithm(db, ratio):
    assert db_to_linear(db) == pytest.approx(ratio, rel=1e-8)
    assert linear_to_db(ratio) == pytest.approx(db, abs=1e-7)


def test_dbm_is_relative_to_a_milliwatt():
    assert dbm_to_watt(30.0) == pytest.approx(1.0, rel=1e-12)
    assert dbm_to_watt(-174.0) == pytest.approx(3.98107171e-21, rel=1e-8)
    assert watt_to_dbm(20.0) == pytest.approx(43.0103, abs=1e-4)


def test_float32_stays_float32():
    values = np.array([-10.0, 30.0], np.float32)
    for convert in (db_to_linear, linear_to_db, dbm_to_watt, watt_to_dbm):
        assert convert(np.abs(values)).dtype == np.float32
