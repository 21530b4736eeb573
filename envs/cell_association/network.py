"""UEs moving through a network: where they are, and the SINR of every cell there (laws ``mobility``, ``urban``).

Every operation across lanes is elementwise, so a lane of many has the bits of a lane alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cell_association import layout
from rangym.envs.cell_association.params import CellAssociationParams
from rangym.envs.cell_association.place import Place
from rangym.envs.physics.channel import UMA, shadowing_steps, thermal_noise_dbm
from rangym.envs.physics.mobility import GaussMarkovWalk, RandomWaypointWalk, standing
from rangym.envs.physics.random import box_muller_lanes, uniform_lanes
from rangym.envs.physics.units import db_to_linear

if TYPE_CHECKING:
    from rangym.envs.physics.channel_kernels import Cells

Rngs: TypeAlias = Sequence[np.random.Generator]
"""A generator for each lane."""


class Walk(Protocol):
    """The UEs of some lanes on their way, n UEs side by side."""

    def advance(self, rngs: Rngs, slots: int) -> tuple[NDArray, NDArray]:
        """Go on by S slots: positions in m ``(1 + S k, 2, n)`` from where the UEs stood on, distances ``(S, n)``.

        With k = `samples` positions on the way of each slot; the distances are only needed, and only right, for k = 1.
        """
        ...


def samples(params: CellAssociationParams) -> int:
    """Positions wanted on the way of each slot."""
    return params.slot_samples if params.law == "urban" else 1


def start(params: CellAssociationParams, rngs: Rngs) -> Walk:
    """The UEs of each lane where they start."""
    kinds: dict[str, Callable[[CellAssociationParams, Rngs], Walk]] = {
        "random_waypoint": _Waypoints,
        "static": _Standing,
        "gauss_markov": _GaussMarkov,
    }
    return kinds[params.motion](params, rngs)


class _Waypoints:
    def __init__(self, params: CellAssociationParams, rngs: Rngs):
        p, self._samples = params, samples(params)
        slot_s, speeds = p.slot_s / self._samples, p.mean_speed_mps
        self._walks = [
            RandomWaypointWalk(rng, p.num_ues, side_m=p.side_m, slot_s=slot_s, mean_speed_mps=speeds) for rng in rngs
        ]

    def advance(self, rngs: Rngs, slots: int) -> tuple[NDArray, NDArray]:
        ways = [walk.advance(rng, slots * self._samples) for walk, rng in zip(self._walks, rngs, strict=True)]
        where, moved = zip(*ways, strict=True)
        return np.concatenate(where, axis=2), np.concatenate(moved, axis=1)


class _Standing:
    def __init__(self, params: CellAssociationParams, rngs: Rngs):
        self._samples, self._side_m = samples(params), params.side_m
        self._uniform = _side_by_side(uniform_lanes(rngs, (2, params.num_ues)))

    def advance(self, rngs: Rngs, slots: int) -> tuple[NDArray, NDArray]:
        return standing(self._uniform, 1 + slots * self._samples, side_m=self._side_m)


class _GaussMarkov:
    def __init__(self, params: CellAssociationParams, rngs: Rngs):
        p = params
        self._walk = GaussMarkovWalk(
            _side_by_side(uniform_lanes(rngs, (5, p.num_ues))),
            side_m=p.side_m,
            slot_s=p.slot_s,
            mean_speed_mps=p.mean_speed_mps,
            speed_variance=p.speed_variance,
            memory=p.motion_memory,
            heading_sd=p.heading_sd,
            speed_floor_mps=p.speed_floor_mps,
            samples=samples(p),
        )
        self._ues = p.num_ues

    def advance(self, rngs: Rngs, slots: int) -> tuple[NDArray, NDArray]:
        return self._walk.advance(_side_by_side(box_muller_lanes(rngs, (slots, 2, self._ues))))


def _side_by_side(of_lanes: NDArray) -> NDArray:
    """``(l, ..., I)`` as ``(..., l I)``."""
    lanes, *middle, ues = of_lanes.shape
    return np.moveaxis(of_lanes, 0, -2).reshape(*middle, lanes * ues)


def on_maps(params: CellAssociationParams, places: Sequence[Place], where: NDArray) -> NDArray:
    """SINR in dB, ``(J, T + 2, n)`` float32: the mean in dB over the positions on a slot's way; slot 0 has only one.

    ``where`` ``(1 + (T + 1) k, 2, n)``; the n UEs are those of the lanes side by side.
    """
    steps, ues = samples(params), where.shape[2] // len(places)
    x, y = where.astype(np.float32).transpose(1, 0, 2)
    if all(one is places[0] for one in places):
        level = places[0].sinr_at(x, y)  # (J, 1 + (T + 1) k, n)
    else:
        each = [slice(k * ues, (k + 1) * ues) for k in range(len(places))]
        level = np.concatenate([p.sinr_at(x[:, own], y[:, own]) for p, own in zip(places, each, strict=True)], axis=2)
    if steps == 1:
        return level
    mean = level[:, ::steps].copy()  # the place, or a slot's end
    for k in range(1, steps):
        mean[:, 1:] += level[:, k::steps]
    mean[:, 1:] *= np.float32(1.0 / steps)
    return mean


class Shadowed:
    """SINR with mixed path loss and a shadowing drawn along each UE's path, of lanes side by side.

    Parameters
    ----------
    networks : of the lanes.
    """

    def __init__(self, params: CellAssociationParams, rows: layout.Carriers, networks: layout.Networks):
        self._params, self._cells = params, _cells(params, rows)
        self._cell_of_row = networks.cell_of_row
        self._site = np.take_along_axis(networks.constants["cell_position_m"], self._cell_of_row[:, :, None], axis=1)
        lanes = len(self._site)
        self._shadowing_db = np.zeros((params.num_cells, lanes * params.num_ues), np.float32)  # in the last slot drawn

    def draw(self, rngs: Rngs, where: NDArray, moved: NDArray, by_ue: NDArray) -> None:
        """Write the SINR in dB of the next S slots, at the places ``where`` ``(S, 2, n)``, into ``by_ue``
        ``(S, l, I, J)`` float32.

        ``moved`` is the distance from each slot to the next: ``(S - 1, n)`` at first, ``(S, n)`` where there was a slot
        before.
        """
        from rangym.envs.physics import channel_kernels as kernels

        p, slots = self._params, len(where)
        kernels.shadowed_sinr(
            box_muller_lanes(rngs, (p.num_cells, slots, p.num_ues)),
            *shadowing_steps(moved.astype(np.float32), p.shadowing_db, p.shadowing_distance_m, slots),
            self._shadowing_db,
            where.astype(np.float32),
            self._site.astype(np.float32),
            tuple(self._cells),
            self._cell_of_row,
            kernels.LOG,
            kernels.EXP,
            by_ue,
        )


def _cells(params: CellAssociationParams, rows: layout.Carriers) -> Cells:
    from rangym.envs.physics.channel_kernels import Cells

    noise = [thermal_noise_dbm(mhz, params.noise_figure_db) for mhz in rows.bandwidth_mhz.tolist()]
    borders = [group.start for group in rows.groups]
    return Cells(
        rows.power_dbm.astype(np.float32),
        db_to_linear(np.array(noise, np.float32)),
        np.array([*borders, params.num_cells]),
        np.array([UMA.at(float(rows.carrier_ghz[row]), np.dtype(np.float32)) for row in borders]),
        np.float32(params.sinr_floor_db),
        np.float32(params.sinr_ceiling_db),
    )
