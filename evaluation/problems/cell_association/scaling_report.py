"""The tables and the figure of `scaling`. matplotlib is imported for the figure only."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rangym.envs.cell_association.params import SCENARIOS
from rangym.envs.rendering import BLUE, CYAN, FAINT, GREEN, GREY, INK, MUTED, PURPLE, RED, YELLOW, picture
from rangym.evaluation.columns import aligned
from rangym.evaluation.grid import Row
from rangym.evaluation.problems.cell_association import ENV_ID
from rangym.evaluation.problems.cell_association.scaling import BOUND, POLICIES
from rangym.policies import registry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLING, STEP = "sampling", "transition and observation"
# Of the environment, then of those that decide; the line's style says it a second time.
STYLES = {
    SAMPLING: (INK, "-", "o"),
    STEP: (GREY, "-", "s"),
    "max_sinr": (CYAN, "--", "v"),
    "a3": (GREEN, "--", "^"),
    "lda": (BLUE, "-", "D"),
    "sticky_optimum": (RED, "-", "P"),
    "ppo_shared": (YELLOW, "-.", "X"),
    BOUND: (PURPLE, ":", "*"),
}
DIRECTIONS = {"num_ues": "UEs", "num_cells": "cells", "horizon": "slots of the episode"}
CITY = ["policy", "steps/s", "decision ms", "peak MB", "episode s"]
NOTES = """\
steps/s: slots a second with sampling, decision, transition and observation, CPU time of one core, from the third slot
on. peak MB: over the interpreter. episode s: so many slots as an episode has, at that speed."""
GROWTH = """\
Transition, observation and decisions cost UEs times cells. Nothing grows with the slots of an episode but LDA's
experts, of which there are 1 + ceil(log2 sqrt(1 + 2 T)), and the rewards that are kept for pictures, .8 kB a slot.

More than linear in many cells is the exact optimum (the bound, and less so `sticky_optimum`). It first has UEs answer
in turn, which is linear: after the first round only those are asked whose answer the others' moves can have changed.
Then it cancels negative cycles among the cells: each costs the square of their number, and there are more of them the
more cells there are. Sampling works on a few UEs at a time but for its normal variates: at 800 cells those of a slot
have 32 MB, which come fresh from the operating system, so a pair of UE and cell costs more there."""


@dataclass(frozen=True)
class Series:
    """One cost against one size, ascending."""

    sizes: tuple[float, ...]
    costs: tuple[float, ...]

    @property
    def slope(self) -> str:
        """Of the line fitted to both logarithms, in words: 1.00 is linear, 0.00 no growth."""
        slope = np.polyfit(np.log(self.sizes), np.log(self.costs), 1)[0]
        return f"{round(slope, 2) + 0.0:.2f}"  # no -0.00


def series(rows: Iterable[Row], size: str) -> dict[str, Series]:
    """Milliseconds a slot against ``size``, one of `DIRECTIONS`, for every part of `STYLES`."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in STYLES}
    for row in along(rows, size):
        found[row["policy"]].append((row[size], row["decision_ms"]))
        if row["policy"] == POLICIES[0]:
            found[SAMPLING].append((row[size], row["sampling_ms"]))
            found[STEP].append((row[size], row["step_ms"]))
    return {name: _series(points) for name, points in found.items()}


