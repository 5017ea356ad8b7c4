"""Samplers of serving engines, out of their own packages, audited on a CPU.

Each engine has an environment of its own, into which its package goes without those that it depends on; its code is
run in a process of its own, Triton's kernels under the interpreter.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile

from ...running.options import COUNT
from ...running.study import Study, StudyStep, cell_by_cell, noted
from ..table import STUDIES
from .plan import EnginesPlan
from .text import note


class EnginesFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft engines", "engines.jsonl", "study", ("key",)


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    plan = EnginesPlan(options.only, options.trials, options.environments)
    return cell_by_cell(EnginesFile, plan, folder, command)


STUDY = Study(
    "engines",
    STUDIES["engines"],
    {
        "--only": {"default": "", "help": "audits whose name has this in it"},
        "--trials": {"type": COUNT, "help": "at most, of each audit (default: its own number)"},
        "--environments": {"type": Path, "metavar": "FOLDER", "help": "holds each engine's packages, some hundred "
                           "megabytes each, fetched once (default: engines in the cache folder)"},
    },
    EnginesFile,
    start,
    **noted(lambda file: note(file.cells, file.settings, file.command)),
)  # fmt: skip
