"""Path loss of TR 38.901 by hand, SINR by brute force, shadowing by its statistics."""

import itertools
import math

import numpy as np
import pytest

from rangym.envs.physics.channel import (
    UMA,
    UMI,
    PathLossModel,
    correlated_field,
    correlated_shadowing_db,
    shannon_rate_mbps,
    sinr_db,
    thermal_noise_dbm,
)


# Worked by hand from table 7.4.1-1, UE at 1.5 m, base station at 25 m (UMa) or 10 m (UMi); h_E = 1 m.
# UMa, 100 m, 2 GHz: d3D = sqrt(100^2 + 23.5^2) = 102.7241; 28 + 22 * 2.011672 + 6.0206 = 78.2774.
# UMa, 1 km, 2 GHz, breakpoint 320 m: 28 + 40 * 3.000120 + 6.0206 - 9 * log10(320^2 + 23.5^2) = 108.9117.
@pytest.mark.parametrize(
    "model, distance_m, carrier_ghz, los, nlos",
    [
        (UMA, 100.0, 2.0, 78.2774, 98.1767),
        (UMA, 1000.0, 2.0, 108.9117, 136.8053),
        (UMI, 100.0, 3.5, 85.3142, 104.6439),
        (UMI, 500.0, 3.5, 107.1137, 129.2645),
    ],
)
def test_path_loss_by_hand(model, distance_m, carrier_ghz, los, nlos):
    assert model.los_db(np.float64(distance_m), carrier_ghz) == pytest.approx(los, abs=2e-4)
    assert model.nlos_db(np.float64(distance_m), carrier_ghz) == pytest.approx(nlos, abs=2e-4)


def reference_los_nlos(kind, d2, f):
    """The table's own branches, one scalar at a time."""
    h = {"uma": 25.0, "umi": 10.0}[kind]
    d_bp = 4 * (h - 1.0) * (1.5 - 1.0) * f * 1e9 / 3e8
    d3 = math.sqrt(d2**2 + (h - 1.5) ** 2)
    if kind == "uma":
        near = 28.0 + 22 * math.log10(d3) + 20 * math.log10(f)
        far = 28.0 + 40 * math.log10(d3) + 20 * math.log10(f) - 9 * math.log10(d_bp**2 + (h - 1.5) ** 2)
        nlos = 13.54 + 39.08 * math.log10(d3) + 20 * math.log10(f) - 0.6 * (1.5 - 1.5)
    else:
        near = 32.4 + 21 * math.log10(d3) + 20 * math.log10(f)
        far = 32.4 + 40 * math.log10(d3) + 20 * math.log10(f) - 9.5 * math.log10(d_bp**2 + (h - 1.5) ** 2)
        nlos = 35.3 * math.log10(d3) + 22.4 + 21.3 * math.log10(f) - 0.3 * (1.5 - 1.5)
    los = near if d2 <= d_bp else far
    return los, max(los, nlos)


@pytest.mark.parametrize("kind, model", [("uma", UMA), ("umi", UMI)])
@pytest.mark.parametrize("carrier_ghz", [0.8, 1.8, 3.5, 6.0])
def test_path_loss_equals_the_branches_of_the_table(kind, model, carrier_ghz):
    d_bp = model.breakpoint_m(carrier_ghz)
    distance = np.concatenate([np.geomspace(10.0, 5000.0, 60), d_bp * np.array([0.999, 1.0, 1.001])])
    los, nlos = np.array([reference_los_nlos(kind, d, carrier_ghz) for d in distance]).T
    # The two LOS branches meet in the breakpoint exactly: 40 - 2 * 9 = 22 and 40 - 2 * 9.5 = 21.
    assert model.los_db(distance, carrier_ghz) == pytest.approx(los, abs=1e-9)
    assert model.nlos_db(distance, carrier_ghz) == pytest.approx(nlos, abs=1e-9)
    p = np.array([reference_los_probability(kind, d) for d in distance])
    assert model.mean_db(distance, carrier_ghz) == pytest.approx(p * los + (1 - p) * nlos, abs=1e-9)
    whole = np.array([10, 57, 400])
    assert np.array_equal(model.mean_db(whole, carrier_ghz), model.mean_db(whole.astype(float), carrier_ghz))
    in_float32 = model.mean_db(distance.astype(np.float32), carrier_ghz)
    assert in_float32.dtype == np.float32
    assert in_float32 == pytest.approx(p * los + (1 - p) * nlos, abs=2e-4)


