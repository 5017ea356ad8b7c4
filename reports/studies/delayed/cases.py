"""The what-if of delayed expansion (2602.16994): exact block efficiencies of every shape of equal size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.efficiency.delayed import efficiency_of, reach_by_action
from veridraft.theory.efficiency.efficiency import block_efficiency
from veridraft.theory.pairs.layered import LayeredPair, widening_pair
from veridraft.theory.policies.paths import Chain, Delayed

SIZES = (8, 12, 16)
"""Drafted tokens L1 + K L2 of the trees that are compared."""

MOST_PATHS, DEPTH, VOCABULARY_SIZE, SEEDS = 8, 16, 32, (1, 2)
TOP_DOWN = ("nss", "naive_tree", "specinfer", "spectr")
SMALL = ("specinfer", "spectr", "rrsw", "traversal", "lifted_rrs", "lifted_k_seq")
SMALL_SIZE, SMALL_VOCABULARY, SMALL_PATHS = 6, 4, 3

LEAST_GAIN = 1e-3
"""A difference of less than 0.1 % counts as none."""

Values = Mapping[Delayed, float]
"""Policy to block efficiency."""


@dataclass(frozen=True)
class Setting:
    """A family of pairs: ``widening_pair`` with this start, growth and spread, then temperature and top-p."""

    start: float
    growth: float
    spread: float
    temperature: float
    top_p: float

    def pair(self, seed: int, vocabulary_size: int = VOCABULARY_SIZE, depth: int = DEPTH) -> LayeredPair:
        """One pair of the family."""
        shape = {"start": self.start, "growth": self.growth, "spread": self.spread}
        return widening_pair(vocabulary_size, depth, seed, **shape).transformed(self.temperature, top_p=self.top_p)

    def small_pair(self, seed: int) -> LayeredPair:
        """One small pair whose rows depend on the depth alone."""
        layers = self.pair(seed, SMALL_VOCABULARY, SMALL_SIZE).layers
        return LayeredPair([(layer.target[0], layer.draft[0]) for layer in layers])


STARTS, GROWTHS, SPREADS = (0.05, 0.2, 0.5), (0.0, 0.02, 0.05), (0.5, 1.5, 3.0)
TEMPERATURES, TOP_PS = (0.2, 0.6, 1.0, 1.2), (0.9, 0.99)
SETTINGS = tuple(Setting(*values) for values in product(STARTS, GROWTHS, SPREADS, TEMPERATURES, TOP_PS))
SMALL_SETTINGS = tuple(Setting(start, growth, 1.5, 1.0, 0.99) for start, growth in product(STARTS, (0.0, 0.05, 0.1)))
"""Over six levels growth is given more room than over sixteen."""


def shapes(size: int, most_paths: int = MOST_PATHS) -> Iterator[Delayed]:
    """Every tree of a size: the chain, then K from 2 on with a trunk of 0, 1, ... and paths below it."""
    yield Delayed(1, 0, size)
    for paths in range(2, most_paths + 1):
        yield from (Delayed(paths, trunk, (size - trunk) // paths) for trunk in range(size - paths + 1)
                    if (size - trunk) % paths == 0)  # fmt: skip


def is_root(policy: Delayed) -> bool:
    """True if the tree branches at its root."""
    return policy.K > 1 and policy.L1 == 0


def is_delayed(policy: Delayed) -> bool:
    """True if the tree branches below a trunk."""
    return policy.K > 1 and policy.L1 > 0


def values_of(verifier: str, setting: Setting) -> dict[Delayed, float]:
    """Mean exact block efficiency over the setting's pairs, for every shape of every size."""
    tables = [reach_by_action(verifier, setting.pair(seed), MOST_PATHS, DEPTH) for seed in SEEDS]
    policies = [policy for size in SIZES for policy in shapes(size)]
    return {policy: float(np.mean([efficiency_of(table, policy) for table in tables])) for policy in policies}


def small_values_of(verifier: str, setting: Setting) -> dict[Delayed, float]:
    """As :func:`values_of`, for any verifier, on the small pairs and the one small size."""
    return {
        policy: float(np.mean([_small_value(verifier, policy, setting.small_pair(seed)) for seed in SEEDS]))
        for policy in shapes(SMALL_SIZE, SMALL_PATHS)
    }


