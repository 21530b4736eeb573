"""Parameters and scenarios of NodePlacement."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rangym.envs.params import check, ranged, require

STATIC_LAWS = ("uniform", "thomas", "hotspot", "ring", "highway", "grid")
LAWS = (*STATIC_LAWS, "drift")
ASSOCIATIONS = ("hard", "soft")
REWARDS = ("proportional_fair", "mean_rate", "min_sinr", "jain")
DRIFT = {"law": ("drift",)}


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

    law: str = ranged("drift", words=LAWS)
    num_ues: int = ranged(30, low=1)
    num_nodes: int = ranged(4, low=1)
    horizon: int = ranged(60, low=1)
    side_m: float = ranged(100.0, above=0)
    v_max_m: float | None = ranged(2.0, above=0, optional=True)
    association: str = ranged("hard", words=ASSOCIATIONS)
    reward: str = ranged("proportional_fair", words=REWARDS)
    movement_weight: float = ranged(0.0, low=0)
    snr_1m_db: float = ranged(75.0, limit=300)
    path_loss_exponent: float = ranged(4.0, above=2, limit=20)
    height_difference_m: float = ranged(3.0, above=0)
    bandwidth_mhz: float = ranged(20.0, above=0)
    max_spectral_efficiency: float | None = ranged(7.4, above=0, optional=True)
    num_hotspots: int = ranged(3, low=1, only=DRIFT)
    hotspot_sd_m: float = ranged(5.0, low=0, only=DRIFT)
    hotspot_speed_m: float = ranged(3.0, low=0, only=DRIFT)
    background_share: float = ranged(0.15, low=0, high=1, only=DRIFT)
    jitter_m: float = ranged(0.3, low=0, only=DRIFT)
    respawn_probability: float = ranged(0.03, low=0, high=1, only=DRIFT)

    def __post_init__(self) -> None:
        check(self)
        require(self.num_nodes <= self.num_ues, "num_nodes", f"at most num_ues = {self.num_ues}", self.num_nodes)
        if self.reward == "mean_rate":  # without a cap one user next to a node outweighs all others
            cap = self.max_spectral_efficiency
            require(cap is not None, "max_spectral_efficiency", "a cap for reward='mean_rate'", cap)

    @property
    def distance_floor_m2(self) -> float:
        """Added to every squared horizontal distance, m^2."""
        return self.height_difference_m**2


def _static(law: str) -> NodePlacementParams:
    """One slot, and nodes that may go anywhere."""
    return NodePlacementParams(law=law, num_ues=100, num_nodes=9, horizon=1, v_max_m=None)


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
    **{f"static_{law}": _static(law) for law in STATIC_LAWS},
    "paper": _static("uniform"),
}
