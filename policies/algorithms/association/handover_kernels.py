"""Compiled loops of `handover_planning`.

Arrays by user are (I, N, J), by stage (N, I, J); delays have one stage where they never vary. ``gamma`` is (N,), one
weight a stage; only `norm_dual` takes a single number. Symbols: a delay, p price, D_n moved delay, phi load cost.
"""

from __future__ import annotations

import numba
import numpy as np

from rangym.policies.algorithms.association.assignment import MAX_CYCLES_PER_UE, dual_value, optimise

MAX_SWEEPS = 200
STEPS_PER_PLAN = 5


@numba.njit(cache=True)
def solve_stages(value, weight, phi, cell, price, tolerance):
    total = 0.0
    for n in range(len(value)):
        load = np.zeros(value.shape[2], dtype=np.int64)
        for i in range(value.shape[1]):
            if n > 0:
                cell[n, i] = cell[n - 1, i]
            load[cell[n, i]] += 1
        if optimise(value[n], phi, cell[n], load, price[n], tolerance, MAX_CYCLES_PER_UE * value.shape[1]) < 0:
            return np.nan
        total += weight[n] * dual_value(value[n], phi, load, price[n])
    return total


@numba.njit(cache=True)
def norm_dual(value, weight, phi, root, gamma, dual, cell, tolerance):
    """UB(u); ``cell`` holds the last maximisers and receives the new ones."""
    stages, ues, cells = value.shape
    total = 0.0
    shifted = np.empty((ues, cells))
    price = np.empty(cells)
    for n in range(stages):
        load = np.zeros(cells, dtype=np.int64)
        here, after = root[min(n, len(root) - 1)], root[min(n + 1, len(root) - 1)]
        for i in range(ues):
            load[cell[n, i]] += 1
            for j in range(cells):
                tilt = here[i, j] * dual[n, i, j]  # u_1 = 0: dual[0] stays 0
                if n + 1 < stages:
                    tilt -= after[i, j] * dual[n + 1, i, j]
                shifted[i, j] = value[n, i, j] - gamma / weight[n] * tilt
        if optimise(shifted, phi, cell[n], load, price, tolerance, MAX_CYCLES_PER_UE * ues) < 0:
            return np.nan
        total += weight[n] * dual_value(shifted, phi, load, price)
    return total


@numba.njit(cache=True)
def moved_delay(delay, paths):
    """D_n (N,): the delay weight of all moves into stage n."""
    total = np.zeros(paths.shape[1])
    for i in range(len(paths)):
        for n in range(1, len(total)):
            total[n] += delay_of(delay[i], paths[i], n)
    return total


@numba.njit(cache=True)
def project_step(dual, cell, root, step):
    """Move ``dual`` along sqrt(a) (x_n - x_{n-1}) by ``step``, then back into the unit ball of each stage."""
    for n in range(1, len(dual)):
        r = root[min(n, len(root) - 1)]
        for i in range(dual.shape[1]):
            new, old = cell[n, i], cell[n - 1, i]
            if new != old:
                dual[n, i, new] += step * r[i, new]
                dual[n, i, old] -= step * r[i, old]
        length = np.sqrt((dual[n] ** 2).sum())
        if length > 1.0:
            dual[n] /= length


@numba.njit(cache=True)
def best_path(reward, delay, gamma, path, back):
    """The best path under the additive cost, O(N J); returns its value."""
    stages, cells = reward.shape
    best = reward[0].copy()
    for n in range(1, stages):
        a = delay[min(n, len(delay) - 1)]
        source, leave = 0, best[0] - gamma[n] * a[0]
        for k in range(1, cells):
            if best[k] - gamma[n] * a[k] > leave:
                source, leave = k, best[k] - gamma[n] * a[k]
        for j in range(cells):
            arrive = leave - gamma[n] * a[j]
            back[n, j] = j
            if arrive > best[j]:
                back[n, j] = source
                best[j] = arrive
            best[j] += reward[n, j]
    return trace_back(best, back, path)


@numba.njit(cache=True)
def best_path_norm(reward, delay, gamma, others, path, back):
    """A user's best path when the moved delay of all ``others`` (N,) is under the same root, O(N J^2) at worst."""
    stages, cells = reward.shape
    best = reward[0].copy()
    new = np.empty(cells)
    for n in range(1, stages):
        a = delay[min(n, len(delay) - 1)]
        base = np.sqrt(others[n])
        for j in range(cells):
            top, source = best[j], j
            for k in range(cells):
                if best[k] > top:  # a move never earns, so the root is taken only where it can win
                    arrive = best[k] - gamma[n] * (np.sqrt(others[n] + a[k] + a[j]) - base)
                    if arrive > top:
                        top, source = arrive, k
            back[n, j] = source
            new[j] = top + reward[n, j]
        best[:] = new
    return trace_back(best, back, path)


