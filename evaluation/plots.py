"""The report's figures, as inline SVG. matplotlib is imported here only."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rangym.envs.errors import printable
from rangym.envs.rendering import BLUE, CYAN, FAINT, GREEN, GREY, INK, MUTED, PURPLE, RED, YELLOW, plain_text
from rangym.evaluation.statistics import Interval
from rangym.evaluation.summary import PolicySummary, Summary

# The marker says the role a second time.
ROLES = {
    "reference": (BLUE, "o"),
    "heuristic": (GREEN, "s"),
    "agent": (RED, "D"),
    "oracle": (PURPLE, "^"),
    "random": (MUTED, "v"),
    "user": (YELLOW, "P"),
}
TERM_COLOURS = (BLUE, RED, GREEN, YELLOW, PURPLE, CYAN, GREY, MUTED)
WIDTH_IN, ROW_IN, FRAME_IN = 7.2, 0.28, 1.3
FAR = 6.0
"""A value so many median deviations away from the median is drawn as an arrow, or it would flatten all others."""


@plain_text()
def reward_plot(summary: Summary) -> str:
    """Mean reward of every policy with its interval, and the bound."""
    figure, axes = _figure(summary.policies)
    bound = summary.comparison.bound()
    reach = [] if bound is None or summary.comparison.bound_kind == "none" else [float(bound.mean())]
    _dots(axes, summary.policies, [line.reward for line in summary.policies], reach)
    if reach:
        certified = summary.comparison.bound_kind == "certified"
        axes.axvline(reach[0], color=INK, linestyle="-" if certified else "--", linewidth=1)
        axes.annotate(
            f"bound ({summary.comparison.bound_kind})",
            (reach[0], 1.0),
            (0, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=8,
        )
    axes.set_xlabel("mean reward per slot, 95 % interval")
    _legend(figure, axes, summary.policies)
    return _svg(figure, "reward")


@plain_text()
def difference_plot(summary: Summary) -> str:
    """Paired difference of every policy to the reference policy."""
    lines = [line for line in summary.policies if line.difference is not None]
    figure, axes = _figure(lines)
    _dots(axes, lines, [line.difference for line in lines if line.difference is not None], [0.0])
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel(f"reward minus that of {_short(summary.reference)} on the same trace, 95 % interval")
    return _svg(figure, "difference")


@plain_text()
def score_plot(summary: Summary) -> str:
    """Normalised score of every policy: 0 the zero policy, 1 the bound."""
    lines = [line for line in summary.policies if line.score is not None]
    figure, axes = _figure(lines)
    _dots(axes, lines, [line.score for line in lines if line.score is not None], [0.0, 1.0])
    for edge in (0, 1):
        axes.axvline(edge, color=INK, linewidth=1)
    kind = summary.comparison.bound_kind
    axes.set_xlabel(f"score: 0 = mean of {summary.zero}, 1 = {kind} {'bound' if kind == 'certified' else 'value'}")
    return _svg(figure, "score")


@plain_text()
def terms_plot(summary: Summary) -> str:
    """What the reward is made of: positive terms to the right, negative ones to the left."""
    lines = summary.policies
    figure, axes = _figure(lines)
    names = list(dict.fromkeys(name for line in lines for name in line.terms))
    places = np.arange(len(lines))
    right, left = np.zeros(len(lines)), np.zeros(len(lines))
    for name, colour in zip(names, TERM_COLOURS * (len(names) // len(TERM_COLOURS) + 1), strict=False):
        values = np.array([line.terms.get(name, 0.0) for line in lines])
        start = np.where(values >= 0, right, left)
        axes.barh(places, values, left=start, height=0.62, color=colour, label=printable(name))
        right, left = right + np.maximum(values, 0), left + np.minimum(values, 0)
    rewards = np.array([line.reward.value for line in lines])
    axes.plot(rewards, places, "|", color=INK, markersize=11, markeredgewidth=1.6, label="reward")
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_xlabel("reward terms, mean per slot")
    figure.legend(loc="outside lower center", ncols=min(len(names) + 1, 6), frameon=False, fontsize=8)
    return _svg(figure, "terms")


def _figure(lines: Sequence[PolicySummary]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH_IN, FRAME_IN + ROW_IN * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.set_yticks(np.arange(len(lines)), [_short(line.policy) for line in lines], fontsize=9)
    axes.set_ylim(len(lines) - 0.4, -0.6)  # best on top
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(MUTED)
    return figure, axes


def _short(policy: str, width: int = 44) -> str:
    policy = printable(policy)
    return policy if len(policy) <= width else policy[: width - 1] + "\u2026"


def _dots(axes: Axes, lines: Sequence[PolicySummary], intervals: Sequence[Interval], always: Sequence[float]) -> None:
    """A marker and an interval for each line; the axis holds ``always``, such as a bound."""
    low, high = _limits(np.array([i.value for i in intervals]), [e for i in intervals for e in (i.low, i.high)], always)
    axes.set_xlim(low, high)
    for place, (line, i) in enumerate(zip(lines, intervals, strict=True)):
        colour, marker = ROLES.get(line.role, ROLES["user"])
        if low <= i.value <= high:
            if np.isfinite(i.low):
                axes.plot([i.low, i.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
            axes.plot(i.value, place, marker, color=colour, markersize=6)
        else:
            _off_scale(axes, place, low if i.value < low else high, i.value < low, i.value, colour)


def _limits(values: NDArray, ends: Sequence[float], always: Sequence[float]) -> tuple[float, float]:
    """Axis limits with the bulk of ``values``, the interval ends near it and ``always``; far values become arrows."""
    middle = float(np.median(values))
    spread = max(float(np.median(np.abs(values - middle))), 0.01 * abs(middle), 1e-9)
    near = [v for v in [*values, *ends] if np.isfinite(v) and abs(v - middle) <= FAR * spread]
    low, high = min([*near, *always]), max([*near, *always])
    margin = 0.05 * max(high - low, spread)
    return low - margin, high + margin


def _off_scale(axes: Axes, place: int, edge: float, left: bool, value: float, colour: str) -> None:
    """A policy beyond the axis: an arrow at its edge and the value in figures."""
    axes.annotate(
        f"\u25c2 {value:.3g}" if left else f"{value:.3g} \u25b8",
        (edge, place),
        (4 if left else -4, 0),
        textcoords="offset points",
        ha="left" if left else "right",
        va="center",
        fontsize=8,
        color=colour,
        bbox=dict(boxstyle="round,pad=0.15", facecolor="white", edgecolor="none", alpha=0.85),
    )


def _legend(figure: Figure, axes: Axes, lines: Sequence[PolicySummary]) -> None:
    for role, (colour, marker) in ROLES.items():
        if any(line.role == role for line in lines):
            axes.plot([], [], marker, color=colour, label=role)
    figure.legend(loc="outside lower center", ncols=len(ROLES), frameon=False, fontsize=8)


def _svg(figure: Figure, salt: str) -> str:
    """The figure as an SVG element with real text; ``salt`` keeps the ids of several figures on a page apart."""
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
