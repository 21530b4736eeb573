r"""LDA, learning dynamic associations: smoothed online learning with experts of different step sizes.

Kalntis et al., "Smooth Handovers via Smoothed Online Learning", Algorithm 1. Usable without any environment: arrays in,
one cell per UE out. Experts are float32: over 10,000 slots the mixture stays within 2e-6 of a float64 computation.

===========  ==========================  ==========  ==========  =====================================================
paper        here                        shape       unit        equation
===========  ==========================  ==========  ==========  =====================================================
I, J, T      num_ues, num_cells,         --          --          UEs, cells, slots
             horizon
log c        log_rate                    (I, J)      log10 of    rate of an otherwise empty cell
                                                     Mbit/s
a            delay                       (I, J)      slots       handover delay at cell j, paid when left and entered
gamma        handover_weight             --          --          weight of the handover cost
x_t          association                 (I,)        --          Round(x^m)
x^m          mixture                     (I, J)      --          sum_k w^k x^k
x^k          experts                     (K, I, J)   --          Proj(x^k + theta_k q), one simplex per UE
y            --                          (J,)        UEs         load, sum_i z_ij
q            gradient                    (I, J)      --          log c - log10 max(y, 1) - 1/ln 10, at z
z            gradient_at                 (I, J)      --          x^m or x_t
l^k          --                          (K,)        --          <q, x^k - z> - gamma cost(x_t^k - x_{t-1}^k)
w^k          weights                     (K,)        --          w_1^k exp(beta sum_s l_s^k), normalised
theta_k      steps                       (K,)        --          `theory_constants`
beta         meta_step                   --          --          `theory_constants`
===========  ==========================  ==========  ==========  =====================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rangym.envs.errors import WrongType, WrongValue
from rangym.policies.algorithms.association import lda_kernels as kernels

ROUNDINGS = ("coupled", "independent", "shared", "argmax")
FORMS = ("corrected", "printed", "gamma")
GRADIENTS = ("mean", "sample")
DELAY_NORMS = ("weighted", "euclidean", "none")
LOAD_FLOOR = 1.0
"""The gradient of -y log10 y is taken at max(y, 1): at y = 0 it would be infinite, and sampled loads do reach 0."""


@dataclass(frozen=True, kw_only=True)
class LDASwitches:
    """Variants of `LDA`.

    Attributes
    ----------
    rounding : how x^m becomes one cell per UE. ``coupled`` keeps the marginals and makes the fewest handovers any
        coupling with the previous slot can; ``independent`` (the paper's) draws afresh every slot, so handovers go on
        for as long as x^m is fractional; ``shared`` uses one uniform number per UE for the whole run; ``argmax`` takes
        the likeliest cell and is biased.
    form : constants of `theory_constants`: ``corrected``, ``printed`` or ``gamma``.
    gradient_at : ``mean`` (x^m) or ``sample`` (x_t, the paper's). Coupled rounding is unbiased with ``mean`` only:
        x^m must not depend on past draws.
    meta_step : ``theory`` (beta of `theory_constants`), ``adaptive``, beta_t = sqrt(ln K / sum_s range_s^2) with
        range_s the spread of the gains of slot s, or a number.
    step_scale : factor on all steps theta_k.
    delay_norm : the a of the experts' handover charge: ``weighted`` (the delays), ``euclidean`` (1, also in the
        constants) or ``none`` (0).
    handover_cost : how the system charges handovers, and so what an expert is charged for moving by d.
        ``norm``: gamma sqrt(sum a d^2), the paper's. ``sum``: gamma sum a abs(d), the expected cost of coupled rounding
        exactly; the norm grows with the root of the number of moves and says nothing about an additive cost. The
        constants stay those of the norm, so no regret bound is claimed for ``sum``.
    fair_surrogate : with ``norm``, charge gamma sqrt(sum a abs(d)) instead: the paper's charge is smaller for many
        fractional moves than for the handovers they cause, which puts a forecaster's 0/1 proposals at a disadvantage.
        ``sum`` is fair as it stands.
    """

    rounding: str = "coupled"
    form: str = "corrected"
    gradient_at: str = "mean"
    meta_step: str | float = "theory"
    step_scale: float = 1.0
    delay_norm: str = "weighted"
    handover_cost: str = "norm"
    fair_surrogate: bool = False

    def __post_init__(self) -> None:
        for name, allowed in (
            ("rounding", ROUNDINGS),
            ("form", FORMS),
            ("gradient_at", GRADIENTS),
            ("delay_norm", DELAY_NORMS),
            ("handover_cost", ("norm", "sum")),
            ("fair_surrogate", (True, False)),
        ):
            if getattr(self, name) not in allowed:
                raise WrongValue(f"{name}: one of {list(allowed)} wanted, got {getattr(self, name)!r}")
        _positive("step_scale", self.step_scale)
        if self.meta_step not in ("theory", "adaptive"):
            _positive("meta_step", self.meta_step, "'theory', 'adaptive' or a positive number")


@dataclass(frozen=True)
class TheoryConstants:
    """Step sizes theta_k (K,), ascending, and the meta step beta."""

    steps: NDArray
    meta_step: float


def theory_constants(
    num_ues: int, num_cells: int, horizon: int, max_delay: float, handover_weight: float, form: str = "corrected"
) -> TheoryConstants:
    r"""LDA's constants for a known horizon.

    .. math::
        D=\sqrt{2I},\quad G=\sqrt{IJ}(\log_{10}J+1/\ln 10),\quad D_A=\sqrt{a}\,D,\quad G_A=\sqrt{a}\,G,\quad
        K=\lceil\log_2\sqrt{1+2T}\rceil+1,

        \theta_k=2^{k-1}\sqrt{D_A^2/(T(G^2+2G_A))},\quad \nu=(2GD+D_A)^2(D_A+1/8),\quad \beta=1/\sqrt{T\nu}.

    ``printed`` takes a = a_max, so gamma appears nowhere. ``gamma`` takes a = gamma^2 a_max, what the proof, which sets
    gamma = 1, means for other gamma. ``corrected`` has D instead of D_A in the numerator of theta, too: the projection
    step is measured in the Euclidean norm.

    At I = 100, J = 10, T = 5000, gamma = 20, a_max = 1 the fastest step is .55 (printed), 8.2 (gamma), .41
    (corrected); above about 2 ln(10)/J = .46 an expert oscillates at balanced load.
    """
    a = max_delay if form == "printed" else handover_weight**2 * max_delay
    d = math.sqrt(2 * num_ues)
    g = math.sqrt(num_ues * num_cells) * (math.log10(num_cells) + 1 / math.log(10))
    d_a, g_a = math.sqrt(a) * d, math.sqrt(a) * g
    diameter = d if form == "corrected" else d_a
    if diameter == 0:
        raise WrongValue(f"form {form!r} has zero step sizes without a handover cost; form 'corrected' does not")
    experts = math.ceil(math.log2(math.sqrt(1 + 2 * horizon))) + 1
    slowest = diameter / math.sqrt(horizon * (g * g + 2 * g_a))
    nu = (2 * g * d + d_a) ** 2 * (d_a + 1 / 8)
    return TheoryConstants(slowest * 2.0 ** np.arange(experts), 1 / math.sqrt(horizon * nu))


def initial_weights(num_experts: int) -> NDArray:
    """w_1^k = (1 + 1/K)/(k(k + 1)), k = 1..K; sums to 1."""
    k = np.arange(1, num_experts + 1)
    return (1 + 1 / num_experts) / (k * (k + 1))


def utility_gradient(log_rate: NDArray, load: NDArray) -> NDArray:
    """dg/dx_ij = log10 c_ij - log10 max(y_j, 1) - 1/ln 10, shape (I, J), for loads y (J,)."""
    return log_rate - (np.log10(np.maximum(load, LOAD_FLOOR)) + 1 / math.log(10))


class LDA:
    """LDA for a known horizon T: `decide` before every slot, `observe` after it.

    Parameters
    ----------
    num_ues, num_cells, horizon : I, J, T.
    handover_weight : gamma.
    max_delay : a_max in slots, for the constants.
    rng : source of the random initial vertices and of the rounding.
    forecaster : whether `decide` is given one more expert's proposal, which is not updated by gradients.
    switches : the fields of `LDASwitches`.

    Examples
    --------
    >>> lda = LDA(3, 2, horizon=50, handover_weight=0.1, rng=np.random.default_rng(0))
    >>> rate_mbps = np.array([[90.0, 10.0], [80.0, 60.0], [10.0, 70.0]])
    >>> for _ in range(50):
    ...     association = lda.decide()
    ...     lda.observe(np.log10(rate_mbps), delay=np.full((3, 2), 0.05))
    >>> int(association[0]), int(association[2])
    (0, 1)
    """

    def __init__(
        self,
        num_ues: int,
        num_cells: int,
        horizon: int,
        *,
        handover_weight: float,
        max_delay: float = 1.0,
        rng: np.random.Generator | int | None = None,
        forecaster: bool = False,
        **switches: Any,
    ):
        for name, value, least in (("num_ues", num_ues, 1), ("num_cells", num_cells, 2), ("horizon", horizon, 1)):
            if not isinstance(value, int | np.integer) or value < least:
                raise WrongValue(f"{name}: an integer of at least {least} wanted, got {value!r}")
        for name, real in (("handover_weight", handover_weight), ("max_delay", max_delay)):
            if not (math.isfinite(real) and real >= 0):
                raise WrongValue(f"{name}: a number of at least 0 wanted, got {real!r}")
        self.switches = LDASwitches(**switches)
        self.num_ues, self.num_cells, self.handover_weight = int(num_ues), int(num_cells), float(handover_weight)
        self.has_forecaster = forecaster
        self._max_delay = 1.0 if self.switches.delay_norm == "euclidean" else float(max_delay)
        self._rng = np.random.default_rng(rng)
        self._uniform = self._rng.random(num_ues) if self.switches.rounding == "shared" else None
        self._mixture = np.zeros((2, num_ues, num_cells), np.float32)  # x^m of this slot and of the one before
        self._association = np.full(num_ues, -1)  # nobody is served before the first slot
        self._start(int(horizon))

    def _start(self, horizon: int, at: NDArray | None = None) -> None:
        """Begin an epoch of ``horizon`` slots with all experts at ``at`` (I, J), or each at random vertices."""
        constants = theory_constants(
            self.num_ues, self.num_cells, horizon, self._max_delay, self.handover_weight, self.switches.form
        )
        own = len(constants.steps)
        num_experts = own + self.has_forecaster
        self.horizon, self.slot = horizon, 0
        self.steps = np.append(constants.steps * self.switches.step_scale, np.zeros(int(self.has_forecaster)))
        self._theory_meta_step = constants.meta_step
        self._log_initial = np.log(initial_weights(num_experts))
        self.weights = initial_weights(num_experts)
        self._gains, self._spread = np.zeros(num_experts), 0.0
        self._experts = np.zeros((self.num_ues, num_experts, self.num_cells), np.float32)
        if at is None:
            vertex = self._rng.integers(self.num_cells, size=(self.num_ues, own))
            np.put_along_axis(self._experts[:, :own], vertex[:, :, None], 1.0, axis=2)
        else:
            self._experts[:, :own] = at[:, None]
        self._previous = self._experts.copy()  # x_0 = x_1: nothing is charged in the first slot
        self._decided = False

    def decide(self, proposal: ArrayLike | None = None) -> NDArray:
        """The cell of each UE (I,) for the coming slot; ``proposal`` (I,) is the forecaster's, if there is one."""
        if self._decided:
            raise RuntimeError("decide() twice in one slot: observe() comes in between")
        if self.has_forecaster != (proposal is not None):
            wanted = "a proposal" if self.has_forecaster else "no proposal"
            raise WrongType(f"decide: {wanted} wanted (forecaster={self.has_forecaster})")
        if proposal is not None:
            self._propose(np.asarray(proposal))
        self._mixture = self._mixture[::-1]
        self._load = kernels.mix_experts(self._experts, self.weights, self._mixture[0])
        self._association = self._round()
        self._decided = True
        return self._association.copy()

    def _propose(self, proposal: NDArray) -> None:
        shape, cells = (self.num_ues,), self.num_cells
        if proposal.shape != shape or proposal.dtype.kind not in "iu" or proposal.min() < 0 or proposal.max() >= cells:
            raise WrongValue(f"proposal: {shape} integers in 0..{cells - 1} wanted, got {proposal!r}")
        self._experts[:, -1] = proposal[:, None] == np.arange(cells)
        if self.slot == 0:
            self._previous[:, -1] = self._experts[:, -1]

    def _round(self) -> NDArray:
        rounding, serving, mixture = self.switches.rounding, self._association, self._mixture[0]
        if rounding == "argmax":
            return mixture.argmax(axis=1)
        if rounding == "coupled" and serving[0] >= 0:
            return kernels.round_coupled(self._mixture[1], mixture, serving, self._rng.random((self.num_ues, 2)))
        uniform = self._rng.random(self.num_ues) if self._uniform is None else self._uniform
        return kernels.round_inverse(mixture, uniform)

    def observe(self, log_rate: ArrayLike, delay: ArrayLike) -> None:
        """Learn from the slot just decided: log10 of all rates in Mbit/s (I, J) and the delays in slots (I, J)."""
        if not self._decided:
            raise RuntimeError("observe() needs the decide() of its slot first")
        log_rate, delay = self._checked("log_rate", log_rate), self._checked("delay", delay)
        if delay.min() < 0:
            raise WrongValue(f"delay: at least 0 wanted, got {delay.min()}")
        point, load = self._mixture[0], self._load
        if self.switches.gradient_at == "sample":
            point = (self._association[:, None] == np.arange(self.num_cells)).astype(np.float32)
            load = np.bincount(self._association, minlength=self.num_cells)
        if self.switches.delay_norm != "weighted":
            delay = np.full_like(delay, float(self.switches.delay_norm == "euclidean"))
        gradient = utility_gradient(log_rate, load)
        sums = kernels.update_experts(self._experts, self._previous, gradient, point, delay, self.steps)
        self._experts, self._previous = self._previous, self._experts
        self._reweigh(sums[:, 0] - self.handover_weight * self._moving_cost(sums[:, 1], sums[:, 2]))
        self.slot += 1
        self._decided = False

    def _moving_cost(self, squared: NDArray, absolute: NDArray) -> NDArray:
        """What an expert's move d costs, from sum a d^2 and sum a abs(d)."""
        if self.switches.handover_cost == "sum":
            return absolute
        return np.sqrt(absolute if self.switches.fair_surrogate else squared)

    def _reweigh(self, gain: NDArray) -> None:
        """w^k proportional to w_1^k exp(beta_t sum_s l_s^k), from the cumulative gains and in the log domain."""
        self._gains += gain
        self._spread += np.ptp(gain) ** 2
        log_weight = self._log_initial + self.meta_step * self._gains
        weight = np.exp(log_weight - log_weight.max())
        self.weights = weight / weight.sum()

    def _checked(self, name: str, values: ArrayLike) -> NDArray:
        array = np.ascontiguousarray(values, np.float64)
        if array.shape != (self.num_ues, self.num_cells):
            raise WrongValue(f"{name}: shape {(self.num_ues, self.num_cells)} wanted, got {array.shape}")
        if not np.isfinite(array).all():
            raise WrongValue(f"{name}: finite numbers wanted, got NaN or infinity")
        return array

    @property
    def meta_step(self) -> float:
        """beta, or beta_t so far where it is adaptive."""
        chosen = self.switches.meta_step
        if chosen == "theory":
            return self._theory_meta_step
        if chosen == "adaptive":
            return math.sqrt(math.log(len(self.weights)) / self._spread) if self._spread > 0 else 0.0
        return float(chosen)

    @property
    def mixture(self) -> NDArray:
        """x^m of the slot last decided, (I, J)."""
        return self._mixture[0].copy()

    @property
    def experts(self) -> NDArray:
        """x^k for the next decision, (K, I, J)."""
        return self._experts.transpose(1, 0, 2).copy()


class DoublingLDA(LDA):
    """LDA for an unknown horizon: epochs of 64, 128, 256, ... slots.

    A new epoch starts all experts at the old x^m and keeps the association. The constants default to
    ``form="printed"``: those of ``gamma`` make steps beyond the oscillation limit in short epochs.
    """

    def __init__(self, num_ues: int, num_cells: int, *, first_horizon: int = 64, form: str = "printed", **options: Any):
        super().__init__(num_ues, num_cells, first_horizon, form=form, **options)

    def observe(self, log_rate: ArrayLike, delay: ArrayLike) -> None:
        super().observe(log_rate, delay)
        if self.slot == self.horizon:
            self._start(2 * self.horizon, self.mixture)


def _positive(name: str, value: str | float, wanted: str = "a positive number") -> None:
    if isinstance(value, bool | str) or not (math.isfinite(value) and value > 0):
        raise WrongValue(f"{name}: {wanted} wanted, got {value!r}")
