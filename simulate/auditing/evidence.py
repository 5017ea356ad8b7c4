"""Evidence against one law of strings: tests that hold however often one looks, and whenever one stops.

Under a lossless verifier each completed string is, whatever came before, a draw from the target's law P.  For any
law Q of strings the product of ``Q(string) / P(string)`` is then a nonnegative martingale that starts at 1, and
exceeds 1/a at any time with probability at most a (Ville's inequality): an *e-process*.  Q need not be fixed: a
Dirichlet mixture with mean P, ``Q_t = (counts + c P) / (t + c)``, learns the deviation as it shows, and its product
depends on the counts alone.  Here many are averaged, which is an e-process again: over several *views* of the string
(its first d tokens, its token at one place), over several concentrations c, and over single cells of a view, so that
a deviation in one token is found among thousands at the price of their logarithm.

Two more tests share the level.  A mean acceptance length above the greatest that any lossless verifier reaches is
bet on in the same average.  And at each of its looks the total variation between frequencies and P is held against
McDiarmid's bound: this finds less, but it finds every deviation of a known size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import inf, log, pi

import numpy as np
import scipy

from ..batches.intervals import MISS, chance_deviation, total_variation_threshold
from ..batches.rows import Floats, Ints

CONCENTRATIONS: Floats = np.asarray(16.0 ** np.arange(6), dtype=np.float64)
"""The concentrations c of the mixtures: 1 learns from few strings, 16 ** 5 waits for a small deviation."""

BETS = np.array([0.02, 0.1, 0.4, 0.8])
"""Bets on a long mean acceptance, as shares of the largest bet that cannot lose more than all."""

ALL_CELLS = 4096
"""In a view with more cells than this only the cells that were seen are bet on singly."""

MIXTURE_SHARE = 0.75
"""The share of a level that the average of e-processes has; total variation has the rest."""

Pattern = tuple[int | None, ...]
"""Tokens of a string, ``None`` where any token will do; shorter than the string if the rest does not matter."""


@dataclass(frozen=True, eq=False)
class View:
    """A way to look at strings.

    axes : the places of the string that are looked at
    probabilities : (V,) * len(axes), the target's probability of each cell
    """

    axes: tuple[int, ...]
    probabilities: Floats

    @property
    def is_prefix(self) -> bool:
        """Whether the first tokens of the string are looked at."""
        return self.axes == tuple(range(len(self.axes)))

    def pattern(self, cell: int) -> Pattern:
        """The pattern of a cell, by its number in C order."""
        tokens = np.unravel_index(cell, self.probabilities.shape)
        pattern: list[int | None] = [None] * (self.axes[-1] + 1)
        for axis, token in zip(self.axes, tokens, strict=True):
            pattern[axis] = int(token)
        return tuple(pattern)


def views(law: Floats) -> list[View]:
    """Every prefix of the string, longest first, then every single place behind the first; law is (V,) * (L + 1)."""
    return [View(axes, summed) for axes, summed in _margins(law)]


def _margins(array: np.ndarray) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """The sums of an array over strings, for each view, in the order of :func:`views`."""
    prefixes = [array]
    while prefixes[-1].ndim > 1:
        prefixes.append(prefixes[-1].sum(axis=-1))
    for prefix in prefixes:
        yield tuple(range(prefix.ndim)), prefix
    for prefix in prefixes[-2::-1]:
        yield (prefix.ndim - 1,), prefix.sum(axis=tuple(range(prefix.ndim - 1)))


@dataclass(frozen=True)
class TellingCell:
    """The most telling cell: its pattern, its probability, and how often it came, of ``trials``."""

    pattern: Pattern
    expected: float
    count: int
    trials: int

    @property
    def observed(self) -> float:
        """The cell's frequency."""
        return self.count / self.trials


