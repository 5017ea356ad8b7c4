"""Block efficiency E[tau + 1]: the mean number of tokens emitted per target pass."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import scipy

from ..display import ByDepth, Sheet
from ..pairs.base import Pair, check_pair
from ..pairs.layered import is_layered
from ..policies.arguments import (
    MOST_LEVELS,
    MOST_TREES,
    OutOfReachError,
    check_most,
    get_policy,
    naming,
    too_many_trees,
)
from ..policies.base import Policy
from ..rows.distributions import Row, check_count
from ..rows.trees import Context
from ..verifiers.emission import emitted_law
from ..verifiers.table import Verifier, get_verifier
from .dynamic import DynamicBlockEfficiency, dynamic_block_efficiency
from .weighted_bounds import BoundedBlockEfficiency, bounded_block_efficiency

METHODS = ("auto", "enumerate", "dp", "bounds", "sample")

MOST_ENTRIES = 2**30
"""Method "auto" does not sample trees of more nodes times tokens than this, over all of them."""

FEW_TREES = 100_000
"""Up to so many trees are listed by method "auto" even where a dynamic programme is known."""


@dataclass(frozen=True, eq=False)
class BlockEfficiency(ByDepth):
    """An exact block efficiency.

    ``value`` is E[tau + 1] in [1, L + 1], over trees and coins (a Fraction for an exact pair); ``by_depth`` (L + 1,)
    the probability that tau is 0, 1, ..., L; ``trees`` the number of trees of positive probability.
    """

    value: Any
    by_depth: Row
    trees: int
    method: str

    @property
    def acceptance_length(self) -> Any:
        """E[tau], the mean number of accepted tokens."""
        return self.value - 1

    def sheet(self) -> Sheet:
        """The value and the law of the accepted length."""
        facts = (("E[τ + 1]", self.value), ("trees", self.trees))
        return Sheet("Block efficiency, exact", facts, columns=self._columns())


@dataclass(frozen=True, eq=False)
class SampledBlockEfficiency(ByDepth):
    """An estimate of the block efficiency: given-tree expectations averaged over sampled trees.

    Unbiased, and free of the verifier's own coins.  ``value`` is the mean over ``trees`` trees, ``by_depth``
    (L + 1,) the mean stopping probabilities, ``standard_deviation`` that of one tree's expectation.
    """

    value: float
    by_depth: Row
    trees: int
    standard_deviation: float
    method: str = "sample"

    @property
    def acceptance_length(self) -> float:
        """The estimate of E[tau]."""
        return self.value - 1

    @property
    def standard_error(self) -> float:
        """Standard error of ``value``."""
        return self.standard_deviation / self.trees**0.5

    def sheet(self) -> Sheet:
        """The estimate with its interval, and the law of the accepted length."""
        low, high = self.confidence_interval()
        facts = (("E[τ + 1]", self.value), ("95 % interval", f"{low:.6g} to {high:.6g}"), ("trees", self.trees))
        return Sheet("Block efficiency, from sampled trees", facts, columns=self._columns())

    def unseen(self, level: float = 0.95) -> float:
        """The share of trees of a kind that ``trees`` draws miss with probability 1 - level: 3 in ``trees`` at 0.95."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie in (0, 1), but is {level}")
        return float(1 - (1 - level) ** (1 / self.trees))

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """An interval for the block efficiency, at a level in (0, 1).

        Student's, exact as the number of trees grows; but at least so wide that a kind of tree which none of those
        drawn belongs to (:meth:`unseen`) may have had any value: on peaked rows all trees drawn may agree.
        """
        rare, most = self.unseen(level), float(len(self.by_depth))
        half = float(scipy.stats.t.ppf((1 + level) / 2, self.trees - 1)) * self.standard_error
        low = self.value - max(half, rare * (self.value - 1))
        high = self.value + max(half, rare * (most - self.value))
        return low, high


@overload
def block_efficiency(  # type: ignore[overload-overlap]
    verifier: str | Verifier,
    policy: str | Policy,
    pair: Pair,
    method: Literal["bounds"],
    *,
    trees: int = ...,
    seed: int | np.random.Generator = ...,
    context: Context = ...,
    most_trees: float = ...,
    points: int = ...,
) -> BoundedBlockEfficiency:
    """With the method "bounds": an interval."""


@overload
def block_efficiency(
    verifier: str | Verifier,
    policy: str | Policy,
    pair: Pair,
    method: str = ...,
    *,
    trees: int = ...,
    seed: int | np.random.Generator = ...,
    context: Context = ...,
    most_trees: float = ...,
    points: int = ...,
) -> BlockEfficiency | DynamicBlockEfficiency | SampledBlockEfficiency:
    """With any other method: a value."""


