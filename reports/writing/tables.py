"""Tables of text: numbers as they are shown, columns aligned, Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

ABSENT = "–"
"""Stands where there is no number."""


@dataclass(frozen=True)
class Table:
    """A table of text cells; its first ``names`` columns are words, the rest numbers.

    ``best`` holds (row, column) of the cells to be pointed out.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    best: frozenset[tuple[int, int]] = frozenset()

    def without(self, columns: Sequence[str]) -> Table:
        """The table without the columns of these names, neither among its first ones nor pointed out in."""
        kept = [place for place, name in enumerate(self.columns) if name not in columns]
        rows = tuple(tuple(row[place] for place in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in kept), rows=rows)

    def text(self) -> str:
        """The caption and the aligned cells, one line per row."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        return "\n".join([self.caption, *("  " + self._align(line, widths) for line in lines)])

    def markdown(self) -> str:
        """The table in Markdown, without its caption."""
        rule = ["---" if column < self.names else "---:" for column in range(len(self.columns))]
        return "\n".join("| " + " | ".join(line) + " |" for line in [self.columns, rule, *self.rows])

    def _align(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            cell.ljust(width) if column < self.names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()


def number(value: float | None, digits: int = 4) -> str:
    """The value with a fixed number of decimals, a dash for ``None``, never a negative zero."""
    if value is None:
        return ABSENT
    return f"{value + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}") if round(value, digits) else f"{0:.{digits}f}"


def signed(value: float) -> str:
    """The value with its sign and three decimals."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
