"""Pictures: a matplotlib figure as an RGB array, in panels of which only what moves is drawn anew; the palette; a map.

A problem's ``draw(figure, system, frame)`` asks for its axes by `panel`, with a function that draws what stands still
(limits, ticks, legends) and a key that says when this is to be made anew; everything it adds afterwards moves, and is
forgotten before the next frame. A `Picture` keeps what stands still as pixels. So frames of an episode cost little, and
still depend on nothing but the frame. A system whose ``draw`` asks for no panel gets an empty figure each time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.typing import ColorType

# Paul Tol's "bright" scheme and grey: told apart by colour-blind readers too.
PALETTE = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = PALETTE
INK, MUTED, FAINT, FLASH = "#222222", "#777777", "#DDDDDD", "#FF7F00"
SIZE_IN, DPI = (10.0, 5.6), 80
PADS_PT = (38.0, 30.0, 8.0, 24.0)
"""Room around a panel's axes, in points: ticks on the left, ticks and their unit below, right, title above."""
POINTS_PER_INCH = 72.0

Style: TypeAlias = dict[str, Any]
"""Keyword arguments of matplotlib."""
Place = tuple[float, float, float, float]
"""Left, bottom, right and top of a panel, as shares of the figure's width and height."""


def colors(count: int) -> list:
    """``count`` distinguishable colours: the palette, or beyond its length an evenly spaced colour map."""
    if count <= len(PALETTE) - 1:
        return list(PALETTE[:count])
    from matplotlib import colormaps

    return list(colormaps["turbo"](np.linspace(0.06, 0.94, count)))


def ink_on(color: ColorType) -> str:
    """Black or white, whichever is read better on ``color``: the greater contrast ratio of WCAG 2."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


@dataclass(eq=False)
class _Panel:
    """Axes that stand at one place of a figure under one key, and which of their artists stand still."""

    axes: list[Axes]
    title: Text
    still: set[Artist]
    pixels: Any = None

    def moving(self) -> list[Artist]:
        found = [artist for axes in self.axes for artist in axes.get_children() if artist not in self.still]
        return sorted(found, key=lambda artist: artist.get_zorder())


KEPT = 8
"""So many panels of a place are kept, since limits come back."""


def panel(
    figure: Figure,
    place: Place,
    key: Hashable,
    still: Callable[[Axes], object],
    pads_pt: tuple[float, float, float, float] = PADS_PT,
) -> Axes:
    """The axes at ``place`` with what ``still`` draws into them, which must depend on nothing but ``key``.

    Whatever moved there in the last frame is gone. The pixels that stand still must lie inside ``place``, which no
    other panel may overlap; limits are frozen after ``still``, and a `title` moves that it has not set.
    """
    figure.set_layout_engine("none")  # places are given; an engine would warn that it has none to find
    kept = _panels(figure).setdefault(place, {})
    for shown in list(kept.values())[-1:]:
        for artist in shown.moving():
            if artist is not shown.title:
                artist.remove()
        for axes in shown.axes:
            figure.delaxes(axes)
    if key in kept:
        kept[key] = again = kept.pop(key)
        for axes in again.axes:
            figure.add_axes(axes)
            axes.set_prop_cycle(None)
        return again.axes[0]
    axes = figure.add_axes(_rectangle(figure, place, pads_pt))
    name = title(axes, "")
    before = set(figure.axes)
    still(axes)
    made = [axes, *(a for a in figure.axes if a not in before)]
    for one in made:
        one.set_autoscale_on(False)
    fixed = {child for one in made for child in one.get_children()}
    kept[key] = _Panel(made, name, fixed if name.get_text() else fixed - {name})
    while len(kept) > KEPT:
        del kept[next(iter(kept))]
    return axes


def _panels(figure: Figure) -> dict[Place, dict[Hashable, _Panel]]:
    """The panels of each place, the one that is shown last; they live in the figure, and so no longer than it."""
    found: dict[Place, dict[Hashable, _Panel]] = vars(figure).setdefault("_rangym_panels", {})
    return found


def _rectangle(figure: Figure, place: Place, pads_pt: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of the axes at ``place``."""
    width, height = POINTS_PER_INCH * figure.get_size_inches()
    left, bottom, right, top = np.array(place) + np.array(pads_pt) / (width, height, -width, -height)
    return left, bottom, right - left, top - bottom


