"""Laws of a node's child list: every list of positive probability, for the solvers that work through them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations_with_replacement, product
from math import factorial, prod
from typing import Any

import numpy as np

from .distributions import Row

TokenList = tuple[int, ...]

ListLaw = Callable[[Row, int], Iterator[tuple[Any, TokenList]]]
"""``law(draft, k)``: the lists of length k with their probabilities, in the row's arithmetic; they sum to 1."""


def iid_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k i.i.d. draws as multisets, tokens ascending: C(V + k - 1, k) of them.  Exact for Fractions."""
    for tokens in combinations_with_replacement(np.flatnonzero(draft).tolist(), k):
        orders = factorial(k) // prod(factorial(count) for count in Counter(tokens).values())
        yield orders * prod(draft[token] for token in tokens), tokens


def ordered_iid_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k i.i.d. draws in draw order: V^k of them.  Exact for Fractions."""
    for tokens in product(np.flatnonzero(draft).tolist(), repeat=k):
        yield prod(draft[token] for token in tokens), tokens


def without_replacement_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of k draws without replacement in draw order, shorter if the support is.  Exact for Fractions."""
    yield from _extended(draft, k, draft[0] * 0 + 1, ())


def _extended(draft: Row, k: int, probability: Any, drawn: TokenList) -> Iterator[tuple[Any, TokenList]]:
    """The lists that begin with the tokens drawn; the draft's row has lost them and is not renormalised."""
    left = draft.sum()
    if len(drawn) == k or not left:
        yield probability, drawn
        return
    for token in np.flatnonzero(draft).tolist():
        rest = draft.copy()
        rest[token] = left * 0
        yield from _extended(rest, k, probability * draft[token] / left, (*drawn, token))


def top_plus_one_lists(draft: Row, k: int) -> Iterator[tuple[Any, TokenList]]:
    """Lists of length k: the k - 1 top tokens, then one draw from the rest (2502.18779); top tokens alone if no
    mass is left for a draw.

    Of equal entries the lower token is the top one.  Exact for Fractions.
    """
    order = np.argsort(-draft, kind="stable").tolist()
    top, rest = order[: k - 1], order[k - 1 :]
    left = draft[rest].sum()
    if not left:
        yield draft[0] * 0 + 1, tuple(order[:k])
        return
    for token in rest:
        if draft[token]:
            yield draft[token] / left, (*top, token)
