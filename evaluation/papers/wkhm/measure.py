"""What the jobs of the WKHM paper measure: placements of one set of users, their radio, and how L moves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import t as student

from rangym.envs.node_placement.system import NodePlacement
from rangym.envs.params import Overrides
from rangym.envs.physics.units import linear_to_db
from rangym.evaluation.episode import make_env
from rangym.evaluation.grid import Row
from rangym.policies.algorithms.placement.clustering import constrained_k_means, k_centers, k_means
from rangym.policies.algorithms.placement.harmonic import k_harmonic_means
from rangym.policies.algorithms.placement.placement import Placement
from rangym.policies.algorithms.placement.wkhm import wkhm
from rangym.policies.base import Knowledge, Task

ENV_ID = "rangym/NodePlacement-v0"
SIDE_M = 100.0
PAPER_EPS = 1e-6
# Readings of the paper: how WKHM moves, and the radio. The paper has one letter for both regularisers.
NO_HEIGHT = {"height_difference_m": PAPER_EPS**0.5, "max_spectral_efficiency": None}
READINGS: dict[str, tuple[Overrides, Overrides]] = {
    "literal": ({"form": "printed", "eps": PAPER_EPS}, NO_HEIGHT),
    "3 m, cap": ({"form": "printed", "eps": PAPER_EPS}, {}),
    "corrected": ({"form": "corrected", "eps": 9.0}, {}),
}
METHODS = ("WKHM", "KM", "CKM", "KHM", "KC")
# (p, q, eps) at which the theorems are tried.
SETTINGS = ((2.0, 4.0, 1e-6), (2.0, 2.0, 1e-6), (2.0, 4.0, 1.0), (2.0, 4.0, 9.0), (3.5, 2.0, 1e-6), (1.0, 4.0, 1e-4))
P_VALUES, P_SHARPNESS = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0), 2.0
Q_VALUES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
EPS_VALUES = (1e-7, 1e-6, 1e-5)
WITHOUT_EPS = (1e-300, 1e-100)
"""As good as no regulariser. A node on a user's head has s = eps, and B goes with 1/s^2: the first overflows there."""
EMULATED_P = (1.0, 2.0, 3.0, 4.0)
EMULATED_Q = (0.5, 1.0, 2.0)
"""Values of p, and of q in units of p, at which "q about p" is tried."""
SAME_PLACE_M = 1e-9
THEOREM_STEPS, SETTLING_STEPS, LONGEST_CYCLE = 300, 3000, 100
"""Steps in which an update should come to rest; more for those that did not; and the cycles looked for after them."""


def drawn(law: str, seed: int, overrides: Overrides) -> tuple[NodePlacement, NDArray, NDArray]:
    """The system, its users (N, 2) and the nodes' uniform start (K, 2); radio overrides leave both as they are."""
    env = make_env(ENV_ID, f"static_{law}", overrides)
    env.reset(seed=seed)
    system = Task.of(env, Knowledge.MODEL).model(NodePlacement)
    return system, env.trace.slots["user_position_m"][1], env.trace.constants["initial_node_position_m"]


def moved(users: NDArray, start: NDArray, **options: Any) -> Placement:
    """WKHM in the area, p = 2 and q = 4 unless said, as in Fig. 3c."""
    given: Overrides = {"p": 2.0, "q": 4.0, "area": (0.0, SIDE_M), **options}
    return wkhm(users, start, **given)


def comparison(*, reading: str, law: str, seed: int) -> Row:
    """Every method from the same start on the same users: rates, SINR, SNR and loads; all users at the nearest node."""
    options, radio = READINGS[reading]
    system, users, start = drawn(law, seed, radio)
    places = {
        "WKHM": moved(users, start, **options),
        "KM": k_means(users, start),
        "CKM": constrained_k_means(users, start),
        "KHM": k_harmonic_means(users, start, 2.0),
        "KC": k_centers(users, start),
    }
    return {"methods": {name: _radio(system, users, found.position) for name, found in places.items()}}


def _radio(system: NodePlacement, users: NDArray, nodes: NDArray) -> Row:
    found = system.rates(users, nodes)
    snr_db = linear_to_db(system.radio.snr(users, nodes).max(axis=0))
    return {
        "throughput_mbps": float(found.rate_mbps.mean()),
        "sinr_db": np.round(linear_to_db(found.sinr), 3).tolist(),
        "snr_db": np.round(snr_db, 3).tolist(),
        "load": found.load.tolist(),
    }


def ablation(*, reading: str, seed: int) -> Row:
    """Mean SINR in dB of the printed update against p, q and eps (Fig. 3), against q for each p, and without eps."""
    system, users, start = drawn("uniform", seed, READINGS[reading][1])

    def mean_sinr_db(**options: float | str | None) -> float:
        place = moved(users, start, **{"form": "printed", "eps": PAPER_EPS, **options}).position
        return float(linear_to_db(system.rates(users, place).sinr).mean())

    return {
        "p": [mean_sinr_db(p=p, q=P_SHARPNESS) for p in P_VALUES],
        "q": [mean_sinr_db(q=q) for q in Q_VALUES],
        "eps": [mean_sinr_db(eps=eps) for eps in EPS_VALUES],
        "without": [mean_sinr_db(eps=eps) for eps in WITHOUT_EPS],
        "q of p": [[mean_sinr_db(p=p, q=share * p) for share in EMULATED_Q] for p in EMULATED_P],
    }


