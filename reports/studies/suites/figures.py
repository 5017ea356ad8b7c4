"""Figures of a suite: predicted and measured throughput, the scores against the normal law, speed by setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from veridraft.theory.display.charts import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILION

from ...writing.figures import drawn
from .rows import SCORES, WITHIN, Shape, Suite, SuiteRow

SHAPE_MARKS = {
    Shape.CHAIN: (BLUE, "o"),
    Shape.INDEPENDENT: (GREEN, "s"),
    Shape.DELAYED: (VERMILION, "^"),
    Shape.OTHER: (PURPLE, "D"),
    Shape.LOOKUP: (ORANGE, "P"),
    Shape.PLAIN: (INK, "X"),
}
"""Colour and marker."""

MOST_BARS = 40
"""With more cells the bars, which hold together, would hide the marks: they are then left to the tables."""

SCORE_MARKS = {"z": (BLUE, "o"), "z_draft": (GREEN, "s"), "z_text": (VERMILION, "^")}


def speed_figure(suite: Suite) -> str:
    """Measured over predicted tokens per second, a mark for each cell, the line where they are equal, the band."""
    rows = suite.timed
    speeds = [row.speed for row in rows if row.speed is not None]
    ends = [value for speed in speeds for value in (speed.predicted, speed.measured)]
    low, high = min(ends) / 1.15, max(ends) * 1.15

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        line = np.array([low, high])
        axes.fill_between(line, line * (1 - WITHIN), line * (1 + WITHIN), color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(line, line, color=INK, linewidth=1)
        for shape, mark in SHAPE_MARKS.items():
            _speed_marks(axes, [row for row in rows if row.shape is shape], *mark, len(rows) <= MOST_BARS)
        _log_axes(axes, low, high)
        axes.set_xlabel("predicted tokens per second")
        axes.set_ylabel("measured tokens per second")
        shapes = {row.shape for row in rows}
        _legend(figure, {shape.value: mark for shape, mark in SHAPE_MARKS.items() if shape in shapes})

    return drawn("speed", 6.4, 5.6, paint)


def _speed_marks(axes: Any, rows: Sequence[SuiteRow], colour: str, marker: str, with_bars: bool) -> None:
    """Marks of one kind, perhaps with bars for the intervals of the ratios."""
    known = [(row.speed.predicted, row.ratio) for row in rows if row.speed and row.ratio]
    for predicted, ratio in known if with_bars else ():
        bar = [predicted * ratio.low, predicted * ratio.high]
        axes.plot([predicted] * 2, bar, color=colour, linewidth=1, alpha=0.6)
    axes.plot([predicted for predicted, _ in known], [predicted * ratio.value for predicted, ratio in known],
              marker=marker, color=colour, markersize=5, linestyle="", markeredgecolor="white",
              markeredgewidth=0.4)  # fmt: skip


def _log_axes(axes: Any, low: float, high: float) -> None:
    """Both axes logarithmic, with plain numbers at round places."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    ticks = [digit * 10.0**power for power in range(-4, 8) for digit in _digits(low, high)]
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([tick for tick in ticks if low <= tick <= high])
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    axes.grid(True)
    axes.set_aspect("equal")


def _digits(low: float, high: float) -> Sequence[float]:
    """First digits of the ticks: the fewer, the more decades there are."""
    decades = np.log10(high / low)
    if decades < 0.35:
        return (1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3, 3.5, 4, 4.5, 5, 5.5, 6, 7, 8, 9)
    if decades < 1:
        return (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    return (1, 2, 5) if decades < 2 else (1, 3) if decades < 4 else (1,)


def score_figure(suite: Suite) -> str:
    """The scores in order against the normal law's quantiles, with the band where 95 % of each should lie."""
    scores = sorted((score, name) for row in suite.rows for name, score in row.scores.items())
    count = len(scores)
    ranks = np.arange(1, count + 1)
    quantiles = scipy.stats.norm.ppf((ranks - 0.5) / count)
    band = [scipy.stats.norm.ppf(scipy.stats.beta.ppf(side, ranks, count + 1 - ranks)) for side in (0.025, 0.975)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.fill_between(quantiles, *band, color=BLUE, alpha=0.12, linewidth=0)
        axes.plot(quantiles, quantiles, color=INK, linewidth=1)
        for name, (colour, marker) in SCORE_MARKS.items():
            kept = [place for place, (_, own) in enumerate(scores) if own == name]
            axes.plot(quantiles[kept], [scores[place][0] for place in kept], marker=marker, color=colour, markersize=4,
                      linestyle="", markeredgecolor="white", markeredgewidth=0.3)  # fmt: skip
        _score_axes(axes, suite.threshold, max(4.4, 1.1 * max(abs(score) for score, _ in scores)))
        _legend(figure, {f"{name}: {SCORES[name]}": mark for name, mark in SCORE_MARKS.items()})

    return drawn("scores", 6.4, 5.2, paint)


def _score_axes(axes: Any, threshold: float, end: float) -> None:
    for side in (-threshold, threshold):
        axes.axhline(side, color=VERMILION, linewidth=1, linestyle="--")
    axes.set_ylim(-end, end)
    axes.set_xlabel("quantile of the normal law")
    axes.set_ylabel("score")
    axes.grid(True)


def _legend(figure: Any, marks: dict[str, tuple[str, str]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=label)
        for label, (colour, marker) in marks.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
