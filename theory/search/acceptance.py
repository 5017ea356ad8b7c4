"""Acceptance as people know it: rates by position of a drafted chain, or a mean length, and what these determine.

Three conventions are about.  *Unconditional* rates (vLLM's ``synthetic_acceptance_rates``): entry i is the probability
that the first i + 1 drafted tokens are all accepted.  *Conditional* rates (AIConfigurator's ``nextn_accept_rates``):
that token i + 1 is accepted given that those before it are.  *Mean lengths*: E[tau + 1] alone, at one number of drafted
tokens each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import isfinite
from operator import mul
from typing import Any

from ..rows.distributions import check_count


@dataclass(frozen=True)
class AcceptanceRates:
    """Unconditional rates by position, (L,), in [0, 1] and never rising.

    They determine the acceptance length of a chain of L tokens under the rule that they were measured with, and of
    shorter ones: under every rule of the table, block verification too, what is drafted deeper changes nothing above.
    Of other rules, of trees, and of more tokens they say nothing: that needs rows.
    """

    unconditional: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.unconditional:
            raise ValueError("rates must be at least one")
        _check_unit("rates", self.unconditional)
        for row, (before, rate) in enumerate(pairwise(self.unconditional), start=1):
            if rate > before:
                raise ValueError(
                    f"rates row {row} is {rate} after {before}: unconditional rates (the first {row + 1} tokens are "
                    "all accepted) cannot rise; conditional ones must be given as such"
                )

    @classmethod
    def of_conditional(cls, rates: Sequence[Any]) -> AcceptanceRates:
        """The rates whose conditional ones are given; ``ValueError`` for one outside [0, 1]."""
        _check_unit("conditional rates", rates)
        return cls(tuple(accumulate(rates, mul)))

    @property
    def depth(self) -> int:
        """L, the most tokens of which the rates speak."""
        return len(self.unconditional)

    @property
    def conditional(self) -> tuple[Any, ...]:
        """The probability that each token is accepted given that those before it are; 0 where that cannot be."""
        pairs = pairwise((1, *self.unconditional))
        return tuple(after / before if before else after for before, after in pairs)

    def tokens(self, drafted: int) -> Any:
        """E[tau + 1] of a chain of so many drafted tokens; ``ValueError`` for more than L."""
        if check_count("drafted", drafted, 0) > self.depth:
            raise ValueError(f"drafted is {drafted}, but rates are known for {self.depth} positions")
        return 1 + sum(self.unconditional[:drafted])


@dataclass(frozen=True)
class MeanLengths:
    """Mean acceptance lengths E[tau + 1], each by the number of drafted tokens that it was measured at.

    They are no distributions, and each speaks of chains of its own length alone: lengths that were measured one by one
    need not grow as those of one rule would.
    """

    by_drafted: Mapping[int, Any]

    def __post_init__(self) -> None:
        if not self.by_drafted:
            raise ValueError("acceptance lengths must be at least one")
        for drafted, tokens in self.by_drafted.items():
            check_count("drafted", drafted, 1)
            if not 1 <= tokens <= drafted + 1:
                raise ValueError(
                    f"acceptance length must lie in [1, {drafted + 1}], as {drafted} tokens are drafted and one more "
                    f"is emitted, but is {tokens}"
                )


def _check_unit(name: str, rates: Sequence[Any]) -> None:
    """Raise ``ValueError`` that names the row for a rate outside [0, 1]."""
    for row, rate in enumerate(rates):
        if not isfinite(rate) or not 0 <= rate <= 1:
            raise ValueError(f"{name} row {row} must lie in [0, 1], but is {rate}")
