"""A day of key performance indicators (KPI): vehicles drive about the cells, and every few seconds each sends a packet.

A row is one packet's account: latency, jitter and RSRP, and what the network knew beside them. A period of 15 minutes
is summarised, cell by cell, as a Gaussian of q = (ln latency in ms, ln jitter in ms, RSRP in dBm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rangym.envs.errors import WrongValue
from rangym.envs.physics.random import box_muller
from rangym.envs.physics.units import NEPERS_PER_DB, db_to_linear, linear_to_db
from rangym.envs.qos_clustering import concepts
from rangym.envs.qos_clustering.deployment import (
    BANDWIDTH_MHZ,
    RE_NOISE_DBM,
    SPEED_KMH,
    Deployment,
    deployment,
)

KPIS = ("latency_ms", "jitter_ms", "rsrp_dbm")
"""What q is made of: the first two enter by their logarithm."""
PERIOD_S = 900.0
TOURS = 5
"""Tours of a vehicle in a period."""
HALF_SIDE_M = (60.0, 180.0)
SPEED_SPREAD = 0.12

AMPLITUDE_OF_DAY_SD = 0.03
LOAD_OF_UE = 0.012
ROW_LOAD_RANGE = (0.03, 0.93)

PACKET_KBIT, PACKET_SPREAD = 12.0, 0.2
EFFICIENCY_SHARE, EFFICIENCY_RANGE = 0.75, (0.12, 7.4)
"""Share of the Shannon efficiency that is reached, and its limits in bit/s/Hz."""
SINR_SPREAD_DB, RSRP_SPREAD_DB = 1.5, 1.0
CORE_MS, RADIO_MS, SERVICE_WEIGHT, LATENCY_SPREAD = 2.0, 1.4, 1.5, 0.22
JITTER_FLOOR_MS, JITTER_SPREAD = 0.29, 0.30
SERVICE_CV2 = 1.0
"""Squared coefficient of variation of the service time."""
LOSS_FLOOR, LOSS_OF_LOAD, LOSS_OF_SINR, LOSS_SD = 0.002, 0.05, 0.02, 0.002
OFFERED_MBPS = 1.2

MIN_ROWS = 20
"""A cell and period with fewer rows takes the Gaussian of the period before."""
SAMPLE_ROWS = 16
"""Rows of a cell and period that the predictor sees."""
COLUMNS = (
    "load",
    "n_ue",
    "speed_kmh",
    "sin_direction",
    "cos_direction",
    "packet_kbit",
    "ln_latency",
    "ln_jitter",
    "throughput_mbps",
    "loss",
    "sinr_db",
    "rsrp_dbm",
    "los",
)
"""What the predictor sees of a row."""


@dataclass(frozen=True)
class DaySettings:
    """Everything that defines a day but its chance; the fields mean what they mean in `QosClusteringParams`."""

    num_cells: int
    num_vehicles: int
    sampling_s: float
    periods: int
    drift: str
    concept_hold_h: float = 8.0
    events: tuple[concepts.Event, ...] = ()
    map_seed: int = 0


@dataclass(frozen=True, eq=False)
class Day:
    """What a day left behind, P periods of N cells.

    Attributes
    ----------
    load : (P, N) background load.
    group_weight : (P, N, 4) the hidden concept.
    mean : (P, N, 3) of q in each period and cell.
    covariance : (P, N, 3, 3).
    rows : (P, N, 16, 13) float32, rows drawn at random from each period and cell, `COLUMNS`.
    num_rows : (P, N) rows that there were.
    """

    load: NDArray
    group_weight: NDArray
    mean: NDArray
    covariance: NDArray
    rows: NDArray
    num_rows: NDArray

    @property
    def carried(self) -> int:
        """How many Gaussians stand in for a period and cell with fewer than `MIN_ROWS` rows."""
        return int((self.num_rows < MIN_ROWS).sum())


def draw_day(settings: DaySettings, rng: np.random.Generator) -> Day:
    """Draw a day: the concepts and the load of all cells, then the vehicles, period by period."""
    s, world = settings, deployment(settings.num_cells, settings.map_seed)
    weight = _weights(s, world, rng)
    amplitude = world.amplitude + AMPLITUDE_OF_DAY_SD * rng.standard_normal(s.num_cells)
    load = concepts.background_load(rng, weight, amplitude)
    moments = np.empty((s.periods, s.num_cells, 10))
    rows = np.empty((s.periods, s.num_cells, SAMPLE_ROWS, len(COLUMNS)), np.float32)
    for t in range(s.periods):
        period = _Period(s, world, load[t], rng)
        moments[t] = period.moments()
        rows[t] = period.sample(moments[t, :, 0].astype(np.int64), rng)
    count = moments[..., 0].astype(np.int64)
    for i in np.flatnonzero(count.max(axis=0) < MIN_ROWS):
        raise WrongValue(
            f"num_cells, num_vehicles, sampling_s: at least {MIN_ROWS} rows in some period of every cell wanted, got "
            f"{count[:, i].max()} in cell {i} of {count.shape[1]}, {s.num_vehicles} vehicles every {s.sampling_s:g} s"
        )
    mean, covariance = gaussians(carried_forward(moments, count >= MIN_ROWS))
    return Day(load, weight, mean, covariance, carried_forward(rows, count > 0), count)


def _weights(s: DaySettings, world: Deployment, rng: np.random.Generator) -> NDArray:
    if s.drift == "wander":
        return concepts.wander(rng, s.periods, s.num_cells, s.concept_hold_h)
    events = s.events or concepts.draw_events(rng, s.num_cells) if s.drift == "events" else ()
    return concepts.drifted(np.eye(len(concepts.GROUPS))[world.site_group], s.periods, events)


def gaussians(moments: NDArray) -> tuple[NDArray, NDArray]:
    """Mean (..., 3) and unbiased covariance + 1e-6 I (..., 3, 3) of `_Period.moments`."""
    count, total = moments[..., 0, None], moments[..., 1:4]
    mean = total / count
    square = np.empty((*mean.shape, 3))
    upper = np.triu_indices(3)
    square[..., upper[0], upper[1]] = square[..., upper[1], upper[0]] = moments[..., 4:]
    covariance = (square - total[..., None] * mean[..., None, :]) / (count[..., None] - 1.0)
    return mean, covariance + 1e-6 * np.eye(3)


def carried_forward(values: NDArray, filled: NDArray) -> NDArray:
    """``values`` (P, N, ...) with those of the period before where it is not ``filled`` (P, N); at first, the next."""
    periods = np.arange(len(filled))[:, None]
    last = np.maximum.accumulate(np.where(filled, periods, -1), axis=0)
    source = np.where(last >= 0, last, filled.argmax(axis=0))
    return values[source, np.arange(filled.shape[1])]


class _Period:
    """The rows of one period: one a vehicle and sampling time."""

    def __init__(self, s: DaySettings, world: Deployment, load: NDArray, rng: np.random.Generator):
        x, y, self.speed, self.segment = _drive(s, world, load, rng)
        place = world.place(x, y)
        cell = world.serving[place]
        steps = np.arange(len(cell))[:, None] * s.num_cells
        present = np.bincount((cell + steps).ravel(), minlength=len(cell) * s.num_cells)
        n_ue = present[cell + steps].ravel()
        self.place, self.cell, self.num_cells = place.ravel(), cell.ravel(), s.num_cells
        self.n_ue, self.world = n_ue.astype(np.float32), world
        low, high = ROW_LOAD_RANGE
        self.load = np.clip(load.astype(np.float32)[self.cell] + np.float32(LOAD_OF_UE) * self.n_ue, low, high)
        self._send(load.astype(np.float32), rng)

    def _send(self, load: NDArray, rng: np.random.Generator) -> None:
        """Radio and queue: SINR with the loads of the other cells, M/G/1 waiting, lognormal spread."""
        normal = box_muller(rng, (5, len(self.cell)))
        world, rho = self.world, self.load
        signal = world.power_mw[self.place, self.cell]
        disturbance = (world.power_mw @ load)[self.place] - load[self.cell] * signal
        spread = np.exp(normal[0] * np.float32(SINR_SPREAD_DB * NEPERS_PER_DB))
        self.sinr = signal / (np.maximum(disturbance, 0) + np.float32(db_to_linear(RE_NOISE_DBM))) * spread
        self.efficiency = np.clip(np.float32(EFFICIENCY_SHARE) * np.log2(1 + self.sinr), *EFFICIENCY_RANGE)
        self.packet_kbit = np.float32(PACKET_KBIT) * np.exp(np.float32(PACKET_SPREAD) * normal[1])
        service_ms = self.packet_kbit / (self.efficiency * np.float32(BANDWIDTH_MHZ))
        waiting = 1 + rho / (1 - rho) * np.float32((1 + SERVICE_CV2) / 2)
        late = np.float32(SERVICE_WEIGHT) * service_ms * waiting * np.exp(np.float32(LATENCY_SPREAD) * normal[2])
        uneven = service_ms * np.sqrt(rho * np.float32((1 + SERVICE_CV2) / 2)) / (1 - rho)
        q = np.empty((3, len(rho)), np.float32)
        np.log(np.float32(CORE_MS + RADIO_MS) + late, out=q[0])
        np.log(np.float32(JITTER_FLOOR_MS) + uneven * np.exp(np.float32(JITTER_SPREAD) * normal[3]), out=q[1])
        np.add(world.rsrp_dbm[self.place], np.float32(RSRP_SPREAD_DB) * normal[4], out=q[2])
        self.q = q

    def moments(self) -> NDArray:
        """Count, sums and sums of products (upper triangle) of q in each cell, ``(N, 10)`` float64."""
        q = self.q.astype(np.float64)
        weights = [None, *q, *(q[a] * q[b] for a, b in zip(*np.triu_indices(3), strict=True))]
        return np.stack([np.bincount(self.cell, w, self.num_cells) for w in weights], axis=1)

    def sample(self, count: NDArray, rng: np.random.Generator) -> NDArray:
        """`SAMPLE_ROWS` rows of each cell at random, with replacement, ``(N, 16, 13)``; zeros where it has none."""
        order = np.argsort(self.cell.astype(np.int16), kind="stable")
        first = np.cumsum(count) - count
        uniform = rng.random((self.num_cells, SAMPLE_ROWS))
        chosen = first[:, None] + (uniform * count[:, None]).astype(np.int64)
        row = order[np.minimum(chosen, len(order) - 1)]
        normal = box_muller(rng, row.shape)
        angle = np.float32(np.pi / 2) * self.segment[row]
        rho, sinr = self.load[row], self.sinr[row]
        expected = LOSS_FLOOR + LOSS_OF_LOAD * np.maximum(rho - 0.8, 0) + LOSS_OF_SINR * (sinr < 0.5)
        loss = np.clip(expected + LOSS_SD * normal, 0, 1)
        rate = self.efficiency[row] * BANDWIDTH_MHZ
        columns = (
            rho,
            self.n_ue[row],
            self.speed[row],
            np.sin(angle),
            np.cos(angle),
            self.packet_kbit[row],
            self.q[0, row],
            self.q[1, row],
            np.minimum(OFFERED_MBPS, rate * (1 - rho) / self.n_ue[row]) * (1 - loss),
            loss,
            linear_to_db(sinr),
            self.q[2, row],
            self.world.los[self.place[row]],
        )
        return np.stack(columns, axis=-1) * (count > 0)[:, None, None]


def _drive(
    s: DaySettings, world: Deployment, load: NDArray, rng: np.random.Generator
) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Where the vehicles are at each sampling time: x, y ``(samples, V)`` in metres; speed in km/h, segment as rows.

    Every tour is a rectangle about a cell's site. Vehicle i < N is tied to cell i; the others choose cells in
    proportion to their load. Segments 0..3 head east, north, west and south.
    """
    vehicles = s.num_vehicles
    cell = np.empty((TOURS, vehicles), np.int64)
    tied = min(s.num_cells, vehicles)
    cell[:, :tied] = np.arange(tied)
    share = np.cumsum(load / load.sum())
    others = np.searchsorted(share, rng.random((TOURS, vehicles - tied)), side="right")
    cell[:, tied:] = np.minimum(others, s.num_cells - 1)
    half = rng.uniform(*HALF_SIDE_M, (2, TOURS, vehicles))
    start = rng.random((TOURS, vehicles))
    spread = np.exp(SPEED_SPREAD * rng.standard_normal((TOURS, vehicles)))
    speed_kmh = np.asarray(SPEED_KMH)[world.site_group[cell]] * spread
    time = s.sampling_s * np.arange(int(PERIOD_S / s.sampling_s + 1e-9))
    tour = np.minimum((time * (TOURS / PERIOD_S)).astype(np.int64), TOURS - 1)
    a, b = half[:, tour]
    driven = speed_kmh[tour] / 3.6 * (time - tour * (PERIOD_S / TOURS))[:, None]
    at = np.mod(4.0 * (a + b) * start[tour] + driven, 4.0 * (a + b))  # along the rectangle from its south-west corner
    x = -a + np.clip(at, 0.0, 2 * a) - np.clip(at - 2 * a - 2 * b, 0.0, 2 * a)
    y = -b + np.clip(at - 2 * a, 0.0, 2 * b) - np.clip(at - 4 * a - 2 * b, 0.0, 2 * b)
    segment = (at >= 2 * a).astype(np.float32) + (at >= 2 * a + 2 * b) + (at >= 4 * a + 2 * b)
    site = world.cell_position_m[cell[tour]]
    x, y = np.clip(site[..., 0] + x, 0.0, world.size_m[0]), np.clip(site[..., 1] + y, 0.0, world.size_m[1])
    return x, y, speed_kmh[tour].astype(np.float32).ravel(), segment.astype(np.float32).ravel()
