"""Bars that pages begin with: counts by kind in one row a name, the kinds side by side; or one value a name."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill
from typing import Any

from veridraft.theory.display.charts import BLUE, FAINT, INK, VERMILION, name_rows

from .figures import drawn

VERDICTS = {"lossy": VERMILION, "no defect found": BLUE, "error": FAINT}
"""What audits end in, in the order of a row, with their colours."""

ROW, AROUND, WIDTH = 0.27, 0.95, 9.0
"""Inches of a row, of what is around them, and of the picture."""


def counts_figure(name: str, counts: Mapping[str, Mapping[str, int]], colours: Mapping[str, str], label: str) -> str:
    """For each name a bar of its counts, kind after kind in the order of ``colours``, each with its number."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        begin = [0] * len(counts)
        for kind, colour in colours.items():
            widths = [of.get(kind, 0) for of in counts.values()]
            bars = axes.barh(range(len(counts)), widths, left=begin, color=colour, height=0.66, label=kind)
            ink = INK if colour == FAINT else "white"
            numbers = [str(width or "") for width in widths]
            axes.bar_label(bars, numbers, label_type="center", color=ink, fontsize=8, fontweight="bold")
            begin = [one + width for one, width in zip(begin, widths, strict=True)]
        name_rows(axes, list(counts))
        axes.set_xlabel(label)
        figure.legend(loc="outside upper left", ncols=len(colours), frameon=False)

    return drawn(name, WIDTH, ROW * len(counts) + AROUND, paint)


def verdicts_figure(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Audits by what they ended in, those with most lossy ones first."""
    ordered = dict(sorted(counts.items(), key=lambda one: (-one[1].get("lossy", 0), one[0])))
    return counts_figure("verdicts", ordered, VERDICTS, "audits")


def values_figure(name: str, values: Mapping[str, float], label: str) -> str:
    """For each name a bar to its value, which stands beside it."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        bars = axes.barh(range(len(values)), list(values.values()), color=BLUE, height=0.6)
        axes.bar_label(bars, fmt="%.4g", padding=3, fontsize=8)
        name_rows(axes, [fill(one, 60) for one in values])
        axes.set(xlabel=label, xlim=(0, 1.1 * max(values.values())))

    return drawn(name, WIDTH, 1.5 * ROW * len(values) + AROUND, paint)
