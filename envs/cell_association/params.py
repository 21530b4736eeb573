"""Parameters and scenarios of CellAssociation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast

from rangym.envs.params import check, is_number, ranged, require

FROM_MAP = cast(int, None)
"""The radio map says how many."""
MAX_GRID_POINTS = 2000
"""Along a side of the map of ``urban``, where it takes 80 MB a cell."""
LAWS = ("static", "volatile", "mobility", "urban", "measured")
MOTIONS = ("gauss_markov", "random_waypoint", "static")
TRACKS = ("replay", "road", "plane")
NOISES = ("slow", "raw", "none")

# Who uses a parameter: the law, and the motion or the tracks under it.
MOBILITY = {"law": ("mobility",)}
URBAN = {"law": ("urban",)}
NETWORK = {"law": ("mobility", "urban")}
MEASURED = {"law": ("measured",)}
ALONG_PATHS = {"law": ("mobility",), "motion": ("gauss_markov", "random_waypoint")}
MOVES = {"law": ("mobility", "urban"), "motion": ("gauss_markov", "random_waypoint")}
WALKS = {"law": ("mobility", "urban"), "motion": ("gauss_markov",)}
MAX_FAILURE_SLOTS = 20
FAILS = {"failure_slots": tuple(range(1, MAX_FAILURE_SLOTS + 1))}
DRIVES = {"law": ("measured",), "tracks": ("road", "plane")}

# Share of the square, carrier (GHz), bandwidth (MHz) and transmit power (dBm) of each site of the scenario `small`.
SMALL_SITES = (
    (0.08, 0.50, 0.8, 10.0, 46.0),
    (0.92, 0.50, 0.8, 10.0, 46.0),
    (0.28, 0.25, 3.5, 20.0, 33.0),
    (0.75, 0.22, 3.5, 20.0, 33.0),
    (0.30, 0.78, 3.5, 20.0, 33.0),
    (0.72, 0.75, 3.5, 20.0, 33.0),
)


@dataclass(frozen=True, kw_only=True)
class CellAssociationParams:
    """Everything that defines a CellAssociation episode but its chance.

    Attributes
    ----------
    law : where the SINR comes from: ``static`` and ``volatile`` (i.i.d. uniform), ``mobility`` (UEs moving through a
        3GPP network), ``urban`` (the same where line of sight and shadowing belong to the place, see
        `rangym.envs.cell_association.place`), ``measured`` (a radio map built from drive logs or by ray tracing).
    num_ues, num_cells, horizon : sizes I, J, T. None, with the law ``measured`` alone: as many cells as the map has.
    slot_s : slot duration in seconds.
    handover_weight : gamma, the weight of the handover cost.
    handover_cost : ``sum`` (additive over handovers) or ``norm`` (the paper's square root of the sum).
    delay_variation : relative standard deviation of the delays from slot to slot, before those beyond the observation's
        bound are cut; 0 keeps them constant.
    max_spectral_efficiency : cap of the rate in bit/s/Hz; None: Shannon's rate without a cap.
    failure_slots : slots out of sync in a row that are a radio link failure; None: links do not fail.
    failure_delay_slots : slots that re-establishing a failed link costs, weighed as a handover's delay.
    block_slots : slots after which ``volatile`` draws a fresh SINR.
    side_m : side of the served square; without geography (``static``, ``volatile``) of the square in pictures.
    sites : per cell (x share, y share, GHz, MHz, dBm); empty: a jittered grid with the paper's layer mix.
    map_seed : the place of ``urban``: the same in all episodes for one integer, a new one in each for None.
    grid_m : grid step of its maps; None: 2 m, or 5 m with ``map_seed=None``.
    slot_samples : points on the way of a slot over which its SINR is averaged in dB.
    motion : how UEs of ``mobility`` and ``urban`` move: ``gauss_markov``, ``random_waypoint`` or ``static`` (they
        stand).
    mean_speed_mps, speed_variance : ranges from which each UE draws its own.
    speed_floor_mps : least speed of Gauss-Markov motion; None: it may be negative, which is motion backwards.
    motion_memory, heading_sd : correlation from slot to slot and spread of the heading of Gauss-Markov motion.
    shadowing_db, shadowing_distance_m : standard deviation and decorrelation distance of the shadowing.
    noise_figure_db : receiver noise figure.
    sinr_floor_db, sinr_ceiling_db : the SINR is clipped to this range.
    map : radio map of ``measured``: a file made by ``rangym map``, or ``munich`` or ``florence``, which are shipped.
    tracks : ``replay`` (UEs repeat the map's tracks), ``road`` (Gauss-Markov speed along the ways of the tracks) or
        ``plane`` (Gauss-Markov motion in the plane, snapped to the nearest location).
    noise : fluctuation around the map: ``slow`` (2.7 dB, 25 s), ``raw`` (with the fast part) or ``none``.
    """

    law: str = ranged("mobility", words=LAWS)
    num_ues: int = ranged(10, low=1)
    num_cells: int = ranged(6, low=2, optional=True)
    horizon: int = ranged(200, low=1)
    slot_s: float = ranged(1.0, above=0, limit=1e5, only={"law": ("mobility", "urban", "measured")})
    handover_weight: float = ranged(20.0, low=0)
    handover_cost: str = ranged("sum", words=("sum", "norm"))
    delay_variation: float = ranged(0.0, low=0, limit=100)
    max_spectral_efficiency: float | None = ranged(None, above=0, optional=True)
    failure_slots: int | None = ranged(None, kind=int, low=1, high=MAX_FAILURE_SLOTS, optional=True)
    failure_delay_slots: float = ranged(0.5, low=0, only=FAILS)
    block_slots: int = ranged(5, low=1, only={"law": ("volatile",)})
    side_m: float = ranged(1500.0, above=0, limit=1e7, only={"law": ("static", "volatile", "mobility", "urban")})
    sites: tuple[tuple[float, ...], ...] = ranged((), kind=tuple, length=0, only=NETWORK)
    map_seed: int | None = ranged(0, low=0, optional=True, only=URBAN)
    grid_m: float | None = ranged(None, above=0, optional=True, only=URBAN)
    slot_samples: int = ranged(2, low=1, high=100, only=URBAN)
    motion: str = ranged("gauss_markov", words=MOTIONS, only=NETWORK)
    mean_speed_mps: tuple[float, float] = ranged(
        (1.0, 28.0), low=0, limit=1e5, length=2, ascending=True, only=(MOVES, DRIVES)
    )
    speed_variance: tuple[float, float] = ranged(
        (0.0, 14.0), low=0, limit=1e9, length=2, ascending=True, only=(WALKS, DRIVES)
    )
    speed_floor_mps: float | None = ranged(None, limit=1e5, optional=True, only=WALKS)
    motion_memory: float = ranged(0.5, low=0, below=1, only=(WALKS, DRIVES))
    heading_sd: float = ranged(
        math.pi / 8, low=0, limit=100, only=(WALKS, {"law": ("measured",), "tracks": ("plane",)})
    )
    shadowing_db: float = ranged(6.0, low=0, limit=100, only=MOBILITY)
    shadowing_distance_m: float = ranged(50.0, above=0, only=ALONG_PATHS)
    noise_figure_db: float = ranged(9.0, low=0, limit=300, only=NETWORK)
    sinr_floor_db: float = ranged(-10.0, low=-60, high=60)
    sinr_ceiling_db: float = ranged(30.0, low=-60, high=60)
    map: str | None = ranged(None, kind=str, optional=True, only=MEASURED)
    tracks: str = ranged("replay", words=TRACKS, only=MEASURED)
    noise: str = ranged("slow", words=NOISES, only=MEASURED)

    def __post_init__(self) -> None:
        check(self)
        cells = self.num_cells
        require(self.law == "measured" or cells is not None, "num_cells", "a number, where no map brings one,", cells)
        floor, ceiling = self.sinr_floor_db, self.sinr_ceiling_db
        require(floor < ceiling, "sinr_floor_db, sinr_ceiling_db", "floor < ceiling", (floor, ceiling))
        if self.law == "urban":
            require(bool(self.sites), "sites", "the cells of the law 'urban'", self.sites)
            finest = self.side_m / MAX_GRID_POINTS
            fits = self.grid_m is None or finest <= self.grid_m <= self.side_m
            require(fits, "grid_m", f"{finest:g} to {self.side_m:g} m at side_m = {self.side_m:g}", self.grid_m)
        if self.sites and self.law in ("mobility", "urban"):
            wanted = "(x, y in [0, 1], GHz and MHz in 1e-6..1e6, dBm in -300..300) per cell"
            require(all(map(_is_site, self.sites)), "sites", wanted, self.sites)
            count = len(self.sites)
            require(count == self.num_cells, "sites", f"num_cells = {self.num_cells} of them", count)


def _is_site(site: tuple[float, ...]) -> bool:
    if len(site) != 5 or not all(map(is_number, site)):
        return False
    x, y, ghz, mhz, dbm = site
    return 0 <= x <= 1 and 0 <= y <= 1 and 1e-6 <= ghz <= 1e6 and 1e-6 <= mhz <= 1e6 and abs(dbm) <= 300


_STATIC = CellAssociationParams(law="static", num_ues=100, num_cells=10, horizon=5000, handover_cost="norm")
_MOBILITY = CellAssociationParams(num_ues=1000, num_cells=25, horizon=10_000, handover_cost="norm")
_RAY_TRACED = CellAssociationParams(
    law="measured", num_ues=40, num_cells=FROM_MAP, horizon=300, sinr_floor_db=-20.0, map="munich", noise="none"
)

SCENARIOS: dict[str, CellAssociationParams] = {
    "tiny": CellAssociationParams(num_ues=4, num_cells=3, horizon=20, handover_weight=1.0),
    "small": CellAssociationParams(
        side_m=800.0,
        sites=SMALL_SITES,
        mean_speed_mps=(12.0, 22.0),
        speed_variance=(0.0, 1.0),
        shadowing_db=8.0,
        shadowing_distance_m=25.0,
    ),
    "urban": CellAssociationParams(
        law="urban",
        side_m=800.0,
        sites=SMALL_SITES,
        mean_speed_mps=(1.0, 16.0),
        speed_variance=(0.0, 0.1),
        speed_floor_mps=0.0,
        max_spectral_efficiency=7.4,
        failure_slots=2,
    ),
    "static": _STATIC,
    "volatile": replace(_STATIC, law="volatile"),
    "desk": replace(_MOBILITY, num_ues=200, horizon=1000),
    "mobility": _MOBILITY,
    "paper": _MOBILITY,
    # 300 m from site to site, as in `mobility`, over 18 square kilometres.
    "city": replace(_MOBILITY, num_ues=10_000, num_cells=200, horizon=1000, side_m=4250.0),
    "measured": CellAssociationParams(law="measured", num_ues=50, num_cells=FROM_MAP, horizon=600, sinr_floor_db=-20.0),
    "munich": _RAY_TRACED,
    "florence": replace(_RAY_TRACED, map="florence"),
}
