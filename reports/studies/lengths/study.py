"""Which defects accepted lengths show: real decoding with every one in place, in every shape that engines report."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from veridraft.gpu.files.cell_file import CellFile
from veridraft.simulate.defects.table import DEFECTS

from ...running.console import names
from ...running.study import Plan, Study, noted
from ...writing.markdown import Note
from ..table import STUDIES
from . import text


class LengthsFile(CellFile):
    """The finished defects, and the right procedures beside them."""

    kind, name, what, fields = "veridraft lengths", "lengths.jsonl", "study", ("which", "name")


def plan(options: argparse.Namespace) -> Plan:
    """The plan of the study that was asked for."""
    from .defective_engines import IN_PLACE
    from .measuring import LengthsPlan

    return LengthsPlan(tuple(IN_PLACE) if options.defects is None else options.defects)


def note(file: LengthsFile) -> Note:
    """The study as a page."""
    return text.note(rows(file), file.settings, file.command)


def rows(file: LengthsFile) -> list[Mapping[str, Any]]:
    """The finished defects, each with what is read of the right procedure beside it."""
    beside = {name: file.finished.get(("right", right)) for name, right in file.settings["beside"].items()}
    defects = [cell for cell in file.cells if cell["which"] == "defect"]
    return [cell | {"beside": beside[cell["name"]]} for cell in defects if beside[cell["name"]]]


STUDY = Study.of_cells(
    "lengths",
    STUDIES["lengths"],
    {"--defects": {"type": names, "help": f"names with commas, of {', '.join(DEFECTS)} (default: all that fit)"}},
    LengthsFile,
    plan,
    **noted(note),
)
