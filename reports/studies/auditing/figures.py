"""A picture of the study: how many trials each defect takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veridraft.theory.display.charts import BLUE, INK, VERMILION, name_rows

from ...writing.figures import drawn


def trials_figure(defects: Sequence[dict[str, Any]]) -> str:
    """A bar for each defect to the median of its trials, the longest first, and a line from the least to the most."""
    rows = sorted(defects, key=lambda row: row["median"], reverse=True)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        colours = [BLUE if row["found"] == row["audits"] else VERMILION for row in rows]
        axes.barh(range(len(rows)), [row["median"] for row in rows], color=colours, height=0.62)
        for line, row in enumerate(rows):
            axes.plot([row["least"], row["most"]], [line, line], color=INK, linewidth=1)
        name_rows(axes, [row["name"].replace("_", " ") for row in rows])
        axes.set(xscale="log", xlabel="trials until the verdict")

    return drawn("trials", 9.0, 0.21 * len(rows) + 0.8, paint)
