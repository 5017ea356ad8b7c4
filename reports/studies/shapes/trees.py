"""Trees of one budget: the shapes that are compared, and how long a block each verifier emits of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from veridraft.theory.pairs.base import Pair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.best_first import DeterministicPolicy, OptTree, TopK
from veridraft.theory.policies.dyspec import DySpec
from veridraft.theory.policies.paths import Chain, Iid
from veridraft.theory.policies.sequoia import sequoia_topology
from veridraft.theory.policies.static import Static
from veridraft.theory.rows.distributions import Row
from veridraft.theory.search.shapes import rank_rates
from veridraft.theory.search.sources import PairTrees, drawn_in_turn
from veridraft.theory.verifiers.table import get_verifier

DEPTH = 16
"""The deepest level of every shape."""

WIDTH, LAYERS = 8, 8
"""Siblings and layers of EAGLE-2's trees, and the most siblings of Sequoia's."""

PROBES, HALVINGS, STEPS = 6, 16, 4
"""Trees whose mean size a threshold is set by, and how its value is closed in."""

VERIFIERS = {
    "DySpec": ("rrsw", "traversal"),
    "DySpec by threshold": ("rrsw", "traversal"),
    "Sequoia": ("rrsw", "traversal"),
    "SpecInfer": ("specinfer", "traversal"),
    "chain": ("naive", "block"),
    "OPT-Tree": ("nss",),
    "EAGLE-2": ("nss",),
}
"""Each shape with its verifiers; trees that are put down by rule have but one that is lossless."""


def shapes_of(pair: Pair, budget: int, seed: int) -> dict[str, Policy]:
    """The policies of a budget of nodes below the root, by their names in :data:`VERIFIERS`."""
    roots = [(), *((token,) for token in range(pair.vocabulary_size))]
    rates = rank_rates(PairTrees([pair], roots), min(WIDTH, pair.vocabulary_size), seed, "rrsw")
    found = {
        **shapes_at(rates, budget),
        "DySpec by threshold": DySpec(threshold=threshold_of(pair, budget, seed), depth=DEPTH),
        "OPT-Tree": OptTree(budget, 0, DEPTH),
    }
    return {name: found[name] for name in VERIFIERS}


def shapes_at(rates: Row, budget: int) -> dict[str, Policy]:
    """Those that need no more of a pair than Sequoia does: rates (width,) of acceptance by rank."""
    paths = 2 if budget <= 8 else 4
    return {
        "DySpec": DySpec(budget, depth=DEPTH),
        "Sequoia": Static(sequoia_topology(rates, budget, DEPTH), replacement=False),
        "SpecInfer": Iid(paths, budget // paths),
        "chain": Chain(min(budget, DEPTH)),
        "EAGLE-2": TopK(WIDTH, LAYERS, budget),
    }


def threshold_of(pair: Pair, budget: int, seed: int) -> float:
    """The threshold at which DySpec's trees have about ``budget`` nodes below the root, in the mean."""
    low = high = 1.0
    for _ in range(HALVINGS):
        if mean_size(pair, low, seed) >= budget:
            break
        low, high = low / 2, low
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if mean_size(pair, middle, seed) >= budget else (low, middle)
    return high


def mean_size(pair: Pair, threshold: float, seed: int) -> float:
    """The mean number of nodes below the root, over a few trees that the seed determines."""
    trees = drawn_in_turn([(pair, ())], DySpec(threshold=threshold, depth=DEPTH), PROBES, seed)
    return float(np.mean([tree.size - 1 for tree in trees]))


def tree_values(pair: Pair, budget: int, trees: int, seed: int) -> dict[str, Any]:
    """By shape and verifier E[tau + 1] and its standard error, given drawn trees; by shape the mean number of nodes.

    Trees by rule are one each, and their values exact.
    """
    values: dict[str, dict[str, float]] = {}
    errors: dict[str, dict[str, float]] = {}
    nodes: dict[str, float] = {}
    for shape, policy in shapes_of(pair, budget, seed).items():
        count = 1 if isinstance(policy, DeterministicPolicy) else trees
        drawn = drawn_in_turn([(pair, ())], policy, count, seed + 1)
        nodes[shape] = float(np.mean([tree.size - 1 for tree in drawn]))
        values[shape], errors[shape] = {}, {}
        for name in VERIFIERS[shape]:
            found = [float(get_verifier(name).law(tree).block_efficiency) for tree in drawn]
            values[shape][name] = float(np.mean(found))
            errors[shape][name] = float(np.std(found, ddof=1)) / count**0.5 if count > 1 else 0.0
    return {"values": values, "errors": errors, "nodes": nodes}
