"""The cells of the study: shapes of trees at one budget on one pair, or single nodes of that pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

from veridraft.theory.pairs.layered import LayeredPair
from veridraft.theory.pairs.noisy import noisy_pair
from veridraft.theory.rows.distributions import apply_temperature

from .nodes import node_values
from .trees import tree_values

VOCABULARY_SIZE, SPREAD, LAYERS = 32, 3.0, 16
FAMILIES = {"near": (1.0, 0.0), "far": (2.5, 0.0)}
"""The deviation of the errors in the draft's logits at the root, and what each depth adds to it."""

SAMPLINGS = ((0.0, 0.6), (0.6, 0.6), (1.0, 1.0))
"""Temperatures of the target and of the draft: a draft that is drawn from needs one, also where the target has none."""

BUDGETS = (8, 16, 32, 64)
NODES = 0
"""Stands in a budget's place for single nodes."""

TREES = 16
"""Drawn trees of each shape that is drawn."""


@dataclass(frozen=True)
class ShapePlan:
    """So many pairs of every family; ``ValueError`` for under two, of which no interval is known."""

    pairs: int

    def __post_init__(self) -> None:
        if self.pairs < 2:
            raise ValueError(f"pairs must be at least 2, for an interval, but is {self.pairs}")

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        families = {name: list(noise) for name, noise in FAMILIES.items()}
        return {"vocabulary_size": VOCABULARY_SIZE, "spread": SPREAD, "layers": LAYERS, "families": families,
                "trees": TREES, "pairs": self.pairs, "cells": list(self._cells())}  # fmt: skip

    def _cells(self) -> Iterable[list[Any]]:
        for seed, family, sampling, budget in product(range(self.pairs), FAMILIES, SAMPLINGS, (NODES, *BUDGETS)):
            yield [family, *sampling, budget, seed]

    def measure(self, family: str, target: float, draft: float, budget: int, seed: int) -> dict[str, Any]:
        """Block efficiencies by shape and verifier, or acceptance at single nodes."""
        pair = pair_of(family, target, draft, seed)
        return tree_values(pair, budget, TREES, seed) if budget else node_values(pair.layer(1))


def pair_of(family: str, target: float, draft: float, seed: int) -> LayeredPair:
    """One pair of a family, each model at a temperature of its own."""
    noise, growth = FAMILIES[family]
    made = noisy_pair(VOCABULARY_SIZE, LAYERS, seed, noise=noise, growth=growth, spread=SPREAD)
    return LayeredPair(
        [(apply_temperature(layer.target, target), apply_temperature(layer.draft, draft)) for layer in made.layers]
    )
