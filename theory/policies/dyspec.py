"""DySpec's trees: drawn token by token, each draw where it is most likely to be accepted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass
from math import factorial, inf, lgamma, log, log10
from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..rows.distributions import Row, Scalar, check_count, draw
from ..rows.lists import TokenList, without
from ..rows.trees import Context, DraftTree
from .arguments import POLICIES
from .base import DraftLaw, Policy, grown
from .best_first import check_number


@dataclass(frozen=True)
class Slot:
    """A place for the next draw: below a node, after the ``tokens`` that were drawn there.

    ``value`` estimates the probability that this draw is accepted: the product of the shares of the tokens on
    the path, and of 1 minus those of the earlier siblings, each share taken in what was left of its row.
    """

    value: Scalar
    tokens: TokenList = ()


Slots = dict[Context, Slot]
"""The slot of each node, nodes in the order in which they were drawn."""


@dataclass(frozen=True, repr=False, init=False)
class DySpec(Policy):
    """Draws without replacement, each in the slot of largest value (DySpec, 2410.11744).

    A draw that has share r in what is left of its node's row divides its slot's value v: v r goes to the slot
    below it, v (1 - r) to the slot beside it.  The shares telescope: a node's first slot has the draft probability
    of its path, and each later one that times the mass left.  Among equal slots the node drawn first comes first.

    Parameters
    ----------
    budget : the number of nodes below the root, >= 0; fewer only where nothing is left to draw
    threshold : instead of a budget, fill every slot whose value is at least this, in (0, 1]; level by level, since
        a slot's fate depends on its own value alone, so that the order is immaterial to the law
    depth : the deepest level, >= 0; left out it is the budget, and with a threshold it must be given

    Whether a slot is filled is settled before its token is seen: so rules that hold for draws without
    replacement hold here, although the shape depends on the tokens.  With a threshold the draft is asked for the
    rows of a whole level together.  With a budget it is asked for one row at a time: a slot competes with those
    that earlier draws open, so that no row but the next is sure to be needed.  Raises ``ValueError`` unless
    exactly one of budget and threshold is given.
    """

    budget: int | None
    threshold: Any
    depth: int = MISSING  # type: ignore  # no default; it stands over the abstract property

    def __init__(self, budget: int | None = None, threshold: Any = None, depth: int | None = None) -> None:
        if (budget is None) == (threshold is None):
            raise ValueError(f"budget or threshold must be given, and not both; they are {budget} and {threshold}")
        if budget is None and not 0 < check_number("threshold", threshold) <= 1:
            raise ValueError(f"threshold must lie in (0, 1], but is {threshold}")
        if budget is None and depth is None:
            raise ValueError("depth must be given with a threshold: tokens of share 1 would go on for ever")
        object.__setattr__(self, "budget", budget if budget is None else check_count("budget", budget, 0))
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "depth", check_count("depth", budget if depth is None else depth, 0))  # type: ignore

    @property
    def name(self) -> str:
        """The call that builds the policy."""
        if self.budget is None:
            return f"DySpec(threshold={self.threshold}, depth={self.depth})"
        return f"DySpec({self.budget})" if self.depth == self.budget else f"DySpec({self.budget}, depth={self.depth})"

    @property
    def draft_laws(self) -> frozenset[DraftLaw]:
        """Draws without replacement, whose number hangs on what was drawn before."""
        return frozenset({DraftLaw.ADAPTIVE})

    def sample(self, pair: Pair, rng: np.random.Generator, context: Context = ()) -> DraftTree:
        """A draft tree drawn at the context, with the rows of its nodes."""
        rows, slots = _Rows(pair, context), _start()
        while (below := self._next(rows, slots)) is not None:
            rest = rows.rest(below, slots[below])
            slots = _fill(slots, below, rest, int(draw(rest, rng.random())))
        return _tree(slots, pair, context)

    def enumerate(self, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, DraftTree]]:
        """Every tree of positive probability at the context, with its probability: every outcome of every draw."""
        for probability, slots in self._unfold(_Rows(pair, context), _start()):
            yield probability, _tree(slots, pair, context)

    def tree_count(self, vocabulary_size: int) -> int:
        """An upper bound, far above the count when there is a threshold.

        V^budget, or (V!)^n, with n the most nodes that can have children: at each level at most as many as the
        level above has tokens, and at most 1 / threshold, since the values at one level sum to 1 at most.
        """
        size = check_count("vocabulary_size", vocabulary_size, 1)
        return int(size**self.budget if self.budget is not None else factorial(size) ** self._most_inner(size))

    def log_tree_count(self, vocabulary_size: int, most: float = inf) -> float:
        """The exponents times the logarithms of V, or of V!."""
        size = check_count("vocabulary_size", vocabulary_size, 1)
        if self.budget is not None:
            return self.budget * log10(size)
        return self._most_inner(size) * lgamma(size + 1) / log(10)

    def _most_inner(self, size: int) -> int:
        """The most nodes that can have children."""
        widest, level, total = int(1 / self.threshold), 1, 0
        for _ in range(self.depth):
            total += min(level, widest)
            level = min(level * size, widest)
        return total

    def _unfold(self, rows: _Rows, slots: Slots) -> Iterator[tuple[Any, Slots]]:
        """Probability and slots of every finished tree that starts as these slots do."""
        below = self._next(rows, slots)
        if below is None:
            yield 1, slots
            return
        rest = rows.rest(below, slots[below])
        total = rest.sum()
        for token in np.flatnonzero(rest).tolist():
            for probability, finished in self._unfold(rows, _fill(slots, below, rest, token)):
                if share := rest[token] / total * probability:
                    yield share, finished

    def _next(self, rows: _Rows, slots: Slots) -> Context | None:
        """The node below which the next token is drawn; None when the tree is finished."""
        if self.budget is not None and len(slots) > self.budget:
            return None
        waiting = self._waiting(slots)
        for below in waiting:
            rows.ask(below, waiting if self.budget is None else [below])
            if rows.rest(below, slots[below]).any():
                return below
        return None

    def _waiting(self, slots: Slots) -> list[Context]:
        """The nodes with a slot that may be filled, in the order of draws."""
        opened = [below for below in slots if len(below) < self.depth]
        if self.budget is not None:
            return sorted(opened, key=lambda below: -slots[below].value)
        return sorted((below for below in opened if slots[below].value >= self.threshold), key=len)


class _Rows:
    """The draft's rows at nodes below a root, each asked for once."""

    def __init__(self, pair: Pair, context: Context) -> None:
        self._pair, self._context = pair, context
        self._known: dict[Context, Row] = {}

    def ask(self, needed: Context, nodes: Sequence[Context]) -> None:
        """Unless the needed row is known, ask for it together with those of the nodes that are not known."""
        if needed not in self._known:
            new = [below for below in nodes if below not in self._known]
            self._known |= zip(new, self._pair.draft_rows([self._context + below for below in new]), strict=True)

    def rest(self, below: Context, slot: Slot) -> Row:
        """(V,) the masses from which the slot is filled: the node's row without the tokens already drawn."""
        return without(self._known[below], slot.tokens)


def _start() -> Slots:
    """The root's slot, of value 1."""
    return {(): Slot(1)}


def _fill(slots: Slots, below: Context, rest: Row, token: int) -> Slots:
    """The slots once the token is drawn."""
    slot, total = slots[below], rest.sum()
    beside = Slot(slot.value * (without(rest, (token,)).sum() / total), (*slot.tokens, token))
    return slots | {below: beside, (*below, token): Slot(slot.value * (rest[token] / total))}


def _tree(slots: Slots, pair: Pair, context: Context) -> DraftTree:
    """The tree whose child lists the slots hold; every node below the root was drawn."""
    return grown(lambda below: (slots[below].tokens, [True] * len(slots[below].tokens)), pair, context)


POLICIES["DySpec(budget)"] = DySpec
