"""LDA as printed, in plain NumPy float64: the oracle of the LDA tests and the comparator of its benchmark.

Loaded by path (`runpy`). It shares no code with the package: projection by sorting, weights by multiplication, coupled
rounding by explicit conditional distributions.
"""

import math

import numpy as np


def project(v):
    """Projection of each row of v (..., J) on the simplex, by sorting (Held, Wolfe and Crowder 1974)."""
    u = -np.sort(-v, axis=-1)
    css = np.cumsum(u, axis=-1) - 1
    n = np.arange(1, v.shape[-1] + 1)
    rho = (u - css / n > 0).sum(axis=-1, keepdims=True)
    tau = np.take_along_axis(css, rho - 1, axis=-1) / rho
    return np.maximum(v - tau, 0)


def round_coupled(p, q, serving, uniform):
    keep = uniform[:, 0] * p[np.arange(len(p)), serving] < q[np.arange(len(p)), serving]
    out = serving.copy()
    for i in np.flatnonzero(~keep):
        excess = np.maximum(q[i] - p[i], 0)
        law = excess if excess.sum() > 0 else q[i]
        out[i] = np.searchsorted(np.cumsum(law / law.sum()), uniform[i, 1], side="right").clip(max=len(law) - 1)
    return out


class ReferenceLDA:
    """Coupled rounding, gradient at the mixture, cost gamma ||.||_A; random numbers are drawn in `LDA`'s order."""

    def __init__(self, num_ues, num_cells, steps, beta, gamma, rng):
        self.steps, self.beta, self.gamma, self.rng = np.asarray(steps), beta, gamma, rng
        k = np.arange(1, len(steps) + 1)
        self.w = (1 + 1 / len(steps)) / (k * (k + 1))
        vertex = rng.integers(num_cells, size=(num_ues, len(steps))).T
        self.x = np.eye(num_cells)[vertex]  # (K, I, J)
        self.old, self.cell, self.mix = self.x, None, None

    def decide(self):
        before, self.mix = self.mix, np.tensordot(self.w, self.x, 1)
        n = len(self.mix)
        if self.cell is None:
            u = self.rng.random(n)
            self.cell = (np.cumsum(self.mix, axis=1) <= u[:, None]).sum(axis=1).clip(max=self.mix.shape[1] - 1)
        else:
            self.cell = round_coupled(before, self.mix, self.cell, self.rng.random((n, 2)))
        return self.cell

    def observe(self, log_rate, delay):
        q = log_rate - np.log10(np.maximum(self.mix.sum(axis=0), 1)) - 1 / math.log(10)
        moving = np.sqrt((delay * (self.x - self.old) ** 2).sum(axis=(1, 2)))
        gain = (q * (self.x - self.mix)).sum(axis=(1, 2)) - self.gamma * moving
        self.w = self.w * np.exp(self.beta * gain)
        self.w /= self.w.sum()
        self.old, self.x = self.x, project(self.x + self.steps[:, None, None] * q)
