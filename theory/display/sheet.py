"""A result on a sheet: a headline, facts, a picture, a table; as HTML for notebooks, and as a DataFrame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from html import escape
from importlib import import_module
from numbers import Integral, Real
from typing import Any

MOST_ROWS = 40
"""Rows of a table that are shown; the DataFrame has all."""

MOST_DIGITS = 12
"""A fraction of more digits, above and below the line together, is shown by its decimals alone."""

SIGNS = {True: ("#009e73", "✓"), False: ("#d55e00", "✗")}
"""Colour and sign of a headline that is good or bad news; both can be read on white and on black."""


@dataclass(frozen=True)
class Sheet:
    """What is shown of a result.

    Fields
    ------
    title : the headline, in words
    facts : labels with values, one line each
    well : whether the headline is good news; ``None`` where it is neither
    picture : SVG text, which stands above the table
    columns : the table, by the names of its columns, all of one length; values as they are, not as they are shown
    note : a sentence below
    """

    title: str
    facts: tuple[tuple[str, Any], ...] = ()
    well: bool | None = None
    picture: str = ""
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    note: str = ""

    def html(self) -> str:
        """One element without script or style sheet; every text in it is escaped."""
        parts = [self._headline(), self._facts(), self.picture, self._table()]
        parts.append(f"<p>{escape(self.note)}</p>" if self.note else "")
        return f'<div class="veridraft">{"".join(parts)}</div>'

    def _headline(self) -> str:
        sign = ""
        if self.well is not None:
            colour, mark = SIGNS[self.well]
            sign = f'<span style="color: {colour}">{mark}</span> '
        return f"<p>{sign}<strong>{escape(self.title)}</strong></p>"

    def _facts(self) -> str:
        lines = "".join(
            f'<tr><th scope="row" style="text-align: left">{escape(label)}</th>'
            f'<td style="text-align: left">{escape(said(value))}</td></tr>'
            for label, value in self.facts
        )
        return f"<table><tbody>{lines}</tbody></table>" if lines else ""

    def _table(self) -> str:
        rows = list(zip(*self.columns.values(), strict=True))
        if not rows:
            return ""
        heads = "".join(_cell('th scope="col"', name, value) for name, value in zip(self.columns, rows[0], strict=True))
        lines = "".join(f"<tr>{''.join(_cell('td', one, one) for one in row)}</tr>" for row in rows[:MOST_ROWS])
        left = len(rows) - MOST_ROWS
        more = f"<p>… and {left:,} more rows: <code>.frame()</code> has all.</p>" if left > 0 else ""
        return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>{more}"


def _cell(tag: str, value: Any, below: Any) -> str:
    """A cell, at the left where ``below``, a value of its column, is text, else at the right."""
    side = "left" if isinstance(below, str) else "right"
    return f'<{tag} style="text-align: {side}">{escape(said(value))}</{tag.split()[0]}>'


def said(value: Any) -> str:
    """A value as a reader sees it: short fractions as they are, others by six digits; a dash for ``None``."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral) or (isinstance(value, Fraction) and value.denominator == 1):
        return f"{int(value):,}"
    if isinstance(value, Fraction):
        digits = len(f"{value.numerator}{value.denominator}")
        return f"{value} = {float(value):.6g}" if digits <= MOST_DIGITS else f"{float(value):.6g}"
    return f"{float(value):.6g}" if isinstance(value, Real) else str(value)


class Shown:
    """A result that a notebook shows; its class says what stands on the :class:`Sheet`."""

    def sheet(self) -> Sheet:
        """What is shown of it."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        """The sheet as HTML: what a notebook shows."""
        return self.sheet().html()

    def frame(self) -> Any:
        """The table of the sheet as a pandas DataFrame, its values as they are; ``ImportError`` without pandas."""
        return needed("pandas", "a DataFrame", "frames").DataFrame(dict(self.sheet().columns))


def needed(module: str, what: str, extra: str) -> Any:
    """The module; ``ImportError`` says which extra brings it if it is missing."""
    try:
        return import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        raise ImportError(
            f"{what} needs {package}: install it with pip install 'veridraft[{extra}]'", name=package
        ) from error
