"""Pace: how many trials a callable has decided, and how many it may be given at once."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

GROWTH = 4
"""A chunk of trials is at most so many times as large as the largest before it."""

MOST = {False: 256, True: 16_384}
"""Trials in a chunk at most, one call each and batched in one call."""


class Pace:
    """Counts the trials and calls of a callable, and learns how many trials fit into a time.

    batched : whether a chunk is one call
    most : trials in a chunk, at most; ``None`` for 256, batched 16,384
    seconds : how long a chunk may take, so that it grows no further; ``None`` if it may take any time
    """

    def __init__(self, batched: bool = False, most: int | None = None, seconds: float | None = None) -> None:
        self.most, self.seconds = most or MOST[batched], seconds
        self.trials = self.calls = self._largest = 0
        self._each = 0.0

    def count(self, trials: int, calls: int) -> None:
        """Count calls that are made now."""
        self.trials += trials
        self.calls += calls

    @property
    def chunk(self) -> int:
        """How many trials may be next, at least 1."""
        size = min(self.most, max(1, GROWTH * self._largest))
        if self.seconds is not None and self._each > 0:
            size = min(size, self.fitting(self.seconds))
        return max(1, size)

    def fitting(self, seconds: float) -> int:
        """How many trials fit into a time, by the last chunk; at least 1, and without a chunk any number."""
        return max(1, int(min(seconds / self._each, 1e9))) if self._each > 0 else 10**9

    def chunks(self, trials: int, whole: int = 1, most: int | None = None) -> Iterator[int]:
        """Sizes that add up to so many trials, rounded up to a multiple of ``whole``, as is each; what is done with
        one before the next is asked for is timed."""
        left = -(-trials // whole) * whole
        while left > 0:
            size = min(left, max(1, min(self.chunk, most or self.most) // whole) * whole)
            start = monotonic()
            yield size
            self._learn(size, monotonic() - start)
            left -= size

    def _learn(self, size: int, seconds: float) -> None:
        self._largest = max(self._largest, size)
        self._each = seconds / size
