"""Code that people run, audited: transformers' samplers and candidate generators, and packages of the Python index.

Packages that are not installed are left out, and said to be.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, StudyStep, cell_by_cell, noted
from ..table import STUDIES
from .plan import RealAuditsPlan
from .text import note


class RealAuditsFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft real audits", "real_audits.jsonl", "study", ("key",)


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    return cell_by_cell(RealAuditsFile, RealAuditsPlan(options.only, options.trials), folder, command)


STUDY = Study(
    "real-audits",
    STUDIES["real-audits"],
    {
        "--only": {"default": "", "help": "audits whose name has this in it"},
        "--trials": {"type": COUNT, "help": "at most, of each audit (default: its own number)"},
    },
    RealAuditsFile,
    start,
    **noted(lambda file: note(file.cells, file.settings, file.command)),
)
