"""The style of all pictures: colours, matplotlib's settings, and what several of them draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .sheet import needed

BLUE, VERMILION, GREEN, INK, FAINT = "#0072B2", "#D55E00", "#009E73", "#1f2933", "#c3cad1"
ORANGE, PURPLE = "#E69F00", "#CC79A7"
"""Of Okabe and Ito's palette, which colour-blind readers can tell apart; two greys."""

STYLE = {
    "svg.fonttype": "path",
    "svg.hashsalt": "veridraft",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e4e7eb",
}

ROW, AROUND = 0.27, 0.7
"""Inches that a row of a picture takes, and what is around them."""


def plotted(axes: Any, width: float, height: float, paint: Callable[[Any], None]) -> Any:
    """The axes, painted on; without any, those of a new figure of so many inches, which a notebook shows.

    ``ImportError`` that says how to install matplotlib where it is missing.
    """
    matplotlib = needed("matplotlib", "a plot", "report")
    # Before the context, which takes back all settings: a notebook makes pyplot interactive when it is imported.
    pyplot = needed("matplotlib.pyplot", "a plot", "report") if axes is None else None
    with matplotlib.rc_context(STYLE):
        if pyplot:
            axes = pyplot.subplots(figsize=(width, height), layout="constrained")[1]
        paint(axes)
    return axes


def name_rows(axes: Any, names: Sequence[str], **words: Any) -> None:
    """A row for each name, the first at the top, with lines at the ticks; ``words`` are matplotlib's for the names."""
    axes.set_yticks(range(len(names)), names, **words)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="x")
    axes.tick_params(length=0)


def paint_reach(axes: Any, reach: Sequence[float], colour: str = BLUE) -> None:
    """Bars of the probability that at least 1, 2, ... drafted tokens are accepted, each with its number."""
    depths = range(1, len(reach) + 1)
    bars = axes.bar(depths, reach, width=0.62, color=colour)
    axes.bar_label(bars, fmt="%.2f", label_type="center", color="white", fontsize=8, fontweight="bold")
    axes.set_xticks(depths)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylim(0, 1.06)
    axes.grid(axis="y")
    axes.tick_params(length=0)
