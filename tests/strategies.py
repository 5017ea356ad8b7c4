"""Pairs and policies for tests: exact random pairs by kind, every small policy, hypothesis strategies."""

from __future__ import annotations

from fractions import Fraction
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from veridraft.theory import (
    VERIFIERS,
    Chain,
    Context,
    Delayed,
    DySpec,
    Iid,
    MarkovPair,
    Pair,
    Policy,
    Row,
    Static,
    TopK,
    Topology,
    TopPlusOne,
)
from veridraft.theory.policies import HubPairs

KINDS = ("full", "zeros", "disjoint", "equal", "point masses", "ties")
"""What the rows of an :class:`ExactPair` are like."""

NINE = tuple(
    VERIFIERS[name]
    for name in (
        "naive", "nss", "naive_tree", "spectr", "specinfer", "block", "traversal", "lifted_k_seq", "lifted_rrs",
    )
)  # fmt: skip
"""The verifiers whose every step is a sum, a product or a quotient, so that certificates can be rational."""

TREE_NAMES = tuple(verifier.name for verifier in NINE if verifier.supports(Iid(2, 2)))
"""Those of them that take any tree of independent paths."""

P = np.array([Fraction(1, 2), Fraction(3, 10), Fraction(1, 5)])
Q = np.array([Fraction(1, 5), Fraction(1, 4), Fraction(11, 20)])
"""A target's and a draft's row whose acceptance rates are known as fractions."""


def one_step_pair(target: Row = P, draft: Row = Q) -> MarkovPair:
    """A pair whose rows are the same at every context."""
    return MarkovPair([target] * len(target), [draft] * len(draft), (target, draft))


class ExactPair(Pair):
    """Rows of small fractions, drawn afresh at every context, reproducibly, of one kind."""

    exact = True

    def __init__(self, vocabulary_size: int, kind: str, seed: int) -> None:
        self.vocabulary_size, self.kind, self.seed = vocabulary_size, kind, seed
        self._rows = lru_cache(maxsize=None)(self._drawn)

    def __repr__(self) -> str:
        return f"ExactPair({self.vocabulary_size}, {self.kind!r}, {self.seed})"

    def target_row(self, context: Context) -> Row:
        return self._rows(context)[0]

    def draft_row(self, context: Context) -> Row:
        return self._rows(context)[1]

    def as_float(self) -> Pair:
        return self._rounded

    @cached_property
    def _rounded(self) -> Pair:
        """One pair for all who ask, so that its rows are rounded once."""
        return super().as_float()

    def _drawn(self, context: Context) -> tuple[Row, Row]:
        rng = np.random.default_rng([self.seed, *(token + 1 for token in context)])
        target, draft = _weights(rng, self.kind, self.vocabulary_size)
        return as_row(target), as_row(draft)


def _weights(rng: np.random.Generator, kind: str, size: int) -> tuple[Any, Any]:
    """Nonnegative integer weights of the two rows."""
    both = rng.integers(1, 10, size=(2, size))
    if kind == "zeros":
        both = rng.integers(0, 4, size=(2, size))
        both[np.arange(2), rng.integers(size, size=2)] += 1
    if kind == "disjoint":
        side = rng.permutation(np.arange(size) < rng.integers(1, size))
        both *= np.array([side, ~side])
    if kind == "equal":
        both[1] = both[0]
    if kind == "point masses":
        points = np.eye(size, dtype=int)[rng.integers(size, size=2)]
        both = np.where(rng.random((2, 1)) < 0.5, points, both)
    if kind == "ties":
        both = rng.integers(1, 3, size=(2, size))
    return both[0], both[1]


def as_row(weights: Any) -> Row:
    """Weights divided by their sum, as Fractions."""
    total = int(sum(weights))
    return np.array([Fraction(int(weight), total) for weight in weights])


def random_pairs(count: int) -> list[ExactPair]:
    """Pairs of every kind in turn, of 2, 3 and 4 tokens; the same objects each time, so that rows are drawn once."""
    return [_random_pair(index) for index in range(count)]


