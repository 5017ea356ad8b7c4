"""A picture of the study: what speculation gains at each batch, by machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from veridraft.theory.display.charts import BLUE, GREEN, INK, ORANGE, PURPLE, VERMILION

from ...writing.figures import drawn
from .plan import BATCHES, MACHINES

CAPTION = (
    "What the fastest verifier with its fastest action gains over decoding without a draft, at each batch, by machine: "
    "speculation stops to pay where a line meets 0. The tables below say up to which batch trees and the delay pay."
)

MARKS = dict(zip(MACHINES, zip((BLUE, VERMILION, GREEN, ORANGE, PURPLE, INK), "os^DPX", strict=True), strict=True))
"""Colour and marker."""


def gain_figure(cells: Sequence[Mapping[str, Any]]) -> str:
    """A panel for each pair of networks and family of pairs, a line for each machine."""
    networks = list(dict.fromkeys((cell["target"], cell["draft"]) for cell in cells))
    families = list(dict.fromkeys(family for cell in cells for family in cell["found"]))

    def paint(figure: Any) -> None:
        grid = figure.subplots(len(families), len(networks), sharex=True, sharey=True, squeeze=False)
        for axes, (family, pair) in zip(grid.flat, product(families, networks), strict=True):
            _panel(axes, [cell for cell in cells if (cell["target"], cell["draft"]) == pair], family)
            axes.set_title(f"{pair[0]} with {pair[1]}, {family}", loc="left")
        for axes in grid[-1]:
            axes.set_xlabel("requests at once")
        for line in grid:
            line[0].set_ylabel("gain, %")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)

    return drawn("gains", 9.6, 2.1 * len(families) + 0.6, paint)


def _panel(axes: Any, cells: Sequence[Mapping[str, Any]], family: str) -> None:
    axes.axhline(0, color=INK, linewidth=1)
    for cell in cells:
        found = cell["found"].get(family, {})
        gains = [100 * max(one["gain"] for one in by_verifier.values()) for by_verifier in found.values()]
        colour, marker = MARKS[cell["machine"]]
        axes.plot([int(batch) for batch in found], gains, color=colour, marker=marker, markersize=4, linewidth=1.2,
                  label=cell["machine"])  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
    axes.minorticks_off()
    axes.grid(axis="y")
