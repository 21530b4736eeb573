"""Weighted K-harmonic means (WKHM): maximise L(M) = sum_i sum_l w_il C_il.

| paper | here | shape | unit | equation |
|---|---|---|---|---|
| x_i | users | (N, d) | m | |
| m_l | nodes, start | (K, d) | m | |
| s_il = |x_i - m_l|^2 + eps | | | m^2 | |
| C_il, A_il | s^(-p/2), s^(-q/2) | | m^-p, m^-q | (3), (4) |
| w_il | A_il / sum_j A_ij | | 1 | (4) |
| L | value | | m^-p | (3) |
| B_il | weights of the update | | m^(-p-2) | after (4) |

L is a sum of inverse distances, a signal strength: it has no minimum short of sending all nodes to infinity, and is
maximised here. The paper calls it a distortion to be minimised, but its update is a step of ascent. Two further errors
are kept for reproduction in ``form="printed"``: 1/s multiplies only one of the two terms of B, so that the update
depends on the unit of length; and nothing keeps L from falling. With one user and one node both forms jump onto the
user, L rises to eps^(-p/2), and Theorem 1 (monotone descent to a local minimum) fails:

>>> found = wkhm([[0.0]], [[1.0]], p=2, q=4, eps=1e-6, area=(0.0, 2.0))
>>> found.position.item(), f"{found.history[0]:.6f}", f"{found.value:.6g}"
(0.0, '0.999999', '1e+06')

Maximising a sum of signals is not good coverage: for small eps every node ends on the head of one user. As a placement
for rates, K-harmonic means (`rangym.policies.algorithms.placement.harmonic`) or plain K-means do better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.placement.ascent import HarmonicObjective, armijo_ascent, fixed_point
from rangym.policies.algorithms.placement.harmonic_kernels import CORRECTED, FROZEN, PRINTED
from rangym.policies.algorithms.placement.placement import Placement, checked_points, checked_positive

FORMS = {"corrected": CORRECTED, "printed": PRINTED, "frozen": FROZEN}


def wkhm(
    users: ArrayLike,
    start: ArrayLike,
    p: float = 2.0,
    q: float = 4.0,
    eps: float = 9.0,
    *,
    area: tuple[ArrayLike, ArrayLike] | None = None,
    form: str = "corrected",
    tolerance: float = 1e-7,
    max_iterations: int = 300,
) -> Placement:
    """Move nodes from ``start`` uphill in L.

    Parameters
    ----------
    users : (N, d) positions; float32 users are worked on in float32.
    start : (K, d) positions, inside ``area`` for the corrected form.
    p, q : exponent of the signal and sharpness of the association.
    eps : regulariser, in squared units of length (9 m^2 is an antenna height of 3 m; the paper's is 1e-6).
    area : lower and upper corner of the box the nodes stay in; None: the smallest that holds users and start.
    form : ``corrected`` is safeguarded ascent: monotone, and its limit points are KKT points. ``printed`` is the
        paper's update, and ``frozen`` that of the surrogate with w held fixed; both unsafeguarded, free of the box, and
        not monotone in L.
    tolerance : longest step that counts as rest, as a share of the area's diagonal.
    max_iterations : at most this many steps.

    Raises ``ValueError`` for NaN, no user, more nodes than users, or a number out of range.
    """
    x, nodes = checked_points(users, start)
    checked_positive(p=p, q=q, eps=eps, tolerance=tolerance)
    if form not in FORMS:
        raise WrongValue(f"form: one of {list(FORMS)} wanted, got {form!r}")
    low, high = box(x, nodes, area)
    diagonal = max(float(np.linalg.norm(high - low)), np.sqrt(eps))
    objective = HarmonicObjective(x, eps, FORMS[form], p, q, 1.0)
    if form != "corrected":
        return fixed_point(objective, nodes, 1.0, tolerance * diagonal, max_iterations)
    inside(nodes, low, high)
    floor = 1e-12 * len(x) * (p + q) * (diagonal**2 + eps) ** (-p / 2.0 - 1.0)
    return armijo_ascent(objective, nodes, low, high, floor, tolerance * diagonal, max_iterations)


def box(x, nodes, area):
    """Corners (d,) of ``area``, or of the smallest box that holds users and nodes."""
    if area is None:
        both = np.concatenate([x, nodes])
        return both.min(axis=0), both.max(axis=0)
    low, high = (np.broadcast_to(np.asarray(c, dtype=np.float64), nodes.shape[1:]) for c in area)
    if not (np.isfinite([low, high]).all() and (low < high).all()):
        raise WrongValue(f"area: corners low < high wanted, got {area!r}")
    return low, high


def inside(nodes, low, high) -> None:
    """Refuse nodes outside the box."""
    out = ((nodes < low) | (nodes > high)).any(axis=1)
    if out.any():
        raise WrongValue(f"start: nodes inside [{low}, {high}] wanted, got {nodes[out][0]} for node {out.argmax()}")
