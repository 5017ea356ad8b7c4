"""A picture of published gains beside those that were found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veridraft.theory.display.charts import AROUND, BLUE, INK, VERMILION, name_rows

from .figures import drawn
from .intervals import Mean

ROW = 0.42
"""Inches."""

CAPTION = (
    "Bars: the published range. Diamonds: what is found here, a line its 95 % interval; orange where the interval "
    "misses the range. The numbers are in the tables below."
)

Held = tuple[str, float, float, Mean]
"""A claim by name, the ends of its range, and what was found."""


def claims_figure(rows: Sequence[Held], label: str) -> str:
    """A row for each claim: its range as a bar, what was found as a diamond with its interval."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        for line, (_, low, high, found) in enumerate(rows):
            missed = found.high < low or found.low > high
            axes.plot([low, high], [line, line], color=BLUE, linewidth=9, alpha=0.35, solid_capstyle="projecting")
            axes.plot([found.low, found.high], [line, line], color=INK, linewidth=1)
            axes.plot(found.mean, line, marker="D", markersize=6, color=VERMILION if missed else BLUE)
        name_rows(axes, [name for name, *_ in rows])
        axes.set_xlabel(label)

    return drawn("claims", 9.0, ROW * len(rows) + AROUND, paint)
