"""Ways to get block verification wrong, with their exact laws of emitted blocks on a chain."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.rows.distributions import Row, Scalar
from veridraft.theory.rows.trees import Context
from veridraft.theory.solvers.sequential import naive
from veridraft.theory.verifiers.emission import EmittedLaw
from veridraft.theory.verifiers.lifts import Decision, bottom_up

Scan = Callable[[Sequence[Scalar]], list[Scalar]]
"""From the passing probabilities of positions 0 (always 1) to L, those of keeping each as the accepted one."""


def longest_passing(passing: Sequence[Scalar]) -> list[Scalar]:
    """The longest passing position is kept."""
    kept, left = [], passing[0]
    for chance in reversed(passing):
        kept.append(left * chance)
        left = left * (1 - chance)
    return kept[::-1]


def before_first_failure(passing: Sequence[Scalar]) -> list[Scalar]:
    """The position before the first that fails is kept."""
    kept, left = [], passing[0]
    for chance, following in zip(passing, [*passing[1:], passing[0] * 0], strict=True):
        left = left * chance
        kept.append(left * (1 - following))
    return kept


def emitted_by(pair: Pair, length: int, lift: Any, scan: Scan) -> EmittedLaw:
    """The law of emitted blocks, over all drafts of a chain, when positions pass and rows follow from a lift.

    With ``bottom_up`` positions pass with block verification's probabilities, with ``top_down`` with the token-wise
    ones; the row emitted after each position is that lift's.  (``bottom_up``, longest passing) is block
    verification, (``top_down``, before the first failure) token-wise verification, and the other two are defects.
    """
    zero = pair.target_row(())[0] * 0
    masses: dict[Context, Row] = defaultdict(lambda: pair.target_row(()) * 0)
    for tokens in product(range(pair.vocabulary_size), repeat=length):
        chance, passing, rows = _passing(pair, tokens, lift)
        if chance == 0:
            continue
        for tau, (share, row) in enumerate(zip(scan(passing), rows, strict=True)):
            masses[tokens[:tau]] = masses[tokens[:tau]] + row * (chance * share + zero)
    return EmittedLaw(dict(masses), pair.vocabulary_size**length, length, (), pair)


def _passing(pair: Pair, tokens: Context, lift: Any) -> tuple[Scalar, list[Scalar], list[Row]]:
    """The draft's probability of the path, the passing probabilities of its positions, and the rows after them."""
    one = pair.target_row(())[0] * 0 + 1
    chance, weight, passing, rows = one, one, [], []
    for depth, token in enumerate(tokens):
        here = tokens[:depth]
        chance = chance * pair.draft_row(here)[token]
        if chance == 0:
            return chance, [], []
        mark = weight if lift is bottom_up else one
        decision: Decision = lift(naive).decide(pair.target_row(here), pair.draft_row(here), (token,), mark)
        passing.append(one if depth == 0 else decision.stop if lift is bottom_up else weight)
        rows.append(decision.branching.off_law())
        weight = decision.asks[0].mark if lift is bottom_up else decision.asks[0].enter
    return chance, [*passing, weight], [*rows, pair.target_row(tokens)]


def mean_length(law: EmittedLaw) -> Scalar:
    """E[tau]."""
    return (law.by_depth * np.arange(law.depth + 1)).sum()


def total_variation(law: EmittedLaw) -> Scalar:
    """Total variation between the completed strings of L + 1 tokens and the target's."""
    return sum(abs(observed - expected).sum() for _, observed, expected in law.completed()) / 2
