"""LDA (Kalntis et al., Algorithm 1): whole runs, their weights, experts, forecaster and unknown horizon, by hand."""

import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.algorithms.association.lda import (
    LDA,
    DoublingLDA,
    initial_weights,
    theory_constants,
)

reference = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("lda_reference.py"))))
LN10 = math.log(10)


# Experts and weights --------------------------------------------------------------------------------------------------


def drive(lda, slots, seed=0, proposals=None):
    """Run an LDA over a drifting channel; returns per slot (association, mixture, weights)."""
    rng = np.random.default_rng(seed)
    shape = (lda.num_ues, lda.num_cells)
    base, delay = rng.normal(1.2, 0.3, shape), rng.random(shape)
    history = []
    for t in range(slots):
        cell = lda.decide() if proposals is None else lda.decide(proposals[t])
        history.append((cell, lda.mixture, lda.weights))
        lda.observe(base + 0.2 * np.sin(t / 30 + np.arange(shape[1])), delay)
    return history


@pytest.mark.parametrize("meta_step", [0.02, 0.5])
def test_a_run_agrees_with_the_float64_reference(meta_step):
    """float32 kernels, log-domain weights and Newton projection against float64, multiplication and sorting."""
    lda = LDA(60, 6, 1500, handover_weight=3.0, rng=7, meta_step=meta_step)
    oracle = reference.ReferenceLDA(60, 6, lda.steps, meta_step, 3.0, np.random.default_rng(7))
    rng = np.random.default_rng(0)
    base, delay = rng.normal(1.2, 0.3, (60, 6)), rng.random((60, 6))
    moved = disagreements = 0
    last = None
    for t in range(1500):
        a, b = lda.decide(), oracle.decide().copy()
        np.testing.assert_allclose(lda.mixture, oracle.mix, atol=1e-5)
        np.testing.assert_allclose(lda.weights, oracle.w, atol=1e-5)
        moved += 0 if last is None else (b != last).sum()
        last = b
        disagreements += (a != b).sum()
        log_rate = base + 0.2 * np.sin(t / 30 + np.arange(6))
        lda.observe(log_rate, delay)
        oracle.observe(log_rate, delay)
    np.testing.assert_allclose(lda.experts, oracle.x, atol=1e-5)
    assert moved > 100  # the comparison covers handovers
    assert disagreements <= 1500 * 60 * 0.001  # a draw within 1e-6 of a tie may differ


def gains_of_one_slot(**switches):
    """The cumulative gains after two slots of a small LDA, and the same computed here from its experts."""
    lda = LDA(20, 4, 100, handover_weight=2.0, rng=8, **switches)
    rng = np.random.default_rng(9)
    log_rate, delay = rng.normal(1, 0.3, (20, 4)), rng.random((20, 4))
    x, z, weights = [], [], []
    for t in range(3):
        x.append(lda.experts.astype(np.float64))
        cell = lda.decide()
        z.append(lda.mixture if lda.switches.gradient_at == "mean" else np.eye(4)[cell])
        lda.observe(log_rate + 0.1 * t, delay * (1 + t))
        weights.append(lda.weights)
    wanted = []
    for t in range(3):
        q = log_rate + 0.1 * t - np.log10(np.maximum(z[t].sum(axis=0), 1)) - 1 / LN10
        d, a = x[t] - x[max(t - 1, 0)], delay * (1 + t)
        wanted.append(((q * (x[t] - z[t])).sum(axis=(1, 2)), d, a))
    return lda, wanted, weights


def cost(d, a, kind):
    squared, absolute = (a * d**2).sum(axis=(1, 2)), (a * np.abs(d)).sum(axis=(1, 2))
    return {"norm": np.sqrt(squared), "sum": absolute, "fair": np.sqrt(absolute)}[kind]


@pytest.mark.parametrize(
    ("switches", "kind", "delays"),
    [
        ({}, "norm", lambda a: a),
        ({"gradient_at": "sample"}, "norm", lambda a: a),
        ({"handover_cost": "sum"}, "sum", lambda a: a),
        ({"fair_surrogate": True}, "fair", lambda a: a),
        ({"delay_norm": "euclidean"}, "norm", np.ones_like),
        ({"delay_norm": "none"}, "norm", np.zeros_like),
    ],
)
def test_weights_follow_the_gains_with_the_delays_of_their_slot(switches, kind, delays):
    """w_{t+1}^k = w_t^k exp(beta l_t^k)/sum, multiplied out; A_t may change from slot to slot."""
    _, slots, weights = gains_of_one_slot(meta_step=0.7, **switches)
    w = initial_weights(len(weights[0]))
    for (linear, d, a), found in zip(slots, weights, strict=True):
        w = w * np.exp(0.7 * (linear - 2.0 * cost(d, delays(a), kind)))
        w = w / w.sum()
        np.testing.assert_allclose(found, w, rtol=2e-4)


def test_adaptive_meta_step():
    """beta_t = sqrt(ln K / sum_{s<=t} range_s^2); w from w_1 and the cumulative gains."""
    lda, slots, weights = gains_of_one_slot(meta_step="adaptive")
    total, spread = 0.0, 0.0
    for (linear, d, a), found in zip(slots, weights, strict=True):
        gain = linear - 2.0 * cost(d, a, "norm")
        total, spread = total + gain, spread + (gain.max() - gain.min()) ** 2
        beta = math.sqrt(math.log(len(gain)) / spread)
        w = initial_weights(len(gain)) * np.exp(beta * total)
        np.testing.assert_allclose(found, w / w.sum(), rtol=1e-4)
    assert lda.meta_step == pytest.approx(beta, rel=1e-4)


