"""The decentralised solver: every node has its own copies of variables and multipliers (Algorithms 2 and 3).

A node's projection needs its own variables and multipliers only. Copies of a variable are tied to the first of them by
equalities, (52)-(57), and the sum of a UE's downlink associations, which sit at different base stations, is one more
equality, (44e); their multipliers Omega are averaged with those of the delays.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.policies.algorithms.federated.relaxed_round import RelaxedRound, row_scale, simplex_rows


class Copies:
    """The state of all nodes; `step` is one step of Algorithm 1, `central` what the mean of the copies comes to."""

    def __init__(
        self,
        model: RelaxedRound,
        start: NDArray,
        keep_integers: bool,
        averaging: NDArray,
        proximal: float,
        curvature: float,
        relaxation: float,
    ):
        layout = model.layout
        if averaging.shape != (layout.nodes, layout.nodes):
            raise WrongValue(f"averaging: shape {(layout.nodes,) * 2} wanted, got {averaging.shape}")
        self.model, self.averaging = model, averaging
        self.proximal, self.curvature, self.relaxation = proximal, curvature, relaxation
        self.copies = layout.spread(start)
        self.unit = model.evaluate(self.copies).objective
        central_free = model.free(keep_integers)
        self.free = central_free[layout.source]
        self.integer = model.integer[layout.source]
        self.first, self.other = self._ties()
        self.down = layout.at["down"] if not keep_integers else np.empty((model.coefficients.stations, 0), np.int64)
        self.rows = len(layout.row_owner)
        self.multipliers = np.zeros((layout.nodes, self.rows + len(self.first) + self.down.shape[1]))
        self.most_copies = int(layout.copies[central_free].max())

    @property
    def central(self) -> NDArray:
        """The mean of the copies, projected, with the delays that keep all constraints."""
        return self.model.with_delays(self.model.project(self.model.layout.gather(self.copies)))

    @property
    def disagreement(self) -> float:
        """Largest distance of a copy from the mean of its variable."""
        layout = self.model.layout
        return float(abs(self.copies - layout.spread(layout.gather(self.copies))).max())

    def step(self, penalty: float, dual_steps: int) -> float:
        """One step of Algorithm 1; the largest change of a copy that the approximation asks for."""
        w, layout, nodes = self.copies, self.model.layout, self.model.layout.nodes
        found = self.model.evaluate(w)
        gradient = found.gradient / self.unit
        gradient += np.where(self.integer, penalty * (1.0 - 2.0 * w) / layout.copies[layout.source], 0.0)
        jacobian = found.jacobian * self.free
        scale = row_scale(jacobian)
        scaled = jacobian * scale[:, None]
        tie_length = self.proximal * nodes / (np.linalg.eigvalsh(scaled @ scaled.T)[-1] + self.most_copies)
        length = tie_length * scale**2
        owner, rows = layout.row_owner, np.arange(self.rows)
        reached = w
        for _ in range(dual_steps):
            curvature = self.proximal + self.curvature * self.multipliers[:, : self.rows].sum(axis=1)
            slope = gradient + self.multipliers[owner, rows] @ jacobian + self._tie_slope()
            reached = np.where(self.free, self.project(w - slope / curvature[layout.owner]), w)
            change = reached - w
            quadratic = self.curvature / 2.0 * np.bincount(layout.owner, change**2, nodes)
            ascent = self.multipliers.copy()
            ascent[:, : self.rows] += length * (found.constraints / nodes + quadratic[:, None])
            ascent[owner, rows] += length * (jacobian @ change)
            self._tie_ascent(ascent, reached, tie_length)
            self.multipliers = self.averaging @ ascent
            np.maximum(self.multipliers[:, : self.rows], 0.0, out=self.multipliers[:, : self.rows])
        self.copies = w + self.relaxation * (reached - w)
        return float(abs(reached - w).max())

    def project(self, w: NDArray) -> NDArray:
        """Each node projects its own variables; what is not a simplex of one node is a box."""
        at, c = self.model.layout.at, self.model.coefficients
        out = self.model.clip_copies(w)
        pair = np.concatenate([w[at["rho_ue"]], w[at["up"]]])
        pair = simplex_rows(pair, np.arange(len(pair)) < c.ues)
        out[at["rho_ue"]], out[at["up"]] = pair[: c.ues], pair[c.ues :]
        pair = simplex_rows(np.concatenate([w[at["fwd_bs"]], w[at["agg"]]]))
        out[at["fwd_bs"]], out[at["agg"]] = pair[: c.stations], pair[c.stations :]
        return out

    def _ties(self) -> tuple[NDArray, NDArray]:
        """Pairs (first copy, other copy) of every free variable that has several."""
        source = self.model.layout.source
        first = np.full(self.model.layout.central_width, -1, dtype=np.int64)
        first[source[::-1]] = np.arange(len(source))[::-1]
        other = np.flatnonzero((first[source] != np.arange(len(source))) & self.free)
        return first[source[other]], other

    def _tie_slope(self) -> NDArray:
        """Omega's part of the Lagrangian's derivative, each copy with the multipliers of its own node."""
        owner, width = self.model.layout.owner, self.model.layout.width
        ties = self.rows + np.arange(len(self.first))
        slope = np.bincount(self.first, self.multipliers[owner[self.first], ties], width)
        slope[self.other] -= self.multipliers[owner[self.other], ties]
        if self.down.size:
            slope[self.down] += self.multipliers[owner[self.down[:, :1]], self._down_columns()]
        return slope

    def _tie_ascent(self, multipliers: NDArray, reached: NDArray, length: float) -> None:
        """Add each node's part of the equalities, (73), in place."""
        owner = self.model.layout.owner
        ties = self.rows + np.arange(len(self.first))
        multipliers[owner[self.first], ties] += length * reached[self.first]
        multipliers[owner[self.other], ties] -= length * reached[self.other]
        if self.down.size:
            columns = self._down_columns()
            multipliers[:, columns] -= length / self.model.layout.nodes
            multipliers[owner[self.down[:, :1]], columns] += length * reached[self.down]

    def _down_columns(self) -> NDArray:
        return self.rows + len(self.first) + np.arange(self.down.shape[1])
