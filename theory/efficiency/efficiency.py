"""Block efficiency E[tau + 1]: the mean number of tokens emitted per target pass."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10
from typing import Any, Literal, overload

import numpy as np
import scipy

from ..pairs.base import Pair
from ..policies.base import MOST_TREES, Policy, naming
from ..rows.distributions import Row, check_count
from ..rows.trees import Context
from ..verifiers.emission import emitted_law
from ..verifiers.table import Verifier, get_verifier
from .dynamic import DynamicBlockEfficiency, dynamic_block_efficiency
from .weighted_bounds import BoundedBlockEfficiency, bounded_block_efficiency


@dataclass(frozen=True, eq=False)
class BlockEfficiency:
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


@dataclass(frozen=True, eq=False)
class SampledBlockEfficiency:
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

    def confidence_interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval for the block efficiency, at a level in (0, 1): exact as the number of trees grows."""
        if not 0 < level < 1:
            raise ValueError(f"level must lie in (0, 1), but is {level}")
        half = float(scipy.stats.t.ppf((1 + level) / 2, self.trees - 1)) * self.standard_error
        return self.value - half, self.value + half


@overload
def block_efficiency(  # type: ignore[overload-overlap]
    verifier: str | Verifier,
    policy: Policy,
    pair: Pair,
    method: Literal["bounds"],
    *,
    trees: int = ...,
    seed: int = ...,
    context: Context = ...,
    most_trees: int = ...,
    points: int = ...,
) -> BoundedBlockEfficiency:
    """With the method "bounds": an interval."""


@overload
def block_efficiency(
    verifier: str | Verifier,
    policy: Policy,
    pair: Pair,
    method: str = ...,
    *,
    trees: int = ...,
    seed: int = ...,
    context: Context = ...,
    most_trees: int = ...,
    points: int = ...,
) -> BlockEfficiency | DynamicBlockEfficiency | SampledBlockEfficiency:
    """With any other method: a value."""


def block_efficiency(
    verifier: str | Verifier,
    policy: Policy,
    pair: Pair,
    method: str = "enumerate",
    *,
    trees: int = 1000,
    seed: int = 0,
    context: Context = (),
    most_trees: int = MOST_TREES,
    points: int = 65,
) -> BlockEfficiency | DynamicBlockEfficiency | SampledBlockEfficiency | BoundedBlockEfficiency:
    """The block efficiency E[tau + 1] of a verifier with a policy on a pair.

    Parameters
    ----------
    verifier : a name or an entry of ``VERIFIERS``
    method : "enumerate" is exact, over every tree (equal subtrees computed once), a Fraction for a pair in
        Fractions; "dp" is exact too, at real size, for pairs whose rows depend on depth and last token (see
        :func:`dynamic_block_efficiency`); "bounds" is a certified interval for block verification on a path
        (see :func:`bounded_block_efficiency`); "sample" averages the given-tree
        expectation over ``trees`` trees drawn with ``seed``
    context : the root
    most_trees : enumeration of more trees than this is refused
    points : weights on the grid of "bounds"

    Raises ``ValueError`` for an unknown verifier or method, a policy that the verifier is not lossless for,
    and more trees than ``most_trees``.
    """
    entry, pair = get_verifier(verifier), pair.on_own_sums()
    entry.require(policy)
    with naming(policy, context):
        if method == "enumerate":
            return _enumerated(entry, policy, pair, context, most_trees)
        if method == "sample":
            return _sampled(entry, policy, pair.as_float(), context, check_count("trees", trees, 2), seed)
        if method == "dp":
            return dynamic_block_efficiency(entry, policy, pair, context)
        if method == "bounds":
            return bounded_block_efficiency(entry, policy, pair, context, points)
    raise ValueError(f'method must be "enumerate", "dp", "bounds" or "sample", but is {method!r}')


def _enumerated(verifier: Verifier, policy: Policy, pair: Pair, context: Context, most: int) -> BlockEfficiency:
    count = policy.tree_count(pair.vocabulary_size)
    if count > most:
        raise ValueError(
            f"policy {policy!r} on a vocabulary of {pair.vocabulary_size} has up to 10^{log10(count):.1f} trees, "
            f'more than most_trees = {most}: use method="dp" where the pair allows it, or "sample", or raise most_trees'
        )
    law = emitted_law(verifier, policy, pair, context)
    by_depth = law.by_depth
    value = (by_depth * np.arange(1, policy.depth + 2)).sum()
    return BlockEfficiency(value if pair.exact else float(value), by_depth, law.trees, "enumerate")


def _sampled(
    verifier: Verifier, policy: Policy, pair: Pair, context: Context, trees: int, seed: int
) -> SampledBlockEfficiency:
    rng = np.random.default_rng(seed)
    profiles = np.zeros((trees, policy.depth + 1))
    for profile in profiles:
        law = verifier.law(policy.sample(pair, rng, context))
        np.add.at(profile, law.tree.depths, law.stopping)
    values = profiles @ np.arange(1, policy.depth + 2)
    return SampledBlockEfficiency(float(values.mean()), profiles.mean(axis=0), trees, float(values.std(ddof=1)))