def theorems(*, seed: int) -> Row:
    """How L moves along the iterates, by form; a list runs over the settings (p, q, eps)."""
    _, users, start = drawn("uniform", seed, {})
    rng = np.random.default_rng(seed)
    row: Row = {}
    for form in ("printed", "corrected"):
        trials = [_trial(users, start, form, *setting, rng) for setting in SETTINGS]
        row[form] = {name: [trial[name] for trial in trials] for name in trials[0]}
    return row


def _trial(
    users: NDArray, start: NDArray, form: str, p: float, q: float, eps: float, rng: np.random.Generator
) -> dict[str, bool | float]:
    found = moved(users, start, p=p, q=q, eps=eps, form=form, tolerance=1e-12, max_iterations=THEOREM_STEPS)
    path = found.history
    period, swing = (1, 0.0) if found.converged else limit_cycle(users, found.position, form, p, q, eps)
    change = np.abs(np.diff(path)) / np.maximum(np.abs(path[:-1]), 1e-300)
    return {
        "descends": bool((np.diff(path) <= 0).all()),
        "ascends": bool((np.diff(path) >= 0).all()),
        "decades": float(np.log10(path[-1] / path[0])),
        "last_change": float(change[-1]) if len(path) > THEOREM_STEPS else 0.0,
        "period": period,
        "swing": swing,
        "lower_beside": lower_beside(users, found.position, p, q, eps, rng),
    }


def limit_cycle(users: NDArray, nodes: NDArray, form: str, p: float, q: float, eps: float) -> tuple[int, float]:
    """After how many steps the update, some thousands of steps later, is back where it was, to `SAME_PLACE_M`, and by
    how much L changes on the way, relative to its largest value; (0, 0) if it is not back within `LONGEST_CYCLE` steps.

    An update that is back where it was goes round for ever: with a period above 1 it never settles.
    """
    options = dict(p=p, q=q, eps=eps, form=form, tolerance=1e-12)
    first = moved(users, nodes, **options, max_iterations=SETTLING_STEPS)
    here, values = first.position, [first.value]
    for period in range(1, LONGEST_CYCLE + 1):
        found = moved(users, here, **options, max_iterations=1)
        here = found.position
        values.append(found.value)
        if np.abs(here - first.position).max() < SAME_PLACE_M:
            return period, float(np.ptp(values) / max(values))
    return 0, 0.0


def lower_beside(users: NDArray, nodes: NDArray, p: float, q: float, eps: float, rng: np.random.Generator) -> bool:
    """Whether L is smaller somewhere within a hundredth of sqrt(eps): then ``nodes`` is no local minimum."""
    here = wkhm(users, nodes, p, q, eps, form="printed", max_iterations=0).value
    for _ in range(20):
        beside = nodes + 0.01 * eps**0.5 * rng.standard_normal(nodes.shape)
        if wkhm(users, beside, p, q, eps, form="printed", max_iterations=0).value < here:
            return True
    return False


def counterexample(*, form: str) -> Row:
    """L of one user at 0 before and after one node has moved from 1 (p = 2, q = 4, eps = 1e-6)."""
    path = wkhm([[0.0]], [[1.0]], 2.0, 4.0, PAPER_EPS, form=form, area=(-1.0, 2.0))
    return {"first": float(path.history[0]), "last": float(path.value)}


def lemma(*, alpha: float, share: float) -> Row:
    """Sum RSRP of two users d apart, the node at a user's place minus at the midpoint, in units of P / d^alpha.

    ``share`` is delta in units of the limit d^alpha / (2^alpha - 2), below which Lemma 1 holds.
    """
    delta = share / (2**alpha - 2)
    return {"gain": 1 / delta + 1 / (1 + delta) - 2 / (0.5**alpha + delta)}


def shares(*, seed: int) -> Row:
    """w of equation (4) at q = gamma against the simulator's shares of received power."""
    system, users, nodes = drawn("uniform", seed, {})
    p = system.params
    squared = ((users[:, None] - nodes) ** 2).sum(axis=2) + p.distance_floor_m2
    a = squared ** (-p.path_loss_exponent / 2)
    power = system.radio.snr(users, nodes).T
    difference = a / a.sum(axis=1, keepdims=True) - power / power.sum(axis=1, keepdims=True)
    return {"largest_difference": float(np.abs(difference).max())}


def printed_test(*, method: str, statistic: float, p: float) -> Row:
    """The degrees of freedom at which Student's t has the printed two-sided p-value."""
    return {"degrees_of_freedom": float(brentq(lambda df: 2 * student.sf(abs(statistic), df) - p, 1.5, 1e4))}
