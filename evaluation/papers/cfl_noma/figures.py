"""The figures of the reproduction of "Clustered federated learning with NOMA". matplotlib is imported here only."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from rangym.envs.rendering import BLUE, CYAN, GREEN, INK, RED, YELLOW
from rangym.evaluation.papers.cfl_noma.claims import QUALITY
from rangym.evaluation.papers.cfl_noma.jobs import CASES, OFFLOADS_S
from rangym.evaluation.papers.cfl_noma.measure import ACCESSES, STRATEGIES
from rangym.evaluation.papers.rows import Rows
from rangym.evaluation.statistics import mean_interval

# Okabe and Ito's colours; marker and hatch say it a second time.
ACCESS_STYLES = {"noma": (BLUE, "o"), "oma_opt": (GREEN, "s"), "oma_equal": (RED, "^")}
RULES = ("random", "2es", "users", "subchannels", "sum", "local search")
CASE_COLORS = (BLUE, CYAN, RED, YELLOW)


def energy(rows: Rows) -> Figure:
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for access in ACCESSES:
        color, marker = ACCESS_STYLES[access]
        values = np.array([rows.values("energy", "energy", access, offload_s=t) for t in OFFLOADS_S]) * 1e3
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
        axes.plot(OFFLOADS_S, middle, color=color, marker=marker, label=access)
        axes.fill_between(OFFLOADS_S, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="transmit time, s", ylabel="energy of a round, mJ")
    axes.set_xticks(OFFLOADS_S, [f"{t:g}" for t in OFFLOADS_S])
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


def quality(rows: Rows) -> Figure:
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(CASES)
    for n, ((fading, times), color) in enumerate(zip(CASES, CASE_COLORS, strict=True)):
        found = [mean_interval(rows.values("matching", "quality", rule, fading=fading, times=times)) for rule in RULES]
        place = np.arange(len(RULES)) + (n - 1.5) * width
        label = f"{'flat' if fading == 'flat' else 'independent'} fading, {times} times"
        errors = [i.half_width for i in found]
        axes.bar(place, [i.value for i in found], width, yerr=errors, color=color, label=label)
    axes.axhline(QUALITY, color=INK, linestyle=":", label="printed: about 80 %")
    axes.set_xticks(range(len(RULES)), RULES)
    axes.set(ylim=(0, 1.05), ylabel="optimum / cost")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def served(rows: Rows) -> Figure:
    figure = Figure(figsize=(7.4, 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(ACCESSES)
    for n, access in enumerate(ACCESSES):
        found = [
            mean_interval(rows.values("strategies", "served", name, scenario="tight", access=access))
            for name in STRATEGIES
        ]
        place = np.arange(len(STRATEGIES)) + (n - 1) * width
        errors = [i.half_width for i in found]
        axes.bar(place, [i.value for i in found], width, yerr=errors, color=ACCESS_STYLES[access][0], label=access)
    axes.set_xticks(range(len(STRATEGIES)), list(STRATEGIES))
    axes.set(ylim=(0, 20.5), ylabel="users served of 20")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    return figure
