"""Parameters and scenarios of NomaAllocation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rangym.envs.params import is_number, require
from rangym.envs.physics.pair_upload import ACCESS
from rangym.envs.physics.units import dbm_to_watt

CODINGS = ("native", "scores", "keys")
CHOICES = {
    "fading": ("per_subchannel", "flat"),
    "access": ACCESS,
    "power": ("kkt", "fixed", "agent"),
    "action": CODINGS,
    "schedule": ("all", "round_robin", "proportional"),
}


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

    num_ues: int = 6
    num_subchannels: int = 3
    horizon: int = 10
    bandwidth_mhz: float = 1.0
    model_mbit: float = 1.1
    deadline_s: float = 6.0
    samples: tuple[int, int] = (300, 1000)
    cycles_per_sample: float = 1e7
    clock_ghz: tuple[float, float] = (1.8, 2.2)
    switched_capacitance: float = 1e-28
    radius_m: float = 600.0
    min_distance_m: float = 10.0
    path_loss_exponent: float = 2.0
    carrier_ghz: float = 2.0
    noise_figure_db: float = 0.0
    max_power_dbm: float = 20.0
    fading: str = "per_subchannel"
    access: str = "noma"
    power: str = "kkt"
    action: str = "scores"
    num_clusters: int = 1
    schedule: str = "all"
    drop_cost_j: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            require(getattr(self, name) in allowed, name, f"one of {list(allowed)}", getattr(self, name))
        for name in ("num_ues", "num_subchannels", "horizon", "num_clusters"):
            value = getattr(self, name)
            ok = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            require(ok, name, "an integer of at least 1", value)
        for name in (
            "bandwidth_mhz",
            "model_mbit",
            "deadline_s",
            "cycles_per_sample",
            "switched_capacitance",
            "min_distance_m",
            "carrier_ghz",
        ):
            require(is_number(value := getattr(self, name)) and value > 0, name, "a positive number", value)
        for name in ("path_loss_exponent", "noise_figure_db"):
            require(is_number(value := getattr(self, name)) and value >= 0, name, "a number of at least 0", value)
        require(is_number(self.max_power_dbm), "max_power_dbm", "a finite number", self.max_power_dbm)
        for name in ("samples", "clock_ghz"):
            value = getattr(self, name)
            ok = (
                isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value)) and 0 < value[0] <= value[1]
            )
            require(ok, name, "a pair 0 < low <= high", value)
        require(all(float(s).is_integer() for s in self.samples), "samples", "whole numbers", self.samples)
        ok = is_number(self.radius_m) and self.radius_m >= self.min_distance_m
        require(ok, "radius_m", f"at least min_distance_m = {self.min_distance_m}", self.radius_m)
        shortest = self.cycles_per_sample * self.samples[0] / (self.clock_ghz[1] * 1e9)
        wanted = f"more than {shortest:.4g} s, the shortest training time,"
        require(self.deadline_s > shortest, "deadline_s", wanted, self.deadline_s)
        ok = self.drop_cost_j is None or (is_number(self.drop_cost_j) and self.drop_cost_j > 0)
        require(ok, "drop_cost_j", "None or a positive number", self.drop_cost_j)
        ok = self.power != "agent" or self.action != "native"
        require(ok, "power", "'agent' with action 'scores' or 'keys' only", f"agent, action {self.action!r}")

    @property
    def bits_per_hz(self) -> float:
        """c = D/B."""
        return self.model_mbit / self.bandwidth_mhz

    @property
    def max_power_w(self) -> float:
        return float(dbm_to_watt(self.max_power_dbm))

    @property
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