@cache
def _random_pair(index: int) -> ExactPair:
    return ExactPair(2 + index // len(KINDS) % 3, KINDS[index % len(KINDS)], index)


def small_policies(kind: type[Policy], vocabulary_size: int, most_trees: int) -> list[Policy]:
    """Every policy of a kind with K 1 to 3, depth 1 to 3, and at most so many trees."""
    depths = range(1, 4)
    if kind is Chain:
        found: list[Policy] = [Chain(depth) for depth in depths]
    elif kind is Iid:
        found = [Iid(paths, depth) for depth in depths for paths in range(1, 4)]
    else:
        splits = [(trunk, depth - trunk) for depth in depths for trunk in range(depth + 1)]
        found = [Delayed(paths, trunk, branch) for trunk, branch in splits for paths in range(1, 4)]
    return [policy for policy in found if policy.tree_count(vocabulary_size) <= most_trees]


@st.composite
def exact_pairs(draw: Any, sizes: tuple[int, int] = (2, 4), kinds: tuple[str, ...] = KINDS) -> ExactPair:
    """Exact pairs of any kind."""
    return ExactPair(draw(st.integers(*sizes)), draw(st.sampled_from(kinds)), draw(st.integers(0, 2**32)))


@st.composite
def rows(draw: Any, size: int) -> Row:
    """Rows of small fractions, zeros included."""
    weights = draw(st.lists(st.integers(0, 12), min_size=size, max_size=size).filter(any))
    return as_row(weights)


def policies(most_trees: int = 300, vocabulary_size: int = 4) -> st.SearchStrategy[Policy]:
    """Any small policy."""
    kinds = (Chain, Iid, Delayed)
    return st.sampled_from([p for kind in kinds for p in small_policies(kind, vocabulary_size, most_trees)])


TINY = (0.0, 5e-324, 1e-310, 1e-300, 1e-200, 1e-155, 1e-40, 1e-17)
"""Masses of which sums, products and quotients underflow, are subnormal, or overflow."""

SHAPES: tuple[Policy, ...] = (
    Chain(3), Iid(2, 2), Iid(3, 1), Delayed(2, 1, 1), TopPlusOne(2, 2), TopPlusOne(3, 1), HubPairs(2), TopK(2, 2, 4),
    DySpec(2), *(Static(Topology.k_ary(*sizes), replacement=False) for sizes in ((2, 2), (3, 1))),
    Static(Topology((Topology.k_ary(2, 1), Topology())), replacement=True),
)  # fmt: skip
"""A small policy of every kind."""


@st.composite
def extreme_rows(draw: Any, size: int) -> Row:
    """Float64 rows: one-hot, with tiny masses beside one or some large ones, or a softmax at a low temperature."""
    kind = draw(st.sampled_from(["one-hot", "tiny", "mixed", "cold"]))
    place = draw(st.integers(0, size - 1))
    if kind == "one-hot":
        return np.eye(size)[place]
    if kind == "cold":
        logits = np.array(draw(st.lists(st.integers(0, 30), min_size=size, max_size=size))) / 10
        row = np.exp((logits - logits.max()) / draw(st.sampled_from([0.005, 0.01, 0.02, 0.1])))
        return row / row.sum()
    masses = TINY if kind == "tiny" else (*TINY, 0.5, 1.0, 1.0)
    row = np.array(draw(st.lists(st.sampled_from(masses), min_size=size, max_size=size)))
    row[place] = 1.0
    return row / row.sum()


@st.composite
def extreme_pairs(draw: Any) -> MarkovPair:
    """Markov pairs of extreme rows, of 2 to 4 tokens; the draft may equal the target."""
    size = draw(st.integers(2, 4))
    target, draft = (np.array([draw(extreme_rows(size)) for _ in range(size + 1)]) for _ in range(2))
    draft = draw(st.sampled_from([draft, draft, draft, target]))
    return MarkovPair(target[1:], draft[1:], (target[0], draft[0]))
