"""Which of two rows at the same roots is ahead: paired ratios with intervals, and what they say of delayed trees.

The units are the same for all rows of a setting, so that the error of a ratio comes from leaving out one unit after the
other from both of its rates at once (jackknife): what the two have in common cancels.  The comparisons of a table share
its level (Bonferroni); where one side is chosen by the same figures, all that could have been chosen are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import comb, exp, log, sqrt

import scipy

from veridraft.gpu.latency.speed_rows import Estimate
from veridraft.theory.speed.jackknife import jackknife_error
from veridraft.theory.verifiers.table import VERIFIERS

from ..suites.rows import Shape
from .rows import LEAST_UNITS, RootRow, RootSetting, Wins, Yardstick

LEVEL = 0.95
"""At which all comparisons of one table hold together."""

ROUNDING = 1e-6
"""Logarithms of two rates that differ by less are not told apart: rows are float32."""

BASELINES = ("naive_tree", "naive", "nss")
"""The first of these among a policy's verifiers is what the others are held against; else the first of the table."""


class Standing(Enum):
    """How one cell stands to another."""

    WINS = "wins"
    LOSES = "loses"
    LEVEL = "not told apart"


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


@dataclass(frozen=True)
class LogRatio:
    """The logarithm of a ratio of rates, its standard error, and the degrees of freedom of that."""

    value: float
    error: float
    freedom: float

    def lead(self, level: float) -> Lead:
        """The ratio with its interval."""
        half = self.error * float(scipy.stats.t.ppf((1 + level) / 2, self.freedom)) + ROUNDING
        return Lead(Estimate(exp(self.value), exp(self.value - half), exp(self.value + half)))


def paired(first: RootRow, second: RootRow, quantity: Yardstick) -> LogRatio:
    """How far the first row is ahead of the second at the same units."""
    without = first.without(quantity) - second.without(quantity)
    return LogRatio(log(first.rate(quantity) / second.rate(quantity)), jackknife_error(without), len(without) - 1)


def dependence(at: RootSetting) -> tuple[float, ...]:
    """How many times as large the error of each row's lead over the fastest is with whole texts left out.

    It is about 1 where units of a text depend on each other no more than those of different texts; () for fewer than
    three texts.
    """
    best, *others = at.ranked(Yardstick.SPEED)
    if len(best.by_text.tokens) < LEAST_UNITS:
        return ()
    pairs = ((paired(best.by_text, row.by_text, Yardstick.SPEED), paired(best, row, Yardstick.SPEED)) for row in others)
    return tuple(by_text.error / by_unit.error for by_text, by_unit in pairs if by_unit.error)


def mean_of(found: Sequence[LogRatio]) -> LogRatio:
    """The mean of independent differences (the ratios' geometric mean), with Welch's degrees of freedom."""
    squares = [(one.error / len(found)) ** 2 for one in found]
    spread = sum(square**2 / one.freedom for square, one in zip(squares, found, strict=True))
    freedom = sum(squares) ** 2 / spread if spread else found[0].freedom
    return LogRatio(sum(one.value for one in found) / len(found), sqrt(sum(squares)), freedom)


def each(count: int, level: float = LEVEL) -> float:
    """The level of each of some intervals that hold together at ``level`` (Bonferroni)."""
    return 1 - (1 - level) / max(count, 1)


def over(at: RootSetting, row: RootRow, other: RootRow | None) -> Lead | None:
    """The lead in tokens per second over another row; ``None`` for none, or for itself.

    All pairs of rows hold together: the best is chosen by the same figures.
    """
    if other is None or other is row:
        return None
    return paired(row, other, Yardstick.SPEED).lead(each(comb(len(at.rows), 2)))


@dataclass(frozen=True, eq=False)
class DelayedLeads:
    """A verifier at a setting: its best row, its delayed tree, and that one's leads.

    independent : its own independent tree; chain : the best of all verifiers
    """

    verifier: str
    best: RootRow
    delayed: RootRow | None
    independent: RootRow | None
    chain: RootRow | None
    over_independent: Lead | None
    over_chain: Lead | None