def block_efficiency(
    verifier: str | Verifier,
    policy: str | Policy,
    pair: Pair,
    method: str = "auto",
    *,
    trees: int = 1000,
    seed: int | np.random.Generator = 0,
    context: Context = (),
    most_trees: float = MOST_TREES,
    points: int = 65,
) -> BlockEfficiency | DynamicBlockEfficiency | SampledBlockEfficiency | BoundedBlockEfficiency:
    """The block efficiency E[tau + 1] of a verifier with a policy on a pair.

    Parameters
    ----------
    verifier : a name or an entry of ``VERIFIERS``
    policy : a policy, or its text, such as ``"Iid(2, 1)"``
    method : "enumerate" is exact, over every tree (equal subtrees computed once), a Fraction for a pair in
        Fractions; "dp" is exact too, at real size, for pairs whose rows depend on depth and last token (see
        :func:`dynamic_block_efficiency`); "bounds" is a certified interval for block verification on a path
        (see :func:`bounded_block_efficiency`); "sample" averages the given-tree
        expectation over ``trees`` trees drawn with ``seed``.  "auto" enumerates up to ``FEW_TREES`` trees, above
        that takes "dp" where a programme is known, else enumerates up to ``most_trees``, else samples (up to
        ``MOST_ENTRIES`` nodes times tokens in all)
    trees, seed : of "sample": how many, and from which integer >= 0 or generator they are drawn
    context : the root
    most_trees : enumeration of more trees than this is refused, and not chosen by "auto"
    points : weights on the grid of "bounds"

    The result's ``method`` says which way was taken.  A float64 row that misses 1 is taken over its own sum.
    Raises ``ValueError`` for an unknown verifier or method, a policy that the verifier is not lossless for,
    and more trees than ``most_trees``; ``MissingRowError``, a ``KeyError``, for rows that the pair does not have.
    """
    entry, policy, pair = get_verifier(verifier), get_policy(policy), check_pair(pair).on_own_sums()
    entry.require(policy)
    check_most("most_trees", most_trees)
    if method not in METHODS:
        known = ", ".join(f'"{name}"' for name in METHODS[:-1])
        raise ValueError(f'method must be {known} or "{METHODS[-1]}", but is {method!r}')
    with naming(policy, context):
        if method == "auto":
            return _by_cheapest(entry, policy, pair, context, most_trees, (trees, seed))
        if method == "enumerate":
            return _enumerated(entry, policy, pair, context, most_trees)
        if method == "dp":
            return dynamic_block_efficiency(entry, policy, pair, context)
        if method == "bounds":
            return bounded_block_efficiency(entry, policy, pair, context, points)
        return _sampled(entry, policy, pair, context, trees, seed)


def _by_cheapest(
    verifier: Verifier,
    policy: Policy,
    pair: Pair,
    context: Context,
    most: float,
    sample: tuple[int, int | np.random.Generator],
) -> BlockEfficiency | DynamicBlockEfficiency | SampledBlockEfficiency:
    """By listing few trees, by a programme, by listing many, or by sampling: the first that is possible."""
    if policy.depth <= MOST_LEVELS and too_many_trees(policy, pair.vocabulary_size, min(most, FEW_TREES)) is None:
        return _enumerated(verifier, policy, pair, context, most)
    if is_layered(pair):
        with suppress(OutOfReachError):
            return dynamic_block_efficiency(verifier, policy, pair, context)
    if policy.depth <= MOST_LEVELS and too_many_trees(policy, pair.vocabulary_size, most) is None:
        return _enumerated(verifier, policy, pair, context, most)
    if policy.most_nodes is not None and policy.most_nodes * pair.vocabulary_size * sample[0] > MOST_ENTRIES:
        raise OutOfReachError(
            f"policy {policy!r} on a vocabulary of {pair.vocabulary_size} has too many trees to list, no dynamic "
            f"programme is known, and {sample[0]} sampled trees of up to {policy.most_nodes} nodes are more than "
            f'{MOST_ENTRIES} nodes times tokens: ask for method="sample", with as few trees as will do'
        )
    return _sampled(verifier, policy, pair, context, *sample)


def _enumerated(verifier: Verifier, policy: Policy, pair: Pair, context: Context, most: float) -> BlockEfficiency:
    digits = too_many_trees(policy, pair.vocabulary_size, most)
    if digits is not None:
        raise ValueError(
            f"policy {policy!r} on a vocabulary of {pair.vocabulary_size} has up to 10^{digits:.1f} trees, "
            f'more than most_trees = {most}: use method="dp" where the pair allows it, or "sample", or raise most_trees'
        )
    law = emitted_law(verifier, policy, pair, context)
    by_depth = law.by_depth
    value = (by_depth * np.arange(1, policy.depth + 2)).sum()
    return BlockEfficiency(value if pair.exact else float(value), by_depth, law.trees, "enumerate")


def _sampled(
    verifier: Verifier, policy: Policy, pair: Pair, context: Context, trees: int, seed: int | np.random.Generator
) -> SampledBlockEfficiency:
    profiles = np.zeros((check_count("trees", trees, 2), policy.depth + 1))
    rng = seed if isinstance(seed, np.random.Generator) else np.random.default_rng(check_count("seed", seed, 0))
    rows = pair.as_float()
    for profile in profiles:
        law = verifier.law(policy.sample(rows, rng, context))
        np.add.at(profile, law.tree.depths, law.stopping)
    values = profiles @ np.arange(1, policy.depth + 2)
    return SampledBlockEfficiency(float(values.mean()), profiles.mean(axis=0), trees, float(values.std(ddof=1)))
