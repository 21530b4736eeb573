"""Gaussian random fields on a grid, by circulant embedding.

A field is drawn on a torus: there its covariance matrix is circulant, so the discrete Fourier transform diagonalises
it and one inverse transform turns white noise into the field (Dietrich and Newsam, SIAM J. Sci. Comput., 1997). Whoever
wants a field on a square cuts it out of a torus that is larger by a few correlation distances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from rangym.envs.physics.random import box_muller


@dataclass(frozen=True)
class Torus:
    """A square grid of ``points`` x ``points`` whose opposite borders meet, ``step_m`` metres from point to point.

    Spectra are ``(points, points // 2 + 1)``, in the layout of a real two-dimensional transform.
    """

    points: int
    step_m: float

    @staticmethod
    def around(side_m: float, margin_m: float, step_m: float) -> Torus:
        """The torus quickest to transform that holds a square of ``side_m`` and at least ``margin_m`` beside it."""
        return Torus(fft.next_fast_len(math.ceil((side_m + margin_m) / step_m) + 1, real=True), step_m)

    @lru_cache(maxsize=32)  # noqa: B019 (a torus is two numbers)
    def amplitude(self, correlation_m: float) -> NDArray[np.float32]:
        """What multiplies `white` so that `field` has unit variance and correlation exp(-d / correlation_m).

        It is the root of the covariance's eigenvalues. They are positive where the torus is wide enough; negative
        ones, which no field has, count as zero.
        """
        index = np.arange(self.points)
        along = self.step_m * np.minimum(index, self.points - index)
        covariance = np.exp(np.hypot(along[:, None], along) * (-1.0 / correlation_m))
        return np.sqrt(np.maximum(fft.rfft2(covariance).real, 0.0)).astype(np.float32)

    def white(self, rng: np.random.Generator) -> NDArray[np.complex64]:
        """The spectrum of white noise of unit variance."""
        half = self.points // 2 + 1
        real, imaginary = box_muller(rng, (2, self.points, half)) * np.float32(self.points * math.sqrt(0.5))
        noise = real + 1j * imaginary
        # Columns that are their own mirror image: the inverse transform keeps the real part only, half of the variance.
        own = [0, half - 1] if self.points % 2 == 0 else [0]
        noise[:, own] *= np.float32(math.sqrt(2.0))
        return noise

    def field(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """The real field ``(points, points)`` of a spectrum."""
        return fft.irfft2(spectrum, s=(self.points, self.points))
