"""The cells of the study: the four rules on one pair, at one temperature, on trees of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.efficiency.levels import reach_by_level
from veridraft.theory.pairs.base import Pair
from veridraft.theory.pairs.noisy import noisy_pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.static import Static
from veridraft.theory.policies.top_plus_one import TopPlusOne
from veridraft.theory.policies.topologies import Topology
from veridraft.theory.search.sources import drawn_in_turn
from veridraft.theory.verifiers.table import get_verifier

VOCABULARY_SIZE, DEPTH, SPREAD = 32, 5, 3.0
FAMILIES = {"near": (1.0, 0.0), "far": (2.5, 0.0), "growing": (0.8, 0.3)}
"""The deviation of the errors in the draft's logits at the root, and what each depth adds to it."""

TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
SHAPES = {"chain": 1, "binary": 2, "ternary": 3}
"""How many children every node above depth 5 has."""

TREES = {"chain": 8, "binary": 4, "ternary": 3}
"""Drawn trees on which a rule is compared with the one that is known exactly: few, as pairs differ more than trees."""

LIFTED = {"traversal": "rrsw", "univer": "greedy"}
"""Each lifted rule, and the top-down rule of the same solver."""


@dataclass(frozen=True)
class TreeRulePlan:
    """So many pairs of every family; ``ValueError`` for under two, of which no interval is known."""

    pairs: int

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs must be at least 2, for an interval, but is {self.pairs}")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        cells = [list(key) for key in product(FAMILIES, TEMPERATURES, SHAPES, range(self.pairs))]
        families = {name: list(noise) for name, noise in FAMILIES.items()}
        return {"vocabulary_size": VOCABULARY_SIZE, "depth": DEPTH, "spread": SPREAD, "families": families,
                "trees": TREES, "pairs": self.pairs, "cells": cells}  # fmt: skip

    def measure(self, family: str, temperature: float, shape: str, seed: int) -> dict[str, Any]:
        """E[tau + 1] of the four rules, and the standard errors of the two that are sampled."""
        noise, growth = FAMILIES[family]
        made = noisy_pair(VOCABULARY_SIZE, DEPTH, seed, noise=noise, growth=growth, spread=SPREAD)
        return values_of(made.transformed(temperature), SHAPES[shape], DEPTH, TREES[shape], seed)


def policies_of(width: int, depth: int) -> dict[str, Policy]:
    """Trees of as many nodes for each top-down rule: draws without replacement, and top tokens with one draw."""
    return {"rrsw": Static(Topology.k_ary(width, depth), replacement=False), "greedy": TopPlusOne(width, depth)}


def values_of(pair: Pair, width: int, depth: int, trees: int, seed: int) -> dict[str, Any]:
    """E[tau + 1] of the four rules on a pair, and the standard errors of the two that are sampled."""
    values: dict[str, float] = {}
    errors: dict[str, float] = {}
    policies = policies_of(width, depth)
    for lifted, base in LIFTED.items():
        values[base] = float(reach_by_level(base, policies[base], pair).sum())
        found = differences(lifted, base, policies[base], pair, trees, seed)
        values[lifted] = values[base] + float(np.mean(found))
        errors[lifted] = float(np.std(found, ddof=1)) / trees**0.5
    return {"values": values, "errors": errors}


def differences(one: str, other: str, policy: Policy, pair: Pair, trees: int, seed: int) -> Sequence[float]:
    """How much longer the blocks of one rule are than those of another, given each of the same drawn trees."""
    laws = [get_verifier(name).law for name in (one, other)]
    drawn = drawn_in_turn([(pair, ())], policy, trees, seed)
    return [float(laws[0](tree).acceptance_length - laws[1](tree).acceptance_length) for tree in drawn]
