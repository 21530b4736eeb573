"""Matching of users to sub-channels: exact solvers and certified bounds.

`subset_dp` for up to 20 places, `milp_matching` as its independent check, `column_generation` for hundreds of users,
`flat_matching` where a pair costs the same on every sub-channel.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, linprog, milp
from scipy.sparse import csr_array

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.pairing.matching import Matching, iterated_local_search, matching_of, random_places
from rangym.policies.algorithms.pairing.pair_costs import pair_energy_table
from rangym.policies.algorithms.pairing.pairing_kernels import PairCosts

MAX_DP_USERS = 20
MAX_MILP_USERS = 24
COLUMNS_PER_ROUND = 2000
CLOSED = 1e-9
"""Relative gap between the bound and the best assignment at which that counts as optimal."""
PROVED = 1e-7
"""Relative error of what an integer program proves: HiGHS prunes by linear programs solved to such tolerances."""


def subset_dp(costs: PairCosts) -> Matching:
    """Optimal matching: f(S) is the least cost of the users S on the first |S|/2 sub-channels.

    Takes 0.1 ms for 10 users and about half a second for 20; more than 20 (dummies included) are refused.
    """
    users = len(costs.drop)
    if users > MAX_DP_USERS:
        raise WrongValue(f"subset_dp: at most {MAX_DP_USERS} users and places wanted, got {users}")
    table = pair_energy_table(costs)
    pairs = np.full((users, users), -1)
    first, second = np.triu_indices(users, 1)
    pairs[first, second] = np.arange(len(first))
    place = np.empty(users, np.int64)
    value = _subset_dp(table, pairs, costs.gain.shape[1], float(costs.drop[0]), place)
    return matching_of(costs, place, bound=float(value))


@numba.njit(cache=True)
def _subset_dp(table, pairs, channels, drop, place):
    users = len(pairs)
    best = np.full(1 << users, np.inf)
    last = np.zeros(1 << users, np.int32)  # the pair put on the last sub-channel, as i * users + j
    count = np.zeros(1 << users, np.int8)
    best[0] = 0.0
    for mask in range(1, 1 << users):
        count[mask] = count[mask >> 1] + (mask & 1)
    goal, reached = 0, np.inf
    for mask in range(1 << users):
        if best[mask] == np.inf:
            continue
        k = count[mask] // 2
        if k == channels:
            total = best[mask]
            if users > 2 * channels:  # the drop cost may be infinite
                total += drop * (users - 2 * channels)
            if total < reached:
                goal, reached = mask, total
            continue
        for i in range(users):
            if mask >> i & 1:
                continue
            for j in range(i + 1, users):
                if mask >> j & 1:
                    continue
                value = best[mask] + table[pairs[i, j], k]
                after = mask | 1 << i | 1 << j
                if value < best[after]:
                    best[after] = value
                    last[after] = i * users + j
    mask, k = goal, channels - 1
    while mask:
        i, j = last[mask] // users, last[mask] % users
        place[2 * k], place[2 * k + 1] = i, j
        mask ^= 1 << i | 1 << j
        k -= 1
    s = 2 * channels
    for i in range(users):
        if not goal >> i & 1:
            place[s] = i
            s += 1
    return reached


def milp_matching(costs: PairCosts) -> Matching:
    """Optimal matching by HiGHS: a binary for each pair on each sub-channel, each user and sub-channel used once."""
    users = len(costs.drop)
    if users > MAX_MILP_USERS:
        raise WrongValue(f"milp_matching: at most {MAX_MILP_USERS} users wanted, got {users}; use column_generation")
    problem = _Columns(costs)
    place = problem.integral(np.arange(problem.cost.size))
    found = matching_of(costs, place)
    return Matching(found.subchannel, found.cost, found.cost * (1.0 - PROVED), 0, 0)


def column_generation(
    costs: PairCosts,
    seed: int = 0,
    kicks: int = 3,
    max_rounds: int = 200,
    prove: bool = True,
) -> Matching:
    """Certified lower bound for any size, and with ``prove`` the optimal matching.

    The linear relaxation has one column for each pair on each sub-channel. Rounds of linear programs over few columns
    give prices u of the users; for any u, sum u + sum_k min_pairs (cost - u_i - u_j) is a lower bound (users beyond
    the places may also stay out at their drop cost). Then an integer program over the columns whose reduced cost is
    within the gap to the best assignment known is exact: no other column can be in a better one.

    Parameters
    ----------
    seed, kicks : of the `iterated_local_search` that gives the first columns and the first upper bound.
    max_rounds : of column generation; the bound is certified whenever it stops.
    prove : close the gap by the integer program; without it the assignment is that of the local search.

    >>> from rangym.policies.algorithms.pairing.pair_costs import upload_costs
    >>> gain = [[90.0, 30.0], [40.0, 60.0], [20.0, 80.0], [70.0, 10.0]]
    >>> costs = upload_costs(gain, [0.2, 0.3, 0.4, 0.5], bits_per_hz=1.1, deadline_s=0.8, max_power_w=0.2)
    >>> found = column_generation(costs)
    >>> found.subchannel.tolist(), round(found.cost, 4), found.cost - found.bound < 1e-6
    ([0, 1, 1, 0], 0.2778, True)
    """
    rng = np.random.default_rng(seed)
    start = iterated_local_search(costs, random_places(costs, rng), rng, kicks)
    problem = _Columns(costs)
    bound, price, rounds = problem.relaxation(start, max_rounds)
    bound = min(bound, start.cost)
    if not prove or bound >= start.cost * (1.0 - CLOSED):
        return Matching(start.subchannel, start.cost, bound, start.swaps, rounds)
    near = problem.within(price, start.cost - bound)
    found = matching_of(costs, problem.integral(near))
    best = found if found.cost < start.cost else start
    return Matching(best.subchannel, best.cost, max(bound, best.cost * (1.0 - PROVED)), start.swaps, rounds)


class _Columns:
    """The integer program: columns (pair, sub-channel), and for more users than places a column "stays out" each.

    Costs are scaled by their median: HiGHS has absolute tolerances, and raw energies can be below them.
    """

    def __init__(self, costs: PairCosts):
        self.costs = costs
        self.users, self.channels = costs.gain.shape
        self.first, self.second = np.triu_indices(self.users, 1)
        table = pair_energy_table(costs)
        if not np.isfinite(table).all():
            raise WrongValue("costs: finite ones wanted: give drop_cost_j, so that every pair has a finite cost")
        self.scale = float(np.median(table)) or 1.0
        self.cost = table / self.scale  # (P, K)
        self.out = costs.drop / self.scale if self.users > 2 * self.channels else np.empty(0)

    def matrix(self, columns: NDArray) -> csr_array:
        """Rows: users, then sub-channels; columns: those given (flat indices into the cost table), then "out"."""
        pair, k = np.divmod(columns, self.channels)
        n, count = len(columns), len(self.out)
        rows = np.concatenate([self.first[pair], self.second[pair], self.users + k, np.arange(count)])
        where = np.concatenate([np.arange(n), np.arange(n), np.arange(n), n + np.arange(count)])
        return csr_array((np.ones(len(rows)), (rows, where)), shape=(self.users + self.channels, n + count))

    def relaxation(self, start: Matching, max_rounds: int) -> tuple[float, NDArray, int]:
        """(certified bound, prices of the users, rounds)."""
        columns = np.union1d(self._columns_of(start), self._cheap())
        best, best_price = -np.inf, np.zeros(self.users)
        rounds = 0
        while rounds < max_rounds:
            rounds += 1
            target = np.concatenate([self.cost.ravel()[columns], self.out])
            ones = np.ones(self.users + self.channels)
            solved = linprog(target, A_eq=self.matrix(columns), b_eq=ones, method="highs")
            if not solved.success:
                raise RuntimeError(f"column_generation: linear program failed: {solved.message}")
            dual = solved.eqlin.marginals
            price = dual[: self.users]
            if len(self.out):
                price = np.minimum(price, self.out)  # what "stays out" allows
            reduced = self.cost - (price[self.first] + price[self.second])[:, None]
            bound = price.sum() + reduced.min(axis=0).sum()
            if bound > best:
                best, best_price = bound, price
            if best >= solved.fun - 1e-10 * abs(solved.fun):
                break
            gain = reduced - dual[self.users :]
            cheapest = gain.argmin(axis=1)
            value = gain[np.arange(len(gain)), cheapest]
            some = np.argsort(value)[:COLUMNS_PER_ROUND]
            some = some[value[some] < -1e-11]
            if len(some) == 0:
                break
            columns = np.union1d(columns, some * self.channels + cheapest[some])
        return float(best * self.scale), best_price, rounds

    def within(self, price: NDArray, gap_j: float) -> NDArray:
        """Columns that can be in an assignment at most ``gap_j`` above the bound of ``price``."""
        reduced = self.cost - (price[self.first] + price[self.second])[:, None]
        slack = gap_j / self.scale * (1.0 + 1e-6) + 1e-9
        return np.flatnonzero(reduced - reduced.min(axis=0) <= slack)

    def integral(self, columns: NDArray) -> NDArray:
        """The best assignment over ``columns``, as ``place``."""
        target = np.concatenate([self.cost.ravel()[columns], self.out])
        solved = milp(
            target,
            integrality=np.ones(len(target)),
            bounds=Bounds(0, 1),
            constraints=LinearConstraint(self.matrix(columns), 1, 1),
            options={"mip_rel_gap": 1e-12},
        )
        if solved.status != 0:
            raise RuntimeError(f"HiGHS: {solved.message}")
        chosen = np.flatnonzero(solved.x > 0.5)
        pair, k = np.divmod(columns[chosen[chosen < len(columns)]], self.channels)
        place = np.full(self.users, -1)
        place[2 * k], place[2 * k + 1] = self.first[pair], self.second[pair]
        place[2 * self.channels :] = chosen[chosen >= len(columns)] - len(columns)
        return place

    def _columns_of(self, start: Matching) -> NDArray:
        """The columns of an assignment; dummies fill what is free."""
        channels, subchannel = self.channels, start.subchannel
        load = np.bincount(subchannel, minlength=channels + 1)[:channels]
        dummies = np.repeat(np.arange(channels), 2 - load)[: self.users - self.costs.num_ues]
        everybody = np.concatenate([subchannel, dummies])
        index = np.full((self.users, self.users), -1)
        index[self.first, self.second] = np.arange(len(self.first))
        members = [np.flatnonzero(everybody == k) for k in range(channels)]
        return np.array([index[tuple(m)] * channels + k for k, m in enumerate(members)])

    def _cheap(self) -> NDArray:
        """Columns of the cheapest tenth of the pairs (but at least N), each on its cheapest sub-channel."""
        k = self.cost.argmin(axis=1)
        some = np.argsort(self.cost[np.arange(len(k)), k])[: max(len(k) // 10, self.users)]
        return some * self.channels + k[some]


def flat_matching(costs: PairCosts) -> Matching:
    """Optimal matching where gains do not depend on the sub-channel: a perfect matching of minimum weight.

    Polynomial, by `networkx.max_weight_matching`; for N <= 2K.
    """
    import networkx

    gain = costs.gain[: costs.num_ues]
    if not (gain == gain[:, :1]).all():
        raise WrongValue("costs: gains equal on all sub-channels wanted (flat fading)")
    users, channels = costs.gain.shape
    if users > 2 * channels:
        raise WrongValue(f"costs: at most {2 * channels} users for {channels} sub-channels wanted, got {users}")
    first, second = np.triu_indices(users, 1)
    weight = pair_energy_table(costs)[:, 0]
    graph = networkx.Graph()
    graph.add_weighted_edges_from(zip(first.tolist(), second.tolist(), (-weight).tolist(), strict=True))
    pairs = networkx.max_weight_matching(graph, maxcardinality=True)
    place = np.array(sorted(sorted(pair) for pair in pairs)).reshape(-1)
    found = matching_of(costs, place)
    return Matching(found.subchannel, found.cost, found.cost * (1.0 - CLOSED), 0, 0)


def max_gain_matching(snr_db: NDArray, num_places: int) -> NDArray:
    """(N,) the assignment with the greatest sum of ``snr_db`` (N, K), ``num_places`` a sub-channel; K for the rest."""
    users, channels = snr_db.shape
    rows, columns = linear_sum_assignment(np.repeat(snr_db, num_places, axis=1), maximize=True)
    subchannel = np.full(users, channels)
    subchannel[rows] = columns // num_places
    return subchannel
