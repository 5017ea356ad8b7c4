"""A file of measured latencies, and the latency model that it is.  No torch is needed to read one.

JSON, with ``kind``, ``command``, ``machine``, ``settings`` (what was measured) and ``cells``: for each cell the
samples, one a round, in seconds by the wall clock (``wall``) and of CPU time (``cpu``).  A cell is named

``target|C|N``, ``draft|C|N``  a pass over N tokens behind C cached ones, up to its float64 rows
``step|VERIFIER|POLICY``       steps of decoding: ``nodes`` of their trees, their ``verification`` and ``overhead``
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import ClassVar

import scipy

from veridraft.theory.speed.latency import Line, PassTable
from veridraft.theory.speed.rates import LatencyModel

from ..files.cell_file import CellFile

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
class LatencyFile(CellFile):
    """Measured latencies: in each round one sample of every block."""

    kind: ClassVar[str] = KIND
    name: ClassVar[str] = "latency.jsonl"
    what: ClassVar[str] = "latency"
    fields: ClassVar[tuple[str, ...]] = ("block", "round")
    grows: ClassVar[str] = "rounds"

    def samples(self, block: str, field: str) -> list[float]:
        """The finished samples of a block, in the order of its rounds."""
        turns = (self.finished.get((block, turn)) for turn in range(self.settings["rounds"]))
        return [record[field] for record in turns if record is not None]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The blocks that have a sample, passes first, in the order of the plan."""
        sampled = {block for block, _ in self.finished}
        return tuple(dict.fromkeys(block for block, _ in self.planned if block in sampled))

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
        found = self.samples(cell, field)
        if not found:
            raise ValueError(f"latency file {self.path} has no sample of {cell!r}: run the same command to finish it")
        return float(STATISTICS[statistic](found))

    def points(
        self, part: str, verifier: str, statistic: str = "median", clock: str = "wall"
    ) -> list[tuple[float, float]]:
        """(mean nodes, seconds) of a part, ``verification`` or ``overhead``, one for each measured policy."""
        found = [block for block in self.blocks if block.startswith(f"step|{verifier}|")]
        return [
            (fmean(self.samples(block, "nodes")), self._value(block, f"{part}_{clock}", statistic)) for block in found
        ]

    @property
    def verifiers(self) -> tuple[str, ...]:
        """The verifiers of which steps were measured."""
        return tuple(dict.fromkeys(block.split("|")[1] for block in self.blocks if block.startswith("step|")))

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