class Evidence:
    """The evidence of the strings of one request, judged at one level.

    Parameters
    ----------
    law : (V,) * (L + 1), the target's probability of each completed string
    level : in (0, 1), the probability that a lossless verifier is ever said to be lossy
    optimum : the greatest E[tau] of a lossless verifier, or None if it is not known
    """

    def __init__(self, law: Floats, level: float, optimum: float | None = None) -> None:
        self.law, self.level, self.optimum = law.ravel(), level, optimum
        self._shape, self.length = law.shape, law.ndim
        self.views = views(law)
        self.counts = np.zeros(law.size, dtype=np.int64)
        self.depths = np.zeros(self.length, dtype=np.int64)
        self.log_e, self.looks, self.error = 0.0, 0, 1.0
        self._smallest = 1.0

    @property
    def trials(self) -> int:
        """How many strings were counted."""
        return int(self.counts.sum())

    @property
    def mean_acceptance_length(self) -> float:
        """Accepted tokens per trial."""
        return float(self.depths @ np.arange(len(self.depths)) / self.trials)

    @property
    def rejects(self) -> bool:
        """True once the evidence has sufficed; it stays so."""
        return self.error <= self.level

    def count(self, strings: Ints, depths: Ints | None = None) -> None:
        """Count strings by their numbers (T,), and how many tokens were accepted (T,), looking at nothing."""
        self.counts += np.bincount(strings, minlength=len(self.counts))
        if depths is not None:
            self.depths += np.bincount(depths, minlength=self.length)

    def look(self, planned: bool = True) -> None:
        """Take stock: the average of the e-processes, and the total variation at this look's share of the level.

        ``planned`` is False for a look at a number of trials that was not fixed beforehand, such as when time has
        run out: the e-processes allow it, the bound on total variation does not.
        """
        if not self.trials:
            return
        self.log_e = max(self.log_e, self._log_average())
        self.error = min(self.error, float(np.exp(-self.log_e)) / MIXTURE_SHARE)
        if planned:
            self._look_at_total_variation()

    @property
    def total_variation(self) -> float:
        """Between the frequencies and the law, in [0, 1]; above 0 by chance alone."""
        return float(np.abs(self.counts / self.trials - self.law).sum() / 2.0)

    @property
    def smallest_total_variation(self) -> float:
        """Any deviation of this total variation would have been found with probability 0.999; 1 if none surely."""
        return self._smallest

    @cached_property
    def log_parts(self) -> float:
        """The logarithm of the number of e-processes that are averaged, those of one view counting as one."""
        return log(2 * len(self.views) * len(CONCENTRATIONS) + (len(BETS) if self._bets else 0))

    @property
    def _bets(self) -> bool:
        return self.optimum is not None and self.optimum < self.length - 1 - 1e-9

    def _look_at_total_variation(self) -> None:
        self.looks += 1
        share = (1.0 - MIXTURE_SHARE) * self.level * 6.0 / (pi * self.looks) ** 2
        threshold = total_variation_threshold(share, self.trials, self.law)
        self._smallest = min(1.0, threshold + chance_deviation(MISS, self.trials))
        if self.total_variation > threshold:
            self.error = min(self.error, self.level)

    def _log_average(self) -> float:
        parts = [log_e(view, counts) for view, counts in self.counted()]
        if self._bets:
            parts.append(_log_bets(self.depths, self.optimum or 0.0))
        return float(np.logaddexp.reduce(np.concatenate(parts)) - self.log_parts)

    def counted(self) -> list[tuple[View, Ints]]:
        """Every view with the counts of its cells: prefixes first, the longest before the others."""
        margins = _margins(self.counts.reshape(self._shape))
        return [(view, counts.ravel()) for view, (_, counts) in zip(self.views, margins, strict=True)]

    def most_telling(self) -> TellingCell:
        """The cell of a prefix that speaks loudest: one of probability 0 that came, else of largest evidence."""
        best: tuple[float, TellingCell] | None = None
        for view, counts in self.counted():
            if not view.is_prefix:
                continue
            scores = surprise(view.probabilities.ravel(), counts) - log(counts.size)
            number = int(scores.argmax())
            expected, found = float(view.probabilities.flat[number]), int(counts[number])
            cell = TellingCell(view.pattern(number), expected, found, self.trials)
            if best is None or scores[number] > best[0] or (scores[number] == inf and best[0] == inf):
                best = float(scores[number]), cell
        assert best is not None
        return best[1]

    def length_exceeds(self) -> bool:
        """True if the acceptance length alone shows that the verifier is lossy."""
        if not self._bets:
            return False
        alone = float(np.logaddexp.reduce(_log_bets(self.depths, self.optimum or 0.0))) - self.log_parts
        return alone >= -log(MIXTURE_SHARE * self.level)

    @property
    def needed(self) -> float:
        """What the logarithm of a first token's own e-process must reach for the evidence to suffice."""
        return self.log_parts + log(self._shape[0]) - log(MIXTURE_SHARE * self.level)