def memory(rows: Iterable[Row], size: str) -> dict[str, Series]:
    """Peak megabytes over the interpreter against ``size``, for every policy and the bound."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in (*POLICIES, BOUND)}
    for row in along(rows, size):
        found[row["policy"]].append((row[size], row["peak_mb"]))
    return {name: _series(points) for name, points in found.items()}


def _series(points: Iterable[tuple[float, float]]) -> Series:
    sizes, costs = zip(*sorted(points), strict=True)
    return Series(sizes, costs)


def along(rows: Iterable[Row], size: str) -> list[Row]:
    """The rows in which ``size`` changes and the other two do not."""
    rows = list(rows)
    if size == "horizon":
        return [row for row in rows if row["scenario"] == "mobility"]
    other = "num_cells" if size == "num_ues" else "num_ues"
    shared = _base(rows)[other]
    return [row for row in rows if row["scenario"] == "city" and row[other] == shared]


def _base(rows: Iterable[Row]) -> dict[str, int]:
    """The size that both directions of `city` hold: the number of each that occurs most often."""
    own = [row for row in rows if row["scenario"] == "city"]
    counts = {name: [row[name] for row in own] for name in ("num_ues", "num_cells")}
    return {name: max(sorted(set(values)), key=values.count) for name, values in counts.items()}


def city_table(rows: Iterable[Row]) -> list[list[str]]:
    """Cells of the table `CITY`: every policy, and the bound, at the size of `city`."""
    rows = list(rows)
    base = _base(rows)
    cells = []
    for row in rows:
        if row["scenario"] == "city" and base.items() <= row.items():
            slot_ms = row["sampling_ms"] + row["decision_ms"] + row["step_ms"]
            speed = "" if row["policy"] == BOUND else f"{1e3 / slot_ms:.1f}"
            episode = f"{row['horizon'] * slot_ms / 1e3:.0f}"
            cells.append([_named(row["policy"]), speed, f"{row['decision_ms']:.1f}", f"{row['peak_mb']:.0f}", episode])
    return cells


def _named(policy: str) -> str:
    """The policy; of an agent also what it was trained on, since here it is moved."""
    if policy == BOUND:
        return "slot bound, certified"
    entry = registry.entries(ENV_ID)[policy]
    return f"{policy} (transfer: {entry.source.rpartition('; ')[2]})" if entry.role == "agent" else policy


def slope_table(rows: Iterable[Row]) -> list[list[str]]:
    """Cells of a table of slopes: every part by UEs, cells and slots."""
    rows = list(rows)
    by_size = [series(rows, size) for size in DIRECTIONS]
    return [[name, *(found[name].slope for found in by_size)] for name in STYLES]


def heading(rows: Sequence[Row]) -> str:
    """The size of the table, and the machine."""
    base = _base(rows)
    return f"{base['num_ues']:,} UEs, {base['num_cells']} cells; {rows[0]['versions']['processor']}"


def text(rows: Sequence[Row]) -> str:
    """Both tables for a terminal."""
    slopes = aligned(["slope against", *DIRECTIONS.values()], slope_table(rows))
    return "\n".join([heading(rows), "", aligned(CITY, city_table(rows)), "", NOTES, "", slopes])


def png(rows: Sequence[Row]) -> bytes:
    """The figure as a PNG file's content."""
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, picture(lambda figure: draw(figure, rows), (13.0, 10.0)), format="png")
    return buffer.getvalue()


def draw(figure: Figure, rows: Sequence[Row]) -> None:
    """Time against UEs, cells and slots, and memory against slots, with the fitted slopes."""
    panels = figure.subplots(2, 2).ravel()
    base, small = _base(rows), SCENARIOS["mobility"]
    held = (f"{base['num_cells']} cells", f"{base['num_ues']:,} UEs", f"{small.num_ues:,} UEs, {small.num_cells} cells")
    for axes, size, other in zip(panels, DIRECTIONS, held, strict=False):
        _lines(axes, series(rows, size), size, other)
        axes.set_ylabel("CPU time a slot in ms")
    _lines(panels[3], memory(rows, "horizon"), "horizon", held[2])
    panels[3].set_ylabel("peak memory over the interpreter in MB")


def _lines(axes: Axes, found: Mapping[str, Series], size: str, held: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

    for name, one in found.items():
        colour, line, marker = STYLES[name]
        label = f"{name}: {one.slope}"
        axes.loglog(one.sizes, one.costs, color=colour, linestyle=line, marker=marker, markersize=5, label=label)
    shown = next(iter(found.values())).sizes
    axes.set_xticks(shown, [f"{x:,.0f}" for x in shown])
    axes.xaxis.set_minor_formatter(NullFormatter())
    costs = [cost for one in found.values() for cost in one.costs]
    if max(costs) < 30 * min(costs):  # powers of ten alone would be one tick or two
        axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{DIRECTIONS[size]} ({held})")
    axes.legend(title="slope", fontsize=9, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=3)
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("bottom", "left"):
        axes.spines[side].set_color(MUTED)
