"""The block efficiency of a long text: the roots that a verifier's own blocks lead to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veridraft.theory.pairs.base import MarkovPair
from veridraft.theory.policies.base import Policy
from veridraft.theory.policies.paths import Chain
from veridraft.theory.verifiers.emission import emitted_law
from veridraft.theory.verifiers.table import get_verifier


@dataclass(frozen=True)
class LongRun:
    """Ratios of long-run block efficiency, block verification over token-wise, over random Markov pairs."""

    pairs: int
    lowest: float
    highest: float


def long_run_efficiency(verifier: str, policy: Policy, pair: MarkovPair) -> float:
    """Tokens per target pass in the long run: the block efficiency averaged over the stationary law of roots.

    The next root is the last token emitted; its law given the present root is read from the emitted block's, and
    the stationary law is the Perron vector of that matrix, so that nothing is sampled.
    """
    size = pair.vocabulary_size
    moves, lengths = np.zeros((size, size)), np.zeros(size)
    for root in range(size):
        for accepted, row in emitted_law(get_verifier(verifier), policy, pair, (root,)).masses.items():
            moves[root] += row
            lengths[root] += row.sum() * (len(accepted) + 1)
    return float(_stationary(moves) @ lengths)


def _stationary(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The law that a stochastic matrix keeps, by least squares on its equations."""
    size = len(moves)
    equations = np.vstack([moves.T - np.eye(size), np.ones(size)])
    wanted = np.append(np.zeros(size), 1.0)
    return np.linalg.lstsq(equations, wanted, rcond=None)[0]


def random_markov_pair(rng: np.random.Generator) -> tuple[MarkovPair, int]:
    """A Markov pair of 2 or 3 tokens, from near to far and flat to peaked, and a draft length of 2 to 4."""
    size, concentration, share = int(rng.integers(2, 4)), 10 ** rng.uniform(-1, 1), rng.uniform(0, 0.9)
    target, other = rng.dirichlet(np.full(size, concentration), size=(2, size))
    return MarkovPair(target, share * target + (1 - share) * other), int(rng.integers(2, 5))


def long_run_comparison(pairs: int, seed: int = 0) -> LongRun:
    """The lowest and highest ratio of block to token-wise verification over that many random pairs."""
    rng = np.random.default_rng(seed)
    ratios = []
    for _ in range(pairs):
        pair, length = random_markov_pair(rng)
        naive, block = (long_run_efficiency(name, Chain(length), pair) for name in ("naive", "block"))
        ratios.append(block / naive)
    return LongRun(pairs, min(ratios), max(ratios))
