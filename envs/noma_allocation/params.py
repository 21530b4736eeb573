"""Parameters and scenarios of NomaAllocation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from rangym.envs.params import check, ranged, require
from rangym.envs.physics.pair_upload import ACCESS
from rangym.envs.physics.units import dbm_to_watt

CODINGS = ("native", "scores", "keys")


@dataclass(frozen=True, kw_only=True)
class NomaAllocationParams:
    """Everything that defines a NomaAllocation episode but its chance.

    Attributes
    ----------
    num_ues, num_subchannels, horizon : sizes N, K and the number of rounds.
    bandwidth_mhz, model_mbit : bandwidth of a sub-channel and size of the model; only their ratio matters.
    deadline_s : T_max, time for training and upload.
    samples : least and greatest number of training samples of a user, drawn uniformly once an episode.
    cycles_per_sample, clock_ghz, switched_capacitance : processor: cycles for a sample, range of the clocks, kappa.
    radius_m, min_distance_m : users are uniform in this ring around the base station.
    path_loss_exponent, carrier_ghz, noise_figure_db : channel; thermal noise of -174 dBm/Hz.
    max_power_dbm : cap of a user's power, P_max.
    fading : ``per_subchannel`` (independent on each) or ``flat`` (the same on all); Rayleigh, fresh every round.
    access : how two users share a sub-channel: ``noma``, ``oma_opt`` (optimal time division), ``oma_equal`` (equal
        shares of the common time), ``fdma``.
    power : ``kkt`` (least energy, closed form), ``fixed`` (P_max), ``agent`` (part of the action).
    action : coding of the action: ``native``, ``scores`` or ``keys``.
    num_clusters, schedule : users are in clusters; ``all`` compete in each round, or one cluster, chosen by
        ``round_robin`` or at random ``proportional`` to its size.
    drop_cost_j : rho, the cost of a user that is not served; None for P_max T_max, more than any served user's energy.
    """

    num_ues: int = ranged(6, low=1)
    num_subchannels: int = ranged(3, low=1)
    horizon: int = ranged(10, low=1)
    bandwidth_mhz: float = ranged(1.0, above=0)
    model_mbit: float = ranged(1.1, above=0)
    deadline_s: float = ranged(6.0, above=0)
    samples: tuple[int, int] = ranged((300, 1000), low=1, length=2, ascending=True)
    cycles_per_sample: float = ranged(1e7, above=0, limit=1e15)
    clock_ghz: tuple[float, float] = ranged((1.8, 2.2), above=0, length=2, ascending=True)
    switched_capacitance: float = ranged(1e-28, above=0, least=1e-40)
    radius_m: float = ranged(600.0, above=0)
    min_distance_m: float = ranged(10.0, above=0)
    path_loss_exponent: float = ranged(2.0, low=0, limit=20)
    carrier_ghz: float = ranged(2.0, above=0)
    noise_figure_db: float = ranged(0.0, low=0, limit=300)
    max_power_dbm: float = ranged(20.0, limit=300)
    fading: str = ranged("per_subchannel", words=("per_subchannel", "flat"))
    access: str = ranged("noma", words=ACCESS)
    power: str = ranged("kkt", words=("kkt", "fixed", "agent"))
    action: str = ranged("scores", words=CODINGS)
    num_clusters: int = ranged(1, low=1)
    schedule: str = ranged("all", words=("all", "round_robin", "proportional"))
    drop_cost_j: float | None = ranged(None, above=0, optional=True)

    def __post_init__(self) -> None:
        check(self)
        least = f"at least min_distance_m = {self.min_distance_m}"
        require(self.radius_m >= self.min_distance_m, "radius_m", least, self.radius_m)
        shortest = self.cycles_per_sample * self.samples[0] / (self.clock_ghz[1] * 1e9)
        wanted = f"more than {shortest:.4g} s, the shortest training time,"
        require(self.deadline_s > shortest, "deadline_s", wanted, self.deadline_s)
        ok = self.power != "agent" or self.action != "native"
        require(ok, "power", "'agent' with action 'scores' or 'keys' only", f"agent, action {self.action!r}")

    @property
    def bits_per_hz(self) -> float:
        """c = D/B."""
        return self.model_mbit / self.bandwidth_mhz

    @cached_property
    def max_power_w(self) -> float:
        return float(dbm_to_watt(self.max_power_dbm))

    @cached_property
    def rho_j(self) -> float:
        """Cost of a dropped user in J."""
        return self.max_power_w * self.deadline_s if self.drop_cost_j is None else self.drop_cost_j


_PAPER = NomaAllocationParams(num_ues=20, num_subchannels=10)
_URBAN = replace(_PAPER, path_loss_exponent=3.0, noise_figure_db=9.0, max_power_dbm=23.0)
_TIGHT = replace(_URBAN, samples=(50, 100), deadline_s=0.8)
_SMALL = replace(_TIGHT, num_ues=6, num_subchannels=3)

SCENARIOS: dict[str, NomaAllocationParams] = {
    "tiny": replace(_TIGHT, num_ues=4, num_subchannels=2, horizon=3),
    "small": _SMALL,
    "toy": _SMALL,
    "tight": _TIGHT,
    "urban": _URBAN,
    "paper": _PAPER,
}
