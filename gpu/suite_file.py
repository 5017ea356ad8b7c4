"""The file of a suite of cross-checks.  No torch is needed to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .cell_file import CellFile

Cell = tuple[str, str, float, float]
"""Verifier, policy by its name, temperature, top-p."""


@dataclass
class SuiteFile(CellFile):
    """The finished cells of a suite."""

    kind: ClassVar[str] = "veridraft suite"
    name: ClassVar[str] = "suite.jsonl"
    what: ClassVar[str] = "suite"
    fields: ClassVar[tuple[str, ...]] = ("verifier", "policy", "temperature", "top_p")


def cell_of(record: Mapping[str, Any]) -> Cell:
    """Which cell a finished one is."""
    verifier, policy, temperature, top_p = SuiteFile.key(record)
    return verifier, policy, temperature, top_p
