"""Laws of a node's child list: every list of positive probability, for the solvers that work through them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement, product
from math import factorial, prod
from typing import Any

import numpy as np

from .distributions import Row, draw

TokenList = tuple[int, ...]
"""A child list as tokens, in draw order, with multiplicity."""

ListLaw = Callable[[Row, int], Iterator[tuple[Any, TokenList]]]
"""``law(draft, k)``: the lists of length k with their probabilities, in the row's arithmetic; they sum to 1.

In float64 a list whose probability underflows to 0 is left out.
"""


def iid_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k i.i.d. draws as multisets, tokens ascending: C(V + k - 1, k) of them.  Exact for Fractions."""
    for tokens in combinations_with_replacement(np.flatnonzero(draft).tolist(), k):
        orders = factorial(k) // prod(factorial(count) for count in Counter(tokens).values())
        probability = orders * prod(draft[token] for token in tokens)
        if probability:
            yield probability, tokens


def ordered_iid_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k i.i.d. draws in draw order: V^k of them.  Exact for Fractions."""
    for tokens in product(np.flatnonzero(draft).tolist(), repeat=k):
        probability = prod(draft[token] for token in tokens)
        if probability:
            yield probability, tokens


def without_replacement_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k successive draws without replacement, in draw order.  Exact for Fractions.

    Each draw is from what the earlier ones left of the row (V,), renormalised, so that the row may hold masses of any
    sum.  Lists are shorter where fewer than k tokens have mass.
    """
    support = np.flatnonzero(draft).tolist() if k else []
    if not support:
        yield draft[0] * 0 + 1, ()
        return
    total = draft.sum()
    for token in support:
        for probability, rest in without_replacement_lists(without(draft, (token,)), k - 1):
            if share := draft[token] / total * probability:
                yield share, (token, *rest)


def draw_without_replacement(draft: Row, k: int, rng: np.random.Generator) -> TokenList:
    """One list drawn from the law that :func:`without_replacement_lists` lists."""
    tokens: TokenList = ()
    while len(tokens) < k and draft.any():
        tokens += (int(draw(draft, rng.random())),)
        draft = without(draft, tokens[-1:])
    return tokens


def without(row: Row, tokens: Sequence[int]) -> Row:
    """(V,) a copy of the row in which some tokens have mass 0; nothing is renormalised."""
    rest = row.copy()
    rest[list(tokens)] = row[0] * 0
    return rest