def reference_los_probability(kind, d):
    decay = {"uma": 63.0, "umi": 36.0}[kind]
    return 1.0 if d <= 18 else 18 / d + math.exp(-d / decay) * (1 - 18 / d)


def test_breakpoint_distance():
    assert UMA.breakpoint_m(2.0) == pytest.approx(320.0)  # 4 * 24 * 0.5 * 2e9 / 3e8
    assert UMI.breakpoint_m(3.5) == pytest.approx(210.0)  # 4 * 9 * 0.5 * 3.5e9 / 3e8


def test_los_probability_limits():
    assert np.array_equal(UMA.los_probability(np.array([0.0, 5.0, 18.0])), np.ones(3))
    assert UMA.los_probability(np.float64(63.0)) == pytest.approx(0.548485, abs=1e-6)  # 2/7 + 5/(7e)
    assert UMI.los_probability(np.float64(36.0)) == pytest.approx(0.683940, abs=1e-6)  # 1/2 + 1/(2e)
    assert UMA.los_probability(np.float64(5000.0)) == pytest.approx(18 / 5000, rel=1e-9)
    falling = UMI.los_probability(np.linspace(18.0, 2000.0, 500))
    assert (np.diff(falling) < 0).all() and (falling > 0).all()


def test_nearer_than_ten_metres_counts_as_ten():
    for model in (UMA, UMI):
        near = model.mean_db(np.array([0.0, 3.0, 10.0]), 2.6)
        assert np.array_equal(near, np.full(3, near[2]))


def test_thermal_noise_by_hand():
    assert thermal_noise_dbm(20.0, 9.0) == pytest.approx(-174 + 73.0103 + 9, abs=1e-4)
    assert thermal_noise_dbm(5.0, 0.0) == pytest.approx(-107.0103, abs=1e-4)


@pytest.mark.parametrize("cells", [1, 2, 5])
def test_sinr_by_brute_force(cells):
    """s_j = P_j / (sum over the other cells of P_k + w_j N0): neither the cell itself nor the others' noise."""
    rng = np.random.default_rng(cells)
    level, noise = rng.uniform(-120, -60, (cells, 4, 3)), rng.uniform(-105, -90, cells)
    got = sinr_db(level, noise)
    for j in range(cells):
        for place in np.ndindex(4, 3):
            other = sum(10 ** (level[(k, *place)] / 10) for k in range(cells) if k != j)
            expected = 10 * math.log10(10 ** (level[(j, *place)] / 10) / (other + 10 ** (noise[j] / 10)))
            assert got[(j, *place)] == pytest.approx(expected, abs=1e-9)


def test_sinr_of_a_dominant_cell_does_not_cancel_in_float32():
    level, noise = np.array([[-20.0], [-110.0], [-113.0]], np.float32), np.full(3, -120.0, np.float32)
    interference = 10 * math.log10(10**-11.0 + 10**-11.3 + 10**-12.0)
    got = sinr_db(level, noise)
    assert got.dtype == np.float32
    assert got[0, 0] == pytest.approx(-20 - interference, abs=1e-3)


