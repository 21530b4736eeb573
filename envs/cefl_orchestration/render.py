"""A CeflOrchestration round at a glance: tiers and data flows, who waits for whom, energy, and the rounds so far."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.path import CriticalPath, critical_path
from rangym.envs.rendering import (
    FAINT,
    FLASH,
    INK,
    PALETTE,
    Style,
    bar,
    colors,
    disc,
    legend,
    lines,
    panel,
    quiet,
    rectangles,
    title,
    top,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.cefl_orchestration.codings import Decision
    from rangym.envs.cefl_orchestration.params import CeflOrchestrationParams
    from rangym.envs.cefl_orchestration.system import CeflOrchestration, OrchestrationState, RoundCost
    from rangym.envs.core import Frame

    Shown = Frame[OrchestrationState, Decision]

TIERS, TIMELINE = (0.0, 0.0, 0.54, 1.0), (0.54, 0.55, 1.0, 1.0)
ENERGY, ROUNDS = (0.54, 0.28, 1.0, 0.55), (0.54, 0.0, 1.0, 0.28)
TIERS_PADS_PT, TIMELINE_PADS_PT = (12.0, 32.0, 8.0, 24.0), (28.0, 28.0, 8.0, 36.0)
ENERGY_PADS_PT, ROUNDS_PADS_PT = (64.0, 26.0, 8.0, 20.0), (34.0, 28.0, 34.0, 20.0)
OVER_LEGEND_PT = 18.0
UE_Y, BS_Y, DC_Y = 0.0, 1.0, 2.0
WIDEST, THINNEST = 9.0, 0.4
"""Line width of the largest and of a hardly visible flow; thinner ones are left out."""
LARGEST_NODE = 420.0
RETURNING = PALETTE[3]
BARS = ((PALETTE[6], "collects data"), (PALETTE[0], "computes"), (PALETTE[2], "sends"), (RETURNING, "model back"))
ENERGY_NAMES = ("UE offload", "BS offload", "UE compute", "DC compute", "aggregation", "reception")
PARTS = (("learning", PALETTE[0]), ("delay", PALETTE[3]), ("energy", PALETTE[1]))


def draw(figure: Figure, system: CeflOrchestration, frame: Shown, accuracy: Sequence[float] | None = None) -> None:
    """Tiers on the left; timeline, energy and the objective over the rounds on the right.

    ``accuracy`` is that of a trained model after each round, where ``frame.terms`` hold its loss.
    """
    cost = None
    if frame.decision is not None:
        cost = system.cost(frame.decision, frame.trace.slot(frame.t), frame.state["gap"])
    _draw_tiers(figure, system, frame, cost)
    _draw_timeline(figure, system.params, cost)
    _draw_energy(figure, cost)
    _draw_rounds(figure, system, frame, accuracy)


def _draw_tiers(figure: Figure, system: CeflOrchestration, frame: Shown, cost: RoundCost | None) -> None:
    p, network = system.params, system.network
    axes = panel(figure, TIERS, (p.num_ues, p.num_dcs), lambda axes: _still_tiers(axes, p), pads_pt=TIERS_PADS_PT)
    palette = colors(p.num_dcs)
    ue_x, bs_x, dc_x = (_spread(count) for count in (p.num_ues, p.num_bss, p.num_dcs))
    ue_color = [palette[s] for s in network.ue_subnet]
    bs_color = [palette[s] for s in network.bs_subnet]
    points = frame.trace.slot(max(frame.t, 1))["data_points"]
    if cost is None or frame.decision is None:
        kept, at_dc = points, np.zeros(p.num_dcs)
        aggregator = int(frame.state["last_aggregator"])
        text = "before the first round: UEs and their data"
    else:
        done, d = cost.round, frame.decision
        kept, at_dc, aggregator = done.ue_points, done.dc_points, int(d["aggregator"])
        flows = d["offload_share"] * points[:, None]
        largest = max(flows.max(), done.forwarded_points.max(), 1.0)
        _flows(axes, flows / largest, ue_x, UE_Y, bs_x, BS_Y, ue_color)
        _flows(axes, done.forwarded_points / largest, bs_x, BS_Y, dc_x, DC_Y, bs_color)
        ways = [[(ue_x[n], UE_Y), (bs_x[b], BS_Y)] for n, b in enumerate(d["ue_to_bs"])]
        lines(axes, ways, colors=INK, linewidths=0.6, linestyles=":", zorder=2)
        _draw_path(axes, critical_path(d, done), ue_x, bs_x, dc_x)
        text = f"round {frame.t} of {system.horizon}, {100 * at_dc.sum() / points.sum():.0f} % of the data offloaded"
    unit = LARGEST_NODE / max(kept.max(), at_dc.max(), 1.0)
    axes.scatter(ue_x, np.full(p.num_ues, UE_Y), s=18 + unit * kept, c=ue_color, edgecolors="white", zorder=5)
    axes.scatter(bs_x, np.full(p.num_bss, BS_Y), s=80, marker="^", c=bs_color, edgecolors=INK, linewidths=0.6, zorder=5)
    axes.scatter(
        dc_x, np.full(p.num_dcs, DC_Y), s=60 + unit * at_dc, marker="s", c=palette, edgecolors="white", zorder=5
    )
    axes.scatter(dc_x[aggregator], DC_Y + 0.2, s=170, marker="*", c=FLASH, edgecolors=INK, linewidths=0.8, zorder=6)
    title(axes, text)


def _still_tiers(axes: Axes, p: CeflOrchestrationParams) -> None:
    """What each place is called, and what the marks mean."""
    axes.set(xlim=(-0.06, 1.04), ylim=(-0.55, DC_Y + 0.5))
    for s, x in enumerate(_spread(p.num_dcs)):
        axes.text(x, DC_Y + 0.32, f"DC {s}", ha="center", fontsize=8, color=INK)
    for n, x in enumerate(_spread(p.num_ues)):
        if p.num_ues <= 30:
            axes.text(x, UE_Y - 0.15, str(n), ha="center", va="top", fontsize=7, color=INK)
    for y, name in ((UE_Y, "UE"), (BS_Y, "BS"), (DC_Y, "DC")):
        axes.text(-0.03, y, name, ha="right", va="center", fontsize=9, color=INK)
    way = {"color": FLASH, "linewidth": 1.8}
    marks = [way | {"label": "last vector in"}, way | {"label": "last model out", "linestyle": "--"}]
    star = {**disc("aggregator", FLASH, INK, 0.8), "marker": "*", "markersize": 11}
    legend(axes, [*marks, star], loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3)
    note = "area: data trained on   width: data moved   dotted: way of a UE's vector"
    axes.text(0.5, -0.52, note, ha="center", fontsize=8, color=INK)
    axes.axis("off")


def _spread(count: int) -> NDArray:
    return (np.arange(count) + 0.5) / count


def _flows(axes: Axes, share: NDArray, from_x: NDArray, from_y: float, to_x: NDArray, to_y: float, color: list) -> None:
    """A line for every flow, its width the share of the largest flow in the picture."""
    flows = np.argwhere(share * WIDEST > THINNEST)
    ends = [[(from_x[i], from_y), (to_x[j], to_y)] for i, j in flows]
    width, shades = [WIDEST * share[i, j] for i, j in flows], [color[i] for i, _ in flows]
    lines(axes, ends, colors=shades, linewidths=width, alpha=0.45, capstyle="butt", zorder=1)


def _draw_path(axes: Axes, path: CriticalPath, ue_x: NDArray, bs_x: NDArray, dc_x: NDArray) -> None:
    place = {"ue": (ue_x, UE_Y), "bs": (bs_x, BS_Y), "dc": (dc_x, DC_Y)}
    for hops, style in ((path.inward, "-"), (path.outward, "--")):
        at = [(place[tier][0][i], place[tier][1]) for tier, i in hops]
        ways = []
        for (x0, y0), (x1, y1) in zip(at, at[1:], strict=False):
            bend = 0.16 if y0 == y1 else 0.0  # inside a tier the line would be hidden behind nodes
            ways.append([(x0, y0), ((x0 + x1) / 2, (y0 + y1) / 2 - bend), (x1, y1)])
        lines(axes, ways, colors=FLASH, linewidths=1.8, linestyles=style, zorder=4)


def _draw_timeline(figure: Figure, p: CeflOrchestrationParams, cost: RoundCost | None) -> None:
    """A bar for every UE and DC: waiting for data, computing, sending; then the model's way back."""
    if cost is None:
        axes = panel(figure, TIMELINE, 1.0, lambda axes: _still_timeline(axes, p, 1.0), TIMELINE_PADS_PT)
        title(axes, "delay", pad_pt=OVER_LEGEND_PT)
        return
    done = cost.round
    up, down = float(done.aggregation_s), float(done.reception_s)
    end = top(up + down)
    axes = panel(figure, TIMELINE, end, lambda axes: _still_timeline(axes, p, end), TIMELINE_PADS_PT)
    wait = np.concatenate([np.zeros(p.num_ues), done.collection_s])
    compute = np.concatenate([done.ue_compute_s, done.dc_compute_s])
    send = np.concatenate([done.ue_upload_s, done.dc_upload_s])
    row = np.arange(p.num_ues + p.num_dcs)
    left = np.zeros(len(row))
    for seconds, (color, _) in zip((wait, compute, send), BARS, strict=False):
        rectangles(axes, left, row - 0.36, seconds, 0.72, facecolors=color)
        left = left + seconds
    axes.axvspan(up, up + down, color=RETURNING, alpha=0.5, linewidth=0)
    last = int(left.argmax())
    rectangles(axes, 0.0, last - 0.45, left[last], 0.9, facecolors="none", edgecolors=FLASH, linewidths=1.6)
    name = f"UE {last}" if last < p.num_ues else f"DC {last - p.num_ues}"
    text = f"delay {up + down:.1f} s = {up:.1f} in (last {name}) + {down:.1f} back"
    title(axes, text, pad_pt=OVER_LEGEND_PT)


