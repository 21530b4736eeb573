"""Pictures: a matplotlib figure as an RGB array, the palette, and the map of a network."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Paul Tol's "bright" scheme and grey: told apart by colour-blind readers too.
PALETTE = ("#4477AA", "#EE6677", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#BBBBBB")
BLUE, RED, GREEN, YELLOW, CYAN, PURPLE, GREY = PALETTE
INK, MUTED, FAINT, FLASH = "#222222", "#777777", "#DDDDDD", "#FF7F00"


def colors(count: int) -> list:
    """``count`` distinguishable colours: the palette, or beyond its length an evenly spaced colour map."""
    if count <= len(PALETTE) - 1:
        return list(PALETTE[:count])
    from matplotlib import colormaps

    return list(colormaps["turbo"](np.linspace(0.06, 0.94, count)))


def picture(draw: Callable[[Figure], None], size_inches: tuple[float, float] = (10.0, 5.6), dpi: int = 80) -> NDArray:
    """What ``draw`` puts into a fresh figure, as ``(height, width, 3)`` uint8; needs no display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("rendering needs matplotlib: pip install 'rangym[plot]'") from error
    with plain_text():
        figure = Figure(figsize=size_inches, dpi=dpi, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@contextlib.contextmanager
def plain_text() -> Iterator[None]:
    """Figures made inside show every name as it is: a dollar sign begins no formula."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        yield


def network_map(axes: Axes, positions_m: NDArray, title: str) -> None:
    """Set up ``axes`` as a map that holds ``positions_m`` (..., 2), in kilometres, equal scales, no clutter."""
    flat = positions_m.reshape(-1, 2) / 1000
    low, high = flat.min(axis=0), flat.max(axis=0)
    margin = 0.06 * max(*(high - low), 1e-3)
    axes.set(xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin))
    axes.set_aspect("equal")
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("km", fontsize=8)
    quiet(axes)


def quiet(axes: Axes) -> None:
    """Give ``axes`` a thin frame and small ticks, so that the data stand out."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, length=2, color=FAINT)


def reward_curve(axes: Axes, rewards: Sequence[float], horizon: int) -> None:
    """The reward of every slot so far, and its running mean."""
    reward = np.asarray(rewards)
    slot = np.arange(1, len(reward) + 1)
    title = "reward per slot, and its mean so far"
    if len(reward):
        mean = reward.cumsum() / slot
        axes.plot(slot, reward, color=PALETTE[0], linewidth=0.8, alpha=0.6, marker="o" if len(reward) == 1 else None)
        axes.plot(slot, mean, color=INK, linewidth=1.8)
        title += f": {mean[-1]:.3f}"
    axes.set_xlim(0, horizon + 0.5)
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel("slot", fontsize=8)
    quiet(axes)
