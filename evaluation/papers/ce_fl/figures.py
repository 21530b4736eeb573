"""The figures of the reproduction of the CE-FL paper. matplotlib is imported here only."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rangym.envs.rendering import BLUE, CYAN, GREEN, INK, PALETTE, PURPLE, RED, quiet
from rangym.evaluation.papers.ce_fl.claims_rounds import Selection
from rangym.evaluation.papers.ce_fl.jobs import DRIFTS, EFF, FIXED, UES, WEIGHTS
from rangym.evaluation.papers.ce_fl.printed import TARGETS
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.statistics import mean_interval

# Colour and marker say the reading twice.
STYLES = {"literal": (BLUE, "o"), "skewed": (GREEN, "s"), "congested": (RED, "^")}
RULES = {"data_greedy": (PURPLE, "most data"), "rate_greedy": (CYAN, "best rates")}
TRAINED = {
    "CE-FL": ("ce_fl", "default", BLUE, "-"),
    "FedNova, dpu": ("fednova_dpu", "normalised", RED, "-"),
    "FedAvg, dpu": ("fednova_dpu", "fedavg", RED, ":"),
    "FedNova, ue": ("fednova_ue", "normalised", GREEN, "-"),
    "FedAvg, ue": ("fednova_ue", "fedavg", GREEN, ":"),
}


AMOUNTS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Ticks of seconds and kilojoules."""


def aggregator(rows: Rows) -> Figure:
    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 3)
    for reading, (above, below) in zip(("literal", "skewed"), panels[:, :2].T, strict=True):
        s = Selection(rows, reading)
        _data(above, s)
        above.set_title(f"{reading}: data of the sub-networks", fontsize=10)
        _chosen(below, s)
        below.set_title(f"{reading}: aggregator", fontsize=10)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), frameon=False)
    panels[1, 0].legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.06), ncols=3)
    _rates(panels[0, 2], Selection(rows, "literal"))
    _agreement(panels[1, 2], rows)
    for axes in panels.ravel():
        quiet(axes)
    return figure


def _data(axes: Axes, s: Selection) -> None:
    """Shares of all data in each round of the first network."""
    times, bottom = np.arange(s.shares.shape[1]), np.zeros(s.shares.shape[1])
    for dc, share in enumerate(s.shares[0].T):
        axes.bar(times, share, bottom=bottom, color=PALETTE[dc], width=0.8, label=f"DC {dc}")
        bottom += share
    axes.set(xlabel="round", ylabel="share of all data", xticks=times)


def _chosen(axes: Axes, s: Selection) -> None:
    """The aggregators of CE-FL and of both rules in each round of the first network."""
    rules = (
        (s.chosen, "CE-FL", INK, "o"),
        (s.data_greedy, "most data", PURPLE, "s"),
        (s.rate_greedy, "best rates", CYAN, "^"),
    )
    for n, (chosen, label, color, marker) in enumerate(rules):
        axes.plot(np.arange(chosen.shape[1]), chosen[0] + 0.14 * (n - 1), marker, color=color, label=label)
    axes.set(xlabel="round", ylabel="DC", xticks=range(s.shares.shape[1]), yticks=range(s.shares.shape[2]))


def _rates(axes: Axes, s: Selection) -> None:
    for dc in range(s.rate.shape[2]):
        axes.plot(s.rate[0, :, dc] / 1e6, color=PALETTE[dc], marker="o", markersize=4)
    axes.set_title("literal: mean end-to-end rate (76)", fontsize=10)
    axes.set(xlabel="round", ylabel="Mbit/s", xticks=range(s.rate.shape[1]), ylim=(0, None))


def _agreement(axes: Axes, rows: Rows) -> None:
    for n, (rule, (color, label)) in enumerate(RULES.items()):
        found = []
        for reading in FIXED:
            s = Selection(rows, reading)
            found.append(mean_interval((s.chosen == getattr(s, rule)).mean(axis=1)))
        place = np.arange(len(FIXED)) + 0.36 * (n - 0.5)
        axes.bar(place, [i.value for i in found], 0.34, yerr=[i.half_width for i in found], color=color, label=label)
    axes.axhline(0.2, color=INK, linestyle=":", label="at random")
    axes.set_xticks(range(len(FIXED)), FIXED)
    axes.set_title("agreement with CE-FL", fontsize=10)
    axes.set(ylabel="share of rounds", ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8, loc="upper center", ncols=3)


def selection(rows: Rows) -> Figure:
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    rivals = ("fixed,\nmean of five", "most data", "best rates")
    for axes, what in zip(panels, ("delay", "energy"), strict=True):
        for n, reading in enumerate(FIXED):
            s = Selection(rows, reading)
            values: NDArray = getattr(s, what)
            own = s.under(values, s.chosen)
            others = (
                values.mean(axis=(1, 2)),
                s.under(values, s.data_greedy),
                s.under(values, s.rate_greedy),
            )
            found = [mean_interval(100 * (other / own - 1)) for other in others]
            color, marker = STYLES[reading]
            axes.errorbar(
                np.arange(3) + 0.16 * (n - 1),
                [i.value for i in found],
                [i.half_width for i in found],
                color=color,
                marker=marker,
                linestyle="",
                capsize=3,
                label=reading,
            )
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_xticks(range(3), rivals)
        axes.set_ylabel(f"{what} above CE-FL's, %")
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(-2, 50)
        axes.set_yticks([0, 2, 5, 10, 20, 50], ["0", "2", "5", "10", "20", "50"])
        axes.minorticks_off()
        quiet(axes)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure


