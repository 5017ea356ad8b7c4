"""The page of the wins: what is fastest at each setting in a picture, then every table."""

from __future__ import annotations

from typing import Any

from veridraft.theory.display.charts import BLUE, FAINT, INK, VERMILION, name_rows

from ...writing.figures import drawn
from ...writing.markdown import Note, Section
from ...writing.tables import Table
from ..suites.rows import setting_text
from ..suites.telling import plainly, renamed
from .leads import over
from .rows import RootSetting, Wins, Yardstick
from .text import TOP, caveats, sentences, summary, tables

CAPTION = (
    "The fastest of each setting, in tokens per second over plain decoding: the line at 1 is plain decoding, a bar the "
    "interval of the ratio; intervals of one setting hold together. The numbers are in the tables below."
)


def note(run: Wins) -> Note:
    """The study as a page."""
    where, _, *rest = summary(run)
    first = Section("What wins", tuple(rest))
    if run.settings and not run.timing_only:
        words = *rest, *map(renamed, sentences(run))
        first = Section("What wins", words, drawing=lambda: lead_figure(run), caption=CAPTION)
    shown = tuple(_section(plainly(table)) for table in tables(run))
    bounds = Section("What the figures hold, and what not", tuple(caveats(run)))
    return Note("Verifiers and trees at the same roots", where, (first, *shown, bounds), run.file.command)


def _section(table: Table) -> Section:
    title, behind, rest = table.caption.partition(" (")
    return Section(title, (rest.rstrip(")"),) if behind else (), table.columns, table.rows)


def lead_figure(run: Wins) -> str:
    """A panel for each setting: its fastest rows over plain decoding, with intervals."""
    columns = min(2, len(run.settings))
    lines = -(-len(run.settings) // columns)

    def paint(figure: Any) -> None:
        grid = figure.subplots(lines, columns, squeeze=False)
        for axes in grid.flat[len(run.settings) :]:
            axes.set_axis_off()
        for axes, at in zip(grid.flat, run.settings, strict=False):
            _panel(axes, at)

    return drawn("leads", 9.6, 1.85 * lines + 0.2, paint)


def _panel(axes: Any, at: RootSetting) -> None:
    rows = [row for row in at.ranked(Yardstick.SPEED) if row is not at.plain][:TOP]
    axes.axvline(1, color=INK, linewidth=1)
    for line, row in enumerate(rows):
        found = over(at, row, at.plain)
        if found is None:
            continue
        axes.plot([found.ratio.low, found.ratio.high], [line, line], color=FAINT, linewidth=4, solid_capstyle="butt")
        axes.plot(found.ratio.value, line, marker="D", color=_colour(found.ratio.low, found.ratio.high), markersize=5)
    name_rows(axes, [row.name for row in rows], fontsize=7.5)
    axes.set_title(setting_text(at.setting), loc="left")


def _colour(low: float, high: float) -> str:
    """Blue beyond plain decoding, orange behind it, ink where the two are not told apart."""
    return BLUE if low > 1 else VERMILION if high < 1 else INK
