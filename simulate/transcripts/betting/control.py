"""A control run beside the audited one: what the engine's own numerics do to the rows is no defect.

Rows of another engine, of a quantised model or of a coarser float are not quite the law that tokens are drawn from.  A
control run, of the same engine and prompts without speculation, misses them in the same way.  If speculation is
lossless, the two texts of a prompt may be exchanged: any score of the one minus that of the other is as likely to be
positive as negative, whatever the rows are.  On a difference d the bet ``2 / (1 + exp(-2 s d))`` has mean 1 at most
then, for any strength s; a pair of texts can at most double it.  So this test is valid under any mismatch, and asks for
many short texts rather than few long ones.
"""

from __future__ import annotations

from math import inf, log, log1p

import numpy as np

from ...batches.rows import Floats
from .bets import BINS, Bets, ranks
from .evidence import Parts, by_family, log_average

STRENGTHS = np.array([0.125, 0.25, 0.5])
"""Half is best for a score that is the logarithm of the true likelihood ratio, less for one that overstates it."""

LEANS = (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4)
"""By how much a bin of the ranks is taken to be too frequent, as a share of its probability."""


class PairedEvidence:
    """What the difference between two runs of the same prompts says; ``seed`` of the coins that break ranks."""

    def __init__(self, seed: int = 0) -> None:
        self.pairs = 0
        self.most = -inf
        self._logs: dict[str, Floats] = {}
        self._rng = np.random.default_rng(seed)

    def add(self, audited: Bets, control: Bets) -> None:
        """Count in the two texts of a prompt."""
        mine, other = (self._scores(bets) for bets in (audited, control))
        for name in mine.keys() & other.keys():
            gain = log(2.0) - np.logaddexp(0.0, -2.0 * STRENGTHS[:, None] * (mine[name] - other[name]))
            self._logs[name] = self._logs.get(name, 0.0) + gain
        self.pairs += 1
        self.most = max(self.most, self.log_e)

    def _scores(self, bets: Bets) -> dict[str, Floats]:
        """For each bet the score of a text: a bet's logarithm (1,), those of all bins and leans for ranks."""
        scores = {name: logs.sum(keepdims=True) for name, logs in bets.logs.items()}
        name, bins, counted = next(ranks(bets.text, self._rng))
        counts = np.bincount(bins[counted], minlength=BINS)
        leans = np.array(LEANS)[:, None]
        raised, lowered = np.log1p(leans), np.log1p(-leans / (BINS - 1))
        return scores | {name: (counts * raised + (counts.sum() - counts) * lowered).ravel()}

    def parts(self) -> Parts:
        """For each family the logarithm of each score's fortune, by name."""
        averages = {name: np.logaddexp.reduce(logs, axis=None) - log(logs.size) for name, logs in self._logs.items()}
        return by_family({name: float(value) for name, value in averages.items()})

    @property
    def log_e(self) -> float:
        """The logarithm of the average of all fortunes, now."""
        return log_average(self.parts())


def departure(bins: np.ndarray, miss: float = 1e-3) -> tuple[float, float]:
    """Bounds on the total variation of the ranks' law from the flat one, each right with probability 1 - ``miss``.

    The rows' own total variation from the law that tokens are drawn from is, on average over places, at least the
    lower bound.  Bretagnolle-Huber-Carol's inequality for the histogram.
    """
    count = int(bins.sum())
    if not count:
        return 0.0, 1.0
    seen = float(np.abs(bins / count - 1.0 / len(bins)).sum() / 2)
    slack = float(np.sqrt((len(bins) * log(2.0) - log(miss)) / (2.0 * count)))
    return max(0.0, seen - slack), min(1.0, seen + slack)


def pairs_at_least(level: float) -> int:
    """The fewest pairs that can reach a level, if every one doubles the fortune."""
    return int(-(log(level) / log1p(1.0)) // 1) + 1
