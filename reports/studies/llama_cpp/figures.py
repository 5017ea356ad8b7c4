"""A picture of the study: after how many tokens each audit ended, and in what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veridraft.theory.display.charts import INK, name_rows

from ...writing.bars import VERDICTS
from ...writing.figures import drawn
from .floors import tokens_at_least


def tokens_figure(cells: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each audit to the tokens of its verdict, lossy ones first; a diamond at the floor."""
    rows = sorted(cells, key=lambda cell: (cell["verdict"] != "lossy", _tokens(cell)))
    floors = {line: tokens_at_least(cell["level"], cell["nats"]) for line, cell in enumerate(rows) if cell["nats"]}

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for verdict, colour in VERDICTS.items():
            mine = [line for line, cell in enumerate(rows) if cell["verdict"] == verdict]
            if mine:
                axes.barh(mine, [_tokens(rows[line]) for line in mine], color=colour, height=0.66, label=verdict)
        axes.plot(list(floors.values()), list(floors), "D", color=INK, markersize=4, label="floor")
        name_rows(axes, [cell["audit"] for cell in rows], fontsize=7.5)
        axes.set(xlabel="tokens until the verdict, or in all where nothing was found", xlim=(0, None))
        figure.legend(loc="outside upper left", ncols=4, frameon=False)

    return drawn("tokens", 9.0, 0.21 * len(rows) + 0.95, paint)


def _tokens(cell: Mapping[str, Any]) -> int:
    return int(cell["tokens"] if cell["found_after"] is None else cell["found_after"])
