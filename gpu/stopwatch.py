"""Where the time of a run goes, phase by phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from .backend import torch


class Stopwatch:
    """Seconds by phase.  ``waits`` makes a device finish before each reading: exact, and slower.

    Without it a phase on a device that computes beside the host holds the time until its work was asked for, and
    the step's one synchronisation holds the rest; on the CPU both are the same.
    """

    def __init__(self, device: torch.device, waits: bool = False) -> None:
        self.device, self.waits = device, waits
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Adds the time spent inside."""
        begin = self._now()
        try:
            yield
        finally:
            self.seconds[name] += self._now() - begin

    def _now(self) -> float:
        if self.waits and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()
