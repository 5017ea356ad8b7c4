"""What a run should measure, said before it drafts: trees resampled at the roots that it comes to.

At root r let ``m(T)`` and ``s(T)`` be the mean and variance of tau given a tree T (``veridraft.theory``), T
drawn by the policy.  The step measures tau_r on a tree of its own; the prediction is the mean of m over R
other trees T_1..T_R.  Given the root both have mean E m(T), so their difference has mean 0 and variance

    Var(difference_r) = E s(T) + Var m(T) + Var m(T) / R,

the first two terms from the step (its coins, its tree), the third from the prediction.  With R >= 2 an
unbiased estimate is ``mean s(T_j) + (1 + 1/R) v``, v the sample variance of m(T_j) with divisor R - 1.
The roots depend on what was emitted before, but they are the same for both sides: given the past each
difference has mean 0, so the sum over roots is a martingale and the variances add.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from veridraft.theory.verifiers.table import get_verifier

from ..decoding.single import Decoder, Request
from ..models.backend import torch
from .scores import NO_SCORE, Score


@dataclass(frozen=True)
class RootPrediction:
    """At one root: the predicted tau, and the variance of its difference to the measured one."""

    mean: float
    variance: float


@torch.inference_mode()
def predict_root(decoder: Decoder, request: Request, rng: np.random.Generator, trees: int) -> RootPrediction:
    """The prediction at the request's root from ``trees`` >= 2 resampled trees.

    One forest is drafted and seen by one target pass; both caches are left as they were.  Exact given the
    trees: no coin is tossed.  Raises ``ValueError`` for fewer than two trees.
    """
    if trees < 2:
        raise ValueError(f"trees must be at least 2 to know their variance, but is {trees}")
    decoder.open(request)
    forest = decoder.draft_forest(request, rng, trees)
    rows = decoder.target_rows(request, forest)
    request.draft.keep([])
    request.target.keep([])
    verifier = get_verifier(decoder.verifier)
    laws = [verifier.law(forest.tree(number, rows).to_theory()) for number in range(trees)]
    means = np.array([law.acceptance_length for law in laws], dtype=float)
    coins = np.array([law.variance for law in laws], dtype=float)
    return RootPrediction(float(means.mean()), float(coins.mean() + (1 + 1 / trees) * means.var(ddof=1)))


@dataclass(frozen=True)
class Comparison:
    """Measured against predicted tau, summed over roots; ``score`` holds their difference and its variance."""

    measured: float = 0.0
    predicted: float = 0.0
    score: Score = NO_SCORE

    def plus(self, tau: int, prediction: RootPrediction) -> Comparison:
        """The comparison with one more root."""
        score = self.score.plus(tau - prediction.mean, prediction.variance)
        return Comparison(self.measured + tau, self.predicted + prediction.mean, score)

    @property
    def difference(self) -> float:
        """The mean of measured - predicted over the roots."""
        return self.score.total / self.score.count

    def interval(self, level: float) -> tuple[float, float]:
        """Where the difference lies with probability ``level`` if the prediction is right (normal, centred at 0)."""
        half = NormalDist().inv_cdf((1 + level) / 2) * self.score.variance**0.5 / self.score.count
        return -half, half

    def holds(self, level: float) -> bool:
        """True if the difference lies inside its interval; without variance, if there is none."""
        return self.score.holds(NormalDist().inv_cdf((1 + level) / 2))


NO_COMPARISON = Comparison()
"""The comparison before the first root."""
