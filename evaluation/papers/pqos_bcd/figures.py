"""The figures of the reproduction of the predictive-QoS paper. matplotlib is imported here only."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rangym.envs.rendering import BLUE, CYAN, GREEN, INK, MUTED, RED, YELLOW, colors
from rangym.evaluation.papers.pqos_bcd.claims_solver import (
    PRINTED_GAP,
    best,
    course,
    gap,
    gap_at_best,
    output_course,
    weights_of,
)
from rangym.evaluation.papers.pqos_bcd.jobs import OUTPUTS, SHOWN_COURSES, SHOWN_PROTOCOLS
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.statistics import mean_interval

# Paul Tol's colours; the line style says it a second time.
VARIANT_STYLES = {"printed": (RED, "-"), "exact prox": (BLUE, "--"), "preconditioned": (GREEN, "-.")}
METHODS = {"global": (MUTED, "global"), "local": (CYAN, "local"), "printed": (RED, "clustered")}


def fits(rows: Rows) -> Figure:
    """Histograms of the rows, a lognormal or a Gaussian over each."""
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    (found,) = rows.where("histogram")
    kpis = {"latency": "latency, ms", "jitter": "jitter, ms", "rsrp": "RSRP, dBm"}
    for axes, (kpi, label) in zip(figure.subplots(1, 3), kpis.items(), strict=True):
        edges, density = np.array(found[kpi]["edges"]), np.array(found[kpi]["density"])
        axes.stairs(density, edges, fill=True, color=BLUE, alpha=0.35, label=f"{found['rows']} rows")
        mean, deviation = found[kpi]["fit"]
        x = np.linspace(edges[0], edges[-1], 400)
        at = x if kpi == "rsrp" else np.log(x)
        slope = 1.0 if kpi == "rsrp" else 1.0 / x
        fit = slope * np.exp(-0.5 * ((at - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
        axes.plot(x, fit, color=RED, label="Gaussian" if kpi == "rsrp" else "lognormal")
        axes.set(xlabel=label, ylabel="density")
        _frame(axes, f"cell {found['cell']}, hour {found['hour']}")
        axes.legend(frameon=False)
    return figure


def descent(rows: Rows) -> Figure:
    """F from a random start and from the identity, and with a ReLU at the output."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    panels = figure.subplots(1, 4)
    for axes, start in zip(panels[:2], ("random", "identity"), strict=True):
        for variant, (color, line) in VARIANT_STYLES.items():
            _courses(axes, course(rows, variant, start), color, line, variant)
        axes.axhline(best(rows).mean(), color=INK, linestyle=":", label="least F_orig")
        _frame(axes, f"linear output, {start} A0")
    for axes, case in zip(panels[2:], OUTPUTS[:2], strict=True):
        for output, color, line in (("linear", RED, "-"), ("relu", YELLOW, "--")):
            values = output_course(rows, output, "printed", *case)
            _courses(axes, values, color, line, f"printed, {'ReLU' if output == 'relu' else output}")
        _frame(axes, f"targets {case[2]}, random A0")
    for axes in panels:
        axes.set(xlabel="iteration", xlim=(0, 70))
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("F")
    return figure


def _courses(axes: Axes, values: NDArray, color: str, line: str, label: str) -> None:
    axes.plot(values.T, color=color, linewidth=0.4, alpha=0.3)
    axes.plot(values.mean(axis=0), color=color, linestyle=line, linewidth=2, label=label)


def clusters(rows: Rows) -> Figure:
    """How many cells prefer each column of A, as bars that add up to all cells."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, variant in zip(figure.subplots(1, 2, sharey=True), SHOWN_COURSES, strict=True):
        (row,) = rows.where("constellation", variant=variant)
        slots = np.array(row["slots"])
        used = np.unique(slots)
        bottom = np.zeros(len(slots))
        for column, color in zip(used, colors(len(used)), strict=True):
            size = (slots == column).sum(axis=1)
            axes.bar(np.arange(len(slots)), size, 1.0, bottom=bottom, color=color, edgecolor="white", linewidth=0.3)
            bottom += size
        count = [len(np.unique(row)) for row in slots]
        axes.set(xlabel="iteration", xlim=(-0.5, len(slots) - 0.5), ylim=(0, slots.shape[1]))
        _frame(axes, f"{variant}; clusters: {count[1]} after one iteration, {count[-1]} after {len(slots) - 1}")
        axes.set_ylabel("cells")
    return figure


def errors(rows: Rows) -> Figure:
    """Violins of the error of the mean latency: global, local, clustered in each cell."""
    figure = Figure(figsize=(12, 6.4), layout="constrained")
    for axes, protocol in zip(figure.subplots(2, 1, sharex=True), SHOWN_PROTOCOLS, strict=True):
        (row,) = rows.where("errors", protocol=protocol)
        for n, (method, (color, label)) in enumerate(METHODS.items()):
            cells = row[method]
            found = axes.violinplot(cells, np.arange(len(cells)) + 0.27 * (n - 1), widths=0.26, showextrema=False)
            for body in found["bodies"]:  # type: ignore[attr-defined]
                body.set(facecolor=color, alpha=0.75, edgecolor=color)
            axes.plot([], [], color=color, linewidth=6, label=label)
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set(ylabel="error, ms", ylim=(-1.5, 1.5))
        axes.set_xticks(range(len(cells)), [str(i) for i in range(len(cells))])
        _frame(axes, "the paper's split" if protocol == "leaky" else f"held out, {protocol} trained on")
        axes.legend(frameon=False, ncols=3, loc="upper right")
    axes.set_xlabel("cell")
    return figure


def gaps(rows: Rows) -> Figure:
    """Printed gap, gap of F at the best labels, and gap of the rounded labels, by weights."""
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    weights = weights_of(rows)
    place = np.arange(len(weights))
    titles = (
        "printed: (F*_orig - F) / F*_orig",
        "F at the best labels in place of F",
        "rounded: F_orig above the best",
    )
    for axes, title in zip(figure.subplots(1, 3), titles, strict=True):
        if title == titles[1]:
            _points(axes, place, [gap_at_best(rows, *w) for w in weights], INK, "best labels", "D")
        for n, (variant, (color, _)) in enumerate(VARIANT_STYLES.items() if title != titles[1] else ()):
            of, sign = ("relaxed", 1.0) if title == titles[0] else ("original", -1.0)
            values = [sign * gap(rows, variant, *w, of=of) for w in weights]
            _points(axes, place + 0.22 * (n - 1), values, color, variant, "os^"[n])
        if title == titles[0]:
            axes.axhline(PRINTED_GAP, color=MUTED, linestyle=":", label=f"paper: {PRINTED_GAP:g} %")
        axes.axhline(0, color=INK, linewidth=0.6)
        axes.set_xticks(place, [f"{lam:g}\n{beta:g}" for lam, beta in weights], fontsize=8)
        axes.set(xlabel="lam, beta", ylabel="%")
        _frame(axes, title)
        axes.legend(frameon=False, fontsize=8)
    return figure


def _points(axes: Axes, place: NDArray, values: list[NDArray], color: str, label: str, marker: str) -> None:
    found = [mean_interval(x) for x in values]
    half = np.nan_to_num([x.half_width for x in found])  # one instance has no interval
    axes.errorbar(place, [x.value for x in found], half, color=color, fmt=marker, capsize=2, label=label)


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
