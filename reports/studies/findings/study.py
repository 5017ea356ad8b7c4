"""Published claims held against exact cases: what was computed, and what was not."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, noted
from ...writing.bars import values_figure
from ...writing.markdown import Note, Section
from ..table import STUDIES
from .claims import ClaimPlan

DECIMAL = "decimal"
"""The column that a picture shows."""


class FindingsFile(CellFile):
    """The claims that were looked at."""

    kind, name, what, fields = "veridraft findings", "findings.jsonl", "study", ("key",)


def note(file: FindingsFile) -> Note:
    """The claims as a page."""
    lead = (
        "Each claim stands as it is quoted, with the exact case that bears on it. Fractions are exact: every draft, "
        "every coin and every completion is enumerated."
    )
    return Note("Published claims against exact cases", lead, tuple(map(_section, file.cells)), file.command)


def _section(cell: dict[str, Any]) -> Section:
    words = f"Found: {cell['finding']}", f"Not shown: {cell['not_shown']}"
    rows = tuple(map(tuple, cell["rows"]))
    section = Section(f"({cell['key']}) {cell['claim']}", words, tuple(cell["headers"]), rows)
    if DECIMAL not in cell["headers"]:
        return section
    place = cell["headers"].index(DECIMAL)
    values = {row[0]: float(row[place]) for row in rows}
    drawing = partial(values_figure, f"claim-{cell['key']}", values, "accepted tokens, E[tau]")
    return replace(section, drawing=drawing, caption="What is claimed beside what can be reached: the numbers below.")


STUDY = Study.of_cells(
    "findings",
    STUDIES["findings"],
    {"--pairs": {"type": COUNT, "default": 400, "help": "random pairs for claim (c) (default: %(default)s)"}},
    FindingsFile,
    lambda options: ClaimPlan(options.pairs),
    **noted(note),
)
