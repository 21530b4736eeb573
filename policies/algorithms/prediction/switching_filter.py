"""A filter for a hidden concept that switches: which of G laws the losses of a cell follow now.

A cell keeps its concept for ``hold`` slots on average and then takes one at random, its own included. Under concept g
the logarithms of the losses of S heads are Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.learning.gaussians import check_gaussians, joint_nll


@dataclass(frozen=True)
class SwitchingFilter:
    """The laws of G concepts and how they switch.

    Attributes
    ----------
    mean, covariance : (G, S) and (G, S, S), of what is observed under each concept.
    hold : mean number of slots between switches, at least 1.
    power : of the likelihood; below 1 where successive observations repeat each other.
    """

    mean: NDArray
    covariance: NDArray
    hold: float
    power: float

    def __post_init__(self) -> None:
        check_gaussians(self.mean, self.covariance)
        if not 1 <= self.hold < np.inf:
            raise WrongValue(f"hold: a finite number of at least 1 wanted, got {self.hold!r}")
        if not self.power > 0:
            raise WrongValue(f"power: a number above 0 wanted, got {self.power!r}")

    @property
    def concepts(self) -> int:
        """G."""
        return len(self.mean)

    def start(self, cells: int) -> NDArray:
        """(N, G) the belief before anything is seen."""
        return np.full((cells, self.concepts), 1.0 / self.concepts)

    def ahead(self, belief: NDArray, slots: int = 1) -> NDArray:
        """The belief ``slots`` later: concepts that did not stay are uniform."""
        stay = (1.0 - 1.0 / self.hold) ** slots
        return stay * belief + (1.0 - stay) / self.concepts

    def update(self, belief: NDArray, observed: ArrayLike) -> NDArray:
        """The belief (N, G) one slot later, with what was observed (N, S) then.

        >>> two = SwitchingFilter(np.array([[0.0], [4.0]]), np.ones((2, 1, 1)), hold=1e9, power=1.0)
        >>> two.update(two.start(1), [[2.0]]).round(6).tolist(), two.update(two.start(1), [[4.0]]).round(3).tolist()
        ([[0.5, 0.5]], [[0.0, 1.0]])
        """
        x = np.asarray(observed, dtype=np.float64)
        logarithm = np.log(self.ahead(belief)) - self.power * joint_nll(x[:, None], self.mean, self.covariance)
        weight = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
        return weight / weight.sum(axis=1, keepdims=True)
