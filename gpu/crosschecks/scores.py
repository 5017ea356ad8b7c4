"""Three z-scores, each of which can fail alone.

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

from veridraft.theory.policies.base import Policy

from ..decoding.single import Step
from ..models.backend import torch
from ..models.pairs import ModelPair
from ..trees.draw_rows import draws
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


def draft_score(score: Score, step: Step, policy: Policy) -> Score:
    """The score with every draw of the step's tree in it, a node drawn twice counted twice.

    Each draw is held against the row that it was made from: what was left of the node's row, where draws are
    without replacement or beside tokens put there by rule.  A tree without draws adds nothing.
    """
    for row, token in draws(step.tree, policy):
        more = surprise(row[None], [token])
        score = score.plus(more.total, more.variance, more.count)
    return score


@torch.inference_mode()
def text_score(pair: ModelPair, sampling: Sampling, prompt: Sequence[int], text: Sequence[int]) -> Score:
    """The score of a text: one plain target pass over prompt and text, without cache or tree mask."""
    tokens = torch.tensor([[*prompt, *text[:-1]]], device=pair.device)
    output = pair.target(input_ids=tokens, use_cache=False, logits_to_keep=len(text))
    return surprise(sampling.rows(output.logits[0]), text)
