"""Three z-scores, each of which can fail alone, and measured against predicted tau.

A score adds differences that have mean 0 and a known variance if one thing is right, step by step given the
past, so that ``z = sum of differences / sqrt(sum of variances)`` is close to a standard normal:

- ``z``: tau against its mean given the tree (the verifier's coins);
- ``z_draft``: the surprise ``-log q(x)`` of every drawn token against the entropy of the row that the
  verifier was given (the draft law);
- ``z_text``: the surprise of every *emitted* token against the entropy of the target's row, computed anew
  by one plain pass over the finished text (rows, masks, cache, and losslessness end to end).

Why the last is right although a block has a random length: completed by the target, a lossless block is a
string in the target's law, along which the sum of differences is a martingale; the completion has mean 0
given the block, so the sum over the block has mean 0 too, and by the same argument its variance is the mean
of the summed variances.  A cut at an end of sequence or at a fixed length is a stopping time of that string.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan, sqrt
from statistics import NormalDist

from ..models.backend import torch
from ..models.pairs import ModelPair
from ..trees.sampling import Sampling

NO_VARIANCE = 1e-20
"""A variance per observation up to this is zero: it is rounding."""

ROUNDING = 1e-9
"""A mean difference up to this is zero, where there is no variance to measure it by."""


@dataclass(frozen=True)
class Score:
    """A sum of differences from their means, the sum of their variances, and their number."""

    total: float = 0.0
    variance: float = 0.0
    count: int = 0

    def plus(self, total: float, variance: float, count: int = 1) -> Score:
        """The score with more observations in it; ``FloatingPointError`` for nan, which is no verdict."""
        if isnan(total) or isnan(variance):
            raise FloatingPointError(f"a difference of {total} with variance {variance}: a law was not computed")
        return Score(self.total + total, self.variance + variance, self.count + count)

    @property
    def z(self) -> float | None:
        """The z-score; ``None`` where it is not applicable (no variance) or not finite."""
        if self.has_no_variance or not isfinite(self.total):
            return None
        return self.total / sqrt(self.variance)

    @property
    def has_no_variance(self) -> bool:
        """True if every observation was certain, as at temperature 0."""
        return self.variance <= NO_VARIANCE * max(self.count, 1)

    @property
    def note(self) -> str | None:
        """Why there is no z-score, if there is none."""
        if not isfinite(self.total):
            return "an observation has probability 0 in the row it was held against"
        if self.has_no_variance:
            return "not applicable: zero variance" + ("" if self.holds(0) else f", yet a difference of {self.total}")
        return None

    def holds(self, threshold: float) -> bool:
        """True if the z-score lies within the threshold; without variance, if there is no difference at all."""
        if not isfinite(self.total):
            return False
        if self.has_no_variance:
            return abs(self.total) <= ROUNDING * max(self.count, 1)
        return abs(self.total) <= threshold * sqrt(self.variance)


NO_SCORE = Score()
"""The score before the first observation."""


def surprise(rows: torch.Tensor, tokens: Sequence[int]) -> Score:
    """The score of one token per row: rows (n, V), n tokens; infinite for a token of probability 0."""
    logs = torch.where(rows > 0, rows, 1).log()
    entropy = -(rows * logs).sum(dim=-1)
    variance = ((rows * logs * logs).sum(dim=-1) - entropy**2).clamp(min=0)
    drawn = rows.gather(1, torch.tensor(tokens, device=rows.device)[:, None])[:, 0]
    difference = -drawn.log() - entropy
    return Score(float(difference.sum()), float(variance.sum()), len(tokens))


@torch.inference_mode()
def text_score(pair: ModelPair, sampling: Sampling, prompt: Sequence[int], text: Sequence[int]) -> Score:
    """The score of a text: one plain target pass over prompt and text, without cache or tree mask."""
    tokens = torch.tensor([[*prompt, *text[:-1]]], device=pair.device)
    output = pair.target(input_ids=tokens, use_cache=False, logits_to_keep=len(text))
    return surprise(sampling.rows(output.logits[0]), text)


@dataclass(frozen=True)
class RootComparison:
    """Measured against predicted tau, summed over roots; ``score`` holds their difference and its variance.

    At a root let m(T) and s(T) be the mean and the variance of tau given a tree T (``veridraft.theory``).  The step
    measures tau on a tree of its own; the prediction is m of another one, drawn beforehand.  Given the root the two
    are independent draws of one law, so that their difference has mean 0 and variance ``E s + 2 Var m``, of which
    ``s(other) + (m(own) - m(other))^2`` is an unbiased estimate.  The roots depend on what was emitted before, but
    they are the same for both sides: the sum over roots is a martingale, and the variances add.
    """

    measured: float = 0.0
    predicted: float = 0.0
    score: Score = NO_SCORE

    def plus(self, tau: int, mean: float, other_mean: float, other_variance: float) -> RootComparison:
        """The comparison with one more root: tau, m(own), m(other), s(other)."""
        score = self.score.plus(tau - other_mean, other_variance + (mean - other_mean) ** 2)
        return RootComparison(self.measured + tau, self.predicted + other_mean, score)

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


NO_COMPARISON = RootComparison()
"""The comparison before the first root."""