def log_e(view: View, counts: Ints) -> Floats:
    """The logarithms of the view's e-processes: one of all cells and one of single cells per concentration."""
    law = view.probabilities.ravel()
    seen = np.flatnonzero(counts)
    if (law[seen] <= 0).any():
        return np.array([inf])
    trials = int(counts.sum())
    single = _single_cells(law, counts, seen)
    logs = _log_beta(law[single], counts[single], CONCENTRATIONS[:, None], trials)
    alone = np.logaddexp.reduce(logs, axis=1, initial=-inf) - log(law.size)
    return np.concatenate([_log_dirichlet(law[seen], counts[seen], CONCENTRATIONS[:, None], trials), alone])


def _single_cells(law: Floats, counts: Ints, seen: Ints) -> Ints:
    """The cells that are bet on singly: those of probability strictly between 0 and 1, if many only those seen."""
    cells = np.arange(law.size) if law.size <= ALL_CELLS else seen
    return cells[(law[cells] > 0) & (law[cells] < 1)]


def _log_dirichlet(law: Floats, counts: Ints, concentrations: Floats, trials: int) -> Floats:
    """Log of the Dirichlet mixture's probability over the law's, for cells with counts above 0, (concentrations,)."""
    prior = concentrations * law
    learnt = (scipy.special.gammaln(prior + counts) - scipy.special.gammaln(prior) - counts * np.log(law)).sum(axis=1)
    whole = concentrations[:, 0]
    return np.asarray(learnt + scipy.special.gammaln(whole) - scipy.special.gammaln(whole + trials), dtype=np.float64)


def _log_beta(law: Floats, counts: Ints, concentrations: Floats, trials: int) -> Floats:
    """Likewise for each cell against all others together, a beta mixture: (concentrations, cells)."""
    inside, outside = concentrations * law, concentrations * (1.0 - law)
    learnt = scipy.special.betaln(inside + counts, outside + trials - counts) - scipy.special.betaln(inside, outside)
    return np.asarray(learnt - counts * np.log(law) - (trials - counts) * np.log1p(-law), dtype=np.float64)


def _log_bets(depths: Ints, optimum: float) -> Floats:
    """Log of the fortunes of bets that pay ``1 + bet (tau - optimum)`` on each trial."""
    bets = (BETS / optimum if optimum > 0 else BETS)[:, None]
    return (depths * np.log1p(bets * (np.arange(len(depths)) - optimum))).sum(axis=1)


def surprise(law: Floats, counts: Ints) -> Floats:
    """How far each frequency lies from its probability: the divergence of the two coins, times the trials."""
    trials = counts.sum()
    frequency = counts / trials
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(counts > 0, counts * np.log(frequency / law), 0.0)
        down = np.where(counts < trials, (trials - counts) * np.log((1.0 - frequency) / (1.0 - law)), 0.0)
    return np.where((law <= 0) & (counts > 0), inf, np.nan_to_num(up + down, nan=0.0))


def smallest_excess(cells: Floats, trials: int, needed: float) -> float:
    """By how much one of the cells must be too frequent to be found with probability 0.999, whichever it is.

    cells : (n,) probabilities; needed : what the logarithm of a cell's own e-process must reach
    """
    law = np.unique(cells[cells < 1])
    counts = _smallest_counts(law, trials, needed)
    low, high = law, np.ones_like(law)
    for _ in range(30):
        middle = (low + high) / 2
        enough = scipy.special.bdtrc(counts - 1, trials, middle) >= 1.0 - MISS
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return float((high - law).max(initial=0.0))


def _smallest_counts(law: Floats, trials: int, needed: float) -> Ints:
    """(n,) the smallest counts above expectation at which some concentration's e-process is ``needed``; else T + 1."""
    low: Ints = np.asarray(law * trials, dtype=np.int64)
    high: Ints = np.full(len(law), trials + 1, dtype=np.int64)
    inner = np.where(law > 0, law, 0.5)
    while (high - low > 1).any():
        middle = np.clip((low + high) // 2, 0, trials)
        reached = _log_beta(inner, middle, CONCENTRATIONS[:, None], trials).max(axis=0) >= needed
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.asarray(np.where(law > 0, high, 1), dtype=np.int64)
