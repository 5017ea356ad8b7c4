"""Progress of long work on the standard error stream."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TextIO

from ..writing.html import duration


class ProgressLine:
    """Says what is being done: in place on a terminal, elsewhere as a line every few seconds.

    ``label`` names the part, ``total`` its number of pieces, ``done`` those that an earlier run has finished.  As a
    context it says at its end, however that comes, how far it has got.
    """

    def __init__(
        self, label: str, total: int, stream: TextIO | None = None, every: float = 10.0, done: int = 0
    ) -> None:
        self._label, self._total, self._every = label, total, every
        self._stream = stream or sys.stderr
        self._started = self._said = time.monotonic()
        self._done = self._before = done

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

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
        """Say how far the part has got, and how long it took."""
        start = "\r\x1b[K" if self._stream.isatty() else ""
        self._stream.write(f"{start}{self._line(time.monotonic())}\n")
        self._stream.flush()

    def _line(self, now: float) -> str:
        spent, made = now - self._started, self._done - self._before
        missing = self._total - self._done
        left = f", about {duration(spent / made * missing)} left" if made and missing else ""
        return f"{self._label} {self._done}/{self._total} ({spent:.0f} s{left})"
