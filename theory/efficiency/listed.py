"""A programme for any rule on any recursive policy: child lists are listed, contexts of one class treated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ..pairs.base import Pair
from ..pairs.layered import layer_below
from ..policies.arguments import OutOfReachError, check_levels
from ..policies.base import RecursivePolicy, State
from ..rows.distributions import Row, is_exact
from ..rows.trees import Context
from ..verifiers.lifts import Decision, Mark
from ..verifiers.table import Verifier

MOST_DECISIONS = 200_000
"""Decisions of the rule at a node, given a child list, above which the listing programme gives up."""


def listed_profile(verifier: Verifier, policy: RecursivePolicy, pair: Pair, context: Context) -> WalkProfile:
    """The profile along the accepted path, over every child list of every (depth, class, state, mark).

    Equal to averaging over all trees; the work is the number of such states times the lists of each, so V^K at
    least.  Exact for Fractions.  Raises ``ValueError`` above ``MOST_DECISIONS`` decisions.
    """
    check_levels(policy)
    lister = _Lister(verifier, policy, pair, context)
    one = pair.target_row(context)[0] * 0 + 1
    stops, variations = lister.below(0, 0, policy.root_state, verifier.rule.start(one))
    return WalkProfile.of(stops, variations[: policy.depth], is_exact(pair.target_row(context)))


class _Lister:
    """The recursion over (depth, class, state, mark), remembered."""

    def __init__(self, verifier: Verifier, policy: RecursivePolicy, pair: Pair, context: Context) -> None:
        self.rule, self.policy, self.pair, self.context = verifier.rule, policy, pair, context
        self.name, self.decisions = verifier.name, 0
        self._known: dict[Any, tuple[Any, Any]] = {}

    def below(self, depth: int, kind: int, state: State, mark: Mark) -> tuple[Any, Any]:
        """For a node come to: (L + 1,) probabilities of accepting at each depth, and divergence times acceptance."""
        key = (depth, kind, state, mark)
        if key not in self._known:
            self._known[key] = self._compute(depth, kind, state, mark)
        return self._known[key]

    def _compute(self, depth: int, kind: int, state: State, mark: Mark) -> tuple[Any, Any]:
        layer = layer_below(self.pair, self.context, depth)
        target, draft = layer.target[kind], layer.draft[kind]
        stops = np.full(self.policy.depth + 1, target[0] * 0)
        variations = stops.copy()
        if self.policy.is_leaf(state):
            stops[depth] = self.rule.leaf(mark)
        else:
            for probability, tokens in self._lists(state, draft):
                decision = self.rule.decide(target, draft, tokens, mark)
                self._follow(depth, state, tokens, decision, probability, stops, variations)
        variations[depth] += layer.total_variation[kind] * stops.sum()
        return stops, variations

    def _follow(
        self, depth: int, state: State, tokens: Context, decision: Decision, reach: Any, stops: Any, variations: Any
    ) -> None:
        """Add what follows from one child list."""
        children = self.policy.child_states(state, tokens)
        deeper = layer_below(self.pair, self.context, depth + 1)
        for token, child, ask in zip(dict.fromkeys(tokens), children, decision.asks, strict=True):
            inside, reach = reach * ask.enter, reach * ask.skip
            if inside == 0 or self.rule.leaf(ask.mark) == 0:
                reach = reach + inside
                continue
            accepted, divergence = self.below(depth + 1, deeper.class_of(token), child, ask.mark)
            stops += accepted * inside
            variations += divergence * inside
            reach = reach + inside * (1 - accepted.sum())
        stops[depth] += reach * decision.stop

    def _lists(self, state: State, draft: Row) -> list[tuple[Any, Context]]:
        """The child lists of a node, counted before any is decided."""
        left = MOST_DECISIONS - self.decisions
        lists = list(islice(self.policy.list_law(state, draft), left + 1))
        self.decisions += len(lists)
        if len(lists) > left:
            raise OutOfReachError(
                f"verifier {self.name!r} with {self.policy!r} on a vocabulary of {self.pair.vocabulary_size} needs "
                f'more than {MOST_DECISIONS} decisions, and no faster programme is known here: use method="sample"'
            )
        return lists


@dataclass(frozen=True, eq=False)
class WalkProfile:
    """Stopping and divergence along the accepted path.

    ``by_depth`` (L + 1,) is the probability that tau is 0, ..., L; ``variation`` (L,) the mean of the total
    variation at the accepted path's node of depth d times the indicator of tau >= d, for d = 0 .. L - 1.
    """

    by_depth: Row
    variation: Row

    @staticmethod
    def of(by_depth: Sequence[Any], variation: Sequence[Any], exact: bool) -> WalkProfile:
        """The profile of two sequences of numbers, in the arithmetic named."""
        kind: Any = object if exact else np.float64
        return WalkProfile(np.array(by_depth, dtype=kind), np.array(variation, dtype=kind))

    def mean_variation(self) -> Row:
        """(D,) the mean total variation at depth d given tau >= d, for the depths d < L that are reached."""
        reach = self.by_depth[::-1].cumsum()[::-1][:-1]
        reached = int(np.count_nonzero(reach != 0))
        return self.variation[:reached] / reach[:reached]
