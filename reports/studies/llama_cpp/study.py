"""Servers of llama.cpp, audited: as they should be, with settings and acceptance that are wrong, with checkpoints."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from veridraft.gpu.files.cell_file import CellFile
from veridraft.gpu.models.embedded import cache_folder

from ...running.options import COUNT
from ...running.study import Study, StudyStep, cell_by_cell, noted
from ..table import STUDIES
from .audits import AUDITS
from .measuring import Measuring
from .running import Starter
from .text import agrees, note

MOST_PORT = 65_000


class LlamaCppFile(CellFile):
    """The finished audits."""

    kind, name, what, fields = "veridraft llama.cpp", "llama_cpp.jsonl", "study", ("audit",)


@dataclass(frozen=True)
class LlamaCppPlan:
    """The audits whose name has ``only`` in it, of the servers of a binary; models and logs lie in a folder."""

    binary: Path
    port: int
    only: str
    folder: Path

    def __post_init__(self) -> None:
        if not 0 <= self.port <= MOST_PORT:
            raise ValueError(f"port must lie in [0, {MOST_PORT}], but is {self.port}")
        if not self.binary.is_file():
            raise ValueError(f"binary {str(self.binary)!r} is not there: reports/runs/llama-cpp says how to build it")
        if not self._chosen:
            raise ValueError(f"only is {self.only!r}, which no audit has in its name; one is {next(iter(AUDITS))!r}")

    @property
    def _chosen(self) -> list[str]:
        return [name for name in AUDITS if self.only in name]

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        return {"version": self._measuring.starter.version(), "cells": [[name] for name in self._chosen]}

    @cached_property
    def _measuring(self) -> Measuring:
        return Measuring(Starter(self.binary, self.port, self.folder / "logs"), self.folder)

    def measure(self, audit: str) -> dict[str, Any]:
        """One cell."""
        return self._measuring.measure(audit)


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
