"""Where a search's trees come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from ..pairs.base import Pair
from ..policies.base import Policy
from ..rows.trees import Context, DraftTree


class LackError(ValueError):
    """A source does not hold what a policy draws: the policy is left out, and said to be."""


class TreeSource(ABC):
    """Anything that can draw trees of a policy, with the rows of their nodes."""

    @abstractmethod
    def trees(self, policy: Policy, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Trees ``first`` to ``first + count`` of an endless list that the seed determines, spread over contexts.

        A source that holds fewer gives those that it has.  Raises :class:`LackError` where it has none.
        """


class PairTrees(TreeSource):
    """Trees drawn at the roots of pairs, in turn, each with a generator of its own."""

    def __init__(self, pairs: Sequence[Pair], roots: Sequence[Context] = ((),)) -> None:
        """``pairs`` and ``roots``, at least one of each: every pair is drawn from at every root."""
        self.places = [(pair.as_float(), root) for root in roots for pair in pairs]
        if not self.places:
            raise ValueError("pairs and roots must be at least one each")

    def trees(self, policy: Policy, count: int, seed: int, first: int = 0) -> list[DraftTree]:
        """Tree i stands at place i, counted round and round."""
        return drawn_in_turn(self.places, policy, count, seed, first)


def drawn_in_turn(
    places: Sequence[tuple[Pair, Context]], policy: Policy, count: int, seed: int, first: int = 0
) -> list[DraftTree]:
    """Trees ``first`` to ``first + count``: tree i at place i, counted round and round, with a generator of its own."""
    found = []
    for index in range(first, first + count):
        pair, root = places[index % len(places)]
        found.append(policy.sample(pair, np.random.default_rng([seed, index]), root))
    return found
