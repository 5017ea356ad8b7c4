"""The evidence of texts at one level: the average of all bets, which is a fair bet itself.

The families weigh equally, and the bets of one family among each other; so the best bet is paid for by the logarithm
of a number of some dozens, once.  Under a lossless decoder the average ever reaches 1/level with probability at most
``level``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, log

import numpy as np

from ...auditing.evidence import View, log_e
from ...batches.rows import Ints
from .bets import BINS, TILTS, Bets, ranks, tilt_name
from .laws import SETTINGS

FLAT = View((0,), np.full(BINS, 1.0 / BINS))
"""The law of a rank's bin."""

FAMILIES = ("tilts", "settings", "mechanisms", "ranks")

Parts = dict[str, dict[str, float]]
"""For each family the logarithm of each bet's fortune, by name."""


class TokenEvidence:
    """What tokens say against their rows.

    Parameters
    ----------
    by_place : bet by places in the step too, which is valid for token-wise verifiers alone
    seed : of the coins that break ranks
    """

    def __init__(self, by_place: bool = False, seed: int = 0) -> None:
        self.by_place, self.tokens = by_place, 0
        self.most = -inf
        """The largest logarithm of the average so far."""
        self._sums: dict[str, float] = {}
        self._bins: dict[str, Ints] = {}
        self._rng = np.random.default_rng(seed)

    def add(self, bets: Bets) -> None:
        """Count a text in."""
        text = bets.text
        for name, logs in bets.logs.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(logs.sum())
        for name, bins, counted in ranks(text, self._rng):
            if self.by_place or name in ALWAYS:
                self._bins[name] = self._bins.get(name, 0) + np.bincount(bins[counted], minlength=BINS)
        self.tokens += len(text)
        self.most = max(self.most, self.log_e)

    def parts(self) -> Parts:
        """For each family the logarithms of its bets' fortunes, by name."""
        fortunes = dict(self._sums)
        for name, counts in self._bins.items():
            logs = log_e(FLAT, counts)
            fortunes[name] = float(np.logaddexp.reduce(logs) - log(len(logs)))
        return by_family(fortunes)

    @property
    def log_e(self) -> float:
        """The logarithm of the average of all bets' fortunes, now."""
        return log_average(self.parts())

    def ranked(self, name: str = "by the target's row") -> Ints:
        """(BINS,) how many tokens had their rank in each bin."""
        return self._bins.get(name, np.zeros(BINS, dtype=np.int64))


ALWAYS = ("by the target's row", "by the quotient of the rows")
"""The ranks that are valid for every lossless verifier."""

_TILTS = {tilt_name(sign * tilt) for tilt in TILTS for sign in (1, -1)}


def family_of(name: str) -> str:
    """The family of a bet."""
    if name.startswith(ALWAYS):
        return "ranks"
    return "tilts" if name in _TILTS else "settings" if name in SETTINGS else "mechanisms"


def by_family(fortunes: Mapping[str, float]) -> Parts:
    """The bets' fortunes, by family; families without a bet are left out."""
    families: Parts = {family: {} for family in FAMILIES}
    for name, value in fortunes.items():
        families[family_of(name)][name] = value
    return {family: parts for family, parts in families.items() if parts}


def log_average(parts: Parts) -> float:
    """The logarithm of the average of all bets: of the families, each the average of its own."""
    averages = [np.logaddexp.reduce(list(bets.values())) - log(len(bets)) for bets in parts.values()]
    return float(np.logaddexp.reduce(averages) - log(len(FAMILIES))) if averages else 0.0
