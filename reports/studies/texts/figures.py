"""A picture of the study: how many tokens each departure takes, by what the auditor is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veridraft.theory.display.charts import BLUE, FAINT, GREEN, ORANGE, PURPLE, name_rows

from ...writing.figures import drawn

MARKS = (BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D")
"""Colour and shape of each way."""


def tokens_figure(medians: Mapping[str, Mapping[str, float]], ways: Sequence[str], most: int) -> str:
    """For each departure a mark for each way at its median of tokens, what is found soonest first.

    Infinite medians stand behind ``most``.
    """
    medians = dict(sorted(medians.items(), key=lambda one: sorted(one[1].values())))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        beyond = 2.0 * most
        for place, (way, (colour, mark)) in enumerate(zip(ways, MARKS, strict=True)):
            tokens = [min(of[way], beyond) for of in medians.values()]
            lines = [line + 0.14 * (place - 1.5) for line in range(len(medians))]
            axes.scatter(tokens, lines, color=colour, marker=mark, s=22, label=way)
        axes.axvline(1.4 * most, color=FAINT, linewidth=1)
        name_rows(axes, [name.replace("_", " ") for name in medians])
        axes.set(xscale="log", xlabel="tokens until the verdict; behind the line: none within the limit")
        figure.legend(loc="outside upper left", ncols=len(ways), frameon=False)

    return drawn("tokens", 9.0, 0.3 * len(medians) + 0.95, paint)
