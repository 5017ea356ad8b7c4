"""The file of a run that holds verifiers against each other at the same roots.  No torch is needed to read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .cell_file import CellFile


@dataclass
class WinsFile(CellFile):
    """The finished texts of each setting."""

    kind: ClassVar[str] = "veridraft wins"
    name: ClassVar[str] = "wins.jsonl"
    what: ClassVar[str] = "run"
    fields: ClassVar[tuple[str, ...]] = ("temperature", "top_p", "text")
