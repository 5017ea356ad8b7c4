"""Trees whose child lists hold the draft's top tokens by rule and one token that is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass
from typing import Any

import numpy as np

from ..rows.distributions import Row, check_count, draw
from ..rows.lists import TokenList, without
from .arguments import POLICIES
from .base import DraftLaw, RecursivePolicy, State
from .paths import Chain


def top_tokens(row: Row, count: int) -> list[int]:
    """The ``count`` tokens of largest entries of a row (V,), largest first; of equal entries the lower token first.

    All V tokens if V is smaller.  Works for float64 and for Fractions.
    """
    if row.dtype != object and 0 < 4 * count < len(row):  # few of many: only those that can be among them are sorted
        falling = -row  # the many zeros of a draft of few tokens last: in front they take NumPy twenty times as long
        among = np.flatnonzero(falling <= np.partition(falling, count - 1)[count - 1])
        return among[np.argsort(falling[among], kind="stable")[:count]].tolist()
    return np.argsort(-row, kind="stable")[:count].tolist()


class _SameAtAllLevels(RecursivePolicy):
    """A policy whose lists have one law at every inner node; a state is the number of levels left."""

    depth: int = MISSING  # type: ignore
    """A field of the dataclasses below, without a default; it stands over the abstract property."""

    @property
    def root_state(self) -> State:
        """The depth."""
        return self.depth

    def is_leaf(self, state: State) -> bool:
        """True if no level is left."""
        return state == 0

    def child_states(self, state: State, tokens: Sequence[int]) -> tuple[State, ...]:
        """One level less for every child."""
        return (state - 1,) * len(tokens)  # type: ignore[operator]


@dataclass(frozen=True, repr=False)
class TopPlusOne(_SameAtAllLevels):
    """The top m - 1 tokens of the draft's row, then one draw from the row without them, renormalised.

    The draft sampling of Hu et al. (2502.18779) and UniVer (2605.04543).  m >= 1, depth >= 0.  The top tokens
    stand first, largest first (of equal entries the lower token first); they may have probability 0 where fewer
    than m - 1 tokens have more.  The drawn token is last, and missing where the top tokens have all the mass.
    m = 1 is a chain.
    """

    m: int
    depth: int

    def __post_init__(self) -> None:
        check_count("m", self.m, 1)
        check_count("depth", self.depth, 0)

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"TopPlusOne({self.m}, {self.depth})"

    @property
    def most_nodes(self) -> int:
        """The sum of m ** level."""
        return sum(self.m**level for level in range(self.depth + 1))

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """The top tokens and one draw; for m = 1 also those of a single draw."""
        single = Chain(self.depth).draft_laws if self.m == 1 else frozenset()
        return single | {DraftLaw.TOP_PLUS_ONE}

    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """One list for each token that can be drawn, or the top tokens alone."""
        top, rest = self._split(draft_row)
        total = rest.sum()
        if not total:
            yield 1, top
        for token in np.flatnonzero(rest).tolist():
            if probability := rest[token] / total:
                yield probability, (*top, token)

    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """The top tokens, then the draw."""
        top, rest = self._split(draft_row)
        return (*top, int(draw(rest, rng.random()))) if rest.any() else top

    def is_drawn(self, state: State, draft_row: Row, tokens: TokenList) -> tuple[bool, ...]:
        """True for the token in place m."""
        return tuple(place == self.m - 1 for place in range(len(tokens)))

    def _split(self, row: Row) -> tuple[TokenList, Row]:
        """The top tokens, and the row's masses without them."""
        top = tuple(top_tokens(row, self.m - 1))
        return top, without(row, top)


@dataclass(frozen=True, repr=False)
class HubPairs(_SameAtAllLevels):
    """Ordered pairs of the hub, the draft's top token a, and another token i (SpecHub, 2411.05289).

    (i, a) has probability q(i) and (a, i) has q(a) q(i) / (1 - q(a)): a token is drawn from the row; if it is
    the hub a second is drawn from the rest, else the hub follows it.  Put otherwise, the hub is there by
    rule, i is one draw from the row without it, and the hub is the first of the two with probability q(a)
    whatever i is.  The list is (a,) where the hub has all the mass.  Of equal entries the lower token is
    the hub.  depth >= 0.
    """

    depth: int

    def __post_init__(self) -> None:
        check_count("depth", self.depth, 0)

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        return f"HubPairs({self.depth})"

    @property
    def most_nodes(self) -> int:
        """The sum of 2 ** level."""
        return 2 ** (self.depth + 1) - 1

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Hub pairs."""
        return frozenset({DraftLaw.HUB_PAIRS})

    def list_law(self, state: State, draft_row: Row) -> Iterator[tuple[Any, TokenList]]:
        """Two lists for each token but the hub."""
        hub = _hub(draft_row)
        rest = without(draft_row, (hub,))
        total = rest.sum()
        if not total:
            yield 1, (hub,)
        for token in np.flatnonzero(rest).tolist():
            yield draft_row[token], (token, hub)
            if probability := draft_row[hub] * (draft_row[token] / total):
                yield probability, (hub, token)

    def draw_list(self, state: State, draft_row: Row, rng: np.random.Generator) -> TokenList:
        """A draw, then the hub or a second draw."""
        hub, first = _hub(draft_row), int(draw(draft_row, rng.random()))
        rest = without(draft_row, (hub,))
        if first != hub:
            return (first, hub)
        return (hub, int(draw(rest, rng.random()))) if rest.any() else (hub,)

    def is_drawn(self, state: State, draft_row: Row, tokens: TokenList) -> tuple[bool, ...]:
        """False for the hub, True for the other."""
        hub = _hub(draft_row)
        return tuple(token != hub for token in tokens)


def _hub(row: Row) -> int:
    """The row's top token, the lowest of equals."""
    return int(row.argmax())


POLICIES["TopPlusOne(m, depth)"] = TopPlusOne
POLICIES["HubPairs(depth)"] = HubPairs
