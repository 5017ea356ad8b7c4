"""The cells of the study: block efficiencies of every action of 2602.16994 on one pair at one sampling."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from veridraft.theory.efficiency.delayed import efficiencies_of, reach_by_action
from veridraft.theory.efficiency.dynamic import dynamic_block_efficiency
from veridraft.theory.pairs.layered import LayeredPair, widening_pair
from veridraft.theory.policies.paths import Chain, Delayed, Iid
from veridraft.theory.rows.distributions import Row
from veridraft.theory.search.book import Book
from veridraft.theory.search.sources import PairTrees

MOST_PATHS, MOST_LEVELS = 4, 8
"""K is 1 to 4, L1 and L2 are 0 to 8: the paper's 324 actions."""

VOCABULARY_SIZE, SEEDS, START, SPREAD = 50, (0, 1), 0.2, 3.0
GROWTHS = {"steady": 0.0, "growing": 0.05}
"""The share of an independent row in the draft's, more at each depth, by the name of the family."""

SAMPLINGS = (*((temperature, 1.0) for temperature in (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)), (1.0, 0.9), (1.0, 0.99))
"""Temperature and top-p of the paper."""

EXACT = ("nss", "naive_tree", "specinfer", "spectr")
"""Verifiers whose block efficiencies are exact, all actions from one table."""

SAMPLED = {"traversal": 60, "lifted_k_seq": 60, "khisti": 20}
"""Verifiers that are asked on drawn trees, the same for all of them, and on how many: the canonical rule is slow."""

CONTROL = "specinfer"
"""On the same trees it is asked too: what is estimated is the difference, beside which its exact value is put."""


@dataclass(frozen=True)
class ActionPlan:
    """Every family, sampling and seed; ``quick`` keeps one sampling, one seed and two trees, to see that it runs."""

    quick: bool = False

    def settings(self) -> dict[str, Any]:
        """What determines the numbers."""
        samplings, seeds = (SAMPLINGS[2:3], SEEDS[:1]) if self.quick else (SAMPLINGS, SEEDS)
        cells = [[family, temperature, top_p, seed]
                 for seed, (temperature, top_p), family in product(seeds, samplings, GROWTHS)]  # fmt: skip
        return {"vocabulary_size": VOCABULARY_SIZE, "start": START, "spread": SPREAD, "growths": GROWTHS,
                "trees": self._trees(), "cells": cells}  # fmt: skip

    def _trees(self) -> dict[str, int]:
        return dict.fromkeys(SAMPLED, 2) if self.quick else SAMPLED

    def measure(self, family: str, temperature: float, top_p: float, seed: int) -> dict[str, Any]:
        """Block efficiencies ``[K - 1][L1][L2]`` by verifier, errors of those that are sampled, profiles by depth."""
        pair = pair_of(family, temperature, top_p, seed)
        values = {name: _rounded(exact_values(name, pair)) for name in EXACT}
        errors: dict[str, Any] = {}
        book, control = Book(PairTrees([pair]), seed), exact_values(CONTROL, pair)
        for name, count in self._trees().items():
            found, spread = sampled_values(name, book, count, control)
            values[name], errors[name] = _rounded(found), _rounded(spread)
        return {"values": values, "errors": errors, "profiles": {name: profile_of(name, pair) for name in EXACT}}


def pair_of(family: str, temperature: float, top_p: float, seed: int) -> LayeredPair:
    """One pair of a family at a sampling."""
    made = widening_pair(VOCABULARY_SIZE, 2 * MOST_LEVELS, seed, start=START, growth=GROWTHS[family], spread=SPREAD)
    return made.transformed(temperature, top_p=top_p)


def exact_values(verifier: str, pair: LayeredPair) -> Row:
    """(4, 9, 9) E[tau + 1] of every action, exact."""
    reach = reach_by_action(verifier, pair, MOST_PATHS, 2 * MOST_LEVELS)
    return efficiencies_of(reach, MOST_LEVELS)


def sampled_values(verifier: str, book: Book, count: int, control: Row) -> tuple[Row, Row]:
    """(4, 9, 9) E[tau + 1] of every action and its standard error, each from the beginning of the deepest trees.

    ``control`` (4, 9, 9) are the exact values of :data:`CONTROL`: a verifier's mean is theirs and the mean difference
    on the same trees, which varies much less than either.
    """
    values, errors = control.copy(), np.zeros(control.shape)
    book.of([Chain(2 * MOST_LEVELS)])
    book.of(Delayed(paths + 2, trunk, MOST_LEVELS) for paths, trunk in np.ndindex(MOST_PATHS - 1, MOST_LEVELS + 1))
    for paths, trunk, branch in np.ndindex(control.shape):
        policy = Delayed(paths + 1, trunk, branch).plainest
        if policy.depth:
            one, other = (book.reach(name, policy, count).sum(axis=1) for name in (verifier, CONTROL))
            values[paths, trunk, branch] += np.mean(one - other)
            errors[paths, trunk, branch] = np.std(one - other, ddof=1) / count**0.5
    return values, errors


def profile_of(verifier: str, pair: LayeredPair) -> dict[str, list[float]]:
    """By depth, of four paths of eight tokens: acceptance given that the walk comes there, and total variation."""
    found = dynamic_block_efficiency(verifier, Iid(MOST_PATHS, MOST_LEVELS), pair)
    return {"acceptance": _rounded(found.acceptance), "total_variation": _rounded(found.total_variation)}


def _rounded(values: Row) -> Any:
    return np.round(values, 6).tolist()
