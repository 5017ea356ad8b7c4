"""Delayed expansion against branching at the root, exactly, at equal numbers of drafted tokens.

The block efficiency of every delayed tree of equal size, on families of pairs whose divergence does or does not grow
with depth.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.study import Study, StudyStep, cell_by_cell
from ..table import STUDIES
from .cases import DelayedPlan, Setting, values_by_setting
from .tables import drawn, tables


class DelayedFile(CellFile):
    """The finished block efficiencies."""

    kind, name, what = "veridraft delayed", "delayed.jsonl", "study"
    fields = ("kind", "verifier", *(field.name for field in fields(Setting)))


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    return cell_by_cell(DelayedFile, DelayedPlan(options.quick), folder, command)


def text(file: DelayedFile) -> str:
    """The command and the tables."""
    large, small = (values_by_setting(file.cells, kind) for kind in ("all shapes", "small pairs"))
    return "\n\n".join([f"$ {file.command}", *(table.text() for table in tables(large, small))])


STUDY = Study(
    "delayed",
    STUDIES["delayed"],
    {"--quick": {"action": "store_true", "help": "two settings of each kind, to see that it runs"}},
    DelayedFile,
    start,
    text,
    {"svg": lambda file: drawn(values_by_setting(file.cells, "all shapes"))},
)
