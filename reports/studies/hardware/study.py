"""The actions of 2602.16994 under six machines and batches of 1 to 128, from finished cells of the study of actions."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.study import Study, StudyStep, cell_by_cell, noted
from ...writing.markdown import Note
from ..actions.study import ActionFile
from ..table import STUDIES
from .plan import HardwarePlan
from .text import note_of, rows_of


class HardwareFile(CellFile):
    """The finished gains."""

    kind, name, what = "veridraft hardware", "hardware.jsonl", "study"
    fields = ("machine", "target", "draft")


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    plan = HardwarePlan(tuple(ActionFile.load(options.actions).cells))
    return cell_by_cell(HardwareFile, plan, folder, command)


def note(file: HardwareFile) -> Note:
    """The page of what is finished."""
    return note_of(file.cells, file.command)


STUDY = Study(
    "hardware",
    STUDIES["hardware"],
    {
        "--actions": {"type": Path, "default": Path("actions"), "metavar": "FOLDER",
                      "help": "of the study of actions, whose finished cells are read (default: %(default)s)"},
    },
    HardwareFile,
    start,
    **noted(note),
    rows=lambda file: rows_of(file.cells),
)  # fmt: skip
