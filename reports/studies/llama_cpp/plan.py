"""What the study of llama.cpp's servers computes by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .audits import AUDITS
from .measuring import Measuring
from .running import Starter

MOST_PORT = 65_000


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
