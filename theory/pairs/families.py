"""Random families of pairs: Dirichlet rows, Zipf rows, pairs that part with depth."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ..rows.distributions import Row, check_count, normalised
from ..rows.trees import Context
from .base import Pair, check_context, checked_row


class RandomPair(Pair):
    """A pair whose rows at each context are drawn afresh, reproducibly, from a random family.

    ``family(rng, depth)`` returns the two rows for a context of that length; the generator depends on the
    seed and the context alone, so that contexts of any length can be asked for in any order.
    """

    exact = False

    def __init__(
        self, vocabulary_size: int, family: Callable[[np.random.Generator, int], tuple[Row, Row]], seed: int = 0
    ) -> None:
        self.vocabulary_size = check_count("vocabulary_size", vocabulary_size, 1)
        seed = check_count("seed", seed, 0)

        def rows(context: Context) -> tuple[Row, Row]:
            check_context(context, vocabulary_size)
            sequence = np.random.SeedSequence(entropy=seed, spawn_key=context)
            target, draft = family(np.random.default_rng(sequence), len(context))
            return checked_row("target", target, vocabulary_size), checked_row("draft", draft, vocabulary_size)

        self._rows = lru_cache(maxsize=4096)(rows)

    def target_row(self, context: Context) -> Row:
        """The target's row at the context."""
        return self._rows(context)[0]

    def draft_row(self, context: Context) -> Row:
        """The draft's row at the context."""
        return self._rows(context)[1]


def dirichlet_pair(
    vocabulary_size: int, seed: int = 0, concentration: float = 1.0, closeness: float = 0.5
) -> RandomPair:
    """A pair of Dirichlet rows: the draft is ``closeness`` times the target plus the rest of an independent row.

    ``concentration`` > 0 is the Dirichlet parameter of every token (small: peaked; large: flat);
    ``closeness`` in [0, 1] (0: independent rows, 1: equal rows).
    """
    check_count("vocabulary_size", vocabulary_size, 1)
    _check_unit("closeness", closeness)
    _check_positive("concentration", concentration)
    alphas = np.full(vocabulary_size, float(concentration))

    def family(rng: np.random.Generator, depth: int) -> tuple[Row, Row]:
        target = rng.dirichlet(alphas)
        return target, closeness * target + (1 - closeness) * rng.dirichlet(alphas)

    return RandomPair(vocabulary_size, family, seed)


def zipf_pair(vocabulary_size: int, seed: int = 0, exponent: float = 1.0, noise: float = 1.0) -> RandomPair:
    """A pair of Zipf rows: the target's token of rank r has weight r ** -exponent, ranks drawn afresh per context.

    The draft's log weights are the target's plus normal noise of standard deviation ``noise`` >= 0, so that
    it errs in rank and in mass alike.  ``exponent`` >= 0.
    """
    check_count("vocabulary_size", vocabulary_size, 1)
    _check_nonnegative("exponent", exponent)
    _check_nonnegative("noise", noise)
    logs = -exponent * np.log(np.arange(1, vocabulary_size + 1))

    def family(rng: np.random.Generator, depth: int) -> tuple[Row, Row]:
        logits = rng.permutation(logs)
        return softmax(logits), softmax(logits + noise * rng.standard_normal(vocabulary_size))

    return RandomPair(vocabulary_size, family, seed)


def diverging_pair(
    vocabulary_size: int, seed: int = 0, near: float = 0.2, growth: float = 0.2, concentration: float = 1.0
) -> RandomPair:
    """A pair that parts with depth: at depth d the draft is the target mixed with an independent row.

    The independent row's share is ``min(1, near + growth d)``; ``near`` in [0, 1], ``growth`` >= 0.  Rows are
    Dirichlet with the given concentration.
    """
    check_count("vocabulary_size", vocabulary_size, 1)
    _check_unit("near", near)
    _check_nonnegative("growth", growth)
    _check_positive("concentration", concentration)
    alphas = np.full(vocabulary_size, float(concentration))

    def family(rng: np.random.Generator, depth: int) -> tuple[Row, Row]:
        share = min(1.0, near + growth * depth)
        target = rng.dirichlet(alphas)
        return target, (1 - share) * target + share * rng.dirichlet(alphas)

    return RandomPair(vocabulary_size, family, seed)


def softmax(logits: Row) -> Row:
    """Float64 rows (..., V) proportional to the exponentials of the logits."""
    return normalised(np.exp(logits - logits.max(axis=-1, keepdims=True)))


def _check_unit(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], but is {value}")


def _check_positive(name: str, value: float) -> None:
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be positive and finite, but is {value}")


def _check_nonnegative(name: str, value: float) -> None:
    if not 0 <= value < np.inf:
        raise ValueError(f"{name} must be finite and at least 0, but is {value}")
