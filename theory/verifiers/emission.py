"""The law of the emitted block, averaged over a policy's trees: what certificates and expectations are read from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..display import ByDepth, Sheet
from ..pairs.base import Pair, checked_row
from ..policies.arguments import check_levels
from ..policies.base import Policy, RecursivePolicy, State
from ..rows.distributions import Row, Scalar, is_exact
from ..rows.trees import Context
from .lifts import Decision, Mark
from .table import Verifier

Masses = dict[Context, Row]
"""Accepted tokens to the (V,) probabilities of the token emitted after them."""


@dataclass(frozen=True, eq=False)
class EmittedLaw(ByDepth):
    """The joint law of the accepted tokens and the token after them, over trees and coins.

    ``masses`` maps the accepted tokens (a tuple of length tau) to (V,) probabilities; ``trees`` is the number
    of trees of positive probability that were averaged over; ``depth`` is the policy's.
    """

    masses: Masses
    trees: int
    depth: int
    context: Context
    pair: Pair

    @property
    def by_depth(self) -> Row:
        """(L + 1,) the probability that tau is 0, 1, ..., L."""
        zero = self.pair.target_row(self.context)[0] * 0
        totals = [zero] * (self.depth + 1)
        for accepted, row in self.masses.items():
            totals[len(accepted)] += row.sum()
        return np.array(totals, dtype=object if is_exact(self.pair.target_row(self.context)) else float)

    def sheet(self) -> Sheet:
        """The law of the accepted length."""
        mean = (self.by_depth * np.arange(1, self.depth + 2)).sum()
        facts = (("E[τ + 1]", mean), ("trees", self.trees), ("accepted strings", len(self.masses)))
        return Sheet("What is emitted, over all trees and coins", facts, columns=self._columns())

    def completed(self) -> Iterator[tuple[Context, Row, Row]]:
        """Prefixes of length L with two (V,) rows: probabilities of the completed strings of L + 1 tokens, and
        the target's own.

        A block that ends early is completed by the target.  Prefixes come in lexicographic order, those that
        neither law reaches left out.
        """
        start = self.pair.target_row(self.context)
        zero = start[0] * 0
        yield from self._completed((), zero, zero + 1)

    def _completed(self, prefix: Context, carried: Scalar, wanted: Scalar) -> Iterator[tuple[Context, Row, Row]]:
        """``carried``: probability that the block ended within the prefix and was completed to it."""
        row = self.pair.target_row(self.context + prefix)
        reached = row * carried
        if prefix in self.masses:
            reached = reached + self.masses[prefix]
        target = row * wanted
        if len(prefix) == self.depth:
            yield prefix, reached, target
            return
        for token in range(self.pair.vocabulary_size):
            if reached[token] or target[token] or self._continues((*prefix, token)):
                yield from self._completed((*prefix, token), reached[token], target[token])

    def _continues(self, prefix: Context) -> bool:
        """True if some longer block that is emitted starts with the prefix."""
        return prefix in self._prefixes

    @property
    def _prefixes(self) -> set[Context]:
        found = self.__dict__.get("_found")
        if found is None:
            found = {path[:end] for path in self.masses for end in range(len(path) + 1)}
            object.__setattr__(self, "_found", found)
        return found


def emitted_law(
    verifier: Verifier, policy: Policy, pair: Pair, context: Context = (), merge: bool = True
) -> EmittedLaw:
    """The law of the emitted block over every tree of the policy and every coin of the verifier.

    With ``merge``, and a policy that is recursive, equal subtrees are computed once: given a child list the
    subtrees of its children are independent, so a subtree's law depends on its context, its policy state and
    its mark alone.  Without it, the trees are listed one by one and the verifier's law given each is averaged.
    Exact for Fractions.  Raises ``ValueError`` for a policy of more than 200 levels.
    """
    check_levels(policy)
    if not merge or not isinstance(policy, RecursivePolicy):
        return _listed_law(verifier, policy, pair, context)
    merger = _Merger(verifier, policy, pair, context)
    one = pair.target_row(context)[0] * 0 + 1
    masses, _ = merger.subtree((), policy.root_state, verifier.rule.start(one))
    return EmittedLaw(masses, merger.count((), policy.root_state), policy.depth, context, pair)


def _listed_law(verifier: Verifier, policy: Policy, pair: Pair, context: Context) -> EmittedLaw:
    """The average of the given-tree laws, tree by tree."""
    masses: Masses = {}
    trees = 0
    for trees, (probability, tree) in enumerate(policy.enumerate(pair, context), start=1):  # noqa: B007
        law = verifier.rule.law(tree, rows=True)
        for node in np.flatnonzero(law.stopping):
            _add(masses, tree.context(int(node)), law.next_token[node] * (law.stopping[node] * probability))
    return EmittedLaw(masses, trees, policy.depth, context, pair)


def _add(masses: Masses, accepted: Context, row: Row) -> None:
    masses[accepted] = masses[accepted] + row if accepted in masses else row


class _Merger:
    """The recursion over (context, state, mark), remembered."""

    def __init__(self, verifier: Verifier, policy: RecursivePolicy, pair: Pair, context: Context) -> None:
        self.rule, self.policy, self.pair, self.context = verifier.rule, policy, pair, context
        self._subtrees: dict[Any, tuple[Masses, Scalar]] = {}
        self._counts: dict[Any, int] = {}
        self._rows: dict[tuple[str, Context], Row] = {}

    def subtree(self, below: Context, state: State, mark: Mark) -> tuple[Masses, Scalar]:
        """The block's masses below a node that is come to, and the probability that its subtree is rejected."""
        key = (below, state, mark)
        if key not in self._subtrees:
            self._subtrees[key] = self._compute(below, state, mark)
        return self._subtrees[key]

    def count(self, below: Context, state: State) -> int:
        """The number of subtrees of positive probability at a node."""
        key = (below, state)
        if key not in self._counts:
            self._counts[key] = self._count(below, state)
        return self._counts[key]

    def _row(self, model: str, below: Context) -> Row:
        """The target's or the draft's row below the root, checked when it is first asked for."""
        key = (model, below)
        if key not in self._rows:
            ask = self.pair.target_row if model == "target" else self.pair.draft_row
            self._rows[key] = checked_row(model, ask(self.context + below), self.pair.vocabulary_size)
        return self._rows[key]

    def _compute(self, below: Context, state: State, mark: Mark) -> tuple[Masses, Scalar]:
        target = self._row("target", below)
        if self.policy.is_leaf(state):
            weight = self.rule.leaf(mark)
            return {(): target * weight}, 1 - weight
        draft = self._row("draft", below)
        masses: Masses = {}
        rejected = target[0] * 0
        for probability, tokens in self.policy.list_law(state, draft):
            decision = self.rule.decide(target, draft, tokens, mark)
            rejected = rejected + self._follow(below, state, tokens, decision, probability, masses)
        return masses, rejected

    def _follow(
        self, below: Context, state: State, tokens: Context, decision: Decision, reach: Scalar, masses: Masses
    ) -> Scalar:
        """Add the masses of one child list to ``masses``; return the probability that all of it is rejected."""
        children = self.policy.child_states(state, tokens)
        for token, child, ask in zip(dict.fromkeys(tokens), children, decision.asks, strict=True):
            inside = reach * ask.enter
            reach = reach * ask.skip
            if inside == 0 or self.rule.leaf(ask.mark) == 0:
                reach = reach + inside
                continue
            deeper, rejected = self.subtree((*below, token), child, ask.mark)
            for accepted, row in deeper.items():
                _add(masses, (token, *accepted), row * inside)
            reach = reach + inside * rejected
        if reach * decision.stop:
            _add(masses, (), decision.branching.off_law() * (reach * decision.stop))
        return reach * decision.reject

    def _count(self, below: Context, state: State) -> int:
        if self.policy.is_leaf(state):
            return 1
        total = 0
        for _, tokens in self.policy.list_law(state, self.pair.draft_row(self.context + below)):
            children = zip(dict.fromkeys(tokens), self.policy.child_states(state, tokens), strict=True)
            total += prod(self.count((*below, token), child) for token, child in children)
        return total
