"""A round with relaxed integers as smooth functions of variables in [0, 1]: J, the delay constraints, and derivatives.

Every node of the network computes with its own copies of what nodes share, equations (51)-(57) of arXiv 2203.13950:
an objective and constraints that are sums over nodes. `Layout.source` says which central variable an entry copies, so
the centralised problem is the same function with equal copies. N UEs, B base stations, S data centres, V = N + B + S.

| name | what | shape | node |
|---|---|---|---|
| rho_ue, rho_bs, rho_dc | share of a UE's data for each base station | (N, B), (N, B), (S, N, B) | UE, BS, DC |
| fwd_bs, fwd_dc | share of a base station's data for each data centre | (B, S) | BS, DC |
| clock, speed | f / f_max, z / C | (N,), (S,) | UE, DC |
| m_ue, m_dc | mini-batch ratio | (N,), (S,) | UE, DC |
| up, down | associations | (N, B), (B, N) | UE, BS |
| agg | aggregator | (V, S) | all |
| A, R | delays of aggregation and reception over ``time_scale`` | (N + S,), (B + S,) | UE and DC, BS and DC |

Constraints, in units of ``time_scale``: (44f) of each UE, (44g) of each DC, (44h) of each BS, (44i) of each DC. The
largest transfer times are smoothed by log-sum-exp. All counts are equal, and rates are the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rangym.envs.physics.federated_round import RoundDecision, energy_optimal_speed
from rangym.policies.algorithms.federated.coefficients import Coefficients, prices

SHARPNESS = 200.0
"""Of log-sum-exp, in units of 1 / ``time_scale``."""
LARGEST_DELAY = 10.0
"""Of the scaled delays."""


class Layout:
    """Where each variable stands in the vector of all copies, which node owns it, and what it is a copy of."""

    def __init__(self, ues: int, stations: int, centres: int):
        n, b, s = ues, stations, centres
        nodes = n + b + s
        self.nodes = nodes
        ue, bs, dc = np.arange(n), n + np.arange(b), n + b + np.arange(s)
        owners = {
            "rho_ue": np.tile(ue[:, None], (1, b)), "rho_bs": np.tile(bs, (n, 1)),
            "rho_dc": np.tile(dc[:, None, None], (1, n, b)), "fwd_bs": np.tile(bs[:, None], (1, s)),
            "fwd_dc": np.tile(dc, (b, 1)), "clock": ue, "m_ue": ue, "speed": dc, "m_dc": dc,
            "up": np.tile(ue[:, None], (1, b)), "down": np.tile(bs[:, None], (1, n)),
            "agg": np.tile(np.arange(nodes)[:, None], (1, s)), "A": np.r_[ue, dc], "R": np.r_[bs, dc],
        }  # fmt: skip
        central = {
            "rho": (n, b), "fwd": (b, s), "clock": (n,), "m_ue": (n,), "speed": (s,), "m_dc": (s,), "up": (n, b),
            "down": (b, n), "agg": (s,), "A": (1,), "R": (1,),
        }  # fmt: skip
        self.at = _places(owners)
        self.central = _places({name: np.empty(shape) for name, shape in central.items()})
        self.width = sum(v.size for v in self.at.values())
        self.central_width = sum(v.size for v in self.central.values())
        self.owner = np.concatenate([v.ravel() for v in owners.values()])
        self.source = np.empty(self.width, dtype=np.int64)
        for name, places in self.at.items():
            origin = self.central["rho" if name[:3] == "rho" else "fwd" if name[:3] == "fwd" else name]
            self.source[places.ravel()] = np.broadcast_to(origin, places.shape).ravel()
        self.copies = np.bincount(self.source, minlength=self.central_width)
        self.row_owner = np.r_[ue, dc, bs, dc]

    def spread(self, central: NDArray) -> NDArray:
        """Every copy equal."""
        return central[self.source]

    def gather(self, copies: NDArray) -> NDArray:
        """The mean of the copies."""
        return np.bincount(self.source, copies, self.central_width) / self.copies

    def gather_rows(self, jacobian: NDArray) -> NDArray:
        """Derivatives by central variables from those by copies, (rows, central)."""
        out = np.zeros((len(jacobian), self.central_width))
        for row, values in zip(out, jacobian, strict=True):
            row += np.bincount(self.source, values, self.central_width)
        return out


def _places(arrays: dict[str, NDArray]) -> dict[str, NDArray]:
    places, start = {}, 0
    for name, values in arrays.items():
        places[name] = np.arange(start, start + values.size).reshape(values.shape)
        start += values.size
    return places


@dataclass(frozen=True)
class Integers:
    """An aggregator and associations that a solver keeps: index, (N,) base stations up and down."""

    aggregator: int
    ue_to_bs: NDArray
    bs_to_ue: NDArray


@dataclass(frozen=True, eq=False)
class Model:
    """Values and derivatives at one vector of copies: ``objective`` in units of J, constraints at most 0."""

    objective: float
    gradient: NDArray
    constraints: NDArray
    jacobian: NDArray


class RelaxedRound:
    """The functions for one round; ``count`` iterations at every data processing unit."""

    def __init__(self, coefficients: Coefficients, count: int):
        self.coefficients, self.problem = coefficients, coefficients.problem
        c = coefficients
        self.layout = Layout(c.ues, c.stations, c.centres)
        constants = self.problem.learning_constants
        self.iterations = np.full(c.ues + c.centres, float(count))
        self.scale = constants.server_scale
        if constants.theta_mode == "eff":
            self.scale = float(c.step_sum(self.iterations)[0])
        self.prices = prices(self.problem, self.scale)
        third, self.fifth = (self.prices.noise * part for part in c.noise(self.iterations, self.scale))
        self.third = third / c.unit  # per data point
        self.constant = self.prices.constant + self.prices.noise * c.spread(self.iterations)
        net, given, energy = self.problem.network, self.problem.conditions, self.problem.energy_prices
        self.uplink_s = net.point_bits / given["uplink_bps"] * c.points[:, None]  # of all data of a UE
        self.backhaul_s = net.point_bits / given["backhaul_bps"]  # of one point
        self.uplink_price = energy["ue_data"] * net.ue_power_w * self.uplink_s
        self.backhaul_price = energy["bs_data"] * net.backhaul_power_w * self.backhaul_s
        self.ue_time = count * net.cycles_per_point / self.problem.clock_high_hz  # at m = 1 and full clock, of a point
        self.ue_price = energy["ue_compute"] * self.ue_time * self.problem.clock_high_hz**3 * net.capacitance / 2.0
        self.dc_time = count / (net.machines * net.machine_points_per_s)
        self.dc_price = energy["dc_compute"] * self.dc_time * net.machine_power_w * net.machines
        self.agg_price = np.array([c.centre_upload_price(a) for a in range(c.centres)])
        between_j = (net.dc_to_dc_power_w * c.between_s).sum(axis=1) + (net.dc_to_bs_power_w * c.to_bs_s).sum(axis=1)
        self.reception_price = energy["reception"] * between_j
        self.broadcast_price = energy["reception"] * net.broadcast_power_w
        self.time_scale = 1.0

    def evaluate(self, w: NDArray) -> Model:
        """All of it at the copies ``w``."""
        at, t0 = self.layout.at, self.time_scale
        v = {name: w[places] for name, places in at.items()}
        gradient = np.zeros(self.layout.width)
        jacobian = np.zeros((len(self.layout.row_owner), self.layout.width))
        constraints = np.empty(len(self.layout.row_owner))
        objective = self.constant + self._ue_terms(v, gradient, jacobian, constraints)
        objective += self._bs_terms(v, gradient, jacobian, constraints)
        objective += self._dc_terms(v, gradient, jacobian, constraints)
        for name in ("A", "R"):
            gradient[at[name]] += self.prices.delay * t0 / at[name].size
            objective += self.prices.delay * t0 * v[name].mean()
        objective += float((self.agg_price + self.reception_price) @ v["agg"].mean(axis=0))
        gradient[at["agg"]] += (self.agg_price + self.reception_price) / self.layout.nodes
        return Model(float(objective), gradient, constraints, jacobian)

    def _noise(self, points: NDArray, m: NDArray, part: slice) -> tuple[float, NDArray, NDArray]:
        """Xc and Xe in units of J, and their derivatives in the data and in the mini-batch."""
        third, fifth = self.third[part], self.fifth[part]
        several = np.maximum(points, 1.0)
        weight = third * points + fifth * (1.0 - 1.0 / several)
        slope = third + np.where(points > 1.0, fifth / several**2, 0.0)
        return float((weight * (1.0 / m - 1.0)).sum()), slope * (1.0 / m - 1.0), -weight / m**2

    def _ue_terms(self, v: dict, gradient: NDArray, jacobian: NDArray, constraints: NDArray) -> float:
        """Offloading, computing and uploading of the UEs, and (44f)."""
        at, c, t0 = self.layout.at, self.coefficients, self.time_scale
        rows, n = np.arange(c.ues), c.ues
        kept = c.points * (1.0 - v["rho_ue"].sum(axis=1))
        noise, by_points, by_m = self._noise(kept, v["m_ue"], slice(0, n))
        compute = self.ue_price * v["m_ue"] * kept * v["clock"] ** 2
        by_points = by_points + self.ue_price * v["m_ue"] * v["clock"] ** 2
        gradient[at["rho_ue"]] = self.uplink_price - (c.points * by_points)[:, None]
        gradient[at["m_ue"]] = by_m + self.ue_price * kept * v["clock"] ** 2
        gradient[at["clock"]] = 2.0 * self.ue_price * v["m_ue"] * kept * v["clock"]
        relay_price = v["agg"][:n] @ c.relay_price.T  # (N, B)
        gradient[at["up"]] = c.hop_price + relay_price
        gradient[at["agg"][:n]] += v["up"] @ c.relay_price
        busy = self.ue_time * v["m_ue"] * kept / v["clock"]
        path = c.hop_s + v["agg"][:n] @ c.relay_s.T
        constraints[rows] = ((v["up"] * path).sum(axis=1) + busy) / t0 - v["A"][:n]
        jacobian[rows[:, None], at["up"]] = path / t0
        jacobian[rows[:, None], at["agg"][:n]] = v["up"] @ c.relay_s / t0
        jacobian[rows[:, None], at["rho_ue"]] = -(self.ue_time * v["m_ue"] / v["clock"] * c.points / t0)[:, None]
        jacobian[rows, at["m_ue"]] = self.ue_time * kept / v["clock"] / t0
        jacobian[rows, at["clock"]] = -busy / v["clock"] / t0
        jacobian[rows, at["A"][:n]] = -1.0
        energy = (self.uplink_price * v["rho_ue"]).sum() + compute.sum()
        return float(noise + energy + (v["up"] * (c.hop_price + relay_price)).sum())

    def _bs_terms(self, v: dict, gradient: NDArray, jacobian: NDArray, constraints: NDArray) -> float:
        """Forwarding and broadcasting of the base stations, and (44h)."""
        at, c, t0 = self.layout.at, self.coefficients, self.time_scale
        n, b = c.ues, c.stations
        rows, nodes = n + c.centres + np.arange(b), n + np.arange(b)
        collected = c.points @ v["rho_bs"]
        per_point = (self.backhaul_price * v["fwd_bs"]).sum(axis=1)
        gradient[at["fwd_bs"]] = collected[:, None] * self.backhaul_price
        gradient[at["rho_bs"]] = c.points[:, None] * per_point
        last, share = self._largest(v["down"] * c.down_s)
        gradient[at["down"]] = self.broadcast_price[:, None] * share * c.down_s
        arrival = v["agg"][nodes] @ c.to_bs_s  # (B, B): column b' as base station b sees the aggregator
        constraints[rows] = (np.diagonal(arrival) + last) / t0 - v["R"][:b]
        jacobian[rows[:, None], at["agg"][nodes]] = c.to_bs_s.T / t0
        jacobian[rows[:, None], at["down"]] = share * c.down_s / t0
        jacobian[rows, at["R"][:b]] = -1.0
        return float(collected @ per_point + self.broadcast_price @ last)

    def _dc_terms(self, v: dict, gradient: NDArray, jacobian: NDArray, constraints: NDArray) -> float:
        """Collecting and computing of the data centres, (44g) and (44i)."""
        at, c, t0, net = self.layout.at, self.coefficients, self.time_scale, self.problem.network
        n, s = c.ues, c.centres
        rows, last_rows, nodes = n + np.arange(s), n + s + c.stations + np.arange(s), n + c.stations + np.arange(s)
        sent = np.einsum("n,snb->sb", c.points, v["rho_dc"])
        share = v["fwd_dc"].T  # (S, B)
        points = (sent * share).sum(axis=1)
        noise, by_points, by_m = self._noise(points, v["m_dc"], slice(n, None))
        load = net.dynamic_share * v["speed"] ** 2 + 1.0 - net.dynamic_share
        per_point = self.dc_price * v["m_dc"] / v["speed"] * load
        by_points = by_points + per_point
        gradient[at["fwd_dc"]] = (by_points[:, None] * sent).T
        gradient[at["rho_dc"]] = (by_points[:, None] * share)[:, None, :] * c.points[:, None]
        gradient[at["m_dc"]] = by_m + self.dc_price * points / v["speed"] * load
        by_speed = net.dynamic_share - (1.0 - net.dynamic_share) / v["speed"] ** 2
        gradient[at["speed"]] = self.dc_price * v["m_dc"] * points * by_speed
        backhaul, backhaul_share = self._largest(sent * share * self.backhaul_s.T)
        uplink, uplink_share = self._largest((v["rho_dc"] * self.uplink_s).reshape(s, -1))
        busy = self.dc_time * v["m_dc"] / v["speed"]  # of a point
        between = np.einsum("sa,sa->s", v["agg"][nodes], c.between_s)
        constraints[rows] = (backhaul + uplink + busy * points + between) / t0 - v["A"][n:]
        slope = backhaul_share * self.backhaul_s.T + busy[:, None]  # of a point from each base station
        jacobian[rows[:, None], at["fwd_dc"].T] = slope * sent / t0
        by_rho = (slope * share)[:, None, :] * c.points[:, None] + uplink_share.reshape(s, n, -1) * self.uplink_s
        jacobian[rows[:, None, None], at["rho_dc"]] = by_rho / t0
        jacobian[rows, at["m_dc"]] = self.dc_time / v["speed"] * points / t0
        jacobian[rows, at["speed"]] = -busy * points / v["speed"] / t0
        jacobian[rows[:, None], at["agg"][nodes]] = c.between_s / t0
        jacobian[rows, at["A"][n:]] = -1.0
        constraints[last_rows] = np.einsum("sa,as->s", v["agg"][nodes], c.between_s) / t0 - v["R"][c.stations :]
        jacobian[last_rows[:, None], at["agg"][nodes]] = c.between_s.T / t0
        jacobian[last_rows, at["R"][c.stations :]] = -1.0
        return float(noise + per_point @ points)

    def _largest(self, times: NDArray) -> tuple[NDArray, NDArray]:
        """Smooth maximum of each row, and its derivative by the entries."""
        sharp = SHARPNESS / self.time_scale
        top = times.max(axis=1, keepdims=True)
        raised = np.exp(sharp * (times - top))
        total = raised.sum(axis=1, keepdims=True)
        return top[:, 0] + np.log(total[:, 0]) / sharp, raised / total

    def with_delays(self, central: NDArray) -> NDArray:
        """The central variables with the least delays A and R that keep all constraints."""
        places = self.layout.central
        out = central.copy()
        out[[places["A"][0], places["R"][0]]] = 0.0
        constraints = self.evaluate(self.layout.spread(out)).constraints
        split = self.coefficients.ues + self.coefficients.centres
        out[places["A"][0]], out[places["R"][0]] = constraints[:split].max(), constraints[split:].max()
        return out

    def start(self, integers: Integers | None) -> NDArray:
        """A point to start from: half of the data over the good links, integers uniform where none are given."""
        c, problem, places = self.coefficients, self.problem, self.layout.central
        uplink, backhaul = problem.conditions["uplink_bps"], problem.conditions["backhaul_bps"]
        good = np.where(uplink >= 0.5 * uplink.max(axis=1, keepdims=True), uplink, 0.0)
        w = np.empty(self.layout.central_width)
        w[places["rho"]] = 0.5 * good / good.sum(axis=1, keepdims=True)
        w[places["fwd"]] = backhaul / backhaul.sum(axis=1, keepdims=True)
        w[places["clock"]] = np.sqrt(problem.clock_low_hz / problem.clock_high_hz)
        w[places["speed"]] = energy_optimal_speed(problem.network.dynamic_share)
        w[places["m_ue"]] = w[places["m_dc"]] = np.sqrt(problem.least_minibatch)
        w[places["agg"]], w[places["up"]], w[places["down"]] = 1.0 / c.centres, 1.0 / c.stations, 1.0 / c.stations
        if integers is not None:
            w[places["agg"]] = np.arange(c.centres) == integers.aggregator
            w[places["up"]] = np.arange(c.stations) == integers.ue_to_bs[:, None]
            w[places["down"]] = np.arange(c.stations)[:, None] == integers.bs_to_ue
        return self.with_delays(w)

    @cached_property
    def integer(self) -> NDArray:
        """Which central variables stand for integers."""
        out = np.zeros(self.layout.central_width, dtype=bool)
        for name in ("agg", "up", "down"):
            out[self.layout.central[name]] = True
        return out

    def free(self, keep_integers: bool) -> NDArray:
        """Which central variables a solver may change."""
        return ~self.integer if keep_integers else np.ones(self.layout.central_width, dtype=bool)

    def integer_blocks(self) -> list[NDArray]:
        """Central variables of each one-hot vector."""
        places = self.layout.central
        return [places["agg"], *places["up"], *places["down"].T]

    @cached_property
    def limits(self) -> tuple[NDArray, NDArray]:
        """Least and largest value of each central variable."""
        places, problem = self.layout.central, self.problem
        low, high = np.zeros(self.layout.central_width), np.ones(self.layout.central_width)
        low[places["clock"]] = problem.clock_low_hz / problem.clock_high_hz
        low[places["speed"]] = problem.least_speed
        low[places["m_ue"]] = low[places["m_dc"]] = problem.least_minibatch
        high[places["A"]] = high[places["R"]] = LARGEST_DELAY
        return low, high

    def clip_copies(self, w: NDArray) -> NDArray:
        """Copies within their boxes."""
        low, high = self.limits
        return np.minimum(np.maximum(w, low[self.layout.source]), high[self.layout.source])

    def project(self, w: NDArray) -> NDArray:
        """Euclidean projection of central variables onto boxes and simplices."""
        places, ues = self.layout.central, self.coefficients.ues
        out = np.minimum(np.maximum(w, self.limits[0]), self.limits[1])
        rows = np.concatenate([w[places["rho"]], w[places["up"]], w[places["down"]].T])
        rows = simplex_rows(rows, np.arange(len(rows)) < ues)
        out[places["rho"]], out[places["up"]], out[places["down"]] = rows[:ues], rows[ues : 2 * ues], rows[2 * ues :].T
        rows = simplex_rows(np.concatenate([w[places["fwd"]], w[places["agg"]][None]]))
        out[places["fwd"]], out[places["agg"]] = rows[:-1], rows[-1]
        return out

    def decision(self, central: NDArray) -> RoundDecision:
        """The decision behind central variables, integers rounded by the largest share."""
        c, problem = self.coefficients, self.problem
        v = {name: central[places] for name, places in self.layout.central.items()}
        offload, forward = np.clip(v["rho"], 0.0, None), np.clip(v["fwd"], 1e-15, None)
        fastest = problem.network.machine_points_per_s
        return RoundDecision(
            aggregator=np.int64(v["agg"].argmax()),  # type: ignore[typeddict-item]
            ue_to_bs=v["up"].argmax(axis=1),
            bs_to_ue=v["down"].argmax(axis=0),
            offload_share=offload / np.maximum(offload.sum(axis=1, keepdims=True), 1.0),
            forward_share=forward / forward.sum(axis=1, keepdims=True),
            clock_hz=np.clip(v["clock"] * problem.clock_high_hz, problem.clock_low_hz, problem.clock_high_hz),
            points_per_s=np.clip(v["speed"], problem.least_speed, 1.0) * fastest,
            ue_iterations=self.iterations[: c.ues],
            dc_iterations=self.iterations[c.ues :],
            ue_minibatch=np.clip(v["m_ue"], problem.least_minibatch, 1.0),
            dc_minibatch=np.clip(v["m_dc"], problem.least_minibatch, 1.0),
        )


def simplex_rows(values: NDArray, capped: NDArray | bool = False) -> NDArray:
    """Euclidean projection of each row onto the simplex; ``capped`` rows onto {x >= 0, sum <= 1}.

    >>> simplex_rows(np.array([[0.9, 0.5], [0.2, 0.1]]), np.array([False, True]))
    array([[0.7, 0.3],
           [0.2, 0.1]])
    """
    ordered = -np.sort(-values, axis=1)
    excess = np.cumsum(ordered, axis=1) - 1.0
    ranks = np.arange(1, values.shape[1] + 1)
    support = (ordered * ranks > excess).sum(axis=1) - 1
    threshold = excess[np.arange(len(values)), support] / (support + 1)
    inside = capped & (np.maximum(values, 0.0).sum(axis=1) <= 1.0)
    return np.maximum(values - np.where(inside, 0.0, threshold)[:, None], 0.0)


def row_scale(jacobian: NDArray) -> NDArray:
    """Factors that bring rows longer than 1 to length 1."""
    return 1.0 / np.maximum(np.sqrt(np.einsum("rw,rw->r", jacobian, jacobian)), 1.0)
