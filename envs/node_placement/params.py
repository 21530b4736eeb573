"""Parameters and scenarios of NodePlacement."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rangym.envs.params import is_number, require

STATIC_LAWS = ("uniform", "thomas", "hotspot", "ring", "highway", "grid")
LAWS = (*STATIC_LAWS, "drift")
ASSOCIATIONS = ("hard", "soft")
REWARDS = ("proportional_fair", "mean_rate", "min_sinr", "jain")


@dataclass(frozen=True, kw_only=True)
class NodePlacementParams:
    """Everything that defines a NodePlacement episode but its chance.

    Attributes
    ----------
    law : where the users are: ``drift`` (moving hotspots, churn) or, without motion, ``uniform``, ``thomas`` (nine
        clusters), ``hotspot`` (half of the users in one), ``ring`` (a stadium), ``highway``, ``grid`` (nine blocks).
    num_ues, num_nodes, horizon : sizes N, K, T.
    side_m : side a of the square area [0, a]^2.
    v_max_m : how far a node moves in a slot, at most; None: anywhere, and actions are positions (one-shot mode).
    association : ``hard`` (each user at its strongest node) or ``soft`` (shared in proportion to the received power).
    reward : ``proportional_fair`` (mean of ln R_i / 1 Mbit/s), ``mean_rate`` (Mbit/s), ``min_sinr`` (dB), ``jain``.
    movement_weight : c_move, reward lost per metre that a node moves, in the mean over the nodes.
    snr_1m_db : transmit power over noise power, less the path loss at 1 m.
    path_loss_exponent : gamma, above 2.
    height_difference_m : between the antennas of nodes and users; its square is the floor of the squared distance.
    bandwidth_mhz : W, of every node (reuse 1).
    max_spectral_efficiency : cap in bit/s/Hz; None: Shannon's rate without a cap.
    num_hotspots, hotspot_sd_m, hotspot_speed_m, background_share, jitter_m, respawn_probability : law ``drift``:
        number H and spread of the hotspots, their speed in metres per slot, the share of users outside them, the
        standard deviation of a user's own motion in a slot, and how likely a user is replaced in a slot.
    """

    law: str = "drift"
    num_ues: int = 30
    num_nodes: int = 4
    horizon: int = 60
    side_m: float = 100.0
    v_max_m: float | None = 2.0
    association: str = "hard"
    reward: str = "proportional_fair"
    movement_weight: float = 0.0
    snr_1m_db: float = 75.0
    path_loss_exponent: float = 4.0
    height_difference_m: float = 3.0
    bandwidth_mhz: float = 20.0
    max_spectral_efficiency: float | None = 7.4
    num_hotspots: int = 3
    hotspot_sd_m: float = 5.0
    hotspot_speed_m: float = 3.0
    background_share: float = 0.15
    jitter_m: float = 0.3
    respawn_probability: float = 0.03

    def __post_init__(self) -> None:
        for name, allowed in (("law", LAWS), ("association", ASSOCIATIONS), ("reward", REWARDS)):
            require(getattr(self, name) in allowed, name, f"one of {list(allowed)}", getattr(self, name))
        for name in ("num_ues", "num_nodes", "horizon", "num_hotspots"):
            value = getattr(self, name)
            ok = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            require(ok, name, "an integer of at least 1", value)
        require(self.num_nodes <= self.num_ues, "num_nodes", f"at most num_ues = {self.num_ues}", self.num_nodes)
        for name in ("side_m", "height_difference_m", "bandwidth_mhz"):
            require(is_number(value := getattr(self, name)) and value > 0, name, "a positive number", value)
        for name in ("v_max_m", "max_spectral_efficiency"):
            value = getattr(self, name)
            require(value is None or (is_number(value) and value > 0), name, "a positive number or None", value)
        for name in ("movement_weight", "hotspot_sd_m", "hotspot_speed_m", "jitter_m"):
            require(is_number(value := getattr(self, name)) and value >= 0, name, "a number of at least 0", value)
        for name in ("background_share", "respawn_probability"):
            value = getattr(self, name)
            require(is_number(value) and 0 <= value <= 1, name, "a number in [0, 1]", value)
        require(is_number(self.snr_1m_db), "snr_1m_db", "a finite number of dB", self.snr_1m_db)
        gamma = self.path_loss_exponent
        require(is_number(gamma) and gamma > 2, "path_loss_exponent", "a number above 2", gamma)
        if self.reward == "mean_rate":  # without a cap one user next to a node outweighs all others
            cap = self.max_spectral_efficiency
            require(cap is not None, "max_spectral_efficiency", "a cap for reward='mean_rate'", cap)

    @property
    def distance_floor_m2(self) -> float:
        """Added to every squared horizontal distance, m^2."""
        return self.height_difference_m**2


_SMALL = NodePlacementParams()
SCENARIOS: dict[str, NodePlacementParams] = {
    "tiny": dataclasses.replace(_SMALL, num_ues=12, num_nodes=3, horizon=5, num_hotspots=2),
    "small": _SMALL,
    "drift": NodePlacementParams(
        num_ues=100,
        num_nodes=9,
        v_max_m=1.5,
        num_hotspots=5,
        hotspot_sd_m=6.0,
        hotspot_speed_m=2.0,
        background_share=2 / 7,
        jitter_m=0.5,
    ),
}
for _law in STATIC_LAWS:
    SCENARIOS[f"static_{_law}"] = NodePlacementParams(law=_law, num_ues=100, num_nodes=9, horizon=1, v_max_m=None)
SCENARIOS["paper"] = SCENARIOS["static_uniform"]