@numba.njit(cache=True)
def trace_back(best, back, path):
    last = len(path) - 1
    path[last] = best.argmax()
    for n in range(last, 0, -1):
        path[n - 1] = back[n, path[n]]
    return best.max()


@numba.njit(cache=True)
def paths_under(value, delay, weight, gamma, phi, price, paths):
    """Every user's best path at fixed prices; returns the sum of their values."""
    ues, stages, cells = value.shape
    reward, back = np.empty((stages, cells)), np.empty((stages, cells), dtype=np.int64)
    total = 0.0
    for i in range(ues):
        for n in range(stages):
            for j in range(cells):
                reward[n, j] = weight[n] * (value[i, n, j] - price[n, j])
        total += best_path(reward, delay[i], gamma, paths[i], back)
    return total


@numba.njit(cache=True)
def polyak(value, delay, weight, gamma, phi, price, plan, history):
    """Subgradient steps on ``price`` towards the value of ``plan``; returns (bound, value), the best met.

    Every few steps the paths at the current prices are completed to a plan by `ascend`: the better one replaces
    ``plan``, which shortens the steps. A zero subgradient means that those paths are a plan, and optimal.
    """
    ues, stages, cells = value.shape
    entry = phi[1:] - phi[:-1]
    best, lower = np.inf, objective(value, delay, weight, gamma, phi, plan, False)
    paths = plan.copy()
    slope = np.empty((stages, cells))
    for step in range(len(history)):
        bound = paths_under(value, delay, weight, gamma, phi, price, paths)
        slope[:] = 0.0
        for i in range(ues):
            for n in range(stages):
                slope[n, paths[i, n]] -= weight[n]
        square = 0.0
        for n in range(stages):
            for j in range(cells):
                y = np.searchsorted(entry, price[n, j])
                bound += weight[n] * (price[n, j] * y - phi[y])
                slope[n, j] += weight[n] * y
                square += slope[n, j] ** 2
        best = min(best, bound)
        history[step] = best
        if square == 0.0 or step % STEPS_PER_PLAN == 0:
            completed = paths.copy()
            reached = ascend(value, delay, weight, gamma, phi, completed, False)
            if reached > lower:
                lower = reached
                plan[:] = completed
        if square == 0.0 or bound <= lower:
            history[step:] = best
            break
        price -= (bound - lower) / square * slope
    return best, lower


@numba.njit(cache=True)
def ascend(value, delay, weight, gamma, phi, paths, norm):
    """Coordinate ascent on ``paths`` (I, N) with the true cost; returns the objective."""
    ues, stages, cells = value.shape
    load = np.zeros((stages, cells), dtype=np.int64)
    for i in range(ues):
        for n in range(stages):
            load[n, paths[i, n]] += 1
    moved = moved_delay(delay, paths)
    reward, back = np.empty((stages, cells)), np.empty((stages, cells), dtype=np.int64)
    path = np.empty(stages, dtype=np.int64)
    for _ in range(MAX_SWEEPS):
        changed = False
        for i in range(ues):
            now = 0.0
            for n in range(stages):
                own = paths[i, n]
                load[n, own] -= 1
                for j in range(cells):
                    y = load[n, j]
                    reward[n, j] = weight[n] * (value[i, n, j] - (phi[y + 1] - phi[y]))
                now += reward[n, own]
                if n > 0:
                    d = delay_of(delay[i], paths[i], n)
                    rest = max(moved[n] - d, 0.0)
                    now -= gamma[n] * (np.sqrt(rest + d) - np.sqrt(rest) if norm else d)
                    moved[n] = rest
            if norm:
                then = best_path_norm(reward, delay[i], gamma, moved, path, back)
            else:
                then = best_path(reward, delay[i], gamma, path, back)
            if then > now + 1e-9:
                changed = True
                paths[i] = path
            for n in range(stages):
                load[n, paths[i, n]] += 1
                if n > 0:
                    moved[n] += delay_of(delay[i], paths[i], n)
        if not changed:
            break
    return objective(value, delay, weight, gamma, phi, paths, norm)


@numba.njit(cache=True)
def delay_of(delay, path, n):
    if path[n] == path[n - 1]:
        return 0.0
    a = delay[min(n, len(delay) - 1)]
    return a[path[n]] + a[path[n - 1]]


@numba.njit(cache=True)
def objective(value, delay, weight, gamma, phi, paths, norm):
    """The plan's value, computed from the definition."""
    ues, stages, cells = value.shape
    moved = moved_delay(delay, paths)
    total = 0.0
    for n in range(stages):
        load = np.zeros(cells, dtype=np.int64)
        for i in range(ues):
            load[paths[i, n]] += 1
            total += weight[n] * value[i, n, paths[i, n]]
        for j in range(cells):
            total -= weight[n] * phi[load[j]]
        total -= gamma[n] * (np.sqrt(moved[n]) if norm else moved[n])
    return total
