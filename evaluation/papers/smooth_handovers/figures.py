"""The figures of the reproduction of "Smooth Handovers". matplotlib is imported here only."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rangym.envs.rendering import BLUE, FAINT, GREEN, INK, MUTED, PURPLE, RED, YELLOW
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.smooth_handovers import jobs as p
from rangym.evaluation.papers.smooth_handovers import series
from rangym.evaluation.papers.smooth_handovers.jobs import ROUNDED, SOURCES, TWO_NORM, Source
from rangym.evaluation.statistics import mean_interval

# Okabe and Ito's colours; the line style says it a second time.
STYLES: dict[str, tuple[str, str]] = {
    "literal": (RED, "-"),
    "relaxed": (RED, "--"),
    "coupled": (BLUE, "-"),
    "default": (GREEN, "-"),
    "gamma": (PURPLE, "-."),
    "adaptive": (YELLOW, (0, (5, 1))),  # type: ignore[dict-item]
    "Max SINR": (INK, ":"),
    "Random": (MUTED, "-."),
}
BASELINES = {"Max SINR": p.MAX_SINR, "Random": p.RANDOM}
TERMS = (("g", "g", 1.0, BLUE), ("-h", "h", -1.0, RED), ("f", "f", 1.0, INK))


def regret(rows: Rows) -> Figure:
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    for axes, scenario in zip(figure.subplots(1, 2), ("static", "volatile"), strict=True):
        slots = series.slots(rows, scenario)
        regrets = {label: series.average_regret(rows, scenario, policy) for label, policy in _all().items()}
        for label, regret in regrets.items():
            _curve(axes, slots, regret, label)
        axes.set_yscale("log")
        least = min(regret.mean(axis=0).min() for regret in regrets.values())
        axes.set_ylim(bottom=0.7 * max(least, 0.1))
        _frame(axes, f"{scenario}, to the " + ("exact optimum" if scenario == "static" else "best plan known"))
    figure.axes[0].set_ylabel("average regret")
    _legend(figure)
    return figure


def objective(rows: Rows) -> Figure:
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", height_ratios=[1, 1.4])
    for column, scenario in enumerate(("static", "volatile")):
        above, below = panels[:, column]
        slots, reference = series.slots(rows, scenario), series.running_mean(rows, scenario, p.MAX_SINR)
        ends = []
        for label, policy in _all().items():
            mean = series.running_mean(rows, scenario, policy)
            _curve(above, slots, mean, label, band=False)
            _curve(below, slots, mean - reference, label)
            ends.append((mean - reference)[:, -1].mean())
        _frame(above, scenario)
        _frame(below, f"{scenario}, minus Max SINR's")
        above.set_xlabel("")
        reach = 1.3 * max(*ends, 1.0)
        below.set_ylim(-1.5 * reach, reach)
    panels[0, 0].set_ylabel("mean of f so far")
    panels[1, 0].set_ylabel("difference (literal and Random: below)")
    _legend(figure)
    return figure


def handovers(rows: Rows) -> Figure:
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    for source in ROUNDED:
        values = np.array([series.stand_in(rows, "handovers", source, gamma) for gamma in p.GAMMAS])
        colour, line = STYLES[source.label]
        axes.plot(p.GAMMAS, values.mean(axis=1), color=colour, linestyle=line, marker="o", markersize=4)
        axes.fill_between(p.GAMMAS, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15, linewidth=0)
    rule = series.stand_in(rows, "handovers", p.MAX_SINR, p.SYNTHETIC_GAMMA).mean()
    axes.axhline(rule, color=STYLES["Max SINR"][0], linestyle=STYLES["Max SINR"][1])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(p.GAMMAS, [f"{g:g}" for g in p.GAMMAS])
    low, high = axes.get_ylim()
    shown = [k * 10**n for n in range(-3, 5) for k in (1, 2, 5) if low <= k * 10**n <= high]
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    _frame(axes, p.STAND_IN)
    axes.set_xlabel("gamma")
    axes.set_ylabel("handovers a slot")
    _legend(figure, [*(s.label for s in ROUNDED), "Max SINR"])
    return figure


def terms(rows: Rows) -> Figure:
    figure = Figure(figsize=(11, 4.8), layout="constrained")
    policies: dict[str, str | Source] = {}
    for source in SOURCES:
        policies[source.label] = source
        if source in TWO_NORM and not source.relaxed:
            policies[f"{source.label}\n2-norm"] = p.euclidean(source.policy)
    policies |= {"Max\nSINR": p.MAX_SINR, "A3": p.A3, "sticky\noptimum": p.STICKY, "Random": p.RANDOM}
    limit = series.bounds(rows, p.STAND_IN, "upper").mean()
    for axes, gamma in zip(figure.subplots(2, 1, sharex=True), p.REAL_GAMMAS, strict=True):
        for k, (label, name, sign, colour) in enumerate(TERMS):
            values = [sign * series.stand_in(rows, name, policy, gamma) for policy in policies.values()]
            places = np.arange(len(policies)) + 0.27 * (k - 1)
            axes.bar(
                places, [v.mean() for v in values], 0.25, yerr=[_half(v) for v in values], color=colour, label=label
            )
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axhline(limit, color=MUTED, linewidth=1, linestyle="--", label="what no f exceeds")
        axes.margins(y=0.08)
        axes.set_xticks(np.arange(len(policies)), list(policies), fontsize=8)
        _frame(axes, f"{p.STAND_IN}, gamma = {gamma:g}")
        axes.set_xlabel("")
        axes.set_ylabel("mean a slot")
    figure.axes[0].legend(ncols=4, frameon=False, fontsize=8, loc="lower left")
    return figure


def _all() -> dict[str, str | Source]:
    return {**{s.label: s for s in SOURCES}, **BASELINES}


def _curve(axes: Axes, slots: NDArray, values: NDArray, label: str, band: bool = True) -> None:
    """Mean over seeds of ``values`` (seeds, n) with its interval."""
    colour, line = STYLES[label]
    mean = values.mean(axis=0)
    axes.plot(slots, mean, color=colour, linestyle=line, linewidth=1.4)
    if not band:
        return
    half = np.array([_half(v) for v in values.T])
    axes.fill_between(slots, mean - half, mean + half, color=colour, alpha=0.12, linewidth=0)


def _half(values: NDArray) -> float:
    return float(np.nan_to_num(mean_interval(values).half_width))


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("slot")
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure, labels: list[str] | None = None) -> None:
    axes = figure.axes[0]
    for label in labels or list(_all()):
        colour, line = STYLES[label]
        axes.plot([], [], color=colour, linestyle=line, label=label)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False, fontsize=8)
