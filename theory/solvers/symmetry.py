"""Sequential solvers averaged over the orders of their list: the same top-down, better under the bottom-up lift."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from functools import cache
from typing import Any

from ..rows.distributions import Row, Scalar
from .sequential import (
    Branching,
    Solver,
    accept_ratio,
    excess,
    is_used_up,
    k_seq,
    k_seq_parts,
    naive,
    nss,
    rrs,
    rrs_without_replacement,
    scaled,
    split,
)

LONGEST = 8
"""The longest list that is averaged over its orders."""

Copies = tuple[tuple[int, int], ...]
"""Tokens still to be tested, with their numbers of copies."""

Level = Hashable
"""What the tests so far have left behind."""


def symmetrised(solver: Solver) -> Solver:
    """The mean of a sequential solver's law over all k! orders of the list, itself a solver.

    Takes ``nss``, ``naive``, ``rrs``, ``rrs_without_replacement`` and ``k_seq``; lossless for i.i.d. lists, in which
    every order is as likely.  Orders are not listed: those that leave the same tokens and the same residual
    are merged, which for ``rrs`` and ``k_seq`` leaves 2^k states and k residuals of cost O(V).  For
    ``rrs_without_replacement``, whose residual remembers the order, there are up to sum_j k!/j! of both.
    Rows (V,); exact for Fractions.
    Raises ``ValueError`` for another solver, and, when called, for a list longer than 8.
    """
    if solver is nss:
        return nss
    if solver not in _MEANS:
        raise ValueError(f"symmetrised takes the sequential solvers, not {solver!r}")

    def symmetric(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1) -> Branching:
        if len(tokens) > LONGEST:
            raise ValueError(f"a symmetrised solver takes at most {LONGEST} tokens, but the list has {len(tokens)}")
        mass, none = scaled(target, tokens, weight)
        return _MEANS[solver](mass, none, draft, tokens)

    symmetric.__name__ = symmetric.__qualname__ = f"symmetrised_{solver.__name__}"
    symmetric.__doc__ = f"The mean of ``{solver.__name__}`` over the orders of the list."
    return symmetric


def _mean_naive(mass: Row, none: Scalar, draft: Row, tokens: Sequence[int]) -> Branching:
    """Each token of the list is the first in as many orders."""
    listed = dict.fromkeys(tokens, none * 0)
    remaining = none * 0
    for token, copies in Counter(tokens).items():
        accept = accept_ratio(mass[token], draft, token)
        listed[token] += accept * copies / len(tokens)
        remaining += (1 - accept) * copies / len(tokens)
    return split(excess(mass, draft, none * 0 + 1), mass, none, listed, remaining)


def _mean_k_seq(mass: Row, none: Scalar, draft: Row, tokens: Sequence[int]) -> Branching:
    """Every test is the same, so that a level is nothing."""
    rho, residual = k_seq_parts(mass, draft, len(tokens))
    accept = {token: accept_ratio(mass[token] / rho, draft, token) for token in tokens}
    listed, ends = _over_orders(tokens, False, (), none, lambda _, token: accept[token], lambda level, _: level)
    return split(residual, mass, none, listed, sum(ends.values(), none * 0))


def _mean_rrs(mass: Row, none: Scalar, draft: Row, tokens: Sequence[int], erase: bool = False) -> Branching:
    """A level is (c, Z, left): the residual ``(mass - c draft)+ / Z``, and the draft's mass not erased.

    Where Z or the draft's mass is used up, every further test rejects, and the level stays.
    """
    one, listed_tokens = none * 0 + 1, tuple(dict.fromkeys(tokens))

    @cache
    def total_at(level: Scalar) -> Scalar:
        return excess(mass, draft, level).sum() + none

    def accept(level: Any, token: int) -> Scalar:
        taken, total, left = level
        if is_used_up(total, left):
            return none * 0
        kept = max(mass[token] - taken * draft[token], none * 0)
        return accept_ratio(kept / total * left, draft, token)

    def advance(level: Any, after: Copies) -> Level:
        if is_used_up(level[1], level[2]):
            return level
        taken = level[0] + level[1] / level[2]
        if not erase or not after:
            return taken, total_at(taken), one
        rest = draft.copy()
        rest[list(set(listed_tokens) - {token for token, _ in after})] = none * 0
        return taken, total_at(taken), rest.sum()

    listed, ends = _over_orders(tokens, erase, (none * 0, one, one), none, accept, advance)
    residual, rejected = mass * 0, none * 0
    for (taken, total, _), chance in ends.items():
        if total:
            residual += excess(mass, draft, taken) / total * chance
            rejected += none / total * chance
    return split(residual, mass, rejected, listed, sum(ends.values(), none * 0))


def _over_orders(
    tokens: Sequence[int],
    once: bool,
    start: Level,
    none: Scalar,
    accept: Callable[[Level, int], Scalar],
    advance: Callable[[Level, Copies], Level],
) -> tuple[dict[int, Scalar], dict[Any, Scalar]]:
    """Probabilities, over orders and coins, of accepting each token, and of each level after the last rejection.

    ``once`` drops all copies of a token with its first test.
    """
    listed = dict.fromkeys(tokens, none * 0)
    states: dict[tuple[Copies, Level], Scalar] = {(tuple(Counter(tokens).items()), start): none * 0 + 1}
    while any(left for left, _ in states):
        after: dict[tuple[Copies, Level], Scalar] = defaultdict(lambda: none * 0)
        for (left, level), chance in states.items():
            for token, copies in left:
                share = chance * copies / sum(count for _, count in left)
                accepted = accept(level, token)
                listed[token] += share * accepted
                if accepted < 1:
                    rest = _without(left, token, once)
                    after[rest, advance(level, rest)] += share * (1 - accepted)
        states = after
    return listed, {level: chance for (_, level), chance in states.items()}


def _without(left: Copies, token: int, once: bool) -> Copies:
    kept = ((other, count - (other == token and not once)) for other, count in left if other != token or not once)
    return tuple((other, count) for other, count in kept if count)


def _mean_erasing(mass: Row, none: Scalar, draft: Row, tokens: Sequence[int]) -> Branching:
    return _mean_rrs(mass, none, draft, tokens, erase=True)


_MEANS: dict[Solver, Callable[[Row, Scalar, Row, Sequence[int]], Branching]] = {
    naive: _mean_naive,
    rrs: _mean_rrs,
    rrs_without_replacement: _mean_erasing,
    k_seq: _mean_k_seq,
}