def drift(rows: Rows) -> Figure:
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for reading in FIXED:
        _curve(left, np.arange(len(DRIFTS)), rows.values("drift", "delay", reading=reading), reading)
        _curve(right, np.arange(len(DRIFTS)), rows.values("drift", "clock_hz", reading=reading) / 1e9, reading)
    left.set(xlabel="drift, 1/s", ylabel="delay of a round, s", yscale="log")
    left.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    left.minorticks_off()
    right.set(xlabel="drift, 1/s", ylabel="mean clock of the UEs, GHz", ylim=(0, None))
    for axes in (left, right):
        axes.set_xticks(range(len(DRIFTS)), [f"{d:g}" for d in DRIFTS])
        quiet(axes)
    left.legend(frameon=False)
    return figure


def weights(rows: Rows) -> Figure:
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for reading in FIXED:
        _curve(left, np.array(WEIGHTS), rows.values("weight", "all", reading=reading), reading)
        _curve(right, np.array(WEIGHTS), rows.values("weight", "energy", reading=reading), reading)
    left.set(ylabel="mean mini-batch, share of the data", ylim=(0, None))
    right.set(ylabel="energy of a round, J", ylim=(0, None))
    for axes in (left, right):
        axes.set(xscale="log", xlabel="weight of learning, pi_1")
        axes.set_xticks(WEIGHTS, [f"{w:g}" for w in WEIGHTS])
        axes.minorticks_off()
        quiet(axes)
    left.legend(frameon=False)
    return figure


def solver(rows: Rows) -> Figure:
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    averagings = rows.where("decentralised")[0]["averagings"]
    reference = rows.values("decentralised", "reference")
    for form, which, color, style, label in (
        ("printed", "final", RED, "-", "chi printed, final"),
        ("printed", "best", RED, ":", "chi printed, best"),
        ("corrected", "final", BLUE, "-", "chi = 1/7, final"),
        ("corrected", "best", BLUE, ":", "chi = 1/7, best"),
    ):
        tried = averagings if form == "printed" else [averagings[0], averagings[-1]]
        values = np.array([rows.values("decentralised", form, str(n), which) for n in tried]).T
        excess = [mean_interval(column) for column in (100 * (values / reference[:, None] - 1)).T]
        left.errorbar(
            tried,
            [i.value for i in excess],
            [i.half_width for i in excess],
            color=color,
            linestyle=style,
            marker="o",
            capsize=3,
            label=label,
        )
    for name, label, color in (("exact", "exact averaging", GREEN), ("centralised", "centralised", INK)):
        found = mean_interval(100 * (rows.values("decentralised", name, "final") / reference - 1))
        left.axhline(found.value, color=color, linestyle="--", linewidth=1, label=label)
    left.set(xlabel="rounds of averaging J", ylabel="J above the optimum, %", ylim=(0, None))
    left.set_xticks(averagings)
    left.legend(frameon=False, fontsize=8)
    cost = np.array([[size["cost"] for size in row["sizes"]] for row in rows.where("sizes")])
    for line in cost:
        right.plot(UES, line, color=BLUE, alpha=0.2, linewidth=0.8)
    _curve(right, np.array(UES), cost, "literal")
    right.set(xlabel="UEs", ylabel="least J")
    right.set_xticks(UES)
    for axes in (left, right):
        quiet(axes)
    return figure


def training(rows: Rows) -> Figure:
    figure = Figure(figsize=(10.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True)
    for line, reading in zip(panels, ("literal", EFF), strict=True):
        for axes, what, unit in zip(line, ("delay", "energy"), (1.0, 1e-3), strict=True):
            for label, (method, trained, color, style) in TRAINED.items():
                paid = unit * rows.values("training", what, reading=reading, method=method).cumsum(axis=1).mean(axis=0)
                accuracy = rows.values("training", "accuracy", trained, reading=reading, method=method).mean(axis=0)
                axes.plot(paid, accuracy, color=color, linestyle=style, label=label)
            for target in TARGETS["F-MNIST"]:
                axes.axhline(target, color=INK, linewidth=0.6, linestyle=":")
            axes.set(xscale="log", xlabel="delay, s" if what == "delay" else "energy, kJ")
            axes.set_title(reading, fontsize=10)
            low, high = axes.get_xlim()
            ticks = [tick for tick in AMOUNTS if low <= tick <= high]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            quiet(axes)
        line[0].set_ylabel("test accuracy")
    panels[0, 0].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _curve(axes: Axes, at: NDArray, values: NDArray, reading: str) -> None:
    """Mean and 95 % interval of curves (seeds, points)."""
    found = [mean_interval(column) for column in values.T]
    color, marker = STYLES[reading]
    axes.errorbar(
        at,
        [i.value for i in found],
        [i.half_width for i in found],
        color=color,
        marker=marker,
        capsize=3,
        label=reading,
    )