class Picture:
    """A figure without a display that is drawn again and again, frame by frame of an episode."""

    def __init__(self, size_inches: tuple[float, float] = SIZE_IN, dpi: int = DPI):
        self.size_inches, self.dpi = size_inches, dpi
        self._figure: Figure | None = None
        self._blank: Any = None

    def __reduce__(self) -> tuple:
        return Picture, (self.size_inches, self.dpi)  # pixels are made anew where a copy is drawn

    def __call__(self, draw: Callable[[Figure], object]) -> NDArray[np.uint8]:
        """What ``draw`` puts into the figure, as ``(height, width, 3)``."""
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("rendering needs matplotlib: pip install 'rangym[plot]'") from error
        with plain_text():
            if self._figure is None or not _panels(self._figure):
                self._figure = Figure(figsize=self.size_inches, dpi=self.dpi, layout="constrained")
                self._canvas = FigureCanvasAgg(self._figure)
                self._blank = None
            draw(self._figure)
            if _panels(self._figure):
                self._compose(self._figure)
            else:
                self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()

    def _compose(self, figure: Figure) -> None:
        """The pixels of what stands still, made where they are missing, then what moves."""
        from matplotlib.transforms import Bbox, TransformedBbox

        canvas, renderer = self._canvas, self._canvas.get_renderer()
        if self._blank is None:
            renderer.clear()
            figure.patch.draw(renderer)
            self._blank = canvas.copy_from_bbox(figure.bbox)
        canvas.restore_region(self._blank)
        shown = {place: list(kept.values())[-1] for place, kept in _panels(figure).items()}
        for place, one in shown.items():
            if one.pixels is None:
                for artist in (moving := one.moving()):
                    artist.set_visible(False)
                for axes in one.axes:
                    axes.draw(renderer)
                for artist in moving:
                    artist.set_visible(True)
                one.pixels = canvas.copy_from_bbox(TransformedBbox(Bbox.from_extents(*place), figure.transFigure))
        canvas.restore_region(self._blank)
        for one in shown.values():
            canvas.restore_region(one.pixels)
        for one in shown.values():
            for artist in one.moving():
                artist.draw(renderer)


def picture(draw: Callable[[Figure], object], size_inches: tuple[float, float] = SIZE_IN, dpi: int = DPI) -> NDArray:
    """What ``draw`` puts into a fresh figure, as ``(height, width, 3)`` uint8; needs no display."""
    return Picture(size_inches, dpi)(draw)


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Figures made inside show every name as it is: a dollar sign begins no formula."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        yield


def span(values: ArrayLike, include: ArrayLike = ()) -> tuple[float, float]:
    """Round limits around ``values`` and ``include``, which change only where a value leaves them.

    >>> span([0.13, 0.98]), span([], include=[0])
    ((0.0, 1.0), (0.0, 1.0))
    """
    given = np.concatenate([np.ravel(values), np.ravel(include)])
    low, high = (float(given.min()), float(given.max())) if len(given) else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = min(low, 0.0) if low else 0.0, max(high, 0.0) if high else 1.0
    step = _round_up((high - low) / 3)
    return float(np.floor(low / step + 1e-9) * step), float(np.ceil(high / step - 1e-9) * step)


def top(values: ArrayLike) -> float:
    """The end of an axis from 0 that holds all ``values``: 1, 2 or 5 times a power of ten, 1 without any."""
    largest = float(np.max(values, initial=0.0))
    return _round_up(largest) if largest > 0 else 1.0


