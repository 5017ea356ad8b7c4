"""Where the time of a run goes, phase by phase, by two clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

from ...models.backend import torch

Span = NDArray[np.float64]
"""(2,) seconds: by the wall clock, and of CPU time that the process used."""


@dataclass(frozen=True, eq=False)
class Lap:
    """One use of a phase: its name, what was done in it (a size, say; ``None`` if that was not told), and its time."""

    phase: str
    work: Hashable
    span: Span


class Stopwatch:
    """Seconds by phase; phases may lie inside one another, and each then holds its own time in whole.

    ``waits`` makes a device finish before each reading: exact, and slower.  Without it a phase on a device that
    computes beside the host holds the time until its work was asked for, and the step's one synchronisation holds the
    rest; on the CPU both are the same.  ``laps``, where it is a list, gets one entry for each use of a phase.
    """

    def __init__(self, device: torch.device, waits: bool = False) -> None:
        self.device, self.waits = device, waits
        self.spans: dict[str, Span] = defaultdict(lambda: np.zeros(2))
        self.laps: list[Lap] | None = None

    @property
    def seconds(self) -> dict[str, float]:
        """By phase, the seconds of the wall clock."""
        return {name: float(span[0]) for name, span in self.spans.items()}

    @contextmanager
    def phase(self, name: str, work: Hashable = None) -> Iterator[None]:
        """Adds the time spent inside."""
        begin = self.now()
        try:
            yield
        finally:
            span = self.now() - begin
            self.spans[name] = self.spans[name] + span
            if self.laps is not None:
                self.laps.append(Lap(name, work, span))

    def now(self) -> Span:
        """The two clocks; once the device has done what it was asked, if the stopwatch waits."""
        if self.waits and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return np.array([perf_counter(), process_time()])
