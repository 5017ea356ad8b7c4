"""How much an audit may spend: trials of the callable, whatever they are for, and seconds."""

from __future__ import annotations

from math import inf
from time import monotonic

from ..forms.pace import Pace


class Budget:
    """Trials and seconds, counted from the start; a part of a budget ends with the whole.

    pace : counts the trials
    trials : how many more, at most
    seconds : how much longer, at most; ``None`` for no limit
    """

    def __init__(self, pace: Pace, trials: int, seconds: float | None = None) -> None:
        self._pace, self._start = pace, monotonic()
        self._last = pace.trials + trials
        self._end = inf if seconds is None else self._start + seconds

    @property
    def left(self) -> int:
        """Trials that are left, 0 or more."""
        return max(0, self._last - self._pace.trials)

    @property
    def seconds_left(self) -> float:
        """Seconds that are left, 0 or more; infinite without a limit."""
        return max(0.0, self._end - monotonic())

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._start

    def allows(self, trials: int) -> bool:
        """Whether so many trials are left, and time."""
        return trials <= self.left and not self.late()

    def late(self) -> bool:
        """Whether the time is over."""
        return monotonic() >= self._end

    def part(self, trials: int, seconds: float = inf) -> Budget:
        """A budget of so much at most, that begins now."""
        allowed = min(seconds, self.seconds_left)
        return Budget(self._pace, min(trials, self.left), None if allowed == inf else allowed)
