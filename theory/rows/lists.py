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




def without(row: Row, tokens: Sequence[int]) -> Row:
    """(V,) a copy of the row in which some tokens have mass 0; nothing is renormalised."""
    rest = row.copy()
    rest[list(tokens)] = row[0] * 0
    return rest


def independent_lists(row: Row, count: int) -> Iterator[tuple[Any, TokenList]]:
    """Each list of ``count`` independent draws from the row (V,), with its probability; exact for Fractions."""
    for tokens in product(np.flatnonzero(row).tolist(), repeat=count):
        yield prod(row[token] for token in tokens), tokens


def successive_lists(masses: Row, count: int) -> Iterator[tuple[Any, TokenList]]:
    """Each list of ``count`` successive draws without replacement, with its probability; exact for Fractions.

    Each draw is from what the earlier ones left of the masses (V,), renormalised.  Lists are shorter where
    fewer tokens than ``count`` have mass.
    """
    support = np.flatnonzero(masses).tolist() if count else []
    if not support:
        yield 1, ()
        return
    total = masses.sum()
    for token in support:
        for probability, rest in successive_lists(without(masses, (token,)), count - 1):
            yield masses[token] / total * probability, (token, *rest)


def draw_successively(masses: Row, count: int, rng: np.random.Generator) -> TokenList:
    """One list drawn from the law that :func:`successive_lists` lists."""
    tokens: TokenList = ()
    while len(tokens) < count and masses.any():
        tokens += (int(draw(masses, rng.random())),)
        masses = without(masses, tokens[-1:])
    return tokens
