"""Planning associations over an episode that is known in advance: feasible plans and upper bounds.

The value of a plan x (N stages, I users) is

    sum_n weight_n [sum_i value_n,i,x_ni - sum_j phi(y_nj)] - gamma sum_{n>1} C(D_n),

D_n = sum over the users i that moved of a_n,i,old + a_n,i,new, and C(D) = D (`additive`) or sqrt(D) (`norm`). A stage
is a slot, or a run of slots without any change (`weight` their number): by the triangle inequality moving inside such a
run never pays.

* additive cost: for prices p (N, J) of load the problem splits into one Viterbi path a user, and

      UB(p) = sum_i max_path [sum_n weight_n (value_n,i,x - p_n,x) - gamma C] + sum_nj weight_n max_y (p_nj y - phi(y))

  bounds every plan. Polyak subgradient on p; the transition cost a_old + a_new separates, so a path costs O(N J).
* norm: for u_n with sum_ij u_nij^2 / a_nij <= 1 (n = 2..N, others 0) the cost is at least <u_n, x_n - x_{n-1}>, so

      UB(u) = sum_n max_x [weight_n g_n(x) - gamma <u_n - u_{n+1}, x>],

  one exact assignment a stage. u = 0 is the per-slot bound. Projected subgradient on u.

Feasible plans come from coordinate ascent: one user's path at a time, the others fixed, with the true cost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.sharing import load_cost
from rangym.policies.algorithms.association.assignment import optimal_assignment
from rangym.policies.algorithms.association.handover_kernels import (
    ascend,
    moved_delay,
    norm_dual,
    polyak,
    project_step,
    solve_stages,
)

SURROGATE_ROUNDS = 6
LEAST_MOVED = 0.01  # D0 of a stage where nobody moved: the surrogate's price stays finite
FIRST_STEP, LAST_STEP = 1.0, 0.02


@dataclass(frozen=True)
class HandoverPlan:
    """A plan over N stages and what is known about it.

    Attributes
    ----------
    cell : (N, I) int64, each user's cell in each stage.
    value : the plan's objective, summed over stages.
    bound : no plan exceeds it.
    history : the best bound after each subgradient step.
    """

    cell: NDArray
    value: float
    bound: float
    history: tuple[float, ...]


def plan_additive(
    value: NDArray, delay: NDArray, gamma: float, weight: NDArray | None = None, iterations: int = 300
) -> HandoverPlan:
    """A plan and a nearly tight bound under the additive handover cost.

    Parameters
    ----------
    value : (N, I, J) log10 rate of each empty cell, per stage.
    delay : (N, I, J), or (1, I, J) where it never varies: a >= 0 of attaching to or leaving a cell in a stage.
    gamma : weight of the handover cost, at least 0.
    weight : (N,) slots of each stage; ones if None. With varying delays a stage is one slot.
    iterations : Polyak subgradient steps on the prices.

    >>> value = np.array([[[1.0, 0.0]], [[0.0, 0.5]], [[1.0, 0.0]]])  # one user, the other cell is better once
    >>> plan = plan_additive(value, np.full((1, 1, 2), 0.5), gamma=1.0)
    >>> plan.cell[:, 0].tolist(), plan.value, round(plan.bound, 9)
    ([0, 0, 0], 2.0, 2.0)
    """
    value, delay, weight = _checked(value, delay, gamma, weight, iterations)
    phi, per_stage = load_cost(value.shape[1]), np.full(len(value), float(gamma))
    stage_cells, bound, price = _stage_optima(value, weight, phi)
    plan, history = _by_user(stage_cells), np.full(iterations, bound)
    users = _by_user(value), _by_user(delay), weight, per_stage, phi
    reached = ascend(*users, plan, False)
    if iterations:
        least, reached = polyak(*users, price, plan, history)
        bound = min(bound, least)
    return HandoverPlan(_by_user(plan), float(reached), float(bound), tuple(history.tolist()))


def plan_norm(
    value: NDArray, delay: NDArray, gamma: float, weight: NDArray | None = None, iterations: int = 0
) -> HandoverPlan:
    """A good plan under the norm cost, and a bound by ``iterations`` projected subgradient steps (0: per stage).

    Parameters are those of `plan_additive`. The plan is a local optimum: best known, not proved. Under the root a move
    costs less when others move in the same stage, so changing one user at a time seldom finds such moves: coordinate
    ascent begins from the optimum of an additive surrogate, gamma sqrt(D) <= gamma (sqrt(D0) + (D - D0) / (2
    sqrt(D0))), with D0 = 1, then from the D found.
    """
    value, delay, weight = _checked(value, delay, gamma, weight, iterations)
    phi, per_stage = load_cost(value.shape[1]), np.full(len(value), float(gamma))
    stage_cells, _, _ = _stage_optima(value, weight, phi)
    users = _by_user(value), _by_user(delay), weight
    best = optimal_assignment(np.tensordot(weight, value, 1) / weight.sum()).cell[:, None].repeat(len(value), axis=1)
    reached = ascend(*users, per_stage, phi, best, True)
    moved = np.ones(len(value))
    for _ in range(SURROGATE_ROUNDS):
        paths = _by_user(stage_cells)
        ascend(*users, per_stage / (2 * np.sqrt(np.maximum(moved, LEAST_MOVED))), phi, paths, False)
        moved = moved_delay(users[1], paths)
        candidate = ascend(*users, per_stage, phi, paths, True)
        if candidate > reached:
            best, reached = paths, candidate
    bound, history = _norm_bound(value, delay, weight, float(gamma), phi, iterations)
    return HandoverPlan(_by_user(best), reached, bound, history)


def _norm_bound(value, delay, weight, gamma, phi, iterations):
    """The least UB(u) met: steps of fixed length (the ball's radius is the unit), shrinking geometrically."""
    root, dual = np.sqrt(delay), np.zeros_like(value)  # u = dual * sqrt(a): the ball of u is a Euclidean one here
    cell, bound, _ = _stage_optima(value, weight, phi)
    tolerance = _tolerance(value) + 2e-13 * gamma * float(root.max() / weight.min())
    history = []
    for step in FIRST_STEP * (LAST_STEP / FIRST_STEP) ** np.linspace(0, 1, iterations):
        moved = moved_delay(_by_user(delay), _by_user(cell))
        if not moved.any():
            break
        project_step(dual, cell, root, step / np.sqrt(moved.mean()))
        bound = min(bound, _proved(norm_dual(value, weight, phi, root, gamma, dual, cell, tolerance)))
        history.append(bound)
    return bound, tuple(history)


def per_stage_bound(value: NDArray, weight: NDArray | None = None) -> tuple[float, NDArray]:
    """The sum over stages of the exact optimum without handover cost, which no plan exceeds, and its cells (N, I)."""
    value, _, weight = _checked(value, np.zeros((1, *np.shape(value)[1:])), 0.0, weight, 0)
    cell, bound, _ = _stage_optima(value, weight, load_cost(value.shape[1]))
    return bound, cell


def _by_user(array: NDArray) -> NDArray:
    """Exchange the first two axes, stages and users; the result is contiguous."""
    return np.array(array.swapaxes(0, 1), order="C")


def _proved(bound: float) -> float:
    if np.isnan(bound):
        raise RuntimeError("a stage's assignment reached its iteration cap without an optimum")
    return float(bound)


def _checked(value, delay, gamma, weight, iterations):
    value = np.ascontiguousarray(value, dtype=np.float64)
    if value.ndim != 3 or min(value.shape) < 1 or not np.isfinite(value).all():
        raise WrongValue(f"value: a finite (N, I, J) array wanted, got shape {value.shape}")
    stages, ues, cells = value.shape
    delay = np.ascontiguousarray(delay, dtype=np.float64)
    if delay.shape not in ((1, ues, cells), (stages, ues, cells)) or not (
        np.isfinite(delay).all() and delay.min() >= 0
    ):
        raise WrongValue(f"delay: non-negative (1 or {stages}, {ues}, {cells}) wanted, got shape {delay.shape}")
    if not (np.isfinite(gamma) and gamma >= 0):
        raise WrongValue(f"gamma: a finite number of at least 0 wanted, got {gamma!r}")
    weight = np.ones(stages) if weight is None else np.ascontiguousarray(weight, dtype=np.float64)
    if weight.shape != (stages,) or not weight.min() > 0:
        raise WrongValue(f"weight: ({stages},) positive numbers of slots wanted, got shape {weight.shape}")
    if iterations < 0:
        raise WrongValue(f"iterations: at least 0 wanted, got {iterations!r}")
    return value, delay, weight


def _tolerance(value):
    return 1e-13 * max(1.0, float(np.abs(value).max()))


def _stage_optima(value, weight, phi):
    """The optimum of each stage alone: cells (N, I), the sum of the bounds, prices (N, J)."""
    stages, ues, cells = value.shape
    cell, price = np.zeros((stages, ues), dtype=np.int64), np.empty((stages, cells))
    bound = _proved(solve_stages(value, weight, phi, cell, price, _tolerance(value)))
    return cell, bound, price