def _small_value(verifier: str, policy: Delayed, pair: LayeredPair) -> float:
    used = Chain(policy.depth) if policy.K == 1 else policy
    return float(block_efficiency(verifier, used, pair, method="dp").value)


def divergence_of(setting: Setting) -> list[float]:
    """Mean total variation of the rows at depths 0 .. L - 1, along a chain that the draft's tokens alone extend."""
    profiles = []
    for pair in (setting.pair(seed) for seed in SEEDS):
        weights, profile = np.ones(1), []
        for level in range(DEPTH):
            layer = pair.layer(level)
            profile.append(float(weights @ layer.total_variation))
            weights = weights @ layer.draft
        profiles.append(profile)
    return [float(value) for value in np.mean(profiles, axis=0)]


@dataclass(frozen=True)
class ShapeComparison:
    """The best shapes of one size: branching at the root, delayed, and the chain; each with its block efficiency."""

    root: Delayed
    root_value: float
    delayed: Delayed
    delayed_value: float
    chain_value: float

    @property
    def gain(self) -> float:
        """By what share the best delayed tree's block efficiency exceeds that of the best that branches at its root."""
        return self.delayed_value / self.root_value - 1

    @property
    def best(self) -> str:
        """The kind that is best by more than 0.1 % over each of the others: "root", "delayed", "chain", or "none"."""
        values = {"root": self.root_value, "delayed": self.delayed_value, "chain": self.chain_value}
        first, second = sorted(values, key=values.__getitem__)[:0:-1]
        return first if values[first] > values[second] * (1 + LEAST_GAIN) else "none"


def compare_shapes(values: Values, size: int) -> ShapeComparison:
    """The best of each kind among all trees of a size."""
    found = [policy for policy in values if size == policy.L1 + policy.K * policy.L2]
    root = max(filter(is_root, found), key=values.__getitem__)
    delayed = max(filter(is_delayed, found), key=values.__getitem__)
    return ShapeComparison(root, values[root], delayed, values[delayed], values[Delayed(1, 0, size)])


def compare_same_depth(values: Values, root: Delayed) -> ShapeComparison | None:
    """A tree that branches at its root against the best delayed ones of its size and its depth, if there are any."""
    size = root.K * root.L2
    others = [policy for policy in values if is_delayed(policy) and policy.depth == root.depth
              and size == policy.L1 + policy.K * policy.L2]  # fmt: skip
    if not others:
        return None
    delayed = max(others, key=values.__getitem__)
    return ShapeComparison(root, values[root], delayed, values[delayed], values[Delayed(1, 0, size)])


def shares(gains: Sequence[float], least: float = LEAST_GAIN) -> tuple[float, float]:
    """The shares of gains above ``least`` and below minus it."""
    found = np.asarray(gains)
    return float((found > least).mean()), float((found < -least).mean())


KINDS = {"all shapes": (TOP_DOWN, SETTINGS, values_of), "small pairs": (SMALL, SMALL_SETTINGS, small_values_of)}
"""Of the study's cells: verifiers, settings, and what is computed of each."""


@dataclass(frozen=True)
class DelayedPlan:
    """Every verifier with every setting of its kind; ``quick`` keeps two settings of each kind, to see that it runs."""

    quick: bool = False

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        last = 2 if self.quick else None
        cells = [
            [kind, verifier, *astuple(setting)]
            for kind, (verifiers, settings, _) in KINDS.items()
            for verifier, setting in product(verifiers, settings[:last])
        ]
        return {"vocabulary_size": VOCABULARY_SIZE, "depth": DEPTH, "seeds": list(SEEDS), "cells": cells}

    def measure(self, kind: str, verifier: str, *setting: float) -> dict[str, Any]:
        """Block efficiencies by shape, each ``[K, L1, L2, value]``."""
        values = KINDS[kind][2](verifier, Setting(*setting))
        return {"values": [[policy.K, policy.L1, policy.L2, round(value, 9)] for policy, value in values.items()]}


def values_by_setting(cells: Iterable[Mapping[str, Any]], kind: str) -> dict[tuple[str, Setting], Values]:
    """The finished values of a kind."""
    return {
        (cell["verifier"], Setting(*(cell[field.name] for field in fields(Setting)))):
            {Delayed(*shape): value for *shape, value in cell["values"]}
        for cell in cells
        if cell["kind"] == kind
    }  # fmt: skip
