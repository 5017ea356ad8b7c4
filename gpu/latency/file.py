"""A file of measured latencies, and the latency model that it is.  No torch is needed to read one.

JSON, with ``kind``, ``command``, ``machine``, ``settings`` (what was measured) and ``cells``: for each cell the
samples, one a round, in seconds by the wall clock (``wall``) and of CPU time (``cpu``).  A cell is named

``target|C|N``, ``draft|C|N``  a pass over N tokens behind C cached ones, up to its float64 rows
``step|VERIFIER|POLICY``       steps of decoding: ``nodes`` of their trees, their ``verification`` and ``overhead``
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import scipy

from veridraft.theory.speed.latency import Line, PassTable
from veridraft.theory.speed.rates import LatencyModel

KIND = "veridraft latency"

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {"median": median, "mean": fmean}
CLOCKS = ("wall", "cpu")


def pass_cell(network: str, context: int, size: int) -> str:
    """The name of a pass's cell."""
    return f"{network}|{context}|{size}"


def step_cell(verifier: str, policy: str) -> str:
    """The name of a step's cell."""
    return f"step|{verifier}|{policy}"


def median_interval(samples: Sequence[float], level: float = 0.95) -> tuple[float, float] | None:
    """The narrowest pair of order statistics, symmetric in rank, that covers the median with the level at least.

    Valid for independent samples of any continuous law (binomial count of samples below the median).  ``None`` if
    there are too few samples: at level 0.95 fewer than 6.
    """
    ordered, count, rank = sorted(samples), len(samples), 0
    while rank < count and 2 * scipy.stats.binom.cdf(rank, count, 0.5) <= 1 - level:
        rank += 1
    return (ordered[rank - 1], ordered[count - rank]) if rank else None


@dataclass
class LatencyFile:
    """Measured latencies; ``path`` is ``None`` where they are only in memory."""

    path: Path | None
    command: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    cells: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, path: str | Path) -> LatencyFile:
        """The file; ``ValueError`` that says what is missing or wrong in it."""
        try:
            held = json.loads(Path(path).read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"latency file {path} is no JSON: {error}") from None
        if not isinstance(held, dict) or held.get("kind") != KIND:
            raise ValueError(f"latency file {path} is none: its kind is not {KIND!r}")
        for name in ("command", "machine", "settings", "cells"):
            if name not in held:
                raise ValueError(f"latency file {path} lacks {name!r}")
        return cls(Path(path), held["command"], held["machine"], held["settings"], held["cells"])

    def save(self) -> None:
        """Write the whole file beside its place and rename it into it."""
        if self.path is None:
            return
        held = {"kind": KIND, "command": self.command, "machine": self.machine, "settings": self.settings}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".partial")
        scratch.write_text(json.dumps(held | {"cells": self.cells}, indent=None, allow_nan=False) + "\n")
        scratch.replace(self.path)

    def add(self, cell: str, values: Mapping[str, Any]) -> None:
        """Append one sample of every field to a cell."""
        held = self.cells.setdefault(cell, {name: [] for name in values})
        for name, value in values.items():
            held[name].append(value)

    def rounds(self, cell: str) -> int:
        """How many samples a cell has."""
        held = self.cells.get(cell)
        return len(next(iter(held.values()))) if held else 0

    def require_same(self, settings: Mapping[str, Any]) -> None:
        """Raise ``ValueError`` that names the first setting in which what is measured would differ."""
        for name, value in settings.items():
            if self.settings.get(name) != value:
                raise ValueError(
                    f"out {str(self.path)!r} holds latencies with {name} = {self.settings.get(name)!r}, not {value!r}: "
                    "give another file, or remove that one"
                )

    def table(self, network: str, statistic: str = "median", clock: str = "wall") -> PassTable:
        """The passes of a network as a table; ``ValueError`` that names a cell without samples."""
        contexts = tuple(self.settings["contexts"])
        sizes = tuple(self.settings["sizes" if network == "target" else "draft_sizes"])
        rows = tuple(
            tuple(self._value(pass_cell(network, context, size), clock, statistic) for size in sizes)
            for context in contexts
        )
        return PassTable(contexts, sizes, rows, name=f"{network} pass")

    def _value(self, cell: str, field: str, statistic: str) -> float:
        if not self.rounds(cell):
            raise ValueError(f"latency file {self.path} has no sample of {cell!r}: run the same command to finish it")
        return float(STATISTICS[statistic](self.cells[cell][field]))

    def points(
        self, part: str, verifier: str, statistic: str = "median", clock: str = "wall"
    ) -> list[tuple[float, float]]:
        """(mean nodes, seconds) of a part, ``verification`` or ``overhead``, one for each measured policy."""
        found = [cell for cell in self.cells if cell.startswith(f"step|{verifier}|") and self.rounds(cell)]
        return [
            (fmean(self.cells[cell]["nodes"]), self._value(cell, f"{part}_{clock}", statistic)) for cell in found
        ]

    @property
    def verifiers(self) -> tuple[str, ...]:
        """The verifiers of which steps were measured."""
        return tuple(dict.fromkeys(cell.split("|")[1] for cell in self.cells if cell.startswith("step|")))

    def model(self, statistic: str = "median", clock: str = "wall") -> LatencyModel:
        """The latency model: tables of passes, and a line in the nodes for each verifier and for the overhead."""
        lines = {name: Line.through(self.points("verification", name, statistic, clock)) for name in self.verifiers}
        overhead = [point for name in self.verifiers for point in self.points("overhead", name, statistic, clock)]
        return LatencyModel(
            self.table("target", statistic, clock),
            self.table("draft", statistic, clock),
            lines,
            Line.through(overhead) if overhead else Line(),
            name=f"{self.machine['name']}, {self.settings['target']} with {self.settings['draft']}",
            note="measured" + (", random weights" if self.settings["timing_only"] else ""),
        )
