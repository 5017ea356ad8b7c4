"""Servers of llama.cpp, audited: as they should be, with settings and acceptance that are wrong, with checkpoints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from veridraft.gpu.files.cell_file import CellFile
from veridraft.gpu.models.embedded import cache_folder

from ...running.options import COUNT
from ...running.study import Study, StudyStep, cell_by_cell, noted
from ..table import STUDIES
from .plan import LlamaCppPlan
from .text import agrees, note


class LlamaCppFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft llama.cpp", "llama_cpp.jsonl", "study", ("audit",)


def start(options: argparse.Namespace, folder: Path, command: str) -> Iterator[StudyStep]:
    """The steps of the study that was asked for."""
    cache = cache_folder()
    plan = LlamaCppPlan(
        options.binary or cache / "llama-server", options.port, options.only, options.models or cache / "llama_cpp"
    )
    return cell_by_cell(LlamaCppFile, plan, folder, command)


STUDY = Study(
    "llama-cpp",
    STUDIES["llama-cpp"],
    {
        "--binary": {"type": Path, "metavar": "FILE", "help": "llama-server (default: the one in the cache folder)"},
        "--port": {"type": COUNT, "default": 0, "help": "of the first of up to three servers on 127.0.0.1; "
                   "0 takes free ones (default)"},
        "--only": {"default": "", "metavar": "TEXT", "help": "audits whose name has this in it"},
        "--models": {"type": Path, "metavar": "FOLDER",
                     "help": "where the models are written, and what servers print (default: in the cache folder)"},
    },
    LlamaCppFile,
    start,
    agrees=lambda file: agrees(file.cells),
    **noted(lambda file: note(file.cells, file.settings, file.command)),
)  # fmt: skip
