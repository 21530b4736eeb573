"""A CeflOrchestration round at a glance: tiers and data flows, who waits for whom, energy, and the rounds so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rangym.envs.cefl_orchestration.path import CriticalPath, critical_path
from rangym.envs.rendering import FAINT, FLASH, INK, PALETTE, colors, quiet

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rangym.envs.cefl_orchestration.codings import Decision
    from rangym.envs.cefl_orchestration.system import CeflOrchestration, OrchestrationState, RoundCost
    from rangym.envs.core import Frame

    Shown = Frame[OrchestrationState, Decision]

UE_Y, BS_Y, DC_Y = 0.0, 1.0, 2.0
WIDEST, THINNEST = 9.0, 0.4
"""Line width of the largest and of a hardly visible flow; thinner ones are left out."""
LARGEST_NODE = 420.0
WAITING, COMPUTING, SENDING, RETURNING = PALETTE[6], PALETTE[0], PALETTE[2], PALETTE[3]
ENERGY_NAMES = ("UE offload", "BS offload", "UE compute", "DC compute", "aggregation", "reception")
PARTS = (("learning", PALETTE[0]), ("delay", PALETTE[3]), ("energy", PALETTE[1]))


def draw(figure: Figure, system: CeflOrchestration, frame: Shown, accuracy: Sequence[float] | None = None) -> None:
    """Tiers on the left; timeline, energy and the objective over the rounds on the right.

    ``accuracy`` is that of a trained model after each round, where ``frame.terms`` hold its loss.
    """
    grid = figure.add_gridspec(3, 2, width_ratios=(1.25, 1), height_ratios=(1.7, 1, 1))
    cost = None
    if frame.decision is not None:
        cost = system.cost(frame.decision, frame.trace.slot(frame.t), frame.state["gap"])
    _draw_tiers(figure.add_subplot(grid[:, 0]), system, frame, cost)
    _draw_timeline(figure.add_subplot(grid[0, 1]), system, frame, cost)
    _draw_energy(figure.add_subplot(grid[1, 1]), system, cost)
    _draw_rounds(figure.add_subplot(grid[2, 1]), system, frame, accuracy)


def _draw_tiers(axes: Axes, system: CeflOrchestration, frame: Shown, cost: RoundCost | None) -> None:
    p, network = system.params, system.network
    palette = colors(p.num_dcs)
    ue_x, bs_x, dc_x = (_spread(count) for count in (p.num_ues, p.num_bss, p.num_dcs))
    ue_color = [palette[s] for s in network.ue_subnet]
    bs_color = [palette[s] for s in network.bs_subnet]
    points = frame.trace.slot(max(frame.t, 1))["data_points"]
    if cost is None or frame.decision is None:
        kept, at_dc = points, np.zeros(p.num_dcs)
        aggregator = int(frame.state["last_aggregator"])
        title = "before the first round: UEs and their data"
    else:
        done, d = cost.round, frame.decision
        kept, at_dc, aggregator = done.ue_points, done.dc_points, int(d["aggregator"])
        flows = d["offload_share"] * points[:, None]
        largest = max(flows.max(), done.forwarded_points.max(), 1.0)
        _flows(axes, flows / largest, ue_x, UE_Y, bs_x, BS_Y, ue_color)
        _flows(axes, done.forwarded_points / largest, bs_x, BS_Y, dc_x, DC_Y, bs_color)
        for n, b in enumerate(d["ue_to_bs"]):
            axes.plot([ue_x[n], bs_x[b]], [UE_Y, BS_Y], color=INK, linewidth=0.6, linestyle=":", zorder=2)
        _draw_path(axes, critical_path(d, done), ue_x, bs_x, dc_x)
        title = f"round {frame.t} of {system.horizon}, {100 * at_dc.sum() / points.sum():.0f} % of the data offloaded"
    unit = LARGEST_NODE / max(kept.max(), at_dc.max(), 1.0)
    axes.scatter(ue_x, np.full(p.num_ues, UE_Y), s=18 + unit * kept, c=ue_color, edgecolors="white", zorder=5)
    axes.scatter(bs_x, np.full(p.num_bss, BS_Y), s=80, marker="^", c=bs_color, edgecolors=INK, linewidths=0.6, zorder=5)
    axes.scatter(
        dc_x, np.full(p.num_dcs, DC_Y), s=60 + unit * at_dc, marker="s", c=palette, edgecolors="white", zorder=5
    )
    axes.scatter(dc_x[aggregator], DC_Y + 0.2, s=170, marker="*", c=FLASH, edgecolors=INK, linewidths=0.8, zorder=6)
    for s, x in enumerate(dc_x):
        axes.text(x, DC_Y + 0.32, f"DC {s}", ha="center", fontsize=8, color=INK)
    if p.num_ues <= 30:
        for n, x in enumerate(ue_x):
            axes.text(x, UE_Y - 0.15, str(n), ha="center", va="top", fontsize=7, color=INK)
    for y, label in ((UE_Y, "UE"), (BS_Y, "BS"), (DC_Y, "DC")):
        axes.text(-0.03, y, label, ha="right", va="center", fontsize=9, color=INK)
    axes.plot([], [], color=FLASH, linewidth=1.8, label="last vector in")
    axes.plot([], [], color=FLASH, linewidth=1.8, linestyle="--", label="last model out")
    axes.scatter([], [], s=110, marker="*", c=FLASH, edgecolors=INK, linewidths=0.8, label="aggregator")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, fontsize=8, frameon=False)
    note = "area: data trained on   width: data moved   dotted: way of a UE's vector"
    axes.text(0.5, -0.52, note, ha="center", fontsize=8, color=INK)
    axes.set(xlim=(-0.06, 1.04), ylim=(-0.55, DC_Y + 0.5))
    axes.set_title(title, loc="left", fontsize=10)
    axes.axis("off")


def _spread(count: int) -> NDArray:
    return (np.arange(count) + 0.5) / count


def _flows(axes: Axes, share: NDArray, from_x: NDArray, from_y: float, to_x: NDArray, to_y: float, color: list) -> None:
    """A line for every flow, its width the share of the largest flow in the picture."""
    for i, j in np.argwhere(share * WIDEST > THINNEST):
        ends = [from_x[i], to_x[j]], [from_y, to_y]
        axes.plot(*ends, color=color[i], linewidth=WIDEST * share[i, j], alpha=0.45, solid_capstyle="butt", zorder=1)


def _draw_path(axes: Axes, path: CriticalPath, ue_x: NDArray, bs_x: NDArray, dc_x: NDArray) -> None:
    place = {"ue": (ue_x, UE_Y), "bs": (bs_x, BS_Y), "dc": (dc_x, DC_Y)}
    for hops, style in ((path.inward, "-"), (path.outward, "--")):
        at = [(place[tier][0][i], place[tier][1]) for tier, i in hops]
        for (x0, y0), (x1, y1) in zip(at, at[1:], strict=False):
            bend = 0.16 if y0 == y1 else 0.0  # inside a tier the line would be hidden behind nodes
            between = (x0 + x1) / 2, (y0 + y1) / 2 - bend
            axes.plot([x0, between[0], x1], [y0, between[1], y1], color=FLASH, linewidth=1.8, linestyle=style, zorder=4)


def _draw_timeline(axes: Axes, system: CeflOrchestration, frame: Shown, cost: RoundCost | None) -> None:
    """A bar for every UE and DC: waiting for data, computing, sending; then the model's way back."""
    p = system.params
    rows = p.num_ues + p.num_dcs
    quiet(axes)
    axes.set(ylim=(rows - 0.4, -0.6), yticks=[(p.num_ues - 1) / 2, p.num_ues + (p.num_dcs - 1) / 2])
    axes.set_yticklabels(["UE", "DC"])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("s", fontsize=8)
    if cost is None:
        axes.set_title("delay", loc="left", fontsize=10)
        return
    done = cost.round
    wait = np.concatenate([np.zeros(p.num_ues), done.collection_s])
    compute = np.concatenate([done.ue_compute_s, done.dc_compute_s])
    send = np.concatenate([done.ue_upload_s, done.dc_upload_s])
    row, left = np.arange(rows), np.zeros(rows)
    for seconds, color, label in (
        (wait, WAITING, "collects data"),
        (compute, COMPUTING, "computes"),
        (send, SENDING, "sends"),
    ):
        axes.barh(row, seconds, left=left, height=0.72, color=color, label=label)
        left = left + seconds
    up, down = float(done.aggregation_s), float(done.reception_s)
    axes.axvspan(up, up + down, color=RETURNING, alpha=0.5, linewidth=0, label="model back")
    last = int(left.argmax())
    axes.barh(last, left[last], height=0.9, fill=False, edgecolor=FLASH, linewidth=1.6)
    name = f"UE {last}" if last < p.num_ues else f"DC {last - p.num_ues}"
    axes.axhline(p.num_ues - 0.5, color=FAINT, linewidth=0.8)
    axes.set_xlim(0, 1.02 * (up + down))
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 0.96), fontsize=7, frameon=False, ncols=4, columnspacing=1.0)
    title = f"delay {up + down:.1f} s = {up:.1f} in (last {name}) + {down:.1f} back"
    axes.set_title(title, loc="left", fontsize=10, pad=16)


