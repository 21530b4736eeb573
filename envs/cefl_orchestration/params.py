"""Parameters and scenarios of CeflOrchestration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rangym.envs.learning.convergence import GAP_RANGE, THETA_MODES, LearningConstants, largest_iterations
from rangym.envs.learning.round_cost import CostWeights
from rangym.envs.params import check, ranged, require
from rangym.envs.physics.federated_round import BS_ENERGY

CODINGS = ("native", "compact", "macro", "full")
REWARDS = ("objective", "gap")
WIDE_AREA_LAWS = ("uniform", "log_uniform")


@dataclass(frozen=True, kw_only=True)
class CeflOrchestrationParams:
    """Everything that defines a CeflOrchestration episode but its chance.

    Pairs are ranges: the network's are drawn once from ``network_seed``, those of links in every round. "Inside" and
    "across" mean inside a sub-network and between two of them; units are in the names.

    Attributes
    ----------
    num_ues, num_bss, num_dcs, horizon : sizes N, B, S and rounds T of an episode; there are S sub-networks.
    network_seed : seed of the network, which all traces share.
    action, reward : coding of the action; ``objective`` (the paper's P, round by round) or ``gap`` (a moving optimality
        gap instead of the learning terms).
    point_bits, model_mbit : size of a data point and of a model or gradient vector.
    ue_snr_inside_db, ue_snr_across_db : mean uplink SNR of a UE at a BS.
    snr_floor_db, fading_db : least SNR of a round, and standard deviation of the log-normal fading, fresh every round.
    uplink_mhz, downlink_mhz, downlink_gain_db : bandwidths, and what the downlink's SNR is above the uplink's.
    backhaul_gbps, dc_capacity_gbps : what a link between a BS and a DC, and all links into a DC, carry at most.
    availability_inside, availability_across : share of a BS-DC link that a round has, per direction.
    dc_to_dc_mbps : rate between two DCs in a round.
    wide_area_law : distribution of availability_across and dc_to_dc_mbps.
    ue_power_w, broadcast_power_w, backhaul_power_w, dc_power_w : transmit powers of UEs, of BSs to UEs, of both ends of
        BS-DC links, and between DCs.
    cycles_per_point, capacitance, min_clock_ghz, max_clock_ghz : processors of the UEs; a cycle takes alpha f^2 / 2 J.
    machines, machine_points_per_s, machine_power_w, dynamic_share : machines of a DC, greatest speed C, peak power, and
        the share of it that follows the speed; the rest is idle power.
    mean_points, points_variance, min_points : data points of a UE in a round, before its sub-network's multiplier.
    skew, skew_memory : the multiplier is exp(skew g - skew^2 / 2), g normal and AR(1) from round to round.
    drift_per_s, drift_sd : Delta = drift_per_s exp(drift_sd g), g normal, fresh every round.
    step_size, proximal, smoothness, dissimilarity_scale, dissimilarity_offset : eta, mu, L, zeta_1, zeta_2.
    gradient_noise : v_i = Theta_i^2 sigma_i^2 of a UE; a DC has the UEs' mean.
    bound_horizon, initial_gap : T of the bound, and F_0 - F*.
    min_minibatch, max_iterations : m_min and the greatest gamma.
    theta_mode, server_scale : scale of the server's step, ``eff`` (FedNova's) or ``fixed`` at server_scale.
    contraction : nu of the gap's recursion, at most the smoothness.
    learning_weight, delay_weight, energy_weight, energy_weights : pi_1, pi_2, pi_3, (pi_31 .. pi_36).
    switching_weight : cost of a change of the aggregator, in units of the reward.
    bs_energy : accounting of the BSs' energy to the aggregator: ``per_ue`` (as printed) or ``once`` a BS.
    """

    num_ues: int = ranged(20, low=1)
    num_bss: int = ranged(10, low=1)
    num_dcs: int = ranged(5, low=1)
    horizon: int = ranged(20, low=1)
    network_seed: int = ranged(0, low=0, limit=2**63)
    action: str = ranged("compact", words=CODINGS)
    reward: str = ranged("objective", words=REWARDS)

    point_bits: float = ranged(24_584.0, above=0)
    model_mbit: float = ranged(8.0, above=0)
    ue_snr_inside_db: tuple[float, float] = ranged((12.0, 24.0), low=-60, high=60, length=2, ascending=True)
    ue_snr_across_db: tuple[float, float] = ranged((-8.0, 4.0), low=-60, high=60, length=2, ascending=True)
    snr_floor_db: float = ranged(-30.0, low=-60, high=60)
    fading_db: float = ranged(2.0, low=0, high=30)
    uplink_mhz: float = ranged(2.0, above=0)
    downlink_mhz: float = ranged(10.0, above=0)
    downlink_gain_db: float = ranged(6.0, low=-60, high=60)
    backhaul_gbps: tuple[float, float] = ranged((3.0, 4.0), above=0, length=2, ascending=True)
    dc_capacity_gbps: tuple[float, float] = ranged((40.0, 50.0), above=0, length=2, ascending=True)
    availability_inside: tuple[float, float] = ranged((0.5, 1.0), above=0, high=1, length=2, ascending=True)
    availability_across: tuple[float, float] = ranged((0.003, 0.03), above=0, high=1, length=2, ascending=True)
    dc_to_dc_mbps: tuple[float, float] = ranged((10.0, 75.0), above=0, length=2, ascending=True)
    wide_area_law: str = ranged("uniform", words=WIDE_AREA_LAWS)
    ue_power_w: float = ranged(0.2, above=0)
    broadcast_power_w: tuple[float, float] = ranged((5.0, 10.0), above=0, length=2, ascending=True)
    backhaul_power_w: tuple[float, float] = ranged((5.0, 10.0), above=0, length=2, ascending=True)
    dc_power_w: tuple[float, float] = ranged((10.0, 20.0), above=0, length=2, ascending=True)

    cycles_per_point: tuple[float, float] = ranged((5e6, 1.5e7), above=0, length=2, ascending=True)
    capacitance: tuple[float, float] = ranged((1e-27, 2e-27), above=0, least=1e-40, length=2, ascending=True)
    min_clock_ghz: float = ranged(0.2, above=0)
    max_clock_ghz: tuple[float, float] = ranged((1.5, 2.5), above=0, length=2, ascending=True)
    machines: tuple[int, int] = ranged((2, 4), low=1, length=2, ascending=True)
    machine_points_per_s: tuple[float, float] = ranged((6e3, 1e4), above=0, length=2, ascending=True)
    machine_power_w: tuple[float, float] = ranged((150.0, 250.0), above=0, length=2, ascending=True)
    dynamic_share: float = ranged(0.6, low=0, high=1)

    mean_points: float = ranged(2000.0, above=0)
    points_variance: float = ranged(200.0, low=0)
    min_points: int = ranged(50, low=1)
    skew: float = ranged(0.5, low=0, limit=10)
    skew_memory: float = ranged(0.8, low=0, below=1)
    drift_per_s: float = ranged(1e-3, low=0)
    drift_sd: float = ranged(0.5, low=0, limit=10)

    step_size: float = ranged(0.05, above=0)
    proximal: float = ranged(0.0, low=0)
    smoothness: float = ranged(1.0, above=0)
    dissimilarity_scale: float = ranged(1.0, low=0)
    dissimilarity_offset: float = ranged(0.2, low=0)
    gradient_noise: tuple[float, float] = ranged((2.5e3, 7.5e3), low=0, length=2, ascending=True)
    bound_horizon: int = ranged(50, low=1)
    initial_gap: float = ranged(2.0, low=GAP_RANGE[0], high=GAP_RANGE[1])
    min_minibatch: float = ranged(0.05, above=0, high=1)
    max_iterations: int = ranged(6, low=1)
    theta_mode: str = ranged("eff", words=THETA_MODES)
    server_scale: float = ranged(1.0, above=0, only={"theta_mode": ("fixed",)})
    contraction: float = ranged(1.0, above=0, only={"reward": ("gap",)})

    learning_weight: float = ranged(20.0, low=0)
    delay_weight: float = ranged(1.0, low=0)
    energy_weight: float = ranged(0.05, low=0)
    energy_weights: tuple[float, ...] = ranged((1.0,) * 6, low=0, length=6)
    switching_weight: float = ranged(0.0, low=0)
    bs_energy: str = ranged("per_ue", words=BS_ENERGY)

    def __post_init__(self) -> None:
        check(self)
        weights = (self.learning_weight, self.delay_weight, self.energy_weight)
        some = any(w > 0 for w in weights)
        require(some, "learning_weight, delay_weight, energy_weight", "at least one above 0", weights)
        require(any(w > 0 for w in self.energy_weights), "energy_weights", "at least one above 0", self.energy_weights)
        slowest = self.max_clock_ghz[0]
        require(
            self.min_clock_ghz <= slowest, "min_clock_ghz", f"at most max_clock_ghz = {slowest}", self.min_clock_ghz
        )
        wanted = f"below 1 / step_size = {1.0 / self.step_size:g}"
        require(self.step_size * self.proximal < 1, "proximal", wanted, self.proximal)
        largest = largest_iterations(self.learning)
        wanted = f"at most {largest}, the largest that the step size condition allows at step_size {self.step_size:g},"
        require(self.max_iterations <= largest, "max_iterations", wanted, self.max_iterations)
        if self.reward == "gap":  # without it the contraction is not used, nor could it be set
            wanted = f"at most smoothness = {self.smoothness:g}"
            require(self.contraction <= self.smoothness, "contraction", wanted, self.contraction)

    @property
    def weights(self) -> CostWeights:
        """The weights of J."""
        return CostWeights(self.learning_weight, self.delay_weight, self.energy_weight, self.energy_weights)

    @property
    def learning(self) -> LearningConstants:
        """The constants of the bound."""
        return LearningConstants(
            step_size=self.step_size,
            proximal=self.proximal,
            smoothness=self.smoothness,
            dissimilarity_scale=self.dissimilarity_scale,
            dissimilarity_offset=self.dissimilarity_offset,
            horizon=self.bound_horizon,
            theta_mode=self.theta_mode,
            server_scale=self.server_scale,
        )


_PAPER = CeflOrchestrationParams()
_CONGESTED = replace(  # heavy models over links that vary: chosen because there the aggregator and the state matter
    _PAPER,
    model_mbit=64.0,
    uplink_mhz=10.0,
    downlink_mhz=50.0,
    fading_db=6.0,
    skew=1.0,
    availability_across=(0.002, 0.05),
    dc_to_dc_mbps=(5.0, 200.0),
    wide_area_law="log_uniform",
    drift_sd=1.0,
)
_SMALL = replace(_CONGESTED, num_ues=6, num_bss=3, num_dcs=3)

SCENARIOS: dict[str, CeflOrchestrationParams] = {
    "tiny": replace(_CONGESTED, num_ues=2, num_bss=2, num_dcs=2, horizon=4),
    "small": _SMALL,
    "small_fixed": replace(_SMALL, theta_mode="fixed"),
    "small_gap": replace(_SMALL, reward="gap", initial_gap=3.0),
    "paper": _PAPER,
    "paper_fixed": replace(_PAPER, theta_mode="fixed"),
    "congested": _CONGESTED,
    "congested_fixed": replace(_CONGESTED, theta_mode="fixed"),
}
