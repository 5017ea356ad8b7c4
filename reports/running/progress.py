"""Progress of long work on the standard error stream."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Says what is being done: in place on a terminal, elsewhere as a line every few seconds.

    ``label`` names the part, ``total`` its number of pieces, ``done`` those that an earlier run has finished.
    """

    def __init__(
        self, label: str, total: int, stream: TextIO | None = None, every: float = 10.0, done: int = 0
    ) -> None:
        self._label, self._total, self._every = label, total, every
        self._stream = stream or sys.stderr
        self._started = self._said = time.monotonic()
        self._done = done

    def step(self, detail: str) -> None:
        """One piece more is done; ``detail`` says which."""
        self._done += 1
        now = time.monotonic()
        if self._stream.isatty():
            self._stream.write(f"\r\x1b[K{self._line(now)}: {detail}"[:160])
        elif now - self._said >= self._every:
            self._stream.write(f"{self._line(now)}: {detail}\n")
            self._said = now
        self._stream.flush()

    def close(self) -> None:
        """Say that the part is finished, and how long it took."""
        start = "\r\x1b[K" if self._stream.isatty() else ""
        self._stream.write(f"{start}{self._line(time.monotonic())}\n")
        self._stream.flush()

    def _line(self, now: float) -> str:
        return f"{self._label} {self._done}/{self._total} ({now - self._started:.0f} s)"
