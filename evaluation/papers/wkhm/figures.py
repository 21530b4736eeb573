"""The figures of the reproduction of WKHM. matplotlib is imported here only."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rangym.envs.rendering import BLUE, CYAN, GREEN, INK, MUTED, RED
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.papers.wkhm import claims
from rangym.evaluation.papers.wkhm.jobs import ABLATED
from rangym.evaluation.papers.wkhm.measure import EPS_VALUES, METHODS, P_VALUES, Q_VALUES, READINGS
from rangym.evaluation.statistics import mean_interval

# Okabe and Ito's colours; the line style says it a second time.
STYLES: dict[str, tuple[str, str]] = {
    "WKHM": (RED, "-"),
    "KM": (BLUE, "--"),
    "CKM": (CYAN, "-."),
    "KHM": (GREEN, ":"),
    "KC": (INK, "--"),
}
QUANTITIES = {"snr_db": ("SNR, dB", (-5, 100)), "sinr_db": ("SINR, dB", (-10, 60)), "load": ("users per node", (0, 40))}
ABLATIONS = {"p": ("p (q = 2)", P_VALUES), "q": ("q (p = 2)", Q_VALUES), "eps": ("eps, m² (p = 2, q = 4)", EPS_VALUES)}


def distributions(rows: Rows) -> Figure:
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    for row, reading in zip(figure.subplots(len(READINGS), 3, sharey=True), READINGS, strict=True):
        for axes, (field, (label, limits)) in zip(row, QUANTITIES.items(), strict=True):
            for method in METHODS:
                values = np.sort(claims.users(rows, reading, method, field).ravel())
                color, line = STYLES[method]
                share = np.arange(1, len(values) + 1) / len(values)
                axes.plot(values, share, color=color, linestyle=line, linewidth=1.5, label=method)
            axes.set(xlim=limits, ylim=(0, 1), xlabel=label)
            _frame(axes, reading)
        row[0].set_ylabel("share at or below")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return figure


def ablations(rows: Rows) -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (parameter, (label, values)) in zip(figure.subplots(1, 3), ABLATIONS.items(), strict=True):
        for reading, color in zip(ABLATED, (RED, BLUE), strict=True):
            found = rows.values("ablation", parameter, reading=reading)
            means = [mean_interval(column) for column in found.T]
            half = np.nan_to_num([m.half_width for m in means])  # one seed has no interval
            axes.errorbar(
                values,
                [m.value for m in means],
                half,
                color=color,
                marker="o",
                markersize=4,
                linewidth=1.5,
                label=reading,
            )
        if parameter == "eps":
            axes.set_xscale("log")
        axes.set(xlabel=label, ylim=(min(0.0, *axes.get_ylim()), None))
        _frame(axes, "")
    figure.axes[0].set_ylabel("mean SINR, dB")
    figure.axes[2].legend(frameon=False)
    return figure


def throughput(rows: Rows) -> Figure:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, reading in zip(figure.subplots(1, len(READINGS)), READINGS, strict=True):
        others = METHODS[1:]
        for k, method in enumerate(others):
            difference = claims.throughput(rows, reading, method) - claims.throughput(rows, reading, "WKHM")
            spread = np.linspace(-0.15, 0.15, len(difference))
            axes.scatter(k + spread, difference, s=9, color=STYLES[method][0], alpha=0.7)
            axes.plot([k - 0.25, k + 0.25], [difference.mean()] * 2, color=INK, linewidth=2)
        axes.axhline(0, color=MUTED, linewidth=0.8)
        axes.set_xticks(range(len(others)), others)
        _frame(axes, reading)
    figure.axes[0].set_ylabel("mean throughput minus WKHM's, Mbit/s")
    return figure


def _frame(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
