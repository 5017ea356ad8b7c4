"""The picture that an evaluation begins with: what each way to choose gains over one action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veridraft.theory.display.charts import BLUE, FAINT, GREEN, INK, ORANGE, name_rows

from ...writing.figures import drawn
from .paired import Cell

COLOURS = {"chain": FAINT, "entropy": GREEN, "boosted": ORANGE, "selector": BLUE}
"""Of the ways that are drawn."""

CAPTION = (
    "Tokens per second over the verifier's best one action, at 0, in per cent; a bar is the 95 % interval. What "
    "choosing costs is paid. The numbers are in the tables below."
)


def gains_figure(cells: Sequence[Cell], titles: Mapping[str, str]) -> str:
    """For each verifier a mark with its interval for each way to choose, called by its title, one below the other."""
    ways = [name for name in COLOURS if any(name in cell["ways"] for cell in cells)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=INK, linewidth=1)
        for place, name in enumerate(ways):
            known = [(row, cell["ways"][name]) for row, cell in enumerate(cells) if name in cell["ways"]]
            heights = [row + 0.18 * (place - (len(ways) - 1) / 2) for row, _ in known]
            gains, halves = ([100 * way[key] for _, way in known] for key in ("gain", "gain_half"))
            colour, title = COLOURS[name], titles[name]
            axes.errorbar(gains, heights, xerr=halves, fmt="o", markersize=4, color=colour, label=title)
        name_rows(axes, [cell["verifier"] for cell in cells])
        axes.set_xlabel("tokens per second over the best one action, %")
        figure.legend(loc="outside upper left", ncols=len(ways), frameon=False)

    return drawn("gains", 9.0, 0.42 * len(cells) + 0.95, paint)
