"""The nodes below a root in the order of their draft probabilities, read row by row or level by level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any, TypeVar

from ..pairs.base import Pair
from ..rows.distributions import Row, Scalar
from ..rows.trees import Context
from .top_plus_one import top_tokens

Choice = TypeVar("Choice")

Ranking = tuple[Row, list[int]]
"""A draft row (V,) and its likeliest tokens, likeliest first."""

Nodes = Iterator[tuple[Scalar, Context]]
"""Contexts below a root with their draft probabilities, most probable first."""


def by_product(pair: Pair, context: Context, depth: int) -> Nodes:
    """The contexts below a root, of 1 to ``depth`` tokens, with their draft probabilities, most probable first.

    A context comes after its parent and after its likelier siblings; among equals the one whose turn came
    first, and among equal siblings the lower token.  Contexts of probability 0 are left out.  Best first over a
    heap (2604.12989): the work grows with what is read, and the draft is asked for one row at a time
    (:class:`LevelSearch` asks for a level's together).  Exact for Fractions, since products are compared and not
    their logarithms.
    """

    def ranking(below: Context) -> Ranking:
        row = pair.draft_row(context + below)
        return row, top_tokens(row, len(row))

    return _best_first(ranking, depth)


def _best_first(ranking: Callable[[Context], Ranking | None], depth: int) -> Nodes:
    """The contexts in the order of :func:`by_product`; nothing below those whose ranking is ``None``."""
    order = count()
    heap: list[Any] = []

    def offer(value: Scalar, below: Context, ranked: Ranking, place: int) -> None:
        """Put a node's child on the heap, if there is one in that place and it has positive probability."""
        row, tokens = ranked
        if place < len(tokens) and row[tokens[place]]:
            heappush(heap, (-(value * row[tokens[place]]), next(order), value, below, ranked, place))

    def expand(value: Scalar, below: Context) -> None:
        ranked = ranking(below) if len(below) < depth else None
        if ranked is not None:
            offer(value, below, ranked, 0)

    expand(1, ())
    while heap:
        value, _, parent_value, parent, ranked, place = heappop(heap)
        below = (*parent, ranked[1][place])
        yield -value, below
        offer(parent_value, parent, ranked, place + 1)
        expand(-value, below)


class LevelSearch:
    """Reads the start of :func:`by_product` with the draft asked for a level at a time.

    A search walks through the nodes as far as their parents' rows are known and notes which rows it lacks; these
    are asked for together and the search is repeated, until it lacks none.  So what it finds is what it would
    find row by row.  A rule that takes the fewer of a level's nodes the more nodes there are asks for one level a
    round, for all of its nodes that could still be taken: in the end some of them may not be.

    width : the most nodes that a search takes, hence the most children of one node
    """

    def __init__(self, pair: Pair, context: Context, width: int) -> None:
        self._pair, self._context, self._width = pair, context, width
        self._known: dict[Context, Ranking] = {}
        self._lacking: list[Context] = []

    def find(self, choose: Callable[[Nodes], Choice], depth: int) -> Choice:
        """What ``choose`` makes of the nodes down to a depth, of which it reads as many as it needs."""
        while True:
            chosen = choose(_best_first(self._ranking, depth))
            if not self._lacking:
                return chosen
            self._ask()

    def _ranking(self, below: Context) -> Ranking | None:
        if below not in self._known:
            self._lacking.append(below)
        return self._known.get(below)

    def _ask(self) -> None:
        """Ask the draft for the rows that were lacking."""
        rows = self._pair.draft_rows([self._context + below for below in self._lacking])
        for below, row in zip(self._lacking, rows, strict=True):
            self._known[below] = row, top_tokens(row, self._width)
        self._lacking = []
