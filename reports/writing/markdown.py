"""A page of findings: sections of words, tables and pictures, as text and as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import indent

from .html import rendered


@dataclass(frozen=True)
class Section:
    """A heading, paragraphs, and perhaps lines of code, a table (headers, rows of text) and a picture, described.

    ``drawing()`` is the picture as SVG text; it is called where the picture is shown.
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    drawing: Callable[[], str] | None = None
    caption: str = ""
    code: str = ""

    @property
    def svg(self) -> str:
        """The picture, or nothing."""
        return self.drawing() if self.drawing else ""


@dataclass(frozen=True)
class Note:
    """A title, a lead, sections, and the command that makes the page again."""

    title: str
    lead: str
    sections: tuple[Section, ...]
    command: str


def note_text(note: Note) -> str:
    """The note as plain text, tables aligned."""
    parts = [note.title, "=" * len(note.title), "", note.lead, ""]
    for section in note.sections:
        parts += [section.title, "-" * len(section.title), *section.paragraphs, ""]
        if section.code:
            parts += [indent(section.code.rstrip(), "    "), ""]
        if section.rows:
            parts += [text_table(section.headers, section.rows), ""]
    return "\n".join([*parts, f"Made by: {note.command}", ""])


def text_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with spaces, a rule under the headers."""
    table = [list(headers), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def render_note(note: Note) -> str:
    """The note as HTML text; raises ``ValueError`` if the page's packages are missing."""
    return rendered("note.html", note=note)
