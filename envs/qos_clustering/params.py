"""Parameters and scenarios of QosClustering."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from rangym.envs.params import Uses, check, is_number, ranged, require
from rangym.envs.qos_clustering.concepts import EVENT_KINDS, GROUPS, Event
from rangym.envs.qos_clustering.generator import PERIOD_S, TOURS, DaySettings

DRIFTS = ("wander", "events", "none", "imported")
GENERATED: Uses = {"drift": DRIFTS[:-1]}
IMPORTED: Uses = {"drift": ("imported",)}
HALVES = ("second", "first")
FROM_FILE = cast(int, None)
"""Of a size that a file of recorded days brings: the system puts in the number."""
FITTED = "linear"
"""The predictor that a file of recorded days brings along."""
LIBRARIES = ("ifca", "global")
OBSERVE = ("losses", "statistics")


@dataclass(frozen=True, kw_only=True)
class QosClusteringParams:
    """Everything that defines a QosClustering episode but its chance.

    Attributes
    ----------
    num_cells, horizon : N and the number of slots T; a slot is a period of 15 minutes. None, with the drift
        ``imported`` only: the cells of its file, and 88 slots or as many as it allows; the system puts them in.
    label_delay : h, the periods after which the predicted quantity is known; the predictor's own.
    num_vehicles, sampling_s : who measures, and how often.
    map_seed : of the sites and the radio map, which all episodes share.
    drift : how the cells' hidden groups change: ``wander`` (every cell starts anywhere and changes at exponential
        times), ``events`` (groups of the sites, changed by ``events``, or by zero to three drawn ones), ``none``;
        ``imported``: no generator, but windows of recorded days.
    concept_hold_h : mean time between changes under ``wander``, in hours.
    events : (kind, cells, group, t0_h, duration_h) each; kinds are ``sudden``, ``gradual``, ``incremental``,
        ``recurring``, groups 0..3 in the order of `GROUPS`. Empty: drawn.
    days : file of recorded days, made by ``rangym map import --kind qos``.
    half : of the file, from which windows are drawn: the first one is what predictors are fitted to.
    predictor : ``small``, ``paper``, or a file that ``rangym pretrain`` wrote; ``linear``: that of the recorded days.
    library : ``ifca`` (the predictor's library) or ``global`` (the global head in every slot).
    num_heads : C, slots of the library; slot 0 is the global head besides.
    eta : rate at which heads adapt to labels as these become known; 0 freezes them.
    anchor : weight that pulls adapting heads to what they were (m_r).
    lam, beta, kappa : weights of the cut, of each slot in use and of each migration.
    observe : ``losses``, or ``statistics``: the cells' known Gram matrices and mean features too.
    day_pool : 0 draws a fresh day for every episode; n draws one of n fixed days, which no evaluation uses.
    """

    num_cells: int = ranged(12, low=2, optional=True)
    horizon: int = ranged(88, low=1, optional=True)
    label_delay: int = ranged(4, low=1)
    num_vehicles: int = ranged(30, low=1, only=GENERATED)
    sampling_s: float = ranged(4.0, above=0, high=PERIOD_S / TOURS, only=GENERATED)
    map_seed: int = ranged(0, low=0, limit=2**63, only=GENERATED)
    drift: str = ranged("wander", words=DRIFTS)
    concept_hold_h: float = ranged(8.0, low=0.01, only={"drift": ("wander",)})
    events: tuple[Event, ...] = ranged((), kind=tuple, length=0, only={"drift": ("events",)})
    days: str | None = ranged(None, kind=str, optional=True, only=IMPORTED)
    half: str = ranged("second", words=HALVES, only=IMPORTED)
    predictor: str = ranged("small")
    library: str = ranged("ifca", words=LIBRARIES)
    num_heads: int = ranged(4, low=1)
    eta: float = ranged(0.0, low=0, below=1)
    anchor: float = ranged(0.3, above=0)
    lam: float = ranged(0.003, low=0)
    beta: float = ranged(0.1, low=0)
    kappa: float = ranged(0.05, low=0)
    observe: str = ranged("losses", words=OBSERVE)
    day_pool: int = ranged(0, low=0, only=GENERATED)

    def __post_init__(self) -> None:
        check(self)
        for name in ("num_cells", "horizon"):
            value = getattr(self, name)
            require(self.imported or value is not None, name, "a number, where no file brings one,", value)
        require(self.imported or self.predictor != FITTED, "predictor", "one for generated days", self.predictor)
        for event in self.events:
            self._check_event(event)

    def _check_event(self, event: Event) -> None:
        wanted = "(kind, cells, group, t0_h, duration_h)"
        require(isinstance(event, tuple) and len(event) == 5, "events", wanted, event)
        kind, cells, group, t0_h, duration_h = event
        require(kind in EVENT_KINDS, "events", f"kind one of {list(EVENT_KINDS)}", kind)
        known = isinstance(cells, tuple) and cells and all(_index(i, self.num_cells) for i in cells)
        require(bool(known), "events", f"a tuple of cells 0..{self.num_cells - 1}", cells)
        require(_index(group, len(GROUPS)), "events", f"a group 0..{len(GROUPS) - 1}", group)
        require(is_number(t0_h) and t0_h >= 0, "events", "a start of at least 0 h", t0_h)
        require(is_number(duration_h) and duration_h > 0, "events", "a duration above 0 h", duration_h)

    @property
    def num_slots(self) -> int:
        """Head slots of the environment, C + 1."""
        return self.num_heads + 1

    @property
    def adapts(self) -> bool:
        """Whether heads follow the labels."""
        return self.eta > 0

    @property
    def imported(self) -> bool:
        """Whether episodes come from recorded days."""
        return self.drift == "imported"

    @property
    def periods(self) -> int:
        """Periods of a day: slot s of the trace is period s + h, and labels lie h periods later."""
        return self.horizon + 2 * self.label_delay + 2

    @property
    def day(self) -> DaySettings:
        """What defines the day behind an episode but its chance."""
        return DaySettings(
            num_cells=self.num_cells,
            num_vehicles=self.num_vehicles,
            sampling_s=self.sampling_s,
            periods=self.periods,
            drift=self.drift,
            concept_hold_h=self.concept_hold_h if self.drift == "wander" else 0.0,
            events=self.events,
            map_seed=self.map_seed,
        )


def _index(value: object, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count


_SMALL = QosClusteringParams()

SCENARIOS: dict[str, QosClusteringParams] = {
    "tiny": replace(_SMALL, num_cells=4, horizon=20, num_vehicles=8, sampling_s=20.0, num_heads=2, concept_hold_h=2.0),
    "small": _SMALL,
    "paper": replace(_SMALL, predictor="paper", drift="events", kappa=0.0),
    "adaptive": replace(_SMALL, eta=0.003),
    "large": replace(_SMALL, num_cells=100, num_vehicles=250, num_heads=10),
    "imported": replace(_SMALL, num_cells=FROM_FILE, horizon=FROM_FILE, drift="imported", predictor=FITTED),
}
