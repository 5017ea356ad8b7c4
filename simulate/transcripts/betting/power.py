"""In how many tokens known departures would be found along the texts at hand, beside the fewest that any test needs."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log

import numpy as np

from .bets import Bets, prudent
from .evidence import FAMILIES, family_of
from .texts import FLOOR

LOOKED_AT = 2000
"""Tokens along which rates are taken; the first ones."""


@dataclass(frozen=True)
class Sensitivity:
    """One departure.

    name : of the bet on it
    needed : tokens until its bet alone carries the average to the level, in the mean
    floor : tokens that a test needs which knows the departure: log(1/level) over the mean divergence; both may be inf
    """

    name: str
    needed: float
    floor: float


class Rates:
    """Sums, over the first tokens, of what each bet would gain at a token if its law were true."""

    def __init__(self) -> None:
        self.tokens = 0
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, bets: Bets) -> None:
        """Count a text in, until enough tokens were seen."""
        if self.tokens >= LOOKED_AT:
            return
        text = bets.text
        for name, laws in bets.laws.items():
            gain, divergence = self._sums.get(name, (0.0, 0.0))
            bet = np.log(prudent(laws, text.target) / text.target)
            own = np.log(np.maximum(laws, FLOOR * 1e-6) / text.target)
            self._sums[name] = (gain + float((laws * bet).sum()), divergence + float((laws * own).sum()))
        self.tokens += len(text)

    def sensitivities(self, level: float) -> list[Sensitivity]:
        """Every departure, those found first at the top."""
        sizes = {name: sum(family_of(other) == family_of(name) for other in self._sums) for name in self._sums}
        found = [
            Sensitivity(
                name,
                _tokens(log(1 / level) + log(len(FAMILIES) * sizes[name]), gain / self.tokens - FLOOR),
                _tokens(log(1 / level), divergence / self.tokens),
            )
            for name, (gain, divergence) in self._sums.items()
        ]  # fmt: skip
        return sorted(found, key=lambda one: one.needed)


def _tokens(needed: float, rate: float) -> float:
    return needed / rate if rate > 1e-9 else inf
