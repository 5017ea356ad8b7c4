"""How good audits of texts are: tokens until known departures are found; false alarms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, noted
from ...writing.markdown import Note
from ..table import STUDIES
from . import text
from .decoders import BROKEN, RIGHT
from .measuring import PIECE, alarms, power

LEAD = (
    "An engine's log, or a server's answers, are audited without calling anything: each token is held against its row. "
    "How many tokens does it take to find what is known to go wrong, and how often is what is right condemned?"
)


class TextsStudyFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft texts study", "texts.jsonl", "study", ("part", "name", "number")


@dataclass(frozen=True)
class TextsPlan:
    """Every departure under so many seeds, and so many audits of each decoder that is right."""

    seeds: int
    audits: int

    def __post_init__(self) -> None:
        for name in ("seeds", "audits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        cells = [["power", name, seed] for name in BROKEN for seed in range(self.seeds)]
        cells += [["alarms", name, first] for name in RIGHT for first in range(0, self.audits, PIECE)]
        return {"seeds": self.seeds, "audits": self.audits, "cells": cells}

    def measure(self, part: str, name: str, number: int) -> dict[str, Any]:
        """One cell."""
        return (power if part == "power" else alarms)(name, number)


def note(file: TextsStudyFile) -> Note:
    """The study as a page."""
    return Note("How good audits of texts are", LEAD, text.sections(file.cells), file.command)


STUDY = Study.of_cells(
    "texts",
    STUDIES["texts"],
    {
        "--seeds": {"type": COUNT, "default": 3, "help": "audits of each departure (default: %(default)s)"},
        "--audits": {"type": COUNT, "default": 2_500,
                     "help": "audits of each decoder that is right, in each way (default: %(default)s)"},
    },
    TextsStudyFile,
    lambda options: TextsPlan(options.seeds, options.audits),
    **noted(note),
)  # fmt: skip
