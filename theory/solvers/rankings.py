"""Split rankings: rules that choose one token of an i.i.d. child list, with the law of the choice in closed form.

Every token's draft probability is cut into *tickets*, and all tickets stand in one total order.  Each draw of
a token carries one of its tickets, at random in proportion to their sizes and independently of the other
draws; the list's best ticket wins, and its token is chosen.  If the tickets up to t hold the draft mass c_t,
ticket t wins with probability ``c_t^k - c_{t-1}^k``: so the law of the chosen token needs no sum over lists.
Whole tokens in some order are the rankings of greedy multi-path selection (2602.16961); splitting tokens
reaches every law of the base polytope of ``H -> draft(H)^k``, and so the best rule there is
(:mod:`.large_transport`).

Tokens may share tickets as a *group*: among several draws of the winning group one is chosen uniformly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from ..rows.distributions import Row, Scalar

NO_GROUP = -1
"""The group of a token that the draft never proposes."""

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SplitRanking:
    """A rule that chooses one token of a list of ``count`` i.i.d. draws from the row ``draft``.

    Fields
    ------
    draft : (V,) float64 or Fractions; the arithmetic of everything below
    count : k >= 1, the length of the lists
    groups : (V,) the group 0..G-1 of each token, ``NO_GROUP`` where the draft is 0
    owners : (T,) the group of each ticket, the worst ticket first
    shares : (T,) positive, the part of its group's draft mass that a ticket holds; each group's sum to 1
    """

    draft: Row
    count: int
    groups: Integers
    owners: Integers
    shares: Row

    @cached_property
    def law(self) -> Row:
        """(V,) the probability that each token is chosen, over lists and tickets; sums to draft.sum() ** k.

        Exact for Fractions; in float64 each entry has small relative error, since nothing is subtracted.
        """
        masses = self.group_masses
        tickets = self.shares * masses[self.owners]
        ends = np.cumsum(tickets)
        starts = np.concatenate([ends[:1] * 0, ends[:-1]])
        chances = tickets * sum(ends**i * starts ** (self.count - 1 - i) for i in range(self.count))
        quotients = _sums(self.owners, chances, len(masses)) / masses
        proposed = self.groups != NO_GROUP
        law = self.draft * 0
        law[proposed] = self.draft[proposed] * quotients[self.groups[proposed]]
        return law

    @cached_property
    def group_masses(self) -> Row:
        """(G,) the draft mass of each group."""
        proposed = self.groups != NO_GROUP
        return _sums(self.groups[proposed], self.draft[proposed], int(self.groups.max()) + 1)

    def choice(self, tokens: Sequence[int]) -> dict[int, Scalar]:
        """The distinct tokens of a list, in order of first appearance, to the probability that each is chosen.

        Sums to 1; exact for Fractions.  Raises ``ValueError`` for a token of draft probability 0, and for a
        list that does not hold ``count`` draws.
        """
        if len(tokens) != self.count:
            raise ValueError(f"the list {tuple(tokens)} has {len(tokens)} draws, but the ranking is for {self.count}")
        for token in tokens:
            if self.groups[token] == NO_GROUP:
                raise ValueError(f"token {token} of the list has draft probability 0: it cannot have been drawn")
        draws = Counter(int(self.groups[token]) for token in tokens)
        wins = self._wins(draws)
        copies = Counter(tokens)
        return {token: wins[self.groups[token]] * copies[token] / draws[self.groups[token]] for token in copies}

    def _wins(self, draws: Counter[int]) -> dict[int, Scalar]:
        """The probability that each group of the list has the best ticket, from its number of draws.

        A ticket wins if all draws hold it or worse ones, and not all hold worse ones.
        """
        zero = self.shares[0] * 0
        reached, wins = dict.fromkeys(draws, zero), dict.fromkeys(draws, zero)
        tickets = sorted((int(ticket), owner) for owner in draws for ticket in self._tickets(owner))
        for ticket, group in tickets:
            others = prod(reached[other] ** number for other, number in draws.items() if other != group)
            before = reached[group]
            reached[group] = before + self.shares[ticket]
            wins[group] += others * (reached[group] ** draws[group] - before ** draws[group])
        return wins

    def _tickets(self, group: int) -> Integers:
        """The tickets of a group, the worst first."""
        order, ends = self._by_owner
        return order[ends[group] : ends[group + 1]]

    @cached_property
    def _by_owner(self) -> tuple[Integers, Integers]:
        """Tickets sorted by group, and where each group begins."""
        order = np.argsort(self.owners, kind="stable")
        return order, np.searchsorted(self.owners[order], np.arange(len(self.group_masses) + 1))


def ranking(draft: Row, count: int, order: Sequence[int]) -> SplitRanking:
    """The rule that chooses the token of the list that stands last in ``order``: one ticket a token.

    ``order`` lists every token of positive draft probability once, the worst first.  The law of the choice is
    that of greedy multi-path selection at one level (2602.16961).  Raises ``ValueError`` for another order.
    """
    support = np.flatnonzero(draft)
    if sorted(order) != support.tolist():
        raise ValueError(f"order must list the {len(support)} tokens of the draft's support once, but is {order}")
    groups = np.full(len(draft), NO_GROUP)
    groups[list(order)] = np.arange(len(support))
    return SplitRanking(draft, count, groups, np.arange(len(support)), draft[support] * 0 + 1)


def _sums(places: Integers, values: Row, size: int) -> Row:
    """(size,) the sums of the values at equal places, in the values' arithmetic."""
    if values.dtype != object:
        return np.bincount(places, weights=values, minlength=size)
    sums = np.full(size, values[0] * 0, dtype=object)
    np.add.at(sums, places, values)
    return sums
