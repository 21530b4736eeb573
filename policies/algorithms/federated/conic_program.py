"""The convex programme of one round for a fixed aggregator and fixed iteration counts, for CLARABEL.

Not the fractions of the paper but flows and processed samples are the variables: then sizes are linear, and the
delays and energies of (19)-(35) and the noise of (25)(c) are linear or quadratic over linear.

| symbol | meaning | shape |
|---|---|---|
| y, w | data points from UE to base station and from base station to data centre | (N, B), (B, S) |
| D, x, T | points kept or received, samples processed (count x mini-batch), processing time of each DPU | (N + S,) |
| e, u | energy of each DPU; x^2 <= u T, which carries the cube of a UE: x^3/T^2 <= e from u^2 <= e x | (N + S,), (N,) |
| q | noise a D^2/x + b/x of each DPU | (N + S,) |
| I | association of the models, relaxed: a share for each of K choices | (N, K) |
| r | relay in use, where a base station sends one sum of vectors: r_b >= I_nb | (B,) |
| c, o | collection times: of each data centre's backhaul, of the slowest uplink | (S,), () |
| A | delay of aggregation (34) | () |
| g, h | samples at a full mini-batch and the lower bound of the noise, in the slices of `sliced_bound` | (N + S,) |

A DPU is a UE or a data centre, the UEs first. `ConicShape` lays out variables, rows and the sparsity pattern once for
a shape; `solve` fills in the numbers, which the caller has scaled (`coefficients`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import clarabel
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Numbers = Mapping[str, NDArray | float]
DUAL_MARGIN = 1e-7
"""Least share of a dual objective that is given away: the solver stops at 1e-8."""


REGULARIZATIONS = (1e-8, 1e-7, 3e-8, 3e-9, 3e-7)
"""CLARABEL's own, and others for a programme that it almost solves: there the last bits of the data decide."""


class SolverError(RuntimeError):
    """The conic solver did not end with `Solved`."""


@dataclass(frozen=True)
class ConicSolution:
    """``value`` is the primal objective, ``bound`` the dual one less what its infeasibility may hide.

    All variables are at least 0, so with multipliers z a feasible v costs at least -b'z + (c + A'z)'v. The bound takes
    v up to twice the optimum, and at least `DUAL_MARGIN` of the dual objective off.
    """

    variables: Mapping[str, NDArray]
    value: float
    bound: float
    iterations: int


class _Pattern:
    """Rows of ``A v + s = b`` in the order they are added, each entry a constant or a place for a named number."""

    def __init__(self, variables: Mapping[str, NDArray]):
        self.variables = variables
        self.rows: list[NDArray] = []
        self.columns: list[NDArray] = []
        self.entries: list[tuple[str, float, int]] = []  # name of the numbers ('' for 1), factor, count
        self.right: list[tuple[str, float, NDArray]] = []
        self.height = 0

    def block(self, count: int) -> NDArray:
        """Indices of ``count`` new rows."""
        self.height += count
        return np.arange(self.height - count, self.height)

    def put(self, rows: NDArray, columns: NDArray, name: str = "", factor: float = 1.0) -> None:
        """Entries ``factor * numbers[name]`` at the broadcast pairs of ``rows`` and ``columns``."""
        rows, columns = np.broadcast_arrays(rows, columns)
        self.rows.append(rows.ravel())
        self.columns.append(columns.ravel())
        self.entries.append((name, factor, rows.size))

    def bound(self, rows: NDArray, name: str, factor: float = 1.0) -> None:
        """The right side of ``rows`` is ``factor * numbers[name]``."""
        self.right.append((name, factor, rows.ravel()))

    def at_most(self, terms: list[tuple], shape: tuple[int, ...] | int) -> NDArray:
        """Rows of the given shape: the sum of the terms (columns, name, factor) is at most the right side."""
        rows = self.block(int(np.prod(shape))).reshape(shape)
        for term in terms:
            self.put(rows, *term)
        return rows

    def product(self, first: NDArray, second: NDArray, squares: list[tuple]) -> list[NDArray]:
        """Second-order cones ``first * second >= sum of squares``; a square is (columns, name) or (None, name)."""
        rows = self.block(len(first) * (2 + len(squares))).reshape(len(first), -1)
        self.put(rows[:, 0], first, "", -1.0)
        self.put(rows[:, 0], second, "", -1.0)
        self.put(rows[:, 1], first, "", -1.0)
        self.put(rows[:, 1], second, "", 1.0)
        for place, (columns, name) in enumerate(squares, start=2):
            if columns is None:
                self.bound(rows[:, place], name, 2.0)
            else:
                self.put(rows[:, place], columns, name, -2.0)
        return [clarabel.SecondOrderConeT(rows.shape[1])] * len(first)