def _still_timeline(axes: Axes, p: CeflOrchestrationParams, end: float) -> None:
    rows = p.num_ues + p.num_dcs
    quiet(axes)
    axes.set(xlim=(0, end), ylim=(rows - 0.4, -0.6))
    axes.set_yticks([(p.num_ues - 1) / 2, p.num_ues + (p.num_dcs - 1) / 2], ["UE", "DC"])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("s", fontsize=8, labelpad=1)
    axes.axhline(p.num_ues - 0.5, color=FAINT, linewidth=0.8)
    bars = [bar(name, color) for color, name in BARS]
    where: Style = dict(loc="lower center", bbox_to_anchor=(0.45, 0.96), ncols=4, columnspacing=1.0)
    legend(axes, bars, fontsize=7, **where)


def _draw_energy(figure: Figure, cost: RoundCost | None) -> None:
    energy = np.zeros(0) if cost is None else np.array(list(cost.round.energies_j().values()))
    end = top(1.1 * energy)
    axes = panel(figure, ENERGY, end, lambda axes: _still_energy(axes, end), ENERGY_PADS_PT)
    rectangles(axes, 0.0, np.arange(len(energy)) - 0.35, energy, 0.7, facecolors=PARTS[2][1])
    for i, joules in enumerate(energy):
        axes.text(joules, i, f" {joules:.3g}", va="center", fontsize=7, color=INK)
    title(axes, "energy" if cost is None else f"energy {energy.sum():.0f} J")


