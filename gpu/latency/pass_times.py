"""Pass times that are measured between the steps of a run, and the time of passes that they foresee."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from ..decoding.passes.stopwatch import Span
from ..decoding.step_watch import Size

Timer = Callable[[str, Size], Span]
"""Network and size to the time of one such pass."""


class PassTimes:
    """Times of passes by network, batch rows and tokens in each row.

    For each network and number of rows the narrowest and the widest pass that were asked for are timed; between them
    a pass takes what the line through their means says.
    """

    def __init__(self) -> None:
        self.samples: dict[tuple[str, int, int], list[Span]] = defaultdict(list)
        self._widths: dict[tuple[str, int], set[int]] = defaultdict(set)

    def ask(self, passes: Mapping[str, Iterable[Size]]) -> None:
        """Take note of passes whose time will be wanted."""
        for network, sizes in passes.items():
            for rows, width in sizes:
                known = self._widths[network, rows] | {width}
                self._widths[network, rows] = {min(known), max(known)}

    def measure(self, timer: Timer) -> None:
        """Time each of the noted passes once."""
        for (network, rows), widths in self._widths.items():
            for width in sorted(widths):
                self.samples[network, rows, width].append(timer(network, (rows, width)))

    def seconds(self, network: str, size: Size) -> Span:
        """The foreseen time of a pass; ``ValueError`` for one that nothing was measured near."""
        rows, width = size
        known = sorted(w for name, r, w in self.samples if (name, r) == (network, rows))
        if not known:
            raise ValueError(f"no {network} pass of {rows} rows was measured")
        means = np.array([np.mean(self.samples[network, rows, w], axis=0) for w in known])
        return np.array([np.interp(width, known, means[:, clock]) for clock in range(2)])

    def total(self, network: str, sizes: Iterable[Size]) -> Span:
        """The time of some passes together."""
        return sum((self.seconds(network, size) for size in sizes), start=np.zeros(2))