def test_weights_stay_finite_where_multiplication_would_underflow():
    history = drive(LDA(50, 5, 400, handover_weight=50.0, rng=10, meta_step=100.0), 400)
    for _, _, w in history:
        assert np.isfinite(w).all() and w.sum() == pytest.approx(1)


def test_euclidean_norm_also_enters_the_constants():
    options = dict(handover_weight=2.0, max_delay=0.04, rng=0)
    steps = {norm: LDA(20, 4, 100, delay_norm=norm, **options).steps for norm in ("weighted", "euclidean", "none")}
    np.testing.assert_allclose(steps["euclidean"], theory_constants(20, 4, 100, 1.0, 2.0).steps)
    np.testing.assert_allclose(steps["weighted"], theory_constants(20, 4, 100, 0.04, 2.0).steps)
    np.testing.assert_allclose(steps["none"], steps["weighted"])


def test_experts_start_at_independent_random_vertices():
    x = LDA(2000, 4, 100, handover_weight=1.0, rng=11).experts
    assert ((x == 0) | (x == 1)).all() and (x.sum(axis=2) == 1).all()
    np.testing.assert_allclose(x.mean(axis=1), 0.25, atol=0.05)
    assert (x[0] == x[1]).all(axis=1).mean() == pytest.approx(0.25, abs=0.05)


# Unknown horizon and forecaster ---------------------------------------------------------------------------------------


def test_doubling_restarts_at_the_old_mixture_and_keeps_the_association():
    lda = DoublingLDA(30, 4, first_horizon=8, handover_weight=2.0, max_delay=0.5, rng=12, meta_step=0.5)
    rng = np.random.default_rng(13)
    log_rate, delay = rng.normal(1, 0.3, (30, 4)), 0.5 * rng.random((30, 4))
    epochs, cells, mixtures = [], [], []
    for _ in range(8 + 16 + 3):
        epochs.append((lda.horizon, lda.slot, len(lda.steps), lda.steps[0]))
        cells.append(lda.decide())
        mixtures.append(lda.mixture)
        lda.observe(log_rate, delay)
    assert [h for h, _, _, _ in epochs] == [8] * 8 + [16] * 16 + [32] * 3
    assert [s for _, s, _, _ in epochs] == [*range(8), *range(16), *range(3)]
    for t in (8, 24):
        horizon, _, num_experts, slowest = epochs[t]
        wanted = theory_constants(30, 4, horizon, 0.5, 2.0, "printed").steps
        assert num_experts == len(wanted) and slowest == wanted[0]
        np.testing.assert_array_equal(cells[t], cells[t - 1])
        np.testing.assert_allclose(mixtures[t], mixtures[t - 1], atol=1e-6)
    assert any((a != b).any() for a, b in zip(cells, cells[1:], strict=False))


def test_a_perfect_forecaster_takes_over_and_a_random_one_does_not():
    ues, cells, slots = 30, 4, 200
    rng = np.random.default_rng(0)
    log_rate, delay = rng.normal(1.2, 0.3, (ues, cells)), rng.random((ues, cells))
    best = optimal_assignment(log_rate).cell
    options = dict(handover_weight=1.0, rng=14, meta_step=0.2, forecaster=True, fair_surrogate=True)
    good, bad = LDA(ues, cells, slots, **options), LDA(ues, cells, slots, **options)
    for _ in range(slots):
        last = good.decide(best)
        bad.decide(rng.integers(cells, size=ues))
        good.observe(log_rate, delay)
        bad.observe(log_rate, delay)
    assert good.weights[-1] > 0.9 and bad.weights[-1] < 1e-6
    assert (last == best).mean() > 0.9


def test_forecaster_is_expert_K_plus_1_and_is_not_moved_by_gradients():
    lda = LDA(5, 3, 50, handover_weight=1.0, rng=16, forecaster=True, meta_step=0.3)
    own = len(theory_constants(5, 3, 50, 1.0, 1.0).steps)
    np.testing.assert_allclose(lda.weights, initial_weights(own + 1))
    rng = np.random.default_rng(17)
    for _ in range(20):
        proposal = rng.integers(3, size=5)
        lda.decide(proposal)
        np.testing.assert_array_equal(lda.experts[-1], np.eye(3)[proposal])
        mixture = np.tensordot(lda.weights, lda.experts.astype(float), 1)
        np.testing.assert_allclose(lda.mixture, mixture, atol=1e-6)
        lda.observe(rng.normal(1, 0.3, (5, 3)), np.full((5, 3), 0.1))
        np.testing.assert_array_equal(lda.experts[-1], np.eye(3)[proposal])


def test_forecaster_pays_for_its_own_moves():
    """Where all cells are equal and balanced, a swap of two UEs changes l of the forecaster by -gamma sqrt(sum a)."""
    a, gamma, beta = 0.3, 1.5, 0.1
    ratio = []
    for second in ([0, 0, 1, 1], [1, 0, 0, 1]):
        lda = LDA(4, 2, 50, handover_weight=gamma, rng=18, forecaster=True, meta_step=beta)
        for proposal in ([0, 0, 1, 1], second):
            before = lda.weights
            lda.decide(proposal)
            lda.observe(np.ones((4, 2)), np.full((4, 2), a))
        ratio.append(np.log(lda.weights / before)[-1] - np.log(lda.weights / before)[0])
    # <q, x^k> depends on the column sums of x^k alone here: the swap leaves everything but the charge as it was.
    assert ratio[0] - ratio[1] == pytest.approx(beta * gamma * math.sqrt(4 * a), rel=1e-4)