def _still_energy(axes: Axes, end: float) -> None:
    quiet(axes)
    axes.set(xlim=(0, end), ylim=(len(ENERGY_NAMES) - 0.4, -0.6))
    axes.set_yticks(np.arange(len(ENERGY_NAMES)), ENERGY_NAMES)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_xlabel("J", fontsize=8, labelpad=1)


def _draw_rounds(figure: Figure, system: CeflOrchestration, frame: Shown, accuracy: Sequence[float] | None) -> None:
    """What the objective of each round is made of, and a trained model's accuracy, or the moving gap, after it."""
    from rangym.envs.cefl_orchestration.system import REWARD_UNIT

    p = system.params
    rounds = np.arange(1, len(frame.terms) + 1)
    parts = np.array(
        [[-REWARD_UNIT * sum(v for k, v in x.items() if k.startswith(name)) for x in frame.terms] for name, _ in PARTS]
    )
    end = top(1.02 * parts.sum(axis=0))
    x, y, name = rounds, np.array(accuracy or []), "accuracy"
    moving_gap = accuracy is None and p.reward == "gap" and p.learning_weight > 0
    if moving_gap:
        learning = np.array([terms["learning"] for terms in frame.terms])
        x, name = np.array([0, *rounds]), "gap"
        y = np.concatenate([[p.initial_gap], -REWARD_UNIT * learning / p.learning_weight])
    line_end = None
    if len(y):
        line_end = top(1.02 * y) if moving_gap else 1.0

    def still(axes: Axes) -> None:
        quiet(axes)
        axes.set(xlim=(-0.5, system.horizon + 0.7), ylim=(0, end))
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("round", fontsize=8, labelpad=1)
        where: Style = dict(loc="lower right", bbox_to_anchor=(1.02, 0.95), ncols=3)
        where |= dict(handlelength=1.0, handletextpad=0.4, columnspacing=0.8)
        legend(axes, [bar(part, color) for part, color in PARTS], fontsize=7, **where)
        if line_end is not None:
            share = line_end / end
            right = axes.secondary_yaxis(
                "right", functions=(partial(np.multiply, share), partial(np.multiply, 1 / share))
            )
            right.tick_params(labelsize=8, length=2, color=FAINT)

    axes = panel(figure, ROUNDS, (system.horizon, end, line_end), still, ROUNDS_PADS_PT)
    bottom = np.zeros(len(rounds))
    for part, (_, color) in zip(parts, PARTS, strict=True):
        rectangles(axes, rounds - 0.375, bottom, 0.75, part, facecolors=color)
        bottom = bottom + part
    text = f"J{'' if accuracy is None else ' as trained'}{f', mean {bottom.mean():.1f}' if len(bottom) else ''}"
    if line_end is not None:
        from matplotlib.transforms import Affine2D

        scaled = Affine2D().scale(1.0, end / line_end) + axes.transData
        axes.plot(x, y, color=INK, linewidth=1.6, marker=".", markersize=4, transform=scaled)
        said, at = f"{name} {y[-1]:.2f}", axes.transAxes
        axes.text(1.14, 0.5, said, transform=at, rotation=90, ha="right", va="center", fontsize=8)
    title(axes, text)
