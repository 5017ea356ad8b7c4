"""The files of runs on real models: which fields of a cell make its key.  No torch is needed to read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .cell_file import CellFile

SuiteKey = tuple[str, str, float, float]
"""Verifier, policy by its name, temperature, top-p."""


@dataclass
class SuiteFile(CellFile):
    """The finished cells of a suite."""

    kind: ClassVar[str] = "veridraft suite"
    name: ClassVar[str] = "suite.jsonl"
    what: ClassVar[str] = "suite"
    fields: ClassVar[tuple[str, ...]] = ("verifier", "policy", "temperature", "top_p")


@dataclass
class CrosscheckFile(SuiteFile):
    """The finished rows of a cross-check."""

    kind: ClassVar[str] = "veridraft cross-check"
    name: ClassVar[str] = "crosscheck.jsonl"
    what: ClassVar[str] = "cross-check"

    @property
    def rows(self) -> tuple[dict[str, Any], ...]:
        """The finished rows in the order of the plan, each with its number of target passes, ``steps``."""
        found = {self.key(cell): cell for cell in self.cells if "left_out" not in cell}
        return tuple({**found[key], "steps": found[key]["trees"]} for key in self.planned if key in found)


@dataclass
class WinsFile(CellFile):
    """The finished texts of each setting."""

    kind: ClassVar[str] = "veridraft wins"
    name: ClassVar[str] = "wins.jsonl"
    what: ClassVar[str] = "run"
    fields: ClassVar[tuple[str, ...]] = ("temperature", "top_p", "text")
