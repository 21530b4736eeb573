"""Box-Muller: moments, distribution, independence, tails."""

import numpy as np
import pytest
from scipy import stats

from rangym.envs.physics import random_kernels
from rangym.envs.physics.random import box_muller, uniform_lanes


def test_moments_and_distribution_are_standard_normal():
    x = box_muller(np.random.default_rng(1), (400, 1000)).astype(float).ravel()
    standard_error = 1 / np.sqrt(x.size)
    assert abs(x.mean()) < 4 * standard_error
    assert abs(x.var() - 1) < 4 * np.sqrt(2) * standard_error
    assert abs((x**3).mean()) < 4 * np.sqrt(15) * standard_error
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96) * standard_error
    assert stats.kstest(x, "norm").pvalue > 1e-3


def test_tail_probabilities_are_those_of_the_normal_law():
    x = box_muller(np.random.default_rng(2), (4_000_000,))
    for bound in (3.0, 4.0, 4.5):
        expected = 2 * stats.norm.sf(bound) * x.size
        assert abs((np.abs(x) > bound).sum() - expected) < 4 * np.sqrt(expected)


def test_the_two_variates_of_a_word_are_independent():
    n = 200_000
    first, second = box_muller(np.random.default_rng(3), (2, n)).astype(float)
    for a, b in ((first, second), (first**2, second**2), (first[:-1], first[1:])):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(n)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 4), (0,), (0, 2, 5), ()])
def test_any_shape_in_float32(shape):
    x = box_muller(np.random.default_rng(4), shape)
    assert x.shape == shape and x.dtype == np.float32


def test_a_generator_gives_the_same_numbers_again_and_then_others():
    rng = np.random.default_rng(5)
    first = box_muller(rng, (7,))
    assert np.array_equal(first, box_muller(np.random.default_rng(5), (7,)))
    assert not np.array_equal(first, box_muller(rng, (7,)))


@pytest.mark.parametrize("word", [0, 2**64 - 1, 2**32 - 1, 2**31])
def test_extreme_words_give_finite_numbers(word, monkeypatch):
    monkeypatch.setattr(random_kernels, "draw_words", lambda bitgens, words: words.fill(word))
    x = box_muller(np.random.default_rng(0), (4,))
    assert np.isfinite(x).all() and np.abs(x).max() < 6.8


BIT_GENERATORS = [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64]


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_words_are_those_of_integers(bit_generator):
    rngs, others = ([np.random.Generator(bit_generator(seed)) for seed in range(3)] for _ in range(2))
    words = np.empty((3, 101), np.uint64)
    random_kernels.draw_words(random_kernels.bitgens(rngs), words)
    expected = [rng.integers(0, 2**64, 101, dtype=np.uint64) for rng in others]
    assert np.array_equal(words, expected)
    assert [rng.random() for rng in rngs] == [rng.random() for rng in others]  # they go on together


@pytest.mark.parametrize("bit_generator", BIT_GENERATORS)
def test_uniform_variates_are_those_of_each_generator(bit_generator):
    rngs, others = ([np.random.Generator(bit_generator(seed)) for seed in range(3)] for _ in range(2))
    expected = [rng.random((4, 5)) for rng in others]
    assert np.array_equal(uniform_lanes(rngs, (4, 5)), expected)
    assert [rng.random() for rng in rngs] == [rng.random() for rng in others]  # they go on together


def test_each_number_by_the_formula_of_its_word():
    n = 1001
    words = np.random.default_rng(6).integers(0, 2**64, n, dtype=np.uint64, endpoint=False).view(np.uint32)
    radius = np.sqrt(-2 * np.log((words[:n].astype(float) + 0.5) / 2**32))
    angle = words[n:].astype(np.int32).astype(float) * np.pi / 2**31
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    assert box_muller(np.random.default_rng(6), (2 * n,)) == pytest.approx(expected, abs=2e-6)
