"""Parameters and scenarios of CellAssociation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rangym.envs.params import is_number, require

LAWS = ("static", "volatile", "mobility", "measured")
MOTIONS = ("gauss_markov", "random_waypoint", "static")
TRACKS = ("replay", "road", "plane")
NOISES = ("slow", "raw", "none")

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
        3GPP network), ``measured`` (a radio map built from drive logs).
    num_ues, num_cells, horizon : sizes I, J, T.
    slot_s : slot duration in seconds.
    handover_weight : gamma, the weight of the handover cost.
    handover_cost : ``sum`` (additive over handovers) or ``norm`` (the paper's square root of the sum).
    delay_variation : relative standard deviation of the delays from slot to slot; 0 keeps them constant.
    block_slots : slots after which ``volatile`` draws a fresh SINR.
    side_m : side of the served square, ``mobility`` only, like all that follow up to the noise figure.
    sites : per cell (x share, y share, GHz, MHz, dBm); empty: a jittered grid with the
        paper's layer mix.
    motion, mean_speed_mps, speed_variance, motion_memory, heading_sd : how UEs move; ranges are drawn from per UE.
    shadowing_db, shadowing_distance_m : standard deviation and decorrelation distance of the shadowing.
    noise_figure_db : receiver noise figure.
    sinr_floor_db, sinr_ceiling_db : the SINR is clipped to this range.
    map : radio map file of ``measured``, made by ``rangym trace import``.
    tracks : ``replay`` (UEs repeat recorded drives), ``road`` (Gauss-Markov speed along the recorded roads) or
        ``plane`` (Gauss-Markov motion in the plane, snapped to the nearest measured location).
    noise : fluctuation around the map: ``slow`` (2.7 dB, 25 s), ``raw`` (with the fast part) or ``none``.
    """

    law: str = "mobility"
    num_ues: int = 10
    num_cells: int = 6
    horizon: int = 200
    slot_s: float = 1.0
    handover_weight: float = 20.0
    handover_cost: str = "sum"
    delay_variation: float = 0.0
    block_slots: int = 5
    side_m: float = 1500.0
    sites: tuple[tuple[float, ...], ...] = ()
    motion: str = "gauss_markov"
    mean_speed_mps: tuple[float, float] = (1.0, 28.0)
    speed_variance: tuple[float, float] = (0.0, 14.0)
    motion_memory: float = 0.5
    heading_sd: float = math.pi / 8
    shadowing_db: float = 6.0
    shadowing_distance_m: float = 50.0
    noise_figure_db: float = 9.0
    sinr_floor_db: float = -10.0
    sinr_ceiling_db: float = 30.0
    map: str | None = None
    tracks: str = "replay"
    noise: str = "slow"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("law", LAWS),
            ("handover_cost", ("sum", "norm")),
            ("motion", MOTIONS),
            ("tracks", TRACKS),
            ("noise", NOISES),
        ):
            require(getattr(self, name) in allowed, name, f"one of {list(allowed)}", getattr(self, name))
        for name, least in (("num_ues", 1), ("num_cells", 2), ("horizon", 1), ("block_slots", 1)):
            value = getattr(self, name)
            ok = isinstance(value, int) and not isinstance(value, bool) and value >= least
            require(ok, name, f"an integer of at least {least}", value)
        for name in ("slot_s", "side_m", "shadowing_distance_m"):
            require(is_number(value := getattr(self, name)) and value > 0, name, "a positive number", value)
        for name in ("handover_weight", "delay_variation", "heading_sd", "shadowing_db", "noise_figure_db"):
            require(is_number(value := getattr(self, name)) and value >= 0, name, "a number of at least 0", value)
        for name in ("mean_speed_mps", "speed_variance"):
            value = getattr(self, name)
            ok = (
                isinstance(value, tuple)
                and len(value) == 2
                and all(map(is_number, value))
                and 0 <= value[0] <= value[1]
            )
            require(ok, name, "a pair 0 <= low <= high", value)
        require(
            is_number(self.motion_memory) and 0 <= self.motion_memory < 1,
            "motion_memory",
            "in [0, 1)",
            self.motion_memory,
        )
        bounds = (self.sinr_floor_db, self.sinr_ceiling_db)
        require(
            all(map(is_number, bounds)) and -60 <= bounds[0] < bounds[1] <= 60,
            "sinr_floor_db, sinr_ceiling_db",
            "-60 <= floor < ceiling <= 60 dB",
            bounds,
        )
        if self.sites:
            require(
                all(map(_is_site, self.sites)), "sites", "(x, y in [0, 1], GHz > 0, MHz > 0, dBm) per cell", self.sites
            )
            require(
                len(self.sites) == self.num_cells, "sites", f"num_cells = {self.num_cells} of them", len(self.sites)
            )


def _is_site(site: tuple[float, ...]) -> bool:
    if len(site) != 5 or not all(map(is_number, site)):
        return False
    x, y, ghz, mhz, _ = site
    return 0 <= x <= 1 and 0 <= y <= 1 and ghz > 0 and mhz > 0


_STATIC = CellAssociationParams(law="static", num_ues=100, num_cells=10, horizon=5000, handover_cost="norm")
_MOBILITY = CellAssociationParams(num_ues=1000, num_cells=25, horizon=10_000, handover_cost="norm")

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
    "static": _STATIC,
    "volatile": replace(_STATIC, law="volatile"),
    "desk": replace(_MOBILITY, num_ues=200, horizon=1000),
    "mobility": _MOBILITY,
    "paper": _MOBILITY,
    "measured": CellAssociationParams(law="measured", num_ues=50, num_cells=25, horizon=600, sinr_floor_db=-20.0),
}
