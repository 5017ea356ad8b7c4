"""The families of random pairs that commands ask their questions of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.families import dirichlet_pair, diverging_pair, zipf_pair

VOCABULARY_SIZE = 4


@dataclass(frozen=True)
class Family:
    """A random family of pairs: ``make(vocabulary_size, seed)`` is one of them."""

    name: str
    description: str
    make: Callable[[int, int], Pair]


FAMILIES = (
    Family(
        "near",
        "Dirichlet rows; the draft is 0.7 times the target plus 0.3 times an independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=1.0, closeness=0.7),
    ),
    Family(
        "far",
        "Dirichlet rows; the draft is 0.2 times the target plus 0.8 times an independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=1.0, closeness=0.2),
    ),
    Family(
        "peaked",
        "Dirichlet rows of concentration 0.3, most mass on a token or two; the draft is half the target and half an "
        "independent row",
        lambda size, seed: dirichlet_pair(size, seed, concentration=0.3, closeness=0.5),
    ),
    Family(
        "zipf",
        "Zipf rows of exponent 1.2; the draft’s log weights are the target’s plus normal noise of deviation 0.7",
        lambda size, seed: zipf_pair(size, seed, exponent=1.2, noise=0.7),
    ),
    Family(
        "parting",
        "Divergence grows with depth: the share of an independent row in the draft is 0.1, 0.4, 0.7",
        lambda size, seed: diverging_pair(size, seed, near=0.1, growth=0.3),
    ),
)
"""The families of the league table, from its left to its right."""
