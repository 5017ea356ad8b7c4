"""Khisti's canonical solver: select one token of the list by importance, then test that one (2410.18234)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np
import scipy

from ..rows.distributions import Row, RowKey, Scalar, is_exact
from .sequential import Branching, Solver, accept_share, scaled, split

TRUNCATION = 5
"""How many top-ranked tokens have free selection weights, as in the published code."""


@dataclass(frozen=True, eq=False)
class Selection:
    """A rule that picks one of two tokens, and the law of the pick.

    ``law`` (V,) is the law of the picked token; ``rank`` (V,) the place of each token in the rule's order, 0 best;
    ``weights`` (s, s) the probability of picking the row's token over the column's, by place, among the best s.
    Any other pair of different tokens gives the better placed one.
    """

    law: Row
    rank: Row
    weights: Row

    def first_wins(self, first: int, second: int) -> Scalar:
        """The probability that the first of two different tokens is picked."""
        places = self.rank[first], self.rank[second]
        if max(places) < len(self.weights):
            return self.weights[places]
        return self.law[0] * 0 + int(places[0] < places[1])


def select(mass: Row, first: Row, second: Row, size: int = TRUNCATION) -> Selection:
    """The selection from two independent tokens, of laws ``first`` and ``second``, that best covers ``mass``.

    Maximises ``sum over the best s tokens of min(mass, law)`` over the weights w[i, j] in [0, 1] of picking i
    from {i, j}, a linear programme of s(s+1)/2 variables, s = min(size, V); tokens are ranked by
    ``mass - first * second``, and outside the best s the better ranked token is picked (2410.18234, appendix I).
    All rows (V,).  The law is computed from the weights, so it is exact whatever the weights' accuracy.
    Raises ``RuntimeError`` if the programme is not solved to optimality.
    """
    order = np.argsort(-(mass - first * second), kind="stable")
    a, b = first[order], second[order]
    size = min(size, len(order))
    best_a, best_b = a[:size], b[:size]
    base = best_a * best_b + best_a * b[size:].sum() + a[size:].sum() * best_b
    both = np.outer(best_a, best_b) + np.outer(best_b, best_a)
    weights = _best_weights(mass[order[:size]], base, both)
    law = np.empty_like(first)
    law[order] = _ranked_law(a, b)
    law[order[:size]] = base + (weights * both).sum(axis=1)
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order))
    return Selection(law, rank, weights)


def _ranked_law(a: Row, b: Row) -> Row:
    """The law of the better placed of two independent tokens, rows in rank order: no differences are taken."""
    worse_a, worse_b = (np.append(np.cumsum(row[:0:-1])[::-1], row[0] * 0) for row in (a, b))
    return a * b + a * worse_b + worse_a * b


def _best_weights(mass: Row, base: Row, both: Row) -> Row:
    """(s, s) weights with w[i, j] + w[j, i] = 1 and zeros on the diagonal, from the linear programme.

    Variables: z (s,) <= mass, then w[i, j] for i < j; maximise sum z subject to z_i <= base_i + sum_j w[i, j]
    both[i, j].
    """
    size = len(mass)
    upper = np.triu_indices(size, 1)
    gain = np.zeros((size, len(upper[0])))
    pairs = both[upper].astype(float)
    gain[upper[0], np.arange(len(pairs))] = pairs
    gain[upper[1], np.arange(len(pairs))] = -pairs
    limit = base.astype(float) + np.bincount(upper[1], pairs, size)
    bounds = [(0, float(value)) for value in mass] + [(0, 1)] * len(pairs)
    cost = np.concatenate([-np.ones(size), np.zeros(len(pairs))])
    answer = scipy.optimize.linprog(
        cost, A_ub=np.hstack([np.eye(size), -gain]), b_ub=limit, bounds=bounds, method="highs"
    )
    if not answer.success:
        raise RuntimeError(f"the selection programme was not solved to optimality: {answer.message}")
    chosen = np.clip(np.asarray(answer.x)[size:], 0, 1)  # bounds hold up to the solver's feasibility tolerance
    values = [Fraction(value).limit_denominator(10**6) for value in chosen] if is_exact(base) else chosen
    weights = np.zeros_like(both) + base[0] * 0
    weights[upper] = values
    weights[upper[1], upper[0]] = 1 - weights[upper]
    return weights


@lru_cache(maxsize=256)
def tournament(mass: RowKey, draft: RowKey, count: int, size: int) -> tuple[Selection, ...]:
    """The selections of ``count - 1`` rounds, the winner so far against the next draft: the same for every list.

    Those of the last 256 pairs of rows are remembered.
    """
    row, found = draft.row, []
    law = row
    for _ in range(count - 1):
        found.append(select(mass.row, law, row, size))
        law = found[-1].law
    return tuple(found)


def canonical(target: Row, draft: Row, tokens: Sequence[int], weight: Scalar = 1, size: int = TRUNCATION) -> Branching:
    """The law of importance-weighted selection followed by speculative sampling (2410.18234, Theorem 1).

    For two drafts the selection is that of :func:`select`; for more a tournament: the winner so far, with its
    law, against the next draft.  The winner Y is accepted with ``min(1, p(Y)/r(Y))``, r its law, else the token
    comes from ``(p - r)+`` normalised, which may hit another token of the list.
    Lossless for i.i.d. lists, exactly so for Fractions (r is computed from the rounded weights); optimal for
    two drafts where the truncation does not bind.  ``size`` is the truncation; rows (V,).
    """
    mass, none = scaled(target, tokens, weight)
    winners, law = {tokens[0]: none * 0 + 1}, draft
    rounds = tournament(RowKey(mass), RowKey(draft), len(tokens), size) if len(tokens) > 1 else ()
    for token, selection in zip(tokens[1:], rounds, strict=True):
        winners, law = _contest(winners, token, selection), selection.law
    listed = dict.fromkeys(tokens, none * 0)
    remaining = none * 0
    for token, chance in winners.items():
        if chance:
            accept = accept_share(mass[token], law[token])
            listed[token] += chance * accept
            remaining += chance * (1 - accept)
    return split(np.maximum(mass - law, none * 0), mass, none, listed, remaining)


def _contest(winners: dict[int, Scalar], token: int, selection: Selection) -> dict[int, Scalar]:
    """The law of the winner given the list, after one more draft has entered."""
    after = dict.fromkeys([*winners, token], selection.law[0] * 0)
    for winner, chance in winners.items():
        stays = 1 if winner == token else selection.first_wins(winner, token)
        after[winner] += chance * stays
        after[token] += chance * (1 - stays)
    return after


def canonical_of(size: int) -> Solver:
    """The canonical solver with another truncation; at ``size`` >= V the programme is the whole of Theorem 1."""
    return partial(canonical, size=size)
