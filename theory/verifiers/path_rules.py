"""Rules that are not a solver under a lift: multi-path block verification, and hierarchical verification."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from ..rows.distributions import Row, Scalar, is_exact
from ..solvers.sequential import Branching, accept_ratio, excess, naive, nss
from .lifts import Ask, Decision, Mark, Rule, bottom_up

LARGEST_RATIO = 1e150
"""The most that a joint ratio of float64 counts for: its square is still finite."""


@dataclass(frozen=True)
class GreedyMultiPath(Rule):
    """Greedy multi-path block verification over K i.i.d. paths (GBV, 2602.16961).

    One path is chosen: at every node the listed token of greatest p/q.  Then block verification runs on that
    path, against the law of the choice instead of the draft's.  With tokens ordered by p/q at each node, a path
    of the chosen prefix is the best of K, so that its next token t has probability
    ``(hi^K - lo^K) / (1 - below^K)``, where ``below`` is the probability that one path ranks under the prefix,
    given that it does not rank over it, and [lo, hi] is the slice of [below, 1] that t cuts from the rest.

    ``ascending_ties`` orders equal ratios by token, upwards or downwards, in the choice and in the law alike.
    A mark is (weight, K, below); K is 0 until the first list of two or more, so that a shared trunk keeps the
    draft's law.
    """

    ascending_ties: bool = True

    def start(self, one: Scalar) -> Mark:
        """Weight 1, no paths told apart yet."""
        return one, 0, one * 0

    def leaf(self, mark: Mark) -> Scalar:
        """The weight."""
        return mark[0]

    def decide(self, target: Row, draft: Row, tokens: Sequence[int], mark: Mark) -> Decision:
        """Block verification's decision for the best listed token; the others are passed by."""
        weight, paths, below = mark
        if paths == 0 and len(tokens) > 1:
            paths = len(tokens)
        order = self.order(target, draft)
        place = np.empty(len(order), dtype=int)
        place[order] = np.arange(len(order))
        best = max(tokens, key=place.__getitem__)
        law, child_below = (draft, below) if paths == 0 else best_of(draft, order, paths, below, best)
        solver = naive if law[best] else nss  # a choice whose probability underflowed to 0
        decision = bottom_up(solver).decide(target, law, (best,), weight)
        ask, zero = decision.asks[0], weight * 0
        passed = Ask(zero, zero + 1, (zero, paths, zero))
        chosen = Ask(ask.enter, ask.skip, (ask.mark, paths, child_below))
        asks = tuple(chosen if token == best else passed for token in dict.fromkeys(tokens))
        return Decision(asks, decision.stop, decision.reject, decision.branching)

    def order(self, target: Row, draft: Row) -> Any:
        """(V,) the tokens by p/q upwards; those that the draft cannot draw stand first, where they cut nothing."""
        places = np.arange(len(draft)) * (1 if self.ascending_ties else -1)
        with np.errstate(over="ignore"):  # ratios above the largest float are equal
            ratio = np.where(draft > 0, target, -1) / np.where(draft > 0, draft, 1)
        if is_exact(target):
            return np.array(sorted(range(len(draft)), key=lambda token: (ratio[token], places[token])))
        return np.lexsort((places, ratio))


def best_of(draft: Row, order: Any, paths: int, below: Scalar, token: int) -> tuple[Row, Scalar]:
    """The law (V,) of the best of K paths' next token, and ``below`` after the given token.

    ``order`` (V,) lists the tokens upwards; ``below`` in [0, 1) is the probability that a path ranks under the
    prefix given that it does not rank over it.  ``hi^K - lo^K`` is taken as
    ``(hi - lo) sum_i hi^i lo^(K-1-i)``, so that nothing cancels in any precision.
    """
    ordered = draft[order]
    up_to = np.cumsum(ordered)
    lows, highs = below + (1 - below) * (up_to - ordered), below + (1 - below) * up_to
    law = np.empty_like(draft)
    law[order] = ordered * _powers(highs, lows, paths) / _powers(below * 0 + 1, below, paths)
    place = int(np.flatnonzero(order == token)[0])
    return law, lows[place] / highs[place]


def _powers(high: Any, low: Any, count: int) -> Any:
    """sum over i < count of high^i low^(count - 1 - i), by Horner's scheme in both."""
    total, power = high * 0 + 1, low * 0 + 1
    for _ in range(count - 1):
        power = power * low
        total = total * high + power
    return total


@dataclass(frozen=True)
class Hierarchical(Rule):
    """Hierarchical verification of one path, with capped ratios (HSD, 2601.05724, Algorithm 2).

    With ``r(t)`` the joint ratio of target to draft of the first t tokens and m the place before t where it was
    greatest (0 if never above 1), the capped ratio is ``r*(t) = min(r(m), 1) r(t) / r(m)``.  Positions are scanned
    from the last back: the last is accepted with ``min(1, r*)``, position t with the quotient of
    ``sum (r* - 1)+ q`` and ``sum (1 - r*)+ q`` over the next token, whose residual is ``(r* - 1)+ q``.
    With the next place, m moves to t where ``r*(t) > 1``: so ``min(1, r*)``, times the next token's p/q and cut to 1
    again, is all there is to carry, and no joint ratio has to be formed, which could overflow.

    ``capped_end=False`` accepts the last position with the uncapped ratio r, as the public code does.
    A mark is min(1, r*), and where the end is not capped the pair of it and r.
    """

    capped_end: bool = True

    def start(self, one: Scalar) -> Mark:
        """Ratio 1."""
        return one if self.capped_end else (one, one)

    def leaf(self, mark: Mark) -> Scalar:
        """min(1, r*), or min(1, r) if the end is not capped."""
        return mark if self.capped_end else min(mark[1], mark[1] * 0 + 1)

    def decide(self, target: Row, draft: Row, tokens: Sequence[int], mark: Mark) -> Decision:
        """Later positions first, then this one with the quotient of the two branch divergences."""
        (token,), weight = tokens, mark if self.capped_end else mark[0]
        one, capped = weight * 0 + 1, target * weight
        residual, opposite = excess(capped, draft, one), excess(draft, capped, one).sum()
        over = residual.sum()
        accept = over / opposite if over < opposite else (one if over else over)
        ahead = accept_ratio(capped[token], draft, token)
        if not self.capped_end:
            ahead = ahead, joint_ratio(mark[1], target[token], draft[token])
        branching = Branching((token,), (one * 0,), over, one * 0, residual, over)
        return Decision((Ask(one, one * 0, ahead),), accept, 1 - accept, branching)


def joint_ratio(before: Scalar, target: Scalar, draft: Scalar) -> Scalar:
    """``before * target / draft`` > 0 for a drawn token; in float64 at most ``LARGEST_RATIO``, so that it stays finite.

    A prefix that comes there has a draft probability of less than 1 over that.
    """
    if isinstance(before, Fraction):
        return before * target / draft
    step = target / draft if target < LARGEST_RATIO * draft else LARGEST_RATIO
    return min(before * step, LARGEST_RATIO)