def test_shadowing_is_the_scalar_recursion():
    rng = np.random.default_rng(0)
    normal, moved = rng.normal(size=(2, 6, 3)), rng.uniform(0, 60, (5, 3))
    before = normal.copy()
    got = correlated_shadowing_db(normal, moved, 6.0, 50.0)
    assert np.array_equal(normal, before)
    for j in range(2):
        for i in range(3):
            value = 6.0 * normal[j, 0, i]
            assert got[j, 0, i] == pytest.approx(value, abs=1e-12)
            for t in range(1, 6):
                rho = math.exp(-moved[t - 1, i] / 50.0)
                value = rho * value + math.sqrt(1 - rho**2) * 6.0 * normal[j, t, i]
                assert got[j, t, i] == pytest.approx(value, abs=1e-12)


def test_shadowing_has_its_deviation_and_correlation_distance():
    n, step = 40_000, 12.5
    normal = np.random.default_rng(1).normal(size=(1, 9, n))
    path = correlated_shadowing_db(normal, np.full((8, n), step), 8.0, 25.0)[0]
    assert path.std(axis=1) == pytest.approx(8.0, rel=4 / math.sqrt(2 * n))
    for lag in (1, 2, 4):
        correlation = (path[0] * path[lag]).mean() / 64.0
        assert correlation == pytest.approx(math.exp(-lag * step / 25.0), abs=4 / math.sqrt(n) * math.sqrt(2))


def test_shadowing_of_a_standing_ue_does_not_change():
    normal = np.random.default_rng(2).normal(size=(3, 7, 2)).astype(np.float32)
    path = correlated_shadowing_db(normal, np.zeros((6, 2), np.float32), 8.0, 25.0)
    assert path.dtype == np.float32
    assert np.array_equal(path, np.repeat(path[:, :1], 7, axis=1))
    assert np.array_equal(path, correlated_shadowing_db(normal, np.zeros((6, 2), int), 8.0, 25.0))


def test_shannon_rate_by_hand():
    assert shannon_rate_mbps(np.array([0.0, 10.0]), np.array([20.0, 10.0])) == pytest.approx([20.0, 34.5943], abs=1e-4)


def test_correlated_field_is_the_sum_of_its_plane_waves():
    x, y = np.array([0.0, 13.0, 40.0]), np.array([5.0, 90.0])
    got = correlated_field(np.random.default_rng(3), x, y, 25.0, waves=7)
    rng = np.random.default_rng(3)
    k, phase = rng.normal(0.0, 1 / 25.0, (2, 7)), rng.uniform(0.0, 2 * math.pi, 7)
    for (row, y_m), (column, x_m) in itertools.product(enumerate(y), enumerate(x)):
        waves = sum(math.cos(k[0, w] * x_m + k[1, w] * y_m + phase[w]) for w in range(7))
        assert got[row, column] == pytest.approx(math.sqrt(2 / 7) * waves, abs=1e-12)


def test_correlated_field_has_unit_variance_and_a_gaussian_correlation():
    draws, x = 4000, np.array([0.0, 15.0, 30.0, 60.0])
    rng = np.random.default_rng(0)
    field = np.array([correlated_field(rng, x, np.zeros(1), 30.0)[0] for _ in range(draws)])
    assert field.mean(axis=0) == pytest.approx(0.0, abs=4 / math.sqrt(draws))
    correlation = (field[:, :1] * field).mean(axis=0)
    assert correlation == pytest.approx(np.exp(-(x**2) / (2 * 30.0**2)), abs=5 / math.sqrt(draws))


def test_a_single_slope_path_loss_ignores_the_breakpoint():
    model = PathLossModel(25.0, 32.4, 21.0, 22.4, 35.3, 21.3, 63.0, dual_slope=False)
    distance = np.array([50.0, 500.0, 3000.0])
    d3 = np.hypot(distance, 23.5)
    los = 32.4 + 21 * np.log10(d3) + 20 * math.log10(3.5)
    assert model.los_db(distance, 3.5) == pytest.approx(los, abs=1e-9)
    nlos = np.maximum(los, 22.4 + 35.3 * np.log10(d3) + 21.3 * math.log10(3.5))
    assert model.nlos_db(distance, 3.5) == pytest.approx(nlos, abs=1e-9)