def _round_up(value: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is no less than ``value``."""
    decade = 10.0 ** np.floor(np.log10(value))
    return float(next(m * decade for m in (1, 2, 5, 10) if m * decade >= value * (1 - 1e-9)))


def map_limits(positions_m: NDArray) -> tuple[float, float, float, float]:
    """Left, right, bottom and top, in kilometres, of a map that holds ``positions_m`` (..., 2)."""
    flat = positions_m.reshape(-1, 2) / 1000
    low, high = flat.min(axis=0), flat.max(axis=0)
    margin = 0.06 * max(*(high - low), 1e-3)
    (left, bottom), (right, top) = low - margin, high + margin
    return float(left), float(right), float(bottom), float(top)


def network_map(axes: Axes, limits: tuple[float, float, float, float]) -> None:
    """Set up ``axes`` as a map in kilometres within `map_limits`: equal scales, no clutter."""
    axes.set(xlim=limits[:2], ylim=limits[2:])
    axes.set_aspect("equal")
    axes.set_xlabel("km", fontsize=8, labelpad=1)
    quiet(axes)


def quiet(axes: Axes) -> None:
    """Give ``axes`` a thin frame and small ticks, so that the data stand out."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=2, color=FAINT)


def title(axes: Axes, text: str, pad_pt: float = 6.0) -> Text:
    """What is seen, over the upper left corner."""
    # Without a height matplotlib measures all ticks to find one, which takes half of the time of the axes.
    return axes.set_title(text, loc="left", fontsize=10, y=1.0, pad=pad_pt)


def legend(axes: Axes, marks: Sequence[Style], **where: Any) -> None:
    """What marks mean, without a frame: ``{"label": "handover", "color": FLASH}``, a line by default."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **mark) for mark in marks]
    axes.legend(handles=handles, frameon=False, **{"fontsize": 8, **where})


def disc(label: str, face: ColorType, edge: ColorType = "none", width: float = 1.8) -> Style:
    """A disc or, with an edge, a ring in a `legend`."""
    outline = {"markerfacecolor": face, "markeredgecolor": edge, "markeredgewidth": width if edge != "none" else 0.0}
    return {"label": label, "linestyle": "none", "marker": "o", "markersize": 7.5, **outline}


def bar(label: str, color: ColorType) -> Style:
    """A bar in a `legend`."""
    return {"label": label, "color": color, "linewidth": 5.0, "solid_capstyle": "butt"}


def label(axes: Axes, x: float, y: float, text: str, color: ColorType) -> None:
    """A name on a marker of ``color`` that is large enough for it."""
    axes.text(
        x, y, text, ha="center", va="center_baseline", fontsize=7, fontweight="bold", color=ink_on(color), zorder=9
    )


def dots(axes: Axes, positions: NDArray, **style: Any) -> None:
    """Marks at ``positions`` (n, 2)."""
    axes.scatter(positions[:, 0], positions[:, 1], **style)


def lines(axes: Axes, ends: Sequence[Any] | NDArray, **style: Any) -> None:
    """Broken lines [[(x, y), ...], ...] as one artist."""
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection(list(ends), **style), autolim=False)


def rectangles(
    axes: Axes, left: ArrayLike, bottom: ArrayLike, width: ArrayLike, height: ArrayLike, **style: Any
) -> PolyCollection:
    """Rectangles (n,) as one artist: bars cost several times as much, one by one."""
    from matplotlib.collections import PolyCollection

    x, y, w, h = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, dtype=float)) for v in (left, bottom, width, height))
    )
    corners = np.stack(
        [np.stack([x, y], 1), np.stack([x + w, y], 1), np.stack([x + w, y + h], 1), np.stack([x, y + h], 1)], 1
    )
    found = PolyCollection(list(corners), **style)
    axes.add_collection(found, autolim=False)
    return found


def reward_curve(figure: Figure, place: Place, rewards: Sequence[float], horizon: int, include: ArrayLike = ()) -> Axes:
    """The reward of every slot so far, and its running mean; the axis also holds ``include``, such as a bound."""
    reward = np.asarray(rewards, dtype=float)
    slot = np.arange(1, len(reward) + 1)
    limits = span(reward, include)

    def still(axes: Axes) -> None:
        axes.set(xlim=(0, horizon + 0.5), ylim=limits)
        axes.set_xlabel("slot", fontsize=8, labelpad=1)
        quiet(axes)

    axes = panel(figure, place, (horizon, limits), still)
    text = "reward per slot, and its mean"
    if len(reward):
        mean = reward.cumsum() / slot
        axes.plot(slot, reward, color=PALETTE[0], linewidth=0.8, alpha=0.6, marker="o" if len(reward) == 1 else None)
        axes.plot(slot, mean, color=INK, linewidth=1.8)
        text += f": {mean[-1]:.3f}"
    title(axes, text)
    return axes


def load_bars(
    figure: Figure,
    place: Place,
    load: NDArray,
    fill: ColorType | list[ColorType],
    names: tuple[str, str],
    least_top: float,
) -> Axes:
    """How many users each cell or node has; ``names`` are the title and the unit below."""
    which = np.arange(len(load))
    top = least_top * 2.0 ** np.ceil(np.log2(max(1.05 * load.max() / least_top, 1.0)))  # changes seldom

    def still(axes: Axes) -> None:
        some = 1 if len(load) <= 12 else 5 * -(-len(load) // 60)
        axes.set(xlim=(-0.7, len(load) - 0.3), ylim=(0, top), xticks=which[::some])
        axes.set_xlabel(names[1], fontsize=8, labelpad=1)
        quiet(axes)
        title(axes, names[0])

    axes = panel(figure, place, (len(load), top, names), still)
    rectangles(axes, which - 0.4, 0.0, 0.8, load, facecolors=fill, edgecolors=INK, linewidths=0.5)
    return axes
