"""Every draft that a policy can draw, with its probability, as the arrays that a verifier is called with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair, checked_row
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Delayed
from veridraft.theory.rows.distributions import Row
from veridraft.theory.rows.trees import Context

from ..batches.batch import Batch
from ..forms.form import Form, Inputs, path_inputs, tree_arguments

RowAt = Callable[[Context], Row]
"""A row (V,) for each context below the root."""


def every_draft(
    form: Form, policy: Policy, pair: Pair, context: Context = (), multiplicity: bool = True
) -> Iterator[tuple[Any, Inputs]]:
    """The probability and the arrays, a batch of one trial, of every draft; probabilities sum to 1.

    Rows stay in the pair's arithmetic: Fractions in arrays of dtype object, or float64.  In the form ``generate`` the
    callable drafts by itself, and there is one draft without arrays.

    >>> from fractions import Fraction
    >>> from veridraft.theory import Chain, MarkovPair
    >>> row = [Fraction(1, 4), Fraction(3, 4)]
    >>> for probability, inputs in every_draft(Form.CHAIN, Chain(1), MarkovPair([row] * 2, [row] * 2)):
    ...     print(probability, inputs.arrays[-1])
    1/4 [[0]]
    3/4 [[1]]
    """
    if form is Form.GENERATE:
        yield pair.target_row(context)[0] * 0 + 1, Inputs((), 0, np.arange(1))
    elif isinstance(policy, Delayed):
        for probability, batch in every_batch(policy, pair, context):
            yield probability, path_inputs(form, batch, multiplicity)[0]
    else:
        for probability, tree in policy.enumerate(pair, context):
            arrays = tuple(array[None] for array in tree_arguments(tree, multiplicity, exact=True))
            yield probability, Inputs(arrays, 0, np.arange(1))


def every_batch(policy: Delayed, pair: Pair, context: Context = ()) -> Iterator[tuple[Any, Batch]]:
    """The probability and the batch of one trial of every draw of a policy's paths, orders of draws told apart."""
    target, draft = _below("target", pair, context), _below("draft", pair, context)
    one = target(())[0] * 0 + 1
    for probability, paths in _grown(policy, draft, ((),) * policy.K):
        rows = _stacked(target, paths, policy.depth + 1, target)
        drafts = _stacked(draft, paths, policy.depth, target)
        tokens = np.array(paths, dtype=np.int64).reshape(1, policy.K, policy.depth)
        yield probability * one, Batch(rows, drafts, tokens, policy.L1)


def _below(name: str, pair: Pair, context: Context) -> RowAt:
    """The rows of the target or of the draft below the context, checked and remembered."""
    ask = pair.target_row if name == "target" else pair.draft_row
    return lru_cache(maxsize=4096)(lambda below: checked_row(name, ask(context + below), pair.vocabulary_size))


def _grown(policy: Delayed, draft: RowAt, paths: tuple[Context, ...]) -> Iterator[tuple[Any, tuple[Context, ...]]]:
    """Every way in which the paths can be drawn to their end, with its probability."""
    level = len(paths[0])
    if level == policy.depth:
        yield 1, paths
        return
    draws = paths[:1] if level < policy.L1 else paths
    rows = [draft(path) for path in draws]
    for tokens in product(*(np.flatnonzero(row).tolist() for row in rows)):
        probability = prod(row[token] for row, token in zip(rows, tokens, strict=True))
        each = tokens * (policy.K // len(draws))
        longer = tuple((*path, token) for path, token in zip(paths, each, strict=True))
        for rest, whole in _grown(policy, draft, longer):
            yield probability * rest, whole


def _stacked(rows: RowAt, paths: tuple[Context, ...], levels: int, target: RowAt) -> Row:
    """(1, K, levels, V) the rows before each level of each path; the target says V and the dtype if there is none."""
    if levels == 0:
        return np.zeros((1, len(paths), 0, len(target(()))), dtype=target(()).dtype)
    return np.stack([np.stack([rows(path[:level]) for level in range(levels)]) for path in paths])[None]