def _draw_energy(axes: Axes, system: CeflOrchestration, cost: RoundCost | None) -> None:
    quiet(axes)
    row = np.arange(len(ENERGY_NAMES))
    axes.set(ylim=(len(row) - 0.4, -0.6), yticks=row)
    axes.set_yticklabels(ENERGY_NAMES)
    axes.tick_params(axis="y", length=0, labelsize=8)
    if cost is None:
        axes.set_title("energy", loc="left", fontsize=10)
        return
    energy = np.array(list(cost.round.energies_j().values()))
    axes.barh(row, energy, height=0.7, color=PARTS[2][1])
    for i, joules in enumerate(energy):
        axes.text(joules, i, f" {joules:.3g}", va="center", fontsize=7, color=INK)
    axes.set_xlim(0, 1.12 * energy.max())
    axes.set_xlabel("J", fontsize=8)
    axes.set_title(f"energy {energy.sum():.0f} J", loc="left", fontsize=10)


def _draw_rounds(axes: Axes, system: CeflOrchestration, frame: Shown, accuracy: Sequence[float] | None) -> None:
    """What the objective of each round is made of, and a trained model's accuracy, or the moving gap, after it."""
    from rangym.envs.cefl_orchestration.system import REWARD_UNIT

    p = system.params
    quiet(axes)
    rounds, bottom = np.arange(1, len(frame.terms) + 1), np.zeros(len(frame.terms))
    for name, color in PARTS:
        part = np.array([-REWARD_UNIT * sum(v for k, v in x.items() if k.startswith(name)) for x in frame.terms])
        axes.bar(rounds, part, bottom=bottom, width=0.75, color=color, label=name)
        bottom = bottom + part
    mean = f", mean {bottom.mean():.1f}" if len(bottom) else ""
    if len(bottom):
        axes.legend(
            loc="lower right", bbox_to_anchor=(1.02, 0.95), fontsize=7, frameon=False, ncols=3, columnspacing=1.0
        )
    if accuracy:
        _line_over_bars(axes, rounds, np.array(accuracy), 1.0, f"accuracy {accuracy[-1]:.2f}")
    elif accuracy is None and p.reward == "gap" and p.learning_weight > 0:
        learning = np.array([x["learning"] for x in frame.terms])
        gap = np.concatenate([[p.initial_gap], -REWARD_UNIT * learning / p.learning_weight])
        _line_over_bars(axes, np.array([0, *rounds]), gap, 1.1 * gap.max(), f"gap {gap[-1]:.2f}")
    axes.set(xlim=(-0.5, system.horizon + 0.7), ylim=(0, 1.05 * bottom.max(initial=1.0)))
    axes.locator_params(axis="x", integer=True)
    axes.set_title(f"J{'' if accuracy is None else ' as trained'}{mean}", loc="left", fontsize=10)
    axes.set_xlabel("round", fontsize=8)


def _line_over_bars(axes: Axes, x: NDArray, y: NDArray, top: float, label: str) -> None:
    """A line with an axis of its own on the right, from 0 to ``top``."""
    twin = axes.twinx()
    twin.plot(x, y, color=INK, linewidth=1.6, marker=".", markersize=4)
    twin.set_ylim(0, top)
    twin.set_ylabel(label, fontsize=8)
    quiet(twin)
    twin.spines["right"].set_visible(True)
