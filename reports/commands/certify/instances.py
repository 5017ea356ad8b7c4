"""Random instances for certificates: small pairs in exact fractions, awkward ones included on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np

from veridraft.theory.pairs.base import TablePair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.rows.distributions import Row, exact, normalised
from veridraft.theory.rows.trees import Context

RowPair = tuple[Row, Row]
Maker = Callable[[np.random.Generator, int], RowPair]


def _fractions(weights: np.ndarray) -> Row:
    return normalised(exact(weights.astype(int)))


def _positive(rng: np.random.Generator, size: int) -> RowPair:
    return _fractions(rng.integers(1, 10, size)), _fractions(rng.integers(1, 10, size))


def _with_zeros(rng: np.random.Generator, size: int) -> RowPair:
    def row() -> Row:
        weights = rng.integers(0, 4, size)
        weights[rng.integers(size)] += 1
        return _fractions(weights)

    return row(), row()


def _disjoint(rng: np.random.Generator, size: int) -> RowPair:
    order = rng.permutation(size)
    cut = rng.integers(1, size)
    first, second = np.zeros(size), np.zeros(size)
    first[order[:cut]] = rng.integers(1, 10, cut)
    second[order[cut:]] = rng.integers(1, 10, size - cut)
    return _fractions(first), _fractions(second)


def _equal(rng: np.random.Generator, size: int) -> RowPair:
    row, _ = _with_zeros(rng, size)
    return row, row


def _tied(rng: np.random.Generator, size: int) -> RowPair:
    """Rows with equal entries, and quotients that tie."""
    return _fractions(rng.integers(1, 3, size)), _fractions(rng.integers(1, 3, size))


def _point(rng: np.random.Generator, size: int) -> RowPair:
    """One of the two rows on a single token."""
    points = _fractions(np.eye(size)[rng.integers(size)]), _fractions(rng.integers(1, 10, size))
    return points if rng.integers(2) else points[::-1]


KINDS: dict[str, Maker] = {
    "positive": _positive,
    "zeros": _with_zeros,
    "disjoint supports": _disjoint,
    "equal pair": _equal,
    "ties": _tied,
    "point masses": _point,
}
"""Name to maker of the target's and the draft's row at one context."""

SHAPES = tuple(product((2, 3, 4), (1, 2, 3), (1, 2, 3)))
"""(V, K, depth) of an instance."""


@dataclass(frozen=True)
class Instance:
    """One random pair and the size of the trees on it; ``kind`` names how its rows were made."""

    index: int
    kind: str
    vocabulary_size: int
    paths: int
    depth: int

    @classmethod
    def number(cls, index: int) -> Instance:
        """The instance of an index >= 0; any 162 in a row hold every kind with every shape once."""
        turn, place = divmod(index, len(SHAPES))
        return cls(index, list(KINDS)[(place + turn) % len(KINDS)], *SHAPES[place])

    def pair(self, seed: int) -> TablePair:
        """The pair, in Fractions, with a row of its own at each context of up to ``depth`` tokens."""
        rng = np.random.default_rng([seed, self.index])
        contexts: list[Context] = [
            context
            for length in range(self.depth + 1)
            for context in product(range(self.vocabulary_size), repeat=length)
        ]
        rows = {context: KINDS[self.kind](rng, self.vocabulary_size) for context in contexts}
        return TablePair({c: row[0] for c, row in rows.items()}, {c: row[1] for c, row in rows.items()})

    @property
    def policies(self) -> tuple[Policy, ...]:
        """A chain, i.i.d. paths, and every trunk length of delayed paths, at the instance's size."""
        delayed = (Delayed(self.paths, trunk, self.depth - trunk) for trunk in range(1, self.depth))
        return (Chain(self.depth), Iid(self.paths, self.depth), *delayed)
