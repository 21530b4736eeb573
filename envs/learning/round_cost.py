"""The cost of a round of federated learning: J = pi_1 Xi + pi_2 tau + pi_3 (pi_31 E_1 + ... + pi_36 E_6).

Xi are the terms of `rangym.envs.learning.convergence` (or the gap that they leave), tau the delay and E_k the energies
of `rangym.envs.physics.federated_round`; source: arXiv 2203.13950.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.typing import NDArray

from rangym.envs.physics.federated_round import FederatedRound


@dataclass(frozen=True)
class CostWeights:
    """pi_1 of the learning terms, pi_2 of a second, pi_3 of a joule, and pi_31 .. pi_36 of the six energies."""

    learning: float
    delay: float
    energy: float
    energies: Sequence[float]


def cost_parts(weights: CostWeights, learned: Mapping[str, NDArray], done: FederatedRound) -> dict[str, NDArray]:
    """J in its parts, weighted: those of ``learned`` under their names, ``delay``, and ``energy_`` of each energy.

    Their sum in this order is J; all have the shape of the round's leading axes.
    """
    energies = zip(weights.energies, done.energies_j().items(), strict=True)
    return {
        **{name: weights.learning * value for name, value in learned.items()},
        "delay": weights.delay * done.delay_s,
        **{f"energy_{name}": weights.energy * weight * energy for weight, (name, energy) in energies},
    }