def delayed_of(at: RootSetting, quantity: Yardstick) -> tuple[DelayedLeads, ...]:
    """One for each verifier; the level is split over all the pairs that could have been chosen."""
    level, chain = each(_candidates(at)), at.best(quantity, shape=Shape.CHAIN)
    found = []
    for verifier in dict.fromkeys(row.verifier for row in at.rows):
        best = at.best(quantity, verifier=verifier)
        assert best is not None, "the verifier has a row"
        delayed = at.best(quantity, verifier=verifier, shape=Shape.DELAYED)
        independent = at.best(quantity, verifier=verifier, shape=Shape.INDEPENDENT)
        over = [paired(delayed, other, quantity).lead(level) if delayed and other else None
                for other in (independent, chain)]  # fmt: skip
        found.append(DelayedLeads(verifier, best, delayed, independent, chain, over[0], over[1]))
    return tuple(found)


def _candidates(at: RootSetting) -> int:
    """How many pairs of a delayed tree with an independent one of its verifier, or with any chain, there are."""
    chains = len(at.select(at.rows, shape=Shape.CHAIN))
    return sum(
        chains + len(at.select(at.rows, shape=Shape.INDEPENDENT, verifier=row.verifier))
        for row in at.select(at.rows, shape=Shape.DELAYED)
    )


def standings(leads: Iterable[Lead | None]) -> dict[Standing, int]:
    """How often the first of two wins, loses, and is not told apart."""
    found = [one.standing for one in leads if one is not None]
    return {standing: found.count(standing) for standing in Standing}


@dataclass(frozen=True)
class SameTrees:
    """A verifier among those of its policy, whose trees are the same, over all settings.

    fastest, most : in how many of ``settings`` it has the most tokens per second, the greatest block efficiency;
    ratio, speed : of its block efficiency, and of its tokens per second, to the baseline's, over settings the geometric
        mean; ``None`` for the baseline
    """

    policy: str
    verifier: str
    baseline: str
    settings: int
    fastest: int
    most: int
    ratio: Lead | None
    speed: Lead | None


def same_trees(run: Wins) -> tuple[SameTrees, ...]:
    """The verifiers of each policy that has several."""
    listed: dict[str, list[str]] = {}
    for verifier, policy in run.file.settings["pairs"]:
        listed.setdefault(policy, []).append(verifier)
    several = {policy: names for policy, names in listed.items() if len(names) > 1 and run.settings}
    level = each(len(Yardstick) * sum(len(names) - 1 for names in several.values()))
    return tuple(_among(run.settings, policy, one, names, level) for policy, names in several.items() for one in names)


def _among(
    settings: Sequence[RootSetting], policy: str, verifier: str, names: Sequence[str], level: float
) -> SameTrees:
    baseline = baseline_of(names)
    rows = [(at.row(verifier, policy), at.row(baseline, policy)) for at in settings]
    ratios = {quantity: mean_of([paired(*both, quantity) for both in rows]) for quantity in Yardstick}
    leads = {quantity: None if verifier == baseline else ratio.lead(level) for quantity, ratio in ratios.items()}
    fastest, most = (_times_best(settings, policy, verifier, quantity) for quantity in Yardstick)
    return SameTrees(policy, verifier, baseline, len(settings), fastest, most,
                     leads[Yardstick.EFFICIENCY], leads[Yardstick.SPEED])  # fmt: skip


def _times_best(settings: Sequence[RootSetting], policy: str, verifier: str, quantity: Yardstick) -> int:
    """In how many settings none of the policy's verifiers has more; those that are level all count."""
    count = 0
    for at in settings:
        rates = {row.verifier: row.rate(quantity) for row in at.select(at.rows, policy=policy)}
        count += rates[verifier] >= max(rates.values()) * (1 - ROUNDING)
    return count


def baseline_of(verifiers: Sequence[str]) -> str:
    """What the others of a policy are held against."""
    return next(name for name in (*BASELINES, *VERIFIERS) if name in verifiers)