class ConicShape:
    """Layout of the programme for N UEs, B base stations, S data centres and K choices a UE.

    ``shared_relay`` adds the variables r of ``bs_energy="once"`` (then K = B and choice k is base station k);
    ``sliced`` adds g and h and lets the iteration counts go.
    """

    def __init__(self, ues: int, stations: int, centres: int, choices: int, shared_relay: bool, sliced: bool):
        dpus = ues + centres
        sizes = {
            "y": (ues, stations), "w": (stations, centres), "D": (dpus,), "x": (dpus,), "T": (dpus,), "e": (dpus,),
            "u": (ues,), "q": (dpus,), "I": (ues, choices), "c": (centres,), "o": (1,), "A": (1,),
            "r": (stations if shared_relay else 0,), "g": (dpus if sliced else 0,), "h": (dpus if sliced else 0,),
        }  # fmt: skip
        self.variables: dict[str, NDArray] = {}
        self.width = 0
        for name, shape in sizes.items():
            self.variables[name] = np.arange(self.width, self.width + int(np.prod(shape))).reshape(shape)
            self.width += int(np.prod(shape))
        self.ues, self.sliced, self.shared_relay = ues, sliced, shared_relay
        pattern = _Pattern(self.variables)
        self.cones = [clarabel.ZeroConeT(self._conservation(pattern))]
        start = pattern.height
        self._limits(pattern)
        self.cones.append(clarabel.NonnegativeConeT(pattern.height - start))
        self._energies(pattern)
        self._freeze(pattern)

    def _conservation(self, pattern: _Pattern) -> int:
        """Equalities: data are conserved at UEs, base stations and data centres; each UE has one relay in sum."""
        v = self.variables
        kept, received = v["D"][: self.ues], v["D"][self.ues :]
        rows = pattern.at_most([(kept,)], len(kept))
        pattern.put(rows[:, None], v["y"])
        pattern.bound(rows, "points")
        rows = pattern.block(len(v["w"]))
        pattern.put(rows[:, None], v["w"])
        pattern.put(rows[None, :], v["y"], "", -1.0)
        rows = pattern.at_most([(received,)], len(received))
        pattern.put(rows[None, :], v["w"], "", -1.0)
        rows = pattern.block(len(v["I"]))
        pattern.put(rows[:, None], v["I"], "allowed")
        pattern.bound(rows, "one")
        return pattern.height

    def _limits(self, pattern: _Pattern) -> None:
        """Inequalities: signs, transfer times, mini-batch, clock and machine limits, the paths of (34)."""
        v, n = self.variables, self.ues
        for name in ("y", "w", "I") + (("h",) if self.sliced else ()):
            pattern.at_most([(v[name], "", -1.0)], v[name].shape)
        pattern.at_most([(v["D"][:n], "", -1.0)], n)
        pattern.at_most([(v["y"], "uplink_time"), (v["o"], "", -1.0)], v["y"].shape)
        pattern.at_most([(v["w"], "backhaul_time"), (v["c"], "", -1.0)], v["w"].shape)
        dpus = len(v["x"])
        if self.sliced:
            self._slice(pattern)
        else:
            pattern.at_most([(v["x"],), (v["D"], "most_samples", -1.0)], dpus)
            pattern.at_most([(v["x"], "", -1.0), (v["D"], "least_samples")], dpus)
        pattern.at_most([(v["x"], "least_time"), (v["T"], "", -1.0)], dpus)
        pattern.at_most([(v["x"][:n], "most_time", -1.0), (v["T"][:n],)], n)
        rows = pattern.at_most([(v["T"][:n],), (v["A"], "", -1.0)], n)
        pattern.put(rows[:, None], v["I"], "path_time")
        rows = pattern.at_most([(v["c"],), (v["o"],), (v["T"][n:],), (v["A"], "", -1.0)], len(v["c"]))
        pattern.bound(rows, "centre_time", -1.0)
        if self.shared_relay:
            pattern.at_most([(v["I"],), (v["r"], "", -1.0)], v["I"].shape)

    def _slice(self, pattern: _Pattern) -> None:
        """Inequalities of a slice of the server's scale: g = gamma D, its sum between two ends, and the noise h."""
        v = self.variables
        dpus = len(v["x"])
        pattern.at_most([(v["D"],), (v["g"], "", -1.0)], dpus)
        pattern.at_most([(v["g"],), (v["D"], "most_iterations", -1.0)], dpus)
        pattern.at_most([(v["x"],), (v["g"], "", -1.0)], dpus)
        pattern.at_most([(v["g"], "least_minibatch"), (v["x"], "", -1.0)], dpus)
        rows = pattern.block(2)
        pattern.put(rows[0], v["g"])
        pattern.put(rows[1], v["g"], "", -1.0)
        pattern.bound(rows, "ends")
        noise = [(v["q"], "noise"), (v["D"], "noise_points", -1.0), (v["g"], "noise_full"), (v["h"], "", -1.0)]
        pattern.at_most(noise, dpus)

    def _energies(self, pattern: _Pattern) -> None:
        """Second-order cones of the energies (27), (29) and the noise."""
        v, n = self.variables, self.ues
        self.cones += pattern.product(v["u"], v["T"][:n], [(v["x"][:n], "")])
        self.cones += pattern.product(v["e"][:n], v["x"][:n], [(v["u"], "ue_energy")])
        self.cones += pattern.product(v["e"][n:], v["T"][n:], [(v["x"][n:], "centre_energy")])
        self.cones += pattern.product(v["q"], v["x"], [(v["D"], "noise_of_points"), (None, "noise_of_count")])

    def _freeze(self, pattern: _Pattern) -> None:
        """Turn the triples into compressed columns and remember where each number goes."""
        rows, columns = np.concatenate(pattern.rows), np.concatenate(pattern.columns)
        self._order = np.lexsort((rows, columns))
        self._entries, self._right, self.height = pattern.entries, pattern.right, pattern.height
        counts = np.bincount(columns, minlength=self.width)
        self._pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._rows = rows[self._order].astype(np.int64)
        names = {name for name, _, _ in self._entries} | {name for name, _, _ in self._right}
        self.names = names - {"", "one"}

    def matrices(self, numbers: Numbers) -> tuple[sparse.csc_matrix, NDArray]:
        """``A`` (rows, variables) and ``b`` (rows,) with these numbers."""
        values = np.empty(len(self._rows))
        start = 0
        for name, factor, count in self._entries:
            values[start : start + count] = factor * np.ravel(numbers[name]) if name else factor
            start += count
        right = np.zeros(self.height)
        for name, factor, rows in self._right:
            right[rows] = factor * np.ravel(numbers[name]) if name != "one" else factor
        matrix = sparse.csc_matrix((values[self._order], self._rows, self._pointers), shape=(self.height, self.width))
        return matrix, right

    def cost(self, prices: Numbers) -> NDArray:
        """The linear objective from a price for each variable named; others cost nothing."""
        cost = np.zeros(self.width)
        for name, price in prices.items():
            cost[self.variables[name].ravel()] = np.ravel(price)
        return cost

    def solve(self, numbers: Numbers, prices: Numbers) -> ConicSolution:
        """Minimise the prices; raises `SolverError` unless CLARABEL ends with `Solved`, after some tries if need be.

        With `AlmostSolved` (a relative gap of 5e-5) the variables still make a decision, whose cost the formulas tell,
        but nothing is proved: the bound is minus infinity.
        """
        matrix, right = self.matrices(numbers)
        nothing = sparse.csc_matrix((self.width, self.width))
        cost = self.cost(prices)
        ends = (
            clarabel.DefaultSolver(nothing, cost, matrix, right, self.cones, _settings(regularization)).solve()
            for regularization in REGULARIZATIONS
        )
        found = first = next(ends)
        if first.status != clarabel.SolverStatus.Solved:
            found = next((end for end in ends if end.status == clarabel.SolverStatus.Solved), first)
        proved = found.status == clarabel.SolverStatus.Solved
        if not proved and found.status != clarabel.SolverStatus.AlmostSolved:
            raise SolverError(f"conic programme: status Solved wanted, got {found.status} after {found.iterations}")
        values = np.array(found.x)
        variables = {name: values[places] for name, places in self.variables.items()}
        dual = float(found.obj_val_dual)
        infeasible = np.maximum(-(cost + matrix.T @ np.array(found.z)), 0.0)
        hidden = max(DUAL_MARGIN * abs(dual), 2.0 * float(infeasible @ abs(values)))
        bound = dual - hidden if proved else -np.inf
        return ConicSolution(variables, float(found.obj_val), bound, int(found.iterations))


@lru_cache(maxsize=64)
def conic_shape(ues: int, stations: int, centres: int, choices: int, shared_relay: bool, sliced: bool) -> ConicShape:
    """The layout of a shape, made once."""
    return ConicShape(ues, stations, centres, choices, shared_relay, sliced)


@lru_cache(maxsize=1)
def _settings(regularization: float) -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.static_regularization_constant = regularization
    settings.verbose = False
    settings.max_threads = 1
    settings.presolve_enable = False
    settings.chordal_decomposition_enable = False
    return settings
