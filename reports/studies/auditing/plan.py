"""The audits of the study: of defects, of planted deviations, and of correct procedures for false alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import defect_audits, false_alarms, sensitivity

PARTS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "defects": defect_audits.measure,
    "sensitivity": sensitivity.measure,
    "false alarms": false_alarms.measure,
}
"""How a cell of each part is measured, given its name and number."""


@dataclass(frozen=True)
class AuditingPlan:
    """Audits of correct procedures, and of each defect (twice as many of each planted deviation).

    Raises ``ValueError`` for fewer than one of either.
    """

    audits: int
    seeds: int

    def __post_init__(self) -> None:
        for name in ("audits", "seeds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        parts = {
            "defects": defect_audits.cells(self.seeds),
            "sensitivity": sensitivity.cells(2 * self.seeds),
            "false alarms": false_alarms.cells(self.audits),
        }
        cells = [[part, *cell] for part, found in parts.items() for cell in found]
        return {"audits": self.audits, "seeds": self.seeds, "cells": cells}

    def measure(self, part: str, name: str, number: int) -> dict[str, Any]:
        """One audit, or a piece of the many for false alarms."""
        return PARTS[part](name, number)


def found_in(cells: Iterable[Mapping[str, Any]], part: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The finished cells of a part, by name and number."""
    return {(cell["name"], cell["number"]): dict(cell) for cell in cells if cell["part"] == part}
