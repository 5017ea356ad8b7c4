"""Which cell of a suite is ahead: ratios of two independent rates, with intervals, and the winners they make.

A rate is a ratio of sums over rounds of all passes: tokens over seconds, or over trees.  Tokens are those that the
laws of the drafted trees give, so that chance in the verifier's coins is averaged out.  The error of a rate's
logarithm comes from leaving out one round after the other (jackknife); the errors of two cells are independent, so
their squares add, and Student's quantile takes Welch's degrees of freedom.  Cells run one after another: a drift of
the machine between them is not in these intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from math import exp, log, sqrt

import numpy as np
import scipy

from veridraft.gpu.latency.speed_rows import Estimate

from .rows import Setting, Shape, Suite, SuiteRow


class Quantity(Enum):
    """What cells are compared by."""

    SPEED = "tokens per second"
    EFFICIENCY = "block efficiency"


class Standing(Enum):
    """How one cell stands to another."""

    WINS = "wins"
    LOSES = "loses"
    LEVEL = "not told apart"


@dataclass(frozen=True)
class Rate:
    """The logarithm of a rate, its standard error, and the rounds that both come from."""

    value: float
    error: float
    rounds: int


def rate(row: SuiteRow, quantity: Quantity) -> Rate:
    """The rate of a row; it needs the rounds of :attr:`.SuiteRow.speed`."""
    above, trees, seconds = row.sums()
    below = seconds if quantity is Quantity.SPEED else trees
    count = len(above)
    without = np.log((above.sum() - above) / (below.sum() - below))
    error = sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    return Rate(log(above.sum() / below.sum()), error, count)


@dataclass(frozen=True)
class Lead:
    """By what factor one cell's rate is another's, with its interval."""

    ratio: Estimate

    @property
    def standing(self) -> Standing:
        """Told apart only where 1 lies outside the interval."""
        if self.ratio.low > 1:
            return Standing.WINS
        return Standing.LOSES if self.ratio.high < 1 else Standing.LEVEL


def lead(first: SuiteRow, second: SuiteRow, quantity: Quantity, level: float) -> Lead:
    """How far the first row is ahead of the second."""
    one, other = rate(first, quantity), rate(second, quantity)
    difference, error = one.value - other.value, sqrt(one.error**2 + other.error**2)
    half = error * float(scipy.stats.t.ppf((1 + level) / 2, _freedom(one, other))) if error else 0.0
    return Lead(Estimate(exp(difference), exp(difference - half), exp(difference + half)))


def _freedom(one: Rate, other: Rate) -> float:
    """Welch's degrees of freedom."""
    squares = [(found.error**2, found.rounds - 1) for found in (one, other)]
    return sum(square for square, _ in squares) ** 2 / sum(square**2 / count for square, count in squares)


@dataclass(frozen=True, eq=False)
class Win:
    """The rows of a setting, the best of them by a quantity, and how far it is ahead."""

    setting: Setting
    rows: tuple[SuiteRow, ...]
    quantity: Quantity
    level: float

    @cached_property
    def ranked(self) -> tuple[SuiteRow, ...]:
        """The rows, the greatest first."""
        return tuple(sorted(self.rows, key=lambda row: -rate(row, self.quantity).value))

    @property
    def best(self) -> SuiteRow:
        """The greatest."""
        return self.ranked[0]

    @property
    def runner_up(self) -> SuiteRow | None:
        """The second."""
        return self.ranked[1] if len(self.ranked) > 1 else None

    def over(self, row: SuiteRow | None) -> Lead | None:
        """The lead of the best over a row; ``None`` for none, or for itself."""
        return None if row is None or row is self.best else lead(self.best, row, self.quantity, self.level)

    @cached_property
    def equals(self) -> int:
        """How many others are not told apart from the best."""
        leads = [lead(self.best, row, self.quantity, self.level) for row in self.ranked[1:]]
        return sum(one.standing is Standing.LEVEL for one in leads)

    @property
    def plain(self) -> SuiteRow | None:
        """Plain decoding, where it was run."""
        return self.best_of(Shape.PLAIN)

    def best_of(self, shape: Shape) -> SuiteRow | None:
        """The greatest of a shape."""
        return next((row for row in self.ranked if row.shape is shape), None)


def wins(suite: Suite, quantity: Quantity) -> tuple[Win, ...]:
    """One for each setting that has a row with a throughput; intervals at the suite's level, each by itself."""
    found = []
    for setting in suite.settings:
        rows = tuple(row for row in suite.at(setting) if row.speed is not None)
        if rows:
            found.append(Win(setting, rows, quantity, suite.level))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Delay:
    """A verifier at a setting: its best delayed tree, independent tree and chain, and the leads of the first.

    Where the verifier did not run on chains, the chain is the best of all verifiers.
    """

    setting: Setting
    verifier: str
    delayed: SuiteRow
    independent: SuiteRow | None
    chain: SuiteRow | None
    over_independent: Lead | None
    over_chain: Lead | None


def delays(suite: Suite, quantity: Quantity) -> tuple[Delay, ...]:
    """One for each verifier and setting with a delayed tree and something to hold it against."""
    found = []
    for win in wins(suite, quantity):
        for verifier in dict.fromkeys(row.verifier for row in win.rows):
            own = Win(win.setting, tuple(row for row in win.rows if row.verifier == verifier), quantity, win.level)
            delayed = own.best_of(Shape.DELAYED)
            others = own.best_of(Shape.INDEPENDENT), own.best_of(Shape.CHAIN) or win.best_of(Shape.CHAIN)
            if delayed is not None and any(others):
                over = [None if other is None else lead(delayed, other, quantity, win.level) for other in others]
                found.append(Delay(win.setting, verifier, delayed, others[0], others[1], over[0], over[1]))
    return tuple(found)


def tally(found: Sequence[Delay]) -> dict[Standing, int]:
    """How often delayed trees win, lose, and are not told apart, over all comparisons."""
    leads = [one for delay in found for one in (delay.over_independent, delay.over_chain) if one is not None]
    return {standing: sum(one.standing is standing for one in leads) for standing in Standing}
