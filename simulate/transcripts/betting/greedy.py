"""Greedy texts: every token must be its row's likeliest, but for ties that rounding decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..transcript import KnownRow, Transcript

MARGIN = 0.1
"""How many nats a token may lie behind the likeliest one and still count as a near-tie."""


@dataclass
class GreedyTally:
    """Counts of tokens: all, those that are not the likeliest, and of these the ones that no near-tie explains.

    worst : (gap in nats, request, place) of the largest gap, or None
    """

    margin: float = MARGIN
    tokens: int = 0
    ties: int = 0
    clear: int = 0
    worst: tuple[float, int, int] | None = field(default=None)

    def add(self, request: int, transcript: Transcript, rows: Sequence[KnownRow]) -> None:
        """Count the tokens of a request against rows as the model gives them, not one-hot."""
        for place, (token, row) in enumerate(zip(transcript.tokens, rows, strict=True)):
            gap = gap_behind_likeliest(row, token)
            self.tokens += 1
            self.ties += 0 < gap <= self.margin
            self.clear += gap > self.margin
            if gap > 0 and (self.worst is None or gap > self.worst[0]):
                self.worst = (gap, request, place)

    @property
    def clear_share(self) -> float:
        """The share of tokens that are not the likeliest, and no near-tie."""
        return self.clear / self.tokens if self.tokens else 0.0


def gap_behind_likeliest(row: KnownRow, token: int) -> float:
    """How many nats the token's probability lies below the largest of the row; infinite if it is not known."""
    best = float(row.masses.max(initial=0.0))
    mass = float(row.at(np.array([token]))[0])
    with np.errstate(divide="ignore"):
        return float(np.log(best) - np.log(mass))
