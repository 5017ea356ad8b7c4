"""The cases of the gap study: policies, families of pairs, and how one case is measured, exactly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from veridraft.theory.bounds.tree import tree_optimum
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.families import dirichlet_pair, zipf_pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import HubPairs, TopPlusOne
from veridraft.theory.policies.topologies import Topology
from veridraft.theory.verifiers.table import get_verifier

from ...running.options import check_verifiers

OPTIMUM = "optimum"
"""Stands in a verifier's place for the optimum."""

CLOSENESS = (0.0, 0.3, 0.6, 0.9)
CONCENTRATION = (0.1, 1.0, 10.0)
EXPONENT, NOISE = (1.0, 2.0), (0.5, 1.5)


@dataclass(frozen=True)
class GapFamily:
    """A random family of pairs, of one of two kinds, by its two parameters.

    "dirichlet": rows of that concentration, the draft ``closeness`` times the target plus the rest of an
    independent row.  "zipf": rows of that exponent in an order of their own at every context, the draft's log
    weights with normal noise of that deviation.
    """

    kind: str
    shape: float
    distance: float

    @property
    def name(self) -> str:
        """The family as a call."""
        words = ("concentration", "closeness") if self.kind == "dirichlet" else ("exponent", "noise")
        return f"{self.kind}({words[0]}={self.shape:g}, {words[1]}={self.distance:g})"

    def pair(self, vocabulary_size: int, seed: int) -> Pair:
        """One of its pairs."""
        make = dirichlet_pair if self.kind == "dirichlet" else zipf_pair
        return make(vocabulary_size, seed, self.shape, self.distance)


FAMILIES = tuple(
    [GapFamily("dirichlet", *values) for values in product(CONCENTRATION, CLOSENESS)]
    + [GapFamily("zipf", *values) for values in product(EXPONENT, NOISE)]
)
"""Peaked to flat, each far to near; then Zipf rows."""

FAMILY_OF = {family.name: family for family in FAMILIES}

CASES: tuple[tuple[Policy, int], ...] = (
    (Iid(2, 1), 5),
    (Iid(2, 2), 4),
    (Iid(3, 2), 4),
    (Iid(2, 3), 3),
    (Delayed(2, 1, 1), 4),
    (Chain(3), 4),
    (Static(Topology.k_ary(2, 2), replacement=False), 4),
    (TopPlusOne(2, 2), 4),
    (HubPairs(2), 4),
)
"""Each policy with the size of its vocabulary."""


@dataclass(frozen=True)
class Gap:
    """One verifier on the pairs of one family under one policy.

    ``optima`` and ``values`` are block efficiencies E[tau + 1], pair by pair: the proven upper side of the
    optimum, and the verifier's.
    """

    policy: str
    family: GapFamily
    verifier: str
    optima: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the optimum's E[tau] that the verifier misses, in [0, 1] up to rounding; 0 if that is 0."""
        pairs = zip(self.optima, self.values, strict=True)
        return tuple((most - value) / (most - 1) if most > 1 else 0.0 for most, value in pairs)


@dataclass(frozen=True)
class GapPlan:
    """Which cells there are, and how each is measured; ``ValueError`` for under two pairs, or an unknown verifier."""

    pairs: int
    verifiers: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs must be at least 2, for an interval, but is {self.pairs}")
        check_verifiers(self.verifiers)

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        return {"pairs": self.pairs, "cells": list(self.cells())}

    def cells(self) -> Iterable[tuple[str, str, str]]:
        """Policy, family and verifier of every cell; an optimum stands before its verifiers."""
        for (policy, _), family in product(CASES, FAMILIES):
            fitting = [name for name in self.verifiers if get_verifier(name).supports(policy)]
            yield from ((policy.name, family.name, name) for name in (OPTIMUM, *fitting))

    def measure(self, policy: str, family: str, verifier: str) -> dict[str, Any]:
        """E[tau + 1] on each pair of the family: of the verifier, or the proven upper side of the optimum."""
        drawn, size = next(case for case in CASES if case[0].name == policy)
        pairs = [FAMILY_OF[family].pair(size, seed) for seed in range(self.pairs)]
        if verifier == OPTIMUM:
            return {"values": [float(tree_optimum(drawn, pair).upper) for pair in pairs]}
        return {"values": [float(block_efficiency(verifier, drawn, pair, "enumerate").value) for pair in pairs]}


def gaps_of(cells: Iterable[dict[str, Any]]) -> list[Gap]:
    """The gaps of finished cells, wherever both the optimum and the verifier's values are there."""
    values = {(cell["policy"], cell["family"], cell["verifier"]): tuple(cell["values"]) for cell in cells}
    return [
        Gap(policy, FAMILY_OF[family], verifier, values[policy, family, OPTIMUM], found)
        for (policy, family, verifier), found in values.items()
        if verifier != OPTIMUM and (policy, family, OPTIMUM) in values
    ]
